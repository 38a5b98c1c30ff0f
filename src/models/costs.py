"""What a network costs, by formula and before anything is built: weights, multiply-adds, memory of training.

Letters of the paper: B batch, C speakers, T samples, L encoder kernel, N channels, F frames, K frames of a chunk,
S chunks, H LSTM units of a direction, R pairs of MulCat blocks. W = N / L are the samples of a decoded frame, and
P = S * K the frames of an example in all chunks, about 2 F.
"""

from src.config import ModelConfig

DIRECTIONS = 2  # of an LSTM
GATES = 4  # of an LSTM unit: input, forget, cell, output
BIASES = 2  # of a gate, one beside each matrix, as in src/models/lstm.py
LSTMS = 2  # of a MulCat block: values and gates
BLOCKS = 2  # of a pair: along the chunks and across them


def num_parameters(model: ModelConfig) -> int:
    """Trainable weights, exactly.

    Encoder N L; each of the 2 R blocks 2 LSTMs with 2 (4H (N + H) + 2 * 4H), 2 projections with 2H N + N and
    an output with 2N N + N; head C N (N + 1) and PReLU's one slope.
    """
    channels, hidden = model.num_filters, model.hidden_size
    lstm = DIRECTIONS * GATES * hidden * (channels + hidden + BIASES)
    projection = DIRECTIONS * hidden * channels + channels
    output = 2 * channels * channels + channels
    block = LSTMS * (lstm + projection) + output
    head = model.num_speakers * channels * (channels + 1) + 1
    return channels * model.kernel_size + BLOCKS * model.num_pairs * block + head


def padded_frames(model: ModelConfig, num_samples: int) -> int:
    """P = S K: the frames of an example in all chunks, padding included (src/models/chunks.py)."""
    chunk = model.resolved_chunk_frames
    return 2 * ((_frames(model, num_samples) + chunk // 2) // chunk + 1) * chunk


def multiply_adds(model: ModelConfig, num_samples: int, *, training: bool = False) -> int:
    """Multiply-adds of one example of T = `num_samples` samples, forward; floating-point operations are twice as many.

    F N L + P (2 R (2 (2 * 4H (N + H) + 2H N) + 2N N) + D N C W): the encoder, and for every frame of the chunks the
    blocks' LSTMs, projections and outputs, and D heads, D = R in training, else 1. Only matrix products count, not
    what is done element by element. Forward and backward together are about three times the forward pass.
    """
    channels, hidden = model.num_filters, model.hidden_size
    lstm = DIRECTIONS * GATES * hidden * (channels + hidden)
    projection = DIRECTIONS * hidden * channels
    block = LSTMS * (lstm + projection) + 2 * channels * channels
    head = channels * model.num_speakers * (channels // model.kernel_size)
    heads = model.num_pairs if training else 1
    encoder = _frames(model, num_samples) * channels * model.kernel_size
    return encoder + padded_frames(model, num_samples) * (BLOCKS * model.num_pairs * block + heads * head)


def _frames(model: ModelConfig, num_samples: int) -> int:
    """F of the encoder: a window starts at every hop, and less than a kernel is one frame."""
    return max(1, num_samples // model.hop_samples - 1)
