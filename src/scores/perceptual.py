"""STOI and PESQ: how intelligible and how good speech sounds, as models of hearing tell it.

Both compare an estimate with its reference, at any gain and sign. Each gives a number, or None where there is none
to be had: never a number that only looks like one.

Letters in shapes: T samples.
"""

import importlib.util
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.metrics import is_silent

Floats = NDArray[np.float64]

STOI_SHORTEST_SECONDS = 0.3968  # 30 frames of 25.6 ms, each of which begins in the middle of the one before
STOI_TOO_SHORT = "Not enough STFT frames"  # how pystoi's warning begins

PESQ_BANDS = {8000: "nb", 16000: "wb"}  # sample rate in Hz -> the library's mode
BAND_NAMES = {"nb": "narrow band", "wb": "wide band"}
# The library has room for 50 stretches of speech, of which each takes 0.4 s at least, and crashes on more (pesq 0.0.4).
PESQ_LONGEST_SECONDS = 20.0


def stoi(reference: ArrayLike, estimate: ArrayLike, sample_rate: int) -> float | None:
    """Short-time objective intelligibility, the classic one: Taal, Hendriks, Heusdens, Jensen 2011.

    (IEEE TASLP 19(7), "An algorithm for intelligibility prediction of time-frequency weighted noisy speech".)
    Computed by pystoi at 10 kHz, so any sample rate is taken.

    Args:
        reference: [T].
        estimate: [T].
        sample_rate: in Hz.

    Returns:
        At most 1, which is best; None where the reference has less than 30 frames, 0.4 s, of sound.
    """
    from pystoi import stoi as classic_stoi  # here, because it takes a second to load

    reference, estimate = _at_one_level(reference), _at_one_level(estimate)
    if reference.size < STOI_SHORTEST_SECONDS * sample_rate:
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("error", STOI_TOO_SHORT, RuntimeWarning)
        try:
            value = float(classic_stoi(reference, estimate, sample_rate))
        except RuntimeWarning:  # it would return 0.00001
            return None
    return value if np.isfinite(value) else None


def pesq(reference: ArrayLike, estimate: ArrayLike, sample_rate: int) -> float | None:
    """Perceptual evaluation of speech quality as a mean opinion score: ITU-T P.862.1 at 8 kHz, P.862.2 at 16 kHz.

    Computed by the library `pesq` (<https://github.com/ludlows/PESQ>), where it is installed.

    Args:
        reference: [T].
        estimate: [T].
        sample_rate: in Hz.

    Returns:
        About 1 to 4.6, which is best; None without the library, at other rates, beyond 20 s, below a quarter of a
        second, for a silent estimate, and where the library hears no speech.
    """
    band = PESQ_BANDS.get(sample_rate)
    reference, estimate = _at_one_level(reference), _at_one_level(estimate)
    if band is None or not pesq_is_installed() or reference.size > PESQ_LONGEST_SECONDS * sample_rate:
        return None
    from pesq import PesqError
    from pesq import pesq as library_pesq

    if is_silent(reference) or is_silent(estimate):
        return None
    try:
        value = float(library_pesq(sample_rate, reference, estimate, band))
    except (PesqError, ValueError):  # ValueError: its own levels came out as NaN
        return None
    return value if np.isfinite(value) else None


def pesq_is_installed() -> bool:
    """Whether the optional library is there."""
    return importlib.util.find_spec("pesq") is not None


def why_no_pesq(sample_rate: int) -> str:
    """Why no utterance of this sample rate can have a PESQ, or "" where they can."""
    if sample_rate not in PESQ_BANDS:
        return f"it is defined for 8000 and 16000 Hz, not for {sample_rate}"
    return "" if pesq_is_installed() else "the library is not installed (pip install pesq)"


def _at_one_level(signal: ArrayLike) -> Floats:
    """Of RMS 1, because both libraries add small constants; silence stays silence."""
    signal = np.asarray(signal, dtype=np.float64)
    level = float(np.sqrt(np.mean(np.square(signal)))) if signal.size else 0.0
    return signal / level if level > 0 else signal
