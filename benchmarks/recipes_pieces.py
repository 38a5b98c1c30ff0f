"""The fixed pieces on which benchmarks/recipes.py scores every recipe, and the scores.

Letters of the shapes: P pieces, C speakers, T samples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.config import Config
from src.files import written_aside
from src.metrics import best_permutation, si_snr

Floats = NDArray[np.float32]
Separate = Callable[[Floats], Floats]  # [B, T] -> [B, C, T]

PIECES_OF_A_PAIR = 16  # of validation persons
TRAINING_LIKE = 32
TRAINING_LIKE_SEED = 12345
BATCH = 8


@dataclass(frozen=True)
class Pieces:
    """Mixtures with their sources, and which pair of persons is heard in each."""

    mixtures: Floats  # [P, T]
    sources: Floats  # [P, C, T]
    pairs: tuple[str, ...]  # P times "a+b"
    is_within: NDArray[np.bool_]  # [P] whether both persons come from one recording chain

    def separated(self, separate: Separate) -> Floats:
        """The tracks of every piece, [P, C, T]."""
        starts = range(0, len(self.mixtures), BATCH)
        return np.concatenate([separate(self.mixtures[start : start + BATCH]) for start in starts])

    def improvements(self, tracks: Floats) -> NDArray[np.float64]:
        """SI-SNRi of every piece in dB, mean of its sources: [P, C, T] -> [P]."""
        return np.array(
            [
                np.mean(best_permutation(sources, found)[1] - si_snr(sources, mixture))
                for sources, mixture, found in zip(self.sources, self.mixtures, tracks, strict=True)
            ]
        )

    def by_pair(self, improvements: NDArray[np.float64]) -> dict[str, float]:
        """Mean of each pair of persons."""
        pairs = np.array(self.pairs)
        return {pair: float(improvements[pairs == pair].mean()) for pair in sorted(set(self.pairs))}

    def mean_of_pairs(self, means: Mapping[str, float], within: bool) -> float:
        """Of the pairs within one recording chain, or of those across two; NaN where there are none."""
        chosen = {pair for pair, one in zip(self.pairs, self.is_within, strict=True) if one == within}
        return float(np.mean([means[pair] for pair in chosen])) if chosen else float("nan")

    def save(self, path: Path) -> None:
        """Write them to an .npz file."""
        with written_aside(path) as aside, aside.open("wb") as file:
            np.savez(
                file, mixtures=self.mixtures, sources=self.sources, pairs=np.array(self.pairs), is_within=self.is_within
            )

    @classmethod
    def load(cls, path: Path) -> "Pieces":
        """The inverse of `save`."""
        with np.load(path) as stored:
            pairs = tuple(map(str, stored["pairs"]))
            return cls(stored["mixtures"], stored["sources"], pairs, stored["is_within"])


def of_validation(config: Config) -> Pieces:
    """The first pieces of every pair of validation persons, in the records' order; a multiple of BATCH in all."""
    from src.data.data import validation_batches
    from src.data.records import RecordFile

    index = RecordFile(config.data.valid).index
    names = ["+".join(sorted(persons)) for persons in index.speakers]
    left = dict.fromkeys(names, PIECES_OF_A_PAIR)
    kept = []
    for number, (batch, _) in enumerate(validation_batches(config.data.valid, 1, config.data.valid_seconds)):
        if left[names[number]] and np.isfinite(si_snr(batch[1][0], batch[0][0])).all():
            left[names[number]] -= 1
            kept.append((batch, names[number], len(set(index.origins[number])) == 1))
    kept = kept[: len(kept) // BATCH * BATCH]
    batches, pairs, is_within = zip(*kept, strict=True)
    mixtures, sources = (np.concatenate([batch[part] for batch in batches]) for part in (0, 1))
    return Pieces(mixtures, sources, pairs, np.array(is_within))


def like_training(config: Config) -> Pieces:
    """Mixtures of training persons, changed as the configuration says, as long as a validation piece."""
    from dataclasses import replace

    from src.data.data import TrainingData

    longer = replace(config.data, segment_seconds=config.data.valid_seconds)
    data = TrainingData(config.data.train, longer, BATCH, TRAINING_LIKE_SEED)
    batches = list(islice(data.epoch(0), TRAINING_LIKE // BATCH))
    mixtures, sources = (np.concatenate([batch[part] for batch in batches]) for part in (0, 1))
    return Pieces(mixtures, sources, ("training",) * len(mixtures), np.zeros(len(mixtures), bool))
