"""Cut a sequence of frames into half-overlapping chunks, and merge chunks back: an inverse pair.

Letters: F frames, K frames of a chunk, P = K // 2 the overlap, S chunks, B batch, M channels.
The padding is that of Luo, Chen, Yoshioka 2020 (arXiv 1910.06379), section 2.1, which the paper of this
network follows: P frames of silence at the start, and at the end P + 1 to P + K, as many as make S even. Every
true frame lies in exactly two chunks.
"""

from mindspore import Tensor, ops


def count_chunks(num_frames: int, chunk_frames: int) -> int:
    """S, always even: the chunks are two combs of S/2 adjoining chunks, P frames apart."""
    return 2 * ((num_frames + chunk_frames // 2) // chunk_frames + 1)


def split(frames: Tensor, chunk_frames: int) -> Tensor:
    """Cut [F, B, M] into [S, K, B, M], both ends padded with zeros.

    The time axis comes first, so that no transposition stands between this and a time-major LSTM
    that runs across the chunks.
    """
    num_frames, batch, channels = frames.shape
    overlap = chunk_frames // 2
    half = count_chunks(num_frames, chunk_frames) // 2
    comb_frames = half * chunk_frames
    head = ops.zeros((overlap, batch, channels), frames.dtype)
    tail = ops.zeros((comb_frames - num_frames, batch, channels), frames.dtype)
    padded = ops.cat((head, frames, tail))  # [comb_frames + P, B, M]
    even = padded[:comb_frames].reshape(half, 1, chunk_frames, batch, channels)
    odd = padded[overlap:].reshape(half, 1, chunk_frames, batch, channels)
    return ops.cat((even, odd), 1).reshape(2 * half, chunk_frames, batch, channels)


def merge(chunks: Tensor, num_frames: int) -> Tensor:
    """Put [S, K, B, M] together to [F, B, M]: every frame is the mean of the two chunks that hold it.

    The mean makes this the inverse of `split`; an overlap-add is twice as much.
    """
    num_chunks, chunk_frames, batch, channels = chunks.shape
    overlap = chunk_frames // 2
    elements = chunk_frames * batch * channels  # of a chunk
    combs = chunks.reshape(num_chunks // 2, 2 * elements)  # slices of two axes take a CPU an eighth of those of five
    even = combs[:, :elements].reshape(-1, batch, channels)  # starts P frames before the first true frame
    odd = combs[:, elements:].reshape(-1, batch, channels)  # starts with the first true frame
    return 0.5 * (even[overlap : overlap + num_frames] + odd[:num_frames])
