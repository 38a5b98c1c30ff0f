"""Moving the formants of a voice while its pitch and tempo stay.

Letters of the shapes: T samples, F frames, W samples of a frame, Q quefrencies, K = W/2 + 1 bins of a spectrum.
"""

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Matrix = NDArray[np.float32]

FRAME_SECONDS = 0.032
QUEFRENCIES_SECONDS = (0.0011, 0.0017)  # they make the envelope: all below the first, none above the second
FLOOR = 1e-3  # of the strongest bin: -60 dB
TOP = 0.92  # above this part of the band the filter of a speed change shows, not the voice
LARGEST_MOVE = 3.0  # of a bin's logarithm: 26 dB
SMALLEST = 1e-9  # keeps the logarithm of silence finite


def move_formants(samples: Samples, factor: float, sample_rate: int) -> Samples:
    """Stretch the spectral envelope of [T] by `factor` along the frequencies; pitch and tempo stay.

    The envelope of every frame is its spectrum without the fine structure: the cepstrum's first part
    (Oppenheim & Schafer, homomorphic filtering). Frames of 32 ms, Hann windows at analysis and synthesis, half of
    a frame shared with the next. Factor 1 leaves the samples as they are.
    """
    if factor == 1:
        return samples
    width = round(FRAME_SECONDS * sample_rate) // 2 * 2
    window = _hann(width)
    spectra = scipy.fft.rfft(_frames(samples, width) * window)  # [F, K]
    strength = np.abs(spectra)
    logarithm = np.log(strength + (FLOOR * strength.max() + SMALLEST * width))
    moves = (logarithm @ _to_cepstrum(width, sample_rate)) @ _to_moves(width, sample_rate, factor)
    np.clip(moves, -LARGEST_MOVE, LARGEST_MOVE, out=moves)
    spectra *= np.exp(moves, out=moves)
    return _overlap_added(scipy.fft.irfft(spectra, width), window, samples.size)


def _frames(samples: Samples, width: int) -> Matrix:
    """[T] -> [F, W], each half a frame after the one before; every sample lies in two of them."""
    hop = width // 2
    blocks = np.zeros((3 + (samples.size - 1) // hop, hop), np.float32)
    blocks.reshape(-1)[hop : hop + samples.size] = samples
    return np.concatenate([blocks[:-1], blocks[1:]], axis=1)


def _overlap_added(frames: Matrix, window: Matrix, num_samples: int) -> Samples:
    """The inverse of `_frames` with the window before and after it: [F, W] -> [T]."""
    hop = window.size // 2
    windowed = frames * (window / (window**2 + np.roll(window, hop) ** 2))
    return np.asarray((windowed[:-1, hop:] + windowed[1:, :hop]).reshape(-1)[:num_samples], dtype=np.float32)


@lru_cache(maxsize=4)
def _hann(width: int) -> Matrix:
    """[W], periodic."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width), dtype=np.float32)


@lru_cache(maxsize=4)
def _quefrencies(width: int, sample_rate: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Those that make the envelope, in samples, and how much of each: [Q], [Q]."""
    lowest, highest = (seconds * sample_rate for seconds in QUEFRENCIES_SECONDS)
    quefrencies = np.arange(min(int(highest), width // 2 - 1) + 1)
    return quefrencies, np.clip((highest - quefrencies) / (highest - lowest), 0, 1)


@lru_cache(maxsize=4)
def _to_cepstrum(width: int, sample_rate: int) -> Matrix:
    """Takes a frame's logarithm [K] to the part of its cepstrum that makes the envelope: [K, Q].

    The inverse Fourier transform of an even sequence: 1/W, and 2/W for what stands in it twice.
    """
    quefrencies, kept = _quefrencies(width, sample_rate)
    bins = np.arange(width // 2 + 1)
    times = np.where((bins == 0) | (bins == width // 2), 1.0, 2.0) / width
    waves = np.cos(2 * np.pi * np.outer(bins, quefrencies) / width)
    return np.asarray(waves * np.outer(times, kept), dtype=np.float32)


def _to_moves(width: int, sample_rate: int, factor: float) -> Matrix:
    """Takes that cepstrum to the difference between the stretched envelope and the envelope: [Q, K]."""
    quefrencies, _ = _quefrencies(width, sample_rate)
    bins = np.arange(width // 2 + 1)
    sources = np.minimum(bins / factor, TOP * width / 2)  # where a bin's envelope comes from
    angles = 2 * np.pi / width * quefrencies[:, None]
    times = np.where(quefrencies == 0, 1.0, 2.0)[:, None]
    return np.asarray(times * (np.cos(angles * sources) - np.cos(angles * bins)), dtype=np.float32)
