"""The network in the form in which it is exported: static shapes, weights folded beforehand, true lengths as an input.

A static graph takes mixtures of M samples. Of a shorter one, filled to M, it gives what `src.models.swave.Swave` gives
for the true samples alone:

* Samples and frames that a mixture of n samples does not have are made zero, as is the network's own padding.
  The chunks of fewer frames are the first ones of the chunks of more, so a mixture's own are where they would be.
* An LSTM along a chunk stays inside it. One that runs across the chunks, backwards, has to begin with zero state
  at the last true chunk of its row of the batch, so it is closed (src/models/exported_lstm.py) in the chunks after it.

What a mixture has is found by comparing n with constants. Which operations are used, and in which form, is a matter
of what MindSpore Lite 2.0 computes rightly: PReLU as relu(x) - a relu(-x) is loaded, and gives wrong numbers.

Letters of the paper: B batch, C speakers, M samples, L encoder kernel, N channels, F frames, K frames of a chunk,
S chunks, H LSTM units of a direction. W = N / L are the samples of a decoded frame, P = K // 2.
"""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import ArrayLike, NDArray

from src.errors import UserError
from src.models.chunks import count_chunks
from src.models.exported_lstm import MakeLSTM, constant, for_lite, weights_of
from src.models.swave import SILENT_RMS, Head, Linear, MulCat, Swave, overlap_add

MOST_SAMPLES = 2**24 - 1  # that float32, in which lengths are compared, counts exactly


class ExportedSwave(nn.Cell):
    """(mixture [B, M] float32, num_samples [B] int32) -> tracks [B, C, M], silent after a row's true samples.

    1 <= num_samples <= M; the mixture's samples after those do not matter.
    """

    def __init__(self, network: Swave, batch_size: int, num_samples: int, make_lstm: MakeLSTM = for_lite) -> None:
        """Take the weights of a network, for B = `batch_size` and M = `num_samples`.

        Raises `UserError` if M is less than a frame, or more than can be counted.
        """
        super().__init__()
        config = network.config
        if not config.kernel_size <= num_samples <= MOST_SAMPLES:
            raise UserError(
                f"found {num_samples} samples at once, expected {config.kernel_size}, the encoder's L, "
                f"to {MOST_SAMPLES}"
            )
        self.batch, self.num_samples, self.hop = batch_size, num_samples, config.hop_samples
        self.channels, self.speakers, self.width = config.num_filters, config.num_speakers, network.frame_samples
        self.chunk_frames, self.normalize_level = network.chunk_frames, network.normalize_level
        self.num_frames = num_samples // self.hop - 1
        self.num_chunks = count_chunks(self.num_frames, self.chunk_frames)
        self._set_limits()
        self.encoder_weight = constant(network.encoder.weight.asnumpy())
        rows, columns = self.num_chunks * batch_size, self.chunk_frames * batch_size
        self.along = nn.CellList([FoldedMulCat(block, rows, make_lstm) for block in network.along])
        self.across = nn.CellList([FoldedMulCat(b, columns, make_lstm, closable=True) for b in network.across])
        self.head = FoldedHead(network.head)
        self.matmul = ops.MatMul(transpose_b=True)
        self.sum = ops.ReduceSum(keep_dims=True)

    def _set_limits(self) -> None:
        """The greatest n with which a mixture still lacks a sample, a frame, or the chunk of a place in the chunks."""
        frames_before = np.arange(self.num_chunks) // 2 * self.chunk_frames - self.chunk_frames // 2
        places = np.repeat(frames_before, self.chunk_frames).reshape(self.num_chunks, self.chunk_frames, 1)
        self.without_sample = _tensor(np.arange(self.num_samples).reshape(1, -1))
        self.without_frame = _tensor(self._samples_without(1 + np.arange(self.num_frames).reshape(-1, 1, 1)))
        self.without_chunk = _tensor(self._samples_without(places))

    def _samples_without(self, num_frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """The greatest n that makes fewer frames than these; none lacks the first, because it is filled."""
        return np.where(num_frames > 1, (num_frames + 1) * self.hop - 1, 0)

    def construct(self, mixture: Tensor, num_samples: Tensor) -> Tensor:
        """Separate [B, M], of which the first num_samples [B] are true."""
        length = num_samples.astype(ms.float32)
        has_sample = _exceeds(length.reshape(-1, 1), self.without_sample)  # [B, M]
        has_frame = _exceeds(length.reshape(1, -1, 1), self.without_frame)  # [F, B, 1]
        closed = 1.0 - _exceeds(length.reshape(1, 1, -1), self.without_chunk)  # [S, K, B]
        mixture = mixture * has_sample
        gain = has_sample
        if self.normalize_level:
            level = ops.sqrt(self.sum(mixture * mixture, 1) / length.reshape(-1, 1)) + SILENT_RMS  # [B, 1]
            mixture = mixture / level
            gain = gain * level
        columns = self._split(self._encode(mixture) * has_frame)  # [S, K * B, N]
        columns = self._separate(columns, closed.reshape(self.num_chunks, -1, 1))
        frames = self._merge(self.head(columns)) * has_frame  # [F, B, C * W]
        frames = frames.reshape(self.num_frames, self.batch, self.speakers, self.width)
        return overlap_add(frames, self.hop, self.num_samples) * gain.reshape(self.batch, 1, self.num_samples)

    def _encode(self, mixture: Tensor) -> Tensor:
        """[B, M] -> [F, B, N], as `src.models.swave.Encoder`."""
        hops = self.num_frames + 1
        halves = mixture[:, : hops * self.hop].reshape(self.batch, hops, self.hop)
        halves = halves.swapaxes(0, 1) if self.batch > 1 else halves.reshape(hops, 1, self.hop)
        windows = ops.cat((halves[:-1], halves[1:]), 2).reshape(-1, 2 * self.hop)  # [F * B, L]
        return ops.relu(self.matmul(windows, self.encoder_weight)).reshape(self.num_frames, self.batch, -1)

    def _split(self, frames: Tensor) -> Tensor:
        """[F, B, N] -> [S, K * B, N], as `src.models.chunks.split`."""
        comb, overlap = self.num_chunks // 2 * self.chunk_frames, self.chunk_frames // 2
        head = ops.zeros((overlap, self.batch, self.channels), ms.float32)
        tail = ops.zeros((comb - self.num_frames, self.batch, self.channels), ms.float32)
        padded = ops.cat((head, frames, tail))  # [comb + P, B, N]
        shape = (self.num_chunks // 2, 1, self.chunk_frames * self.batch, self.channels)
        combs = ops.cat((padded[:comb].reshape(shape), padded[overlap:].reshape(shape)), 1)
        return combs.reshape(self.num_chunks, self.chunk_frames * self.batch, self.channels)

    def _separate(self, columns: Tensor, closed: Tensor) -> Tensor:
        """All pairs of blocks, along and across the chunks: [S, K * B, N] -> the same."""
        for pair in range(len(self.along)):
            rows = self.along[pair](self._swap(columns, self.num_chunks, self.chunk_frames), closed)
            columns = self.across[pair](self._swap(rows, self.chunk_frames, self.num_chunks), closed)
        return columns

    def _swap(self, sequence: Tensor, outer: int, inner: int) -> Tensor:
        """[outer, inner * B, N] -> [inner, outer * B, N]."""
        swapped = sequence.reshape(outer, inner, self.batch * self.channels).swapaxes(0, 1)
        return swapped.reshape(inner, outer * self.batch, self.channels)

    def _merge(self, chunks: Tensor) -> Tensor:
        """[S * K * B, C * W], already halved, -> [F, B, C * W], as `src.models.chunks.merge`."""
        overlap, samples = self.chunk_frames // 2, self.speakers * self.width
        combs = chunks.reshape(self.num_chunks // 2, 2, self.chunk_frames, self.batch, samples)
        even = combs[:, 0].reshape(-1, self.batch, samples)
        odd = combs[:, 1].reshape(-1, self.batch, samples)
        return even[overlap : overlap + self.num_frames] + odd[: self.num_frames]


class FoldedMulCat(nn.Cell):
    """A gated block together with the sum with its input: [T, B, N] -> [T, B, N]."""

    def __init__(self, block: MulCat, batch: int, make_lstm: MakeLSTM, closable: bool = False) -> None:
        super().__init__()
        self.closable = closable
        self.channels = block.projection.weight.shape[0]
        self.lstm = make_lstm(weights_of(block.lstm, closable), batch)
        self.gate_lstm = make_lstm(weights_of(block.gate_lstm, closable), batch)
        self.projection = FoldedLinear(block.projection)
        self.gate_projection = FoldedLinear(block.gate_projection)
        self.output = FoldedLinear(block.output, plus=np.eye(self.channels, 2 * self.channels, self.channels))

    def construct(self, sequence: Tensor, closed: Tensor) -> Tensor:
        """Where `closed` [T, B, 1] is 1, a closable block's LSTMs stand still at zero."""
        seen = ops.cat((sequence, closed), 2) if self.closable else sequence
        values = self.projection(self.lstm(seen))  # [T * B, N]
        gates = self.gate_projection(self.gate_lstm(seen))
        rows = ops.cat((values * gates, sequence.reshape(-1, self.channels)), 1)
        return self.output(rows).reshape(sequence.shape)


class FoldedLinear(nn.Cell):
    """[..., inputs] -> [rows, outputs]; `plus` [outputs, inputs] is added to the weights."""

    def __init__(self, linear: Linear, plus: ArrayLike = 0.0) -> None:
        super().__init__()
        self.weight = constant(linear.weight.asnumpy() + plus)
        self.bias = constant(linear.bias.asnumpy())
        self.inputs = self.weight.shape[1]
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, values: Tensor) -> Tensor:
        """Apply to the last axis."""
        return self.matmul(values.reshape(-1, self.inputs), self.weight) + self.bias


class FoldedHead(nn.Cell):
    """PReLU and 1x1 convolution, averaged in groups of L, halved for the merge: [..., N] -> [rows, C * W]."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        slope = float(head.slope.asnumpy()[0])
        self.channels = head.channels
        self.slope = _tensor(slope)
        self.choose = ops.Maximum() if slope <= 1 else ops.Minimum()
        self.weight = constant(0.5 * head.weight.asnumpy().reshape(-1, head.group, head.channels).mean(1))
        self.bias = constant(0.5 * head.bias.asnumpy().reshape(-1, head.group).mean(1))
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, chunks: Tensor) -> Tensor:
        """Apply to the last axis."""
        rows = chunks.reshape(-1, self.channels)
        active = self.choose(rows, self.slope * rows)
        return self.matmul(active, self.weight) + self.bias


def _exceeds(length: Tensor, limit: Tensor) -> Tensor:
    """1.0 where the whole number `length` is above the whole number `limit`, else 0.0."""
    return ops.minimum(ops.relu(length - limit), Tensor(1.0, ms.float32))


def _tensor(values: ArrayLike) -> Tensor:
    return Tensor(np.asarray(values, np.float32))
