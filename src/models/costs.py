"""What a network costs, by formula and before anything is built: weights, multiply-adds, memory of training.

Letters of the paper: B batch, C speakers, T samples, L encoder kernel, N channels, F frames, K frames of a chunk,
S chunks, H LSTM units of a direction, R pairs of MulCat blocks. W = N / L are the samples of a decoded frame, and
P = S * K the frames of an example in all chunks, about 2 F.
"""

import math
from dataclasses import dataclass

from src.config import ModelConfig, TrainingConfig

DIRECTIONS = 2  # of an LSTM
GATES = 4  # of an LSTM unit: input, forget, cell, output
BIASES = 2  # of a gate, one beside each matrix, as in src/models/lstm.py
LSTMS = 2  # of a MulCat block: values and gates
BLOCKS = 2  # of a pair: along the chunks and across them

# Counted, not fitted: weight, gradient, clipped gradient, Adam's two moments, copy in the LSTM's order, in float32.
WEIGHT_BYTES = 6 * 4
MUON_WEIGHT_BYTES = 115  # more with Muon, from three pairs of points that differ in nothing else: 108, 121 and 114

# Peak resident memory of two training steps with the operators of src/kernels: what they keep, their workspace and the
# weights are counted, the rest is fitted by least squares of the relative error to 28 of the 30 points of
# tests/models/memory_measured.csv with fused = 1: Intel Xeon with AMX, 2 cores, 24 GB, MindSpore 2.10, 2026-11-30.
# Largest error at a point 7 %, of the two left out 2 %.
FUSED_BASE_BYTES = 636_000_000  # of the process
FUSED_PAIR_BYTES = 6_000_000  # the graph of a pair of blocks, with what compiling it takes
FUSED_CHANNEL_BYTES = 26  # a frame of the batch's B * P, pair and channel <N>: what stands between the blocks
LANES = 32  # sequences side by side with AVX-512; fewer elsewhere, so fewer of them zeros
FLOAT_ROWS = 12  # to whose multiples features are filled up in float32

# The same with MindSpore's own operators instead: the 34 points with fused = 0, AMD EPYC, 2 cores, MindSpore 2.10,
# 2026-11-23. Largest error at a point 11 % (7 % with recomputation), though the form was chosen with all in sight.
BASE_BYTES = 600_000_000  # of the process
FIRST_FRAMES = 8192  # of a batch, measured to take more each than those after them, why is not known; best of four


@dataclass(frozen=True)
class MemoryFit:
    """Bytes of MindSpore's operators, by what they grow with. A frame is one of a batch's B * P."""

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
    model: ModelConfig, settings: TrainingConfig, num_samples: int, *, fused: bool, num_cores: int
) -> int:
    """Estimate of the peak resident memory, in bytes, of a process that trains on a CPU with MindSpore 2.10.

    Args:
        model: the network.
        settings: batch size, optimizer, precision and recomputation count.
        num_samples: T of an example.
        fused: with the operators of src/kernels, not MindSpore's own.
        num_cores: that share the work.

    The steps alone: the data and the validation after an epoch come on top. Measured for N 16 to 256, H 16 to 256,
    R 1 to 6, 1 to 4 s at 8 kHz and batches of 1 to 4, up to 3.9 GB (9 GB with MindSpore's operators); elsewhere the
    same lines are drawn on.
    """
    if not fused:
        return _bytes_of_mindspores_operators(model, settings, num_samples)
    frames = settings.batch_size * padded_frames(model, num_samples)
    chunk = model.resolved_chunk_frames
    chunks = padded_frames(model, num_samples) // chunk
    ways = ((chunk, chunks * settings.batch_size), (chunks, chunk * settings.batch_size))  # along and across
    saved = [saved_bytes(model, steps, sequences, settings.amp) for steps, sequences in ways]
    kept = max(saved) if settings.recompute else model.num_pairs * sum(saved)
    workspace = max(_workspace_bytes(model, steps, sequences, num_cores) for steps, sequences in ways)
    weight = WEIGHT_BYTES + (MUON_WEIGHT_BYTES if settings.optimizer == "muon" else 0)
    pairs = model.num_pairs * (FUSED_PAIR_BYTES + frames * model.num_filters * FUSED_CHANNEL_BYTES)
    return FUSED_BASE_BYTES + weight * num_parameters(model) + pairs + kept + workspace


def saved_bytes(model: ModelConfig, num_steps: int, num_sequences: int, amp: str = "none") -> int:
    """What a block keeps for its gradient, as `Saved` of src/kernels/block.h has it.

    For every step of every LANES sequences, as floats or pairs of bfloat16: gates and cells of two LSTMs in two
    directions, their hidden states and their projections.
    """
    channels, hidden = model.num_filters, model.hidden_size

    def numbers(features: int) -> int:
        return features // 2 if amp == "bfloat16" else _filled_up(features, FLOAT_ROWS)

    streams = LSTMS * DIRECTIONS * (numbers(GATES * hidden) + numbers(hidden))
    lstms = LSTMS * (numbers(DIRECTIONS * hidden) + numbers(channels))
    return num_steps * _filled_up(num_sequences, LANES) * 4 * (streams + lstms)


def _groups_of_wave(num_groups: int, num_cores: int) -> int:
    """How many groups are worked on together: the function of this name in src/kernels/forward.h."""
    streams = LSTMS * DIRECTIONS
    for wave in range(1, num_groups):
        if 100 * wave * streams >= 85 * math.ceil(wave * streams / num_cores) * num_cores:
            return wave
    return num_groups


def _workspace_bytes(model: ModelConfig, num_steps: int, num_sequences: int, num_cores: int) -> int:
    """Of src/kernels/backward.h, but for some zeros that fill up: the groups of LANES sequences that are at work, and
    the sums of a block's gradients, one set a core.

    A step of a group has 6 arrays of N (the input, and its gradient in five parts) and 4 of 2H (hidden states and their
    gradients, of two LSTMs).
    """
    groups = _groups_of_wave(_filled_up(num_sequences, LANES) // LANES, num_cores)
    numbers = 6 * model.num_filters + 4 * DIRECTIONS * model.hidden_size
    block_weights = num_parameters(model) // (BLOCKS * model.num_pairs)
    return 4 * (groups * num_steps * LANES * numbers + num_cores * block_weights)


def _filled_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _bytes_of_mindspores_operators(model: ModelConfig, settings: TrainingConfig, num_samples: int) -> int:
    fit = RECOMPUTED if settings.recompute else STORED
    frames = settings.batch_size * padded_frames(model, num_samples)
    weight = WEIGHT_BYTES + (MUON_WEIGHT_BYTES if settings.optimizer == "muon" else 0)
    per_frame = fit.unit * model.hidden_size + fit.channel * model.num_filters
    first = fit.first_unit * model.hidden_size * min(frames, FIRST_FRAMES)
    pairs = model.num_pairs * (fit.pair + frames * per_frame + first)
    block = frames * fit.block_unit * model.hidden_size
    return BASE_BYTES + weight * num_parameters(model) + pairs + block


def _frames(model: ModelConfig, num_samples: int) -> int:
    """F of the encoder: a window starts at every hop, and less than a kernel is one frame."""
    return max(1, num_samples // model.hop_samples - 1)
