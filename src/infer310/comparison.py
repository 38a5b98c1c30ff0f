"""An exported network against the checkpoint's own: the same tracks, at several true lengths.

Letters in shapes: B batch, C speakers, M samples of the exported network, n true samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.errors import UserError
from src.stitching.chunks import Floats, Separate

Exported = Callable[[Floats, NDArray[np.int32]], Floats]  # mixtures [B, M], lengths [B] -> tracks [B, C, M]

LARGEST = 1e-4  # difference that is taken for rounding, relative to the output's peak
NOISE_RMS = 0.1
TWO_PEOPLE = Path(__file__).with_name("two_people.flac")  # 4 s of real speech, 8 kHz; docs/deployment.md tells whose


@dataclass(frozen=True)
class Case:
    """A mixture."""

    samples: Floats  # [M]; those after the true ones must not matter
    num_samples: int  # <n>


def make_cases(num_samples: int, kernel_size: int, speech: Floats, seed: int = 0) -> list[Case]:
    """Noise and speech [any length] of M samples, and of fewer: odd numbers, and less than a kernel.

    What follows the true samples is loud noise.
    """
    rng = np.random.default_rng(seed)
    noise = NOISE_RMS * rng.standard_normal(num_samples)
    voices = np.resize(speech, num_samples)
    wanted = ((voices, 1.0), (noise, 1.0), (voices, 0.62), (noise, 0.23), (voices, 0.0))
    cases = []
    for signal, share in wanted:
        length = min(num_samples, max(kernel_size - 1, int(share * num_samples)))
        after = rng.standard_normal(num_samples - length)
        cases.append(Case(np.concatenate([signal[:length], after]).astype(np.float32), length))
    return cases


def largest_difference(exported: Exported, batch_size: int, separate: Separate, cases: Sequence[Case]) -> float:
    """Of all samples of all cases, each case relative to the peak of its tracks; what should be silent counts too.

    Raises:
        UserError: a track has NaN or infinite samples.
    """
    largest = 0.0
    for first in range(0, len(cases), batch_size):
        group = [cases[(first + row) % len(cases)] for row in range(batch_size)]
        lengths = np.array([case.num_samples for case in group], np.int32)
        tracks = exported(np.stack([case.samples for case in group]), lengths)
        if not np.isfinite(tracks).all():
            raise UserError("found NaN or infinite samples in the exported network's output, expected finite ones")
        for case, found in zip(group[: len(cases) - first], tracks, strict=False):
            largest = max(largest, _difference(found, case, separate))
    return largest


def _difference(found: Floats, case: Case, separate: Separate) -> float:
    expected = np.zeros_like(found)
    expected[:, : case.num_samples] = separate(case.samples[None, : case.num_samples])[0]
    peak = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(found - expected).max()) / peak
