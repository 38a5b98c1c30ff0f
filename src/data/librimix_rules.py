"""LibriMix's rules for one mixture: loudness, clipping, resampling, cutting to the shortest.

Source: Cosentino et al. 2020, arXiv 2005.11262, and github.com/JorisCos/LibriMix,
scripts/create_librimix_metadata.py (gains) and create_librimix_from_metadata.py (signals).
Letters of the shapes: C sources, T samples of the mixture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy.signal import resample_poly

from src.audio import read_audio
from src.errors import UserError

Samples = NDArray[np.float64]

LOUDNESS_RANGE_LUFS = (-33.0, -25.0)  # a source's loudness is drawn from here
FULL_SCALE = 1.0
PEAK_LIMIT = 0.9
SHORTEST_SECONDS = 1.0  # a shorter utterance has no reliable loudness (blocks of 0.4 s) and makes no mixture


@dataclass(frozen=True)
class Utterance:
    """A recording at its own rate.

    Attributes:
        samples: float64 [n], mono.
        sample_rate: in Hz.
        loudness_lufs: of the whole recording.
    """

    samples: Samples
    sample_rate: int
    loudness_lufs: float


class UtteranceReader:
    """Reads recordings, and remembers how loud each is: loudness takes longer than reading."""

    def __init__(self) -> None:
        self._loudness_lufs: dict[Path, float] = {}

    def read(self, path: Path) -> Utterance:
        """The mean of a recording's channels, with its loudness (ITU-R BS.1770-4).

        The loudness is -inf where it is silent, or shorter than `SHORTEST_SECONDS`.

        Raises:
            UserError: the file cannot be read.
        """
        samples, sample_rate = read_audio(path)
        mono = samples.mean(axis=0)  # [n]
        if path not in self._loudness_lufs:
            is_long = len(mono) >= SHORTEST_SECONDS * sample_rate
            self._loudness_lufs[path] = _meter(sample_rate).integrated_loudness(mono) if is_long else -math.inf
        return Utterance(mono, sample_rate, self._loudness_lufs[path])

    def is_usable(self, path: Path) -> bool:
        """Whether a recording can be brought to a given loudness."""
        known = self._loudness_lufs.get(path)
        return math.isfinite(self.read(path).loudness_lufs if known is None else known)


@lru_cache
def _meter(sample_rate: int) -> pyloudnorm.Meter:
    return pyloudnorm.Meter(sample_rate)


def gains(utterances: Sequence[Utterance], targets_lufs: Sequence[float]) -> list[float]:
    """The factors that bring each utterance to its loudness, and none of them nor their sum beyond the limit.

    A source that would pass full scale is scaled to a peak of 0.9; then, if the sum of all, each as long as the
    longest, passes 0.9, all are scaled by the same factor.
    """
    found = [_gain(utterance, target) for utterance, target in zip(utterances, targets_lufs, strict=True)]
    longest = max(len(utterance.samples) for utterance in utterances)
    total = np.zeros(longest)
    for utterance, gain in zip(utterances, found, strict=True):
        total[: len(utterance.samples)] += gain * utterance.samples
    peak = float(np.abs(total).max())
    return [gain * PEAK_LIMIT / peak for gain in found] if peak > PEAK_LIMIT else found


def _gain(utterance: Utterance, target_lufs: float) -> float:
    gain = float(10 ** ((target_lufs - utterance.loudness_lufs) / 20))
    peak = float(np.abs(utterance.samples).max())
    return PEAK_LIMIT / peak if gain * peak >= FULL_SCALE else gain


def mix(utterances: Sequence[Utterance], factors: Sequence[float], sample_rate: int) -> tuple[Samples, Samples]:
    """Scale, resample to `sample_rate` and cut to the shortest ("min" mode).

    Returns:
        The mixture [T] and its sources [C, T].
    """
    scaled = [
        to_rate(factor * utterance.samples, utterance.sample_rate, sample_rate)
        for utterance, factor in zip(utterances, factors, strict=True)
    ]
    shortest = min(len(source) for source in scaled)
    sources = np.stack([source[:shortest] for source in scaled])  # [C, T]
    return sources.sum(axis=0), sources


def to_rate(samples: Samples, from_rate: int, sample_rate: int) -> Samples:
    """Polyphase resampling, [n] -> [ceil(n * sample_rate / from_rate)]."""
    if from_rate == sample_rate:
        return samples
    common = math.gcd(from_rate, sample_rate)
    return np.asarray(resample_poly(samples, sample_rate // common, from_rate // common))


def at_one_rate(utterances: Sequence[Utterance], paths: Sequence[Path], sample_rate: int) -> list[Utterance]:
    """Utterances of different rates brought to the lowest of them, at which they are scaled; usually all equal one.

    Raises:
        UserError: a rate is lower than `sample_rate`.
    """
    for utterance, path in zip(utterances, paths, strict=True):
        if utterance.sample_rate < sample_rate:
            raise UserError(f"{path}: found {utterance.sample_rate} Hz, expected at least {sample_rate} Hz")
    lowest = min(utterance.sample_rate for utterance in utterances)
    return [
        Utterance(to_rate(each.samples, each.sample_rate, lowest), lowest, each.loudness_lufs) for each in utterances
    ]
