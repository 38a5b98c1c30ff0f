"""The network and its training loss in PyTorch, written from the paper alone, to check the product against.

Everything that could hide a mistake of the product is arranged otherwise here: batch-first `nn.LSTM`, a strided
`Conv1d`, the 1x1 convolution with all its N*C channels, `unfold` and `fold`, the channels averaged last, an error
signal of every (estimate, source) pair, and a loop over permutations. Source: Nachmani, Adi, Wolf 2020
(arXiv 2003.01531), section 3. The names in the state dict are those of PyTorch checkpoints of this network.

Letters: B batch, C speakers, T samples, L kernel, N channels, F frames, K frames of a chunk, S chunks, R pairs.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-8


class MulCat(nn.Module):
    """Two bidirectional LSTMs, their projections multiplied, put beside the input and projected."""

    def __init__(self, channels: int, hidden_size: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(channels, hidden_size, batch_first=True, bidirectional=True)
        self.gate_rnn = nn.LSTM(channels, hidden_size, batch_first=True, bidirectional=True)
        self.rnn_proj = nn.Linear(2 * hidden_size, channels)
        self.gate_rnn_proj = nn.Linear(2 * hidden_size, channels)
        self.block_projection = nn.Linear(2 * channels, channels)

    def forward(self, sequence: Tensor) -> Tensor:  # [batch, time, N] -> the same
        product = self.rnn_proj(self.rnn(sequence)[0]) * self.gate_rnn_proj(self.gate_rnn(sequence)[0])
        return self.block_projection(torch.cat([product, sequence], dim=-1))


class Separator(nn.Module):
    """R pairs of blocks over [B, N, K, S], and the one output layer that follows each of them."""

    def __init__(self, channels: int, hidden_size: int, num_pairs: int, num_speakers: int) -> None:
        super().__init__()
        self.rows_grnn = nn.ModuleList(MulCat(channels, hidden_size) for _ in range(num_pairs))
        self.cols_grnn = nn.ModuleList(MulCat(channels, hidden_size) for _ in range(num_pairs))
        self.output = nn.Sequential(nn.PReLU(), nn.Conv2d(channels, num_speakers * channels, 1))

    def forward(self, chunks: Tensor) -> list[Tensor]:  # [B, N, K, S] -> R times [B, C*N, K, S]
        batch, channels, frames, count = chunks.shape
        outputs = []
        for row_block, column_block in zip(self.rows_grnn, self.cols_grnn, strict=True):
            rows = row_block(chunks.permute(0, 3, 2, 1).reshape(batch * count, frames, channels))
            chunks = chunks + rows.view(batch, count, frames, channels).permute(0, 3, 2, 1)
            columns = column_block(chunks.permute(0, 2, 3, 1).reshape(batch * frames, count, channels))
            chunks = chunks + columns.view(batch, frames, count, channels).permute(0, 3, 1, 2)
            outputs.append(self.output(chunks))
        return outputs


class TorchTwin(nn.Module):
    """Mixture [B, T] -> the tracks after every pair, [B, R, C, T].

    `overlap_weight` is what the sum of two overlapping chunks is multiplied by: 1.0 for the paper's overlap-add,
    0.5 for the product's mean (`tests.twin.mapping`).
    """

    def __init__(
        self,
        *,
        num_speakers: int,
        num_filters: int,
        kernel_size: int,
        hidden_size: int,
        num_pairs: int,
        chunk_frames: int,
        normalize_level: bool = False,
        overlap_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.num_speakers, self.kernel_size, self.chunk_frames = num_speakers, kernel_size, chunk_frames
        self.normalize_level, self.overlap_weight = normalize_level, overlap_weight
        self.encoder = nn.Module()
        self.encoder.conv = nn.Conv1d(1, num_filters, kernel_size, stride=kernel_size // 2, bias=False)
        self.separator = nn.Module()
        self.separator.rnn_model = Separator(num_filters, hidden_size, num_pairs, num_speakers)

    def forward(self, mixture: Tensor) -> Tensor:
        level = mixture.pow(2).mean(dim=1).sqrt()[:, None, None] if self.normalize_level else 1.0
        frames = torch.relu(self.encoder.conv(mixture[:, None] / level))  # [B, N, F]
        outputs = self.separator.rnn_model(cut_into_chunks(frames, self.chunk_frames))
        tracks = [self.decode(chunks, frames.shape[2], mixture.shape[1]) * level for chunks in outputs]
        return torch.stack(tracks, dim=1)

    def decode(self, chunks: Tensor, num_frames: int, num_samples: int) -> Tensor:
        """[B, C*N, K, S] -> [B, C, T]."""
        batch, hop = chunks.shape[0], self.kernel_size // 2
        half = self.chunk_frames // 2
        merged = overlap_add(chunks, half)[:, :, half : half + num_frames] * self.overlap_weight
        groups = merged.reshape(batch * self.num_speakers, -1, self.kernel_size, num_frames)  # [B*C, N/L, L, F]
        samples = overlap_add(groups.mean(dim=2)[:, None], hop)[:, 0]  # [B*C, at most a few more or less than T]
        samples = functional.pad(samples, (0, max(0, num_samples - samples.shape[1])))
        return samples[:, :num_samples].view(batch, self.num_speakers, num_samples)


def cut_into_chunks(frames: Tensor, chunk_frames: int) -> Tensor:
    """[B, N, F] -> [B, N, K, S], K even, half-overlapping.

    Half a chunk of zeros stands at both ends, and before the last one 1 to K further frames, so that S is even.
    """
    half = chunk_frames // 2
    filling = chunk_frames - (half + frames.shape[2]) % chunk_frames
    padded = functional.pad(frames, (half, filling + half))
    return padded.unfold(2, chunk_frames, half).transpose(2, 3)


def overlap_add(pieces: Tensor, hop: int) -> Tensor:
    """[B, M, W, S], S pieces of W values, `hop` apart -> their sum, [B, M, (S - 1) * hop + W]."""
    batch, channels, width, count = pieces.shape
    length = (count - 1) * hop + width
    columns = pieces.reshape(batch, channels * width, count)
    return functional.fold(columns, (1, length), (1, width), stride=(1, hop))[:, :, 0]


def si_snr_table(estimates: Tensor, sources: Tensor, num_samples: Tensor) -> Tensor:
    """SI-SNR in dB of all pairs: [B, C, T] twice and true lengths [B] -> [B, C estimates, C sources]."""
    valid = (torch.arange(sources.shape[2])[None] < num_samples[:, None]).to(sources.dtype)[:, None]
    count = valid.sum(dim=2, keepdim=True)
    estimates = (estimates - (estimates * valid).sum(2, keepdim=True) / count) * valid
    sources = (sources - (sources * valid).sum(2, keepdim=True) / count) * valid
    estimate, source = estimates[:, :, None], sources[:, None]  # [B, C, 1, T], [B, 1, C, T]
    scale = (estimate * source).sum(-1, keepdim=True) / (source.pow(2).sum(-1, keepdim=True) + EPSILON)
    target = scale * source
    noise = estimate - target  # [B, C, C, T]
    return 10 * torch.log10((target.pow(2).sum(-1) + EPSILON) / (noise.pow(2).sum(-1) + EPSILON))


def separation_loss(tracks: Tensor, sources: Tensor, num_samples: Tensor) -> Tensor:
    """Tracks [B, R, C, T], sources [B, C, T], lengths [B] -> mean over pairs j of j/R times their loss in dB."""
    num_pairs, num_speakers = tracks.shape[1:3]
    total = torch.zeros((), dtype=tracks.dtype)
    for pair in range(num_pairs):
        table = si_snr_table(tracks[:, pair], sources, num_samples)
        candidates = [
            sum(table[:, order[source], source] for source in range(num_speakers)) / num_speakers
            for order in itertools.permutations(range(num_speakers))
        ]
        best = torch.stack(candidates, dim=1).max(dim=1).values  # [B]
        total = total - best.mean() * (pair + 1) / num_pairs
    return total / num_pairs
