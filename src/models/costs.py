"""What a network costs, by formula and before anything is built: weights, multiply-adds, memory of training.

Letters of the paper: B batch, C speakers, T samples, L encoder kernel, N channels, F frames, K frames of a chunk,
S chunks, H LSTM units of a direction, R pairs of MulCat blocks. W = N / L are the samples of a decoded frame, and
P = S * K the frames of an example in all chunks, about 2 F.
"""

from dataclasses import dataclass

from src.config import ModelConfig

DIRECTIONS = 2  # of an LSTM
GATES = 4  # of an LSTM unit: input, forget, cell, output
BIASES = 2  # of a gate, one beside each matrix, as in src/models/lstm.py
LSTMS = 2  # of a MulCat block: values and gates
BLOCKS = 2  # of a pair: along the chunks and across them

# Peak resident memory of two training steps, fitted by least squares of the relative error to the 34 points of
# tests/models/memory_measured.csv: AMD EPYC, 2 cores, MindSpore 2.10, 2026-11-23. Largest error at a point 11 %
# (7 % with recomputation), though the form was chosen with all points in sight.
BASE_BYTES = 600_000_000  # of the process
# Counted, not fitted: weight, gradient, clipped gradient, Adam's two moments, copy in the LSTM's order, in float32.
WEIGHT_BYTES = 6 * 4
MUON_WEIGHT_BYTES = 115  # more with Muon, from two pairs of points that differ in nothing else: 108 and 121
FIRST_FRAMES = 8192  # of a batch, measured to take more each than those after them, why is not known; best of four


@dataclass(frozen=True)
class MemoryFit:
    """Bytes, by what they grow with. A frame is one of a batch's B * P."""

    pair: int  # the graph of a pair of blocks, with what compiling it takes
    unit: int  # a frame, pair and unit <H>
    channel: int  # a frame, pair and channel <N>
    first_unit: int  # a frame, pair and unit, for the first FIRST_FRAMES
    block_unit: int  # a frame and unit, once: the insides of the one block at work


STORED = MemoryFit(pair=20_000_000, unit=339, channel=235, first_unit=180, block_unit=0)
RECOMPUTED = MemoryFit(pair=37_000_000, unit=2, channel=103, first_unit=207, block_unit=257)


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
    """P = S K: the frames of an example in all chunks, padding included, as `src.models.chunks` cuts them."""
    chunk = model.resolved_chunk_frames
    return 2 * ((_frames(model, num_samples) + chunk // 2) // chunk + 1) * chunk


def multiply_adds(model: ModelConfig, num_samples: int, *, training: bool = False) -> int:
    """Multiply-adds of one example of T = `num_samples` samples, forward; floating-point operations are twice as many.

    F N L + P (2 R (2 (2 * 4H (N + H) + 2H N) + 2N N) + D N C W): the encoder, and for every frame of the chunks the
    blocks' LSTMs, projections and outputs, and D heads, D = R in training, else 1. Only matrix products count, not
    what is done element by element, which adds about 1 % at the paper's size. The backward pass has two products for
    each of the forward pass, so a training step is three times as much.
    """
    channels, hidden = model.num_filters, model.hidden_size
    lstm = DIRECTIONS * GATES * hidden * (channels + hidden)
    projection = DIRECTIONS * hidden * channels
    block = LSTMS * (lstm + projection) + 2 * channels * channels
    head = channels * model.num_speakers * (channels // model.kernel_size)
    heads = model.num_pairs if training else 1
    encoder = _frames(model, num_samples) * channels * model.kernel_size
    return encoder + padded_frames(model, num_samples) * (BLOCKS * model.num_pairs * block + heads * head)


def training_bytes(
    model: ModelConfig, training_batch: int, num_samples: int, *, recompute: bool = False, optimizer: str = "adam"
) -> int:
    """Estimate of the peak resident memory, in bytes, of a process that trains on a CPU with MindSpore 2.10.

    For batches of `training_batch` examples of `num_samples` samples. `recompute`: every MulCat block is computed
    anew in the backward pass (`nn.Cell.recompute`) instead of being kept. `optimizer`: as in `TrainingConfig`.

    Measured for N 16 to 256, H 16 to 256, R 1 to 6, 1 to 4 s at 8 kHz, batches of 1 to 4, up to 9 GB; elsewhere
    the same lines are drawn on. The steps alone: the data and the validation after an epoch come on top. Eight
    pieces of 4 s, as `src.training` validates, took 0.5 to 1.2 GB more at N = H = 128, R = 1 and 6.
    """
    fit = RECOMPUTED if recompute else STORED
    frames = training_batch * padded_frames(model, num_samples)
    weight = WEIGHT_BYTES + (MUON_WEIGHT_BYTES if optimizer == "muon" else 0)
    per_frame = fit.unit * model.hidden_size + fit.channel * model.num_filters
    first = fit.first_unit * model.hidden_size * min(frames, FIRST_FRAMES)
    pairs = model.num_pairs * (fit.pair + frames * per_frame + first)
    block = frames * fit.block_unit * model.hidden_size
    return BASE_BYTES + weight * num_parameters(model) + pairs + block


def _frames(model: ModelConfig, num_samples: int) -> int:
    """F of the encoder: a window starts at every hop, and less than a kernel is one frame."""
    return max(1, num_samples // model.hop_samples - 1)
