"""The network in the form in which it is exported: static shapes, weights folded beforehand, true lengths as an input.

A static graph takes mixtures of M samples. Of a shorter one, filled to M, it gives what `src.models.swave.Swave` gives
for the true samples alone:

* Samples, frames and chunks that a mixture of n samples does not have count as zero, as the network's own padding.
  The chunks of fewer frames are the first ones of the chunks of more, so a mixture's own are where they would be.
* An LSTM along a chunk stays inside it. One that runs across the chunks, backwards, has to begin with zero state
  at the last true chunk of its row of the batch. It has one input channel more, which is 1 in the chunks after that
  and closes the input and forget gates there, so state and output are zero when it gets to the true ones.

Letters of the paper: B batch, C speakers, M samples, L encoder kernel, N channels, F frames, K frames of a chunk,
S chunks, H LSTM units of a direction. W = N / L are the samples of a decoded frame, P = K // 2.
"""

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from numpy.typing import NDArray

from src.errors import UserError
from src.models.chunks import count_chunks
from src.models.lstm import BidirectionalLSTM
from src.models.swave import SILENT_RMS, Head, Linear, MulCat, Swave, overlap_add

CLOSED = -1e4  # added to a gate before its sigmoid, which is then zero
MOST_SAMPLES = 2**24  # that float32, in which lengths are compared, counts exactly


class ExportedSwave(nn.Cell):
    """(mixture [B, M] float32, num_samples [B] int32) -> tracks [B, C, M], silent after a row's true samples.

    1 <= num_samples <= M; the mixture's samples after those do not matter.
    """

    def __init__(self, network: Swave, batch_size: int, num_samples: int, *, for_ascend: bool = False) -> None:
        """Take the weights of a network. `for_ascend`: LSTMs for an Ascend device, which no CPU can run.

        Raises `UserError` if M = `num_samples` is less than a frame, or more than can be counted.
        """
        super().__init__()
        config = network.config
        if not config.kernel_size <= num_samples < MOST_SAMPLES:
            raise UserError(
                f"found {num_samples} samples at once, expected {config.kernel_size} (L) to {MOST_SAMPLES - 1}"
            )
        self.batch, self.num_samples, self.hop = batch_size, num_samples, config.hop_samples
        self.speakers, self.width, self.channels = config.num_speakers, network.frame_samples, config.num_filters
        self.chunk_frames, self.normalize_level = network.chunk_frames, network.normalize_level
        self.num_frames = num_samples // self.hop - 1
        self.num_chunks = count_chunks(self.num_frames, self.chunk_frames)
        self._count_samples_needed()
        self.encoder_weight = _parameter(network.encoder.weight.asnumpy())
        self.along = nn.CellList([FoldedMulCat(b, self.num_chunks * batch_size, for_ascend) for b in network.along])
        self.across = nn.CellList(
            [FoldedMulCat(b, self.chunk_frames * batch_size, for_ascend, masked=True) for b in network.across]
        )
        self.head = FoldedHead(network.head)
        self.sum = ops.ReduceSum(keep_dims=True)
        self.matmul = ops.MatMul(transpose_b=True)

    def _count_samples_needed(self) -> None:
        """The least n at which a mixture has each sample, frame and chunk, to compare num_samples with."""
        frames = np.arange(self.num_frames)
        before_chunk = np.arange(self.num_chunks) // 2 * self.chunk_frames - self.chunk_frames // 2  # frames
        by_frame = np.repeat(before_chunk, self.chunk_frames)
        self.sample_needs = _constant(np.arange(self.num_samples) + 1).reshape(1, -1)
        self.frame_needs = _constant(self._samples_for(frames + 1)).reshape(-1, 1, 1)
        self.chunk_needs = _constant(self._samples_for(by_frame)).reshape(self.num_chunks, self.chunk_frames, 1)

    def _samples_for(self, num_frames: Any) -> Any:
        """The least number of samples that make so many frames; the first frame takes one, the rest is filled."""
        return np.where(num_frames > 1, (num_frames + 1) * self.hop, 1)

    def construct(self, mixture: Tensor, num_samples: Tensor) -> Tensor:
        """Separate [B, M], of which the first num_samples [B] are true."""
        length = num_samples.astype(ms.float32)
        has_sample = _at_least(length.reshape(-1, 1), self.sample_needs)  # [B, M]
        has_frame = _at_least(length.reshape(1, -1, 1), self.frame_needs)  # [F, B, 1]
        no_chunk = _below(length.reshape(1, 1, -1), self.chunk_needs).reshape(self.num_chunks, -1, 1)  # [S, K * B, 1]
        mixture = mixture * has_sample
        if self.normalize_level:
            level = self._level(mixture, length)  # [B, 1]
            mixture = mixture / level
            has_sample = has_sample * level
        columns = self._split(self._encode(mixture) * has_frame)  # [S, K * B, N]
        for pair in range(len(self.along)):
            rows = self.along[pair](self._swap(columns, self.num_chunks, self.chunk_frames))  # [K, S * B, N]
            columns = self._swap(rows, self.chunk_frames, self.num_chunks)
            columns = self.across[pair](columns, no_chunk)
        frames = self._merge(self.head(columns)) * has_frame  # [F, B, C * W]
        return self._overlap_add(frames) * has_sample.reshape(self.batch, 1, self.num_samples)

    def _level(self, mixture: Tensor, length: Tensor) -> Tensor:
        """The RMS of the true samples: [B, 1]."""
        energy = self.sum(mixture * mixture, 1)
        return ops.sqrt(energy / length.reshape(-1, 1)) + SILENT_RMS

    def _encode(self, mixture: Tensor) -> Tensor:
        """[B, M] -> [F, B, N]; see `src.models.swave.Encoder`."""
        hops = self.num_frames + 1
        halves = mixture[:, : hops * self.hop].reshape(self.batch, hops, self.hop)
        halves = halves.swapaxes(0, 1) if self.batch > 1 else halves.reshape(hops, 1, self.hop)
        windows = ops.cat((halves[:-1], halves[1:]), 2).reshape(-1, 2 * self.hop)
        return ops.relu(self.matmul(windows, self.encoder_weight)).reshape(self.num_frames, self.batch, -1)

    def _split(self, frames: Tensor) -> Tensor:
        """[F, B, N] -> [S, K * B, N]; see `src.models.chunks.split`."""
        comb = self.num_chunks // 2 * self.chunk_frames
        overlap = self.chunk_frames // 2
        head = ops.zeros((overlap, self.batch, self.channels), ms.float32)
        tail = ops.zeros((comb - self.num_frames, self.batch, self.channels), ms.float32)
        padded = ops.cat((head, frames, tail))  # [comb + P, B, N]
        shape = (self.num_chunks // 2, 1, self.chunk_frames * self.batch, self.channels)
        combs = ops.cat((padded[:comb].reshape(shape), padded[overlap:].reshape(shape)), 1)
        return combs.reshape(self.num_chunks, self.chunk_frames * self.batch, self.channels)

    def _swap(self, sequence: Tensor, outer: int, inner: int) -> Tensor:
        """[outer, inner * B, N] -> [inner, outer * B, N]."""
        rows = sequence.reshape(outer, inner, self.batch * self.channels).swapaxes(0, 1)
        return rows.reshape(inner, outer * self.batch, self.channels)

    def _merge(self, chunks: Tensor) -> Tensor:
        """[S * K * B, C * W], halved, -> [F, B, C * W]; see `src.models.chunks.merge`."""
        overlap = self.chunk_frames // 2
        combs = chunks.reshape(self.num_chunks // 2, 2, self.chunk_frames, self.batch, self.speakers * self.width)
        even = combs[:, 0].reshape(-1, self.batch, self.speakers * self.width)
        odd = combs[:, 1].reshape(-1, self.batch, self.speakers * self.width)
        return even[overlap : overlap + self.num_frames] + odd[: self.num_frames]

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """[F, B, C * W] -> [B, C, M]; see `src.models.swave.overlap_add`."""
        frames = frames.reshape(self.num_frames, self.batch, self.speakers, self.width)
        return overlap_add(frames, self.hop, self.num_samples)


class FoldedMulCat(nn.Cell):
    """A `MulCat` with the sum with its input: [T, B, N] -> the same."""

    def __init__(self, block: MulCat, batch: int, for_ascend: bool, masked: bool = False) -> None:
        super().__init__()
        self.masked = masked
        self.channels = block.projection.weight.shape[0]
        self.lstm = FlatLSTM(block.lstm, batch, masked)
        self.gate_lstm = FlatLSTM(block.gate_lstm, batch, masked)
        self.projection = FoldedLinear(block.projection)
        self.gate_projection = FoldedLinear(block.gate_projection)
        identity = np.concatenate([np.zeros((self.channels, self.channels)), np.eye(self.channels)], 1)
        self.output = FoldedLinear(block.output, identity)

    def construct(self, sequence: Tensor, mask: Tensor = None) -> Tensor:
        seen = ops.cat((sequence, mask), 2) if self.masked else sequence
        values = self.projection(self.lstm(seen))
        gates = self.gate_projection(self.gate_lstm(seen))
        rows = ops.cat((values * gates, sequence.reshape(-1, self.channels)), 1)
        return self.output(rows).reshape(sequence.shape)


class FoldedLinear(nn.Cell):
    """[..., inputs] -> [rows, outputs]."""

    def __init__(self, linear: Linear, more: Any = 0) -> None:
        super().__init__()
        self.weight = _parameter(linear.weight.asnumpy() + more)
        self.bias = _parameter(linear.bias.asnumpy())
        self.matmul = ops.MatMul(transpose_b=True)
        self.inputs = self.weight.shape[1]

    def construct(self, values: Tensor) -> Tensor:
        return self.matmul(values.reshape(-1, self.inputs), self.weight) + self.bias


class FlatLSTM(nn.Cell):
    """Bidirectional LSTM, all weights in one array."""

    def __init__(self, lstm: BidirectionalLSTM, batch: int, masked: bool) -> None:
        super().__init__()
        weight_ih = lstm.weight_ih.asnumpy()
        gates, inputs = weight_ih.shape[1:]
        if masked:
            closing = np.zeros((2, gates, 1), np.float32)
            closing[:, : gates // 2] = CLOSED
            weight_ih = np.concatenate([weight_ih, closing], 2)
        bias = lstm.bias_ih.asnumpy() + lstm.bias_hh.asnumpy()
        flat = np.concatenate([weight_ih.ravel(), lstm.weight_hh.asnumpy().ravel(), bias.ravel()])
        self.weight = _parameter(flat.reshape(-1, 1, 1))
        self.state = Tensor(np.zeros((2, batch, lstm.hidden_size), np.float32))
        self.both_directions = ops.LSTM(weight_ih.shape[2], lstm.hidden_size, 1, True, True, 0.0)

    def construct(self, sequence: Tensor) -> Tensor:
        return self.both_directions(sequence, self.state, self.state, self.weight)[0]


class FoldedHead(nn.Cell):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.channels = head.channels
        slope = float(head.slope.asnumpy()[0])
        self.slope = Tensor(slope, ms.float32)
        self.choose = ops.Maximum() if slope <= 1 else ops.Minimum()
        self.weight = _parameter(0.5 * head.weight.asnumpy().reshape(-1, head.group, head.channels).mean(1))
        self.bias = _parameter(0.5 * head.bias.asnumpy().reshape(-1, head.group).mean(1))
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, chunks: Tensor) -> Tensor:
        rows = chunks.reshape(-1, self.channels)
        active = self.choose(rows, self.slope * rows)
        return self.matmul(active, self.weight) + self.bias


def _at_least(length: Tensor, needs: Tensor) -> Tensor:
    """1.0 where whole numbers `length` >= `needs`, else 0.0."""
    return ops.minimum(ops.relu(length - (needs - 1.0)), Tensor(1.0, ms.float32))


def _below(length: Tensor, needs: Tensor) -> Tensor:
    return ops.minimum(ops.relu(needs - length), Tensor(1.0, ms.float32))


def _constant(values):
    return Tensor(np.asarray(values, np.float32))


def _parameter(values: Any) -> Parameter:
    return Parameter(Tensor(np.ascontiguousarray(values, np.float32)), requires_grad=False)
