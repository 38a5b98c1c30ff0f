"""The network of Nachmani, Adi, Wolf 2020, "Voice separation with an unknown number of multiple
speakers" (arXiv 2003.01531), section 3: encoder, gated dual-path RNN separator, decoder.

Letters of the paper: B batch, C speakers, T samples, L encoder kernel, N channels, F frames,
K frames of a chunk, S chunks, H LSTM units of a direction, R pairs of MulCat blocks.
"""

import math

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import Uniform, initializer

from src.config import ModelConfig
from src.errors import UserError
from src.models.chunks import merge, split
from src.models.fused_block import FusedBlock, fused_block_library
from src.models.lstm import BidirectionalLSTM

SILENT_RMS = 1e-8  # keeps the level of a silent mixture from being divided by zero


class Linear(nn.Cell):
    """y = x W' + b on the last axis: [..., inputs] -> [..., outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = Parameter(initializer(Uniform(bound), (outputs, inputs), ms.float32))
        self.bias = Parameter(initializer(Uniform(bound), (outputs,), ms.float32))
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, values: Tensor) -> Tensor:
        """Apply to [..., inputs]."""
        rows = values.reshape(-1, values.shape[-1])
        return ops.bias_add(self.matmul(rows, self.weight), self.bias).reshape(values.shape[:-1] + (-1,))


class Encoder(nn.Cell):
    """Waveform to non-negative frames: convolution of kernel <L> and stride L/2, no bias, ReLU."""

    def __init__(self, num_filters: int, kernel_size: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(kernel_size)
        self.hop = kernel_size // 2
        self.weight = Parameter(initializer(Uniform(bound), (num_filters, kernel_size), ms.float32))
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, mixture: Tensor) -> Tensor:
        """[B, T] -> [F, B, N] with F = (T - L) // (L/2) + 1; samples after the last frame are not seen.

        A mixture of less than L samples is one frame, its end filled with zeros.
        """
        batch, num_samples = mixture.shape
        if num_samples < 2 * self.hop:
            mixture = ops.cat((mixture, ops.zeros((batch, 2 * self.hop - num_samples), mixture.dtype)), 1)
            num_samples = 2 * self.hop
        hops = num_samples // self.hop
        halves = mixture[:, : hops * self.hop].reshape(batch, hops, self.hop).swapaxes(0, 1)
        windows = ops.cat((halves[:-1], halves[1:]), 2)  # [F, B, L]
        frames = self.matmul(windows.reshape(-1, 2 * self.hop), self.weight)
        return ops.relu(frames).reshape(hops - 1, batch, -1)


class MulCat(nn.Cell):
    """The gated block of figure 2: two bidirectional LSTMs multiplied, concatenated with their input.

    Both outputs are projected to <N> channels, multiplied, put beside the input, projected 2N -> N.
    The sum with the block's input is taken by the caller.
    """

    def __init__(self, channels: int, hidden_size: int) -> None:
        super().__init__()
        self.lstm = BidirectionalLSTM(channels, hidden_size)
        self.gate_lstm = BidirectionalLSTM(channels, hidden_size)
        self.projection = Linear(2 * hidden_size, channels)
        self.gate_projection = Linear(2 * hidden_size, channels)
        self.output = Linear(2 * channels, channels)

    def construct(self, sequence: Tensor) -> Tensor:
        """[T, B, N] -> [T, B, N], along the first axis."""
        values = self.projection(self.lstm(sequence))
        gates = self.gate_projection(self.gate_lstm(sequence))
        return self.output(ops.cat((values * gates, sequence), 2))

    def weights(self) -> tuple[Parameter, ...]:
        """All of them, in the order in which the fused operator takes them."""
        lstm, gate_lstm = self.lstm, self.gate_lstm
        return (
            lstm.weight_ih,
            lstm.weight_hh,
            lstm.bias_ih,
            lstm.bias_hh,
            gate_lstm.weight_ih,
            gate_lstm.weight_hh,
            gate_lstm.bias_ih,
            gate_lstm.bias_hh,
            self.projection.weight,
            self.projection.bias,
            self.gate_projection.weight,
            self.gate_projection.bias,
            self.output.weight,
            self.output.bias,
        )


class Head(nn.Cell):
    """Shared by all pairs: PReLU, then a 1x1 convolution to N*C channels, averaged in groups of L.

    The paper averages the N channels of a speaker in groups of L only in the decoder, after the
    chunks are merged. Convolution, merge and average are linear, so averaging the convolution's weights
    first gives exactly the same with L times fewer channels.
    """

    def __init__(self, channels: int, num_speakers: int, group: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(channels)
        outputs = num_speakers * channels
        self.channels = channels
        self.group = group
        self.slope = Parameter(Tensor([0.25], ms.float32))
        self.weight = Parameter(initializer(Uniform(bound), (outputs, channels), ms.float32))
        self.bias = Parameter(initializer(Uniform(bound), (outputs,), ms.float32))
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, chunks: Tensor) -> Tensor:
        """[S, K, B, N] -> [S, K, B, C * N/L], the samples of a speaker's frame adjoining."""
        active = ops.relu(chunks) - self.slope * ops.relu(-chunks)
        weight = self.weight.reshape(-1, self.group, self.channels).mean(1)  # [C * N/L, N]
        bias = self.bias.reshape(-1, self.group).mean(1)
        rows = self.matmul(active.reshape(-1, self.channels), weight)
        return ops.bias_add(rows, bias).reshape(chunks.shape[:-1] + (-1,))


def overlap_add(frames: Tensor, hop: int, num_samples: int) -> Tensor:
    """[F, B, C, W] frames of W samples, `hop` apart, summed to [B, C, num_samples].

    What lies beyond `num_samples` is cut, what is missing is zero.
    """
    num_frames, batch, speakers, width = frames.shape
    parts = -(-width // hop)
    fill = ops.zeros((num_frames, batch, speakers, parts * hop - width), frames.dtype)
    whole = ops.cat((frames, fill), 3) if parts * hop > width else frames
    rows = []
    for part in range(parts):  # the part of every frame that falls `part` hops after its start
        piece = whole[:, :, :, part * hop : (part + 1) * hop]
        before = ops.zeros((part, batch, speakers, hop), frames.dtype)
        after = ops.zeros((parts - 1 - part, batch, speakers, hop), frames.dtype)
        around = ((before,) if part else ()) + (piece,) + ((after,) if part < parts - 1 else ())
        rows.append(ops.cat(around) if parts > 1 else piece)
    summed = rows[0]  # [F + parts - 1, B, C, hop]
    for row in rows[1:]:
        summed = summed + row
    samples = summed.transpose(1, 2, 0, 3).reshape(batch, speakers, -1)
    missing = num_samples - samples.shape[2]
    if missing > 0:
        samples = ops.cat((samples, ops.zeros((batch, speakers, missing), frames.dtype)), 2)
    return samples[:, :, :num_samples]


class Swave(nn.Cell):
    """Mixture [B, T] -> the speakers' tracks.

    In training (`set_train(True)`): [B, R, C, T], the output after every pair of blocks, for the
    multi-scale loss of section 3.2. Otherwise only the last pair's: [B, C, T].

    T is at least 1. Tracks come in no particular order, and with arbitrary gain and sign.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.chunk_frames = config.resolved_chunk_frames
        self.num_speakers = config.num_speakers
        self.hop = config.hop_samples
        self.frame_samples = config.num_filters // config.kernel_size  # <W>, that a decoded frame has
        self.normalize_level = config.normalize_level
        channels, hidden = config.num_filters, config.hidden_size
        self.encoder = Encoder(channels, config.kernel_size)
        self.along = nn.CellList([MulCat(channels, hidden) for _ in range(config.num_pairs)])
        self.across = nn.CellList([MulCat(channels, hidden) for _ in range(config.num_pairs)])
        self.head = Head(channels, config.num_speakers, config.kernel_size)
        library = fused_block_library(config)
        self.is_fused = library is not None
        if library is not None:
            self.fused_along = FusedBlock(library, config, along=True)
            self.fused_across = FusedBlock(library, config, along=False)

    def recompute_blocks(self) -> None:
        """Compute in the backward pass again what the blocks would else keep for it: less memory, more time."""
        if self.is_fused:
            self.fused_along.keeps = self.fused_across.keeps = False
        else:
            for block in (*self.along, *self.across):
                block.recompute()

    def compute_in(self, amp: str) -> None:
        """Compute in `bfloat16` or `float16`; "none" leaves everything in float32. The weights stay in float32.

        On a CPU bfloat16 is for the products of the fused blocks. Raises `UserError` for what the device does not have.
        """
        if amp == "none":
            return
        if ms.get_context("device_target") != "CPU":
            self.to_float(getattr(ms, amp))
        elif amp == "bfloat16" and self.is_fused:
            self.fused_along.round_to_bfloat16()
            self.fused_across.round_to_bfloat16()
        elif amp == "bfloat16":
            raise UserError("amp: found bfloat16 on a CPU without the compiled operators, expected none")
        else:
            raise UserError(f"amp: found {amp} on a CPU, expected bfloat16 or none")

    def construct(self, mixture: Tensor) -> Tensor:
        """Separate [B, T], float32."""
        level = self._level(mixture)
        frames = self.encoder(mixture / level)  # [F, B, N]
        num_frames = frames.shape[0]
        chunks = split(frames, self.chunk_frames)  # [S, K, B, N]
        outputs = []
        for pair in range(len(self.along)):
            chunks = self._pass_along(self.along[pair], chunks)
            chunks = self._pass_across(self.across[pair], chunks)
            if self.training or pair == len(self.along) - 1:
                outputs.append(self._decode(chunks, num_frames, mixture.shape[1]))
        if self.training:
            tracks = ops.stack(outputs, 1)  # [B, R, C, T]
            return tracks * level.reshape(-1, 1, 1, 1)
        return outputs[0] * level.reshape(-1, 1, 1)

    def _level(self, mixture: Tensor) -> Tensor:
        """The RMS of each mixture [B, 1], padding included, or ones where levels are left alone."""
        if not self.normalize_level:
            return ops.ones((mixture.shape[0], 1), mixture.dtype)
        return ops.sqrt(ops.square(mixture).mean(1, keep_dims=True)) + SILENT_RMS

    def _pass_along(self, block: nn.Cell, chunks: Tensor) -> Tensor:
        if self.is_fused:
            return self.fused_along(chunks, block.weights())
        num_chunks, chunk_frames, batch, channels = chunks.shape
        rows = chunks.swapaxes(0, 1).reshape(chunk_frames, num_chunks * batch, channels)
        return chunks + block(rows).reshape(chunk_frames, num_chunks, batch, channels).swapaxes(0, 1)

    def _pass_across(self, block: nn.Cell, chunks: Tensor) -> Tensor:
        if self.is_fused:
            return self.fused_across(chunks, block.weights())
        num_chunks, chunk_frames, batch, channels = chunks.shape
        columns = chunks.reshape(num_chunks, chunk_frames * batch, channels)
        return chunks + block(columns).reshape(chunks.shape)

    def _decode(self, chunks: Tensor, num_frames: int, num_samples: int) -> Tensor:
        merged = merge(self.head(chunks), num_frames)  # [F, B, C * W]
        frames = merged.reshape(num_frames, merged.shape[1], self.num_speakers, self.frame_samples)
        return overlap_add(frames, self.hop, num_samples)
