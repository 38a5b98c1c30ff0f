"""The training loss: how the blocks' losses are combined. It knows nothing of permutations."""

from collections.abc import Sequence

from mindspore import Tensor, nn

from src.models.loss import BestAssignment, pairwise_si_snr


def paper_block_weights(num_pairs: int) -> tuple[float, ...]:
    """j/R for pair j = 1 … R: later pairs count more (arXiv 2003.01531, section 3.2)."""
    return tuple(pair / num_pairs for pair in range(1, num_pairs + 1))


class GeneratorLoss(nn.Cell):
    """Negative SI-SNR with utterance-level permutation invariant training, averaged over the blocks.

    Every pair of blocks chooses its own permutation for every example. The loss is the mean over the
    pairs of `block_weights` times the pair's mean over examples and speakers, in dB; smaller is better.
    """

    def __init__(self, num_speakers: int, block_weights: Sequence[float]) -> None:
        super().__init__()
        self.num_speakers = num_speakers
        self.block_weights = tuple(block_weights)
        self.assignment = BestAssignment(num_speakers)

    def construct(self, tracks: Tensor, sources: Tensor, num_samples: Tensor) -> Tensor:
        """Tracks [B, R, C, T], sources [B, C, T], true lengths [B] -> scalar, in dB."""
        batch, num_pairs, speakers, length = tracks.shape
        scores = pairwise_si_snr(sources, tracks.reshape(batch, num_pairs * speakers, length), num_samples)
        scores = scores.reshape(batch * num_pairs, speakers, speakers)
        best = (scores * self.assignment(scores)).sum((1, 2)) / speakers
        block_losses = -best.reshape(batch, num_pairs).mean(0)  # [R]
        return (block_losses * Tensor(self.block_weights)).mean()
