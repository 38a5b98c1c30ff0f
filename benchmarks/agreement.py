"""Whether contenders compute the same: without that, their times are no comparison."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

MOST_TRACK_ERROR = 1e-4  # of the largest sample
# In dB, of the losses before the first, second and third update. MindSpore's Adam adds epsilon before the bias of the
# second moment is corrected, as the end of section 2 of its paper has it, PyTorch's after that: losses drift apart.
MOST_LOSS_ERRORS_DB = (0.001, 0.01, 0.05)
LOW_PRECISION = "bfloat16"  # in the name of a contender of which agreement is told, not asked


def track_error(tracks: ArrayLike, reference: ArrayLike) -> float:
    """The largest difference, as a part of the reference's largest sample."""
    expected = np.asarray(reference, np.float64)
    return float(np.abs(np.asarray(tracks, np.float64) - expected).max() / np.abs(expected).max())


def loss_errors(losses: Sequence[str], reference: Sequence[str]) -> list[float]:
    """The differences of the first losses, in dB."""
    pairs = zip(losses, reference, strict=False)
    return [abs(float(one) - float(other)) for _, (one, other) in zip(MOST_LOSS_ERRORS_DB, pairs, strict=False)]


def check_tracks(tracks: Mapping[str, ArrayLike], baseline: str, problems: list[str]) -> str:
    """What to print of the outputs; a difference that is too large is added to `problems`."""
    errors = {name: track_error(own, tracks[baseline]) for name, own in tracks.items() if name != baseline}
    for name, error in errors.items():
        if LOW_PRECISION not in name and not error <= MOST_TRACK_ERROR:
            problems.append(
                f"outputs of {name}: found {error:.1e} of the peak from {baseline}, expected {MOST_TRACK_ERROR:g}"
            )
    told = "; ".join(f"{name} {error:.1e}" for name, error in errors.items())
    return f"Largest difference of the tracks from {baseline}'s, as a part of the peak: {told or 'nothing to compare'}."


def check_losses(losses: Mapping[str, Sequence[str]], baseline: str, problems: list[str]) -> str:
    """What to print of the first losses, in dB; a difference that is too large is added to `problems`."""
    for name, own in losses.items():
        if name == baseline or LOW_PRECISION in name:
            continue
        errors = loss_errors(own, losses[baseline])
        if not all(error <= most for error, most in zip(errors, MOST_LOSS_ERRORS_DB, strict=False)):
            found = " / ".join(f"{error:.4f}" for error in errors)
            most = " / ".join(f"{error:g}" for error in MOST_LOSS_ERRORS_DB)
            problems.append(f"losses of {name}: found {found} dB from {baseline}, expected at most {most} dB")
    told = "; ".join(
        f"{name} {' / '.join(f'{float(loss):.4f}' for loss in own[: len(MOST_LOSS_ERRORS_DB)])}"
        for name, own in losses.items()
    )
    return f"Losses of the first updates in dB: {told}."
