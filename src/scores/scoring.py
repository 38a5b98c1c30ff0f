"""All scores of one separated utterance.

This is what worker processes do, so it imports no MindSpore.

Letters in shapes: C sources, T samples.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from src.metrics import best_permutation, is_silent, score, si_snr
from src.scores import perceptual

Floats = NDArray[np.float32]
Values = list[float | None]  # one a source; None where the metric has no answer
Metric = Callable[[Floats, Floats, int], float | None]  # of a reference, an estimate and a sample rate in Hz

# Each metric and its improvement over the mixture, taken as the estimate of every source.
METRICS = {
    "si_snr_db": "si_snri_db",
    "sdr_db": "sdri_db",
    "stoi": "stoi_improvement",
    "pesq": "pesq_improvement",
}


@dataclass(frozen=True)
class Separated:
    """An utterance as it comes from the network."""

    record: int  # its place in the record file
    audio: Floats  # [1 + C, T], the mixture first
    tracks: Floats  # [C, T], any order, gain and sign
    sample_rate: int  # Hz
    num_chunks: int = 1  # in which it went through the network
    whole_tracks: Floats | None = None  # [C, T], the same separated at once


@dataclass(frozen=True)
class Result:
    """What became of an utterance: scores, or a reason why there are none."""

    record: int
    values: dict[str, Values] = field(default_factory=dict)  # by metric and improvement; empty: not scored
    reason: str = ""
    num_chunks: int = 1
    whole_si_snri_db: float | None = None  # mean over the sources, separated at once; None: not asked for

    def mean(self, metric: str) -> float | None:
        """Over the sources that have a value; None if none has."""
        found = [value for value in self.values.get(metric, []) if value is not None]
        return float(np.mean(found)) if found else None


def score_utterance(utterance: Separated) -> Result:
    """SI-SNR, SDR, STOI and PESQ with the one permutation that SI-SNR chooses, and their improvements."""
    sources, mixture = utterance.audio[1:], utterance.audio[0]
    silent = np.flatnonzero(is_silent(sources)) + 1
    if silent.size:
        reason = f"source {', '.join(map(str, silent))} is silent"
        return Result(utterance.record, reason=reason, num_chunks=utterance.num_chunks)
    scores = score(sources, utterance.tracks, mixture)
    values: dict[str, Values] = {
        name: getattr(scores, name).tolist() for name in ("si_snr_db", "si_snri_db", "sdr_db", "sdri_db")
    }
    tracks = utterance.tracks[scores.order]
    for name, metric in (("stoi", perceptual.stoi), ("pesq", perceptual.pesq)):
        pairs = [
            _with_gain(metric, source, track, mixture, utterance.sample_rate)
            for source, track in zip(sources, tracks, strict=True)
        ]
        values[name] = [value for value, _ in pairs]
        values[METRICS[name]] = [gain for _, gain in pairs]
    return Result(
        utterance.record,
        values,
        num_chunks=utterance.num_chunks,
        whole_si_snri_db=_si_snri_db(sources, utterance.whole_tracks, mixture),
    )


def _with_gain(
    metric: Metric, source: Floats, track: Floats, mixture: Floats, sample_rate: int
) -> tuple[float | None, float | None]:
    """A source's value and improvement; both or none, so that their means are over the same sources."""
    value, of_mixture = metric(source, track, sample_rate), metric(source, mixture, sample_rate)
    return (None, None) if value is None or of_mixture is None else (value, value - of_mixture)


def _si_snri_db(sources: Floats, tracks: Floats | None, mixture: Floats) -> float | None:
    if tracks is None:
        return None
    _, values_db = best_permutation(sources, tracks)
    return float(np.mean(values_db - si_snr(sources, mixture)))
