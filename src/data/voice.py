"""What is measured of every source once, for mixing on the fly: loudness, pitch and long-term spectrum."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyloudnorm
import scipy.signal
from numpy.typing import NDArray

Samples = NDArray[np.floating[Any]]

SILENT_LUFS = -100.0  # stands for minus infinity, which JSON does not know
GATE_LUFS = -70.0  # ITU-R BS.1770-4: what is quieter does not count …
LOUDNESS_BLOCK_SECONDS = 0.4  # … measured in blocks of this length

PITCH_RANGE_HZ = (65.0, 420.0)  # of speaking voices
PITCH_FRAME_SECONDS = 0.064  # four periods of the lowest pitch
VOICED_PART = 0.4  # of the frames: the loudest, which are mostly vowels

# Bands of a spectrum, by their middles on a scale from 0 Hz (0) to half the sample rate (1): at 8 kHz 0, 200, 400,
# 700, 1100, 1600, 2200, 2800, 3400 and 4000 Hz, narrower at the bottom as hearing has them.
BANDS = np.array([0.0, 0.05, 0.1, 0.175, 0.275, 0.4, 0.55, 0.7, 0.85, 1.0])
SPECTRUM_FRAME_SECONDS = 0.064
SPECTRUM_FLOOR = 1e-6  # of the strongest bin: -60 dB


@dataclass(frozen=True)
class Voice:
    """One source."""

    loudness_lufs: float  # integrated, -100 where it is silent
    pitch_hz: float  # median of the loud frames
    spectrum_db: tuple[float, ...]  # power in each of BANDS, relative to their mean


def measure(samples: Samples, sample_rate: int) -> Voice:
    """Measure one channel [T]."""
    return Voice(
        loudness_lufs(samples, sample_rate),
        median_pitch_hz(samples, sample_rate),
        tuple(spectrum_db(samples, sample_rate).tolist()),
    )


def loudness_lufs(samples: Samples, sample_rate: int) -> float:
    """Integrated loudness of one channel [T] by ITU-R BS.1770-4, in LUFS; -100 where it is silent.

    Less than one block of 0.4 s is measured as one shorter block.
    """
    seconds = samples.size / sample_rate
    meter = pyloudnorm.Meter(sample_rate, block_size=min(LOUDNESS_BLOCK_SECONDS, seconds))
    with np.errstate(divide="ignore"):  # digital silence
        loudness = float(meter.integrated_loudness(samples))
    return max(loudness, SILENT_LUFS) if np.isfinite(loudness) else SILENT_LUFS


def median_pitch_hz(samples: Samples, sample_rate: int) -> float:
    """Median pitch of the loudest frames of one channel [T], by YIN (de Cheveigné & Kawahara 2002).

    Whether a frame has a pitch at all is not asked: over an utterance the median is close to the voice's own.
    """
    import librosa  # here: it takes a second to load, which most jobs need not wait for

    frame = round(PITCH_FRAME_SECONDS * sample_rate)
    lowest, highest = PITCH_RANGE_HZ
    size = {"frame_length": frame, "hop_length": frame}
    pitch_hz = librosa.yin(samples, fmin=lowest, fmax=highest, sr=sample_rate, **size)
    levels = librosa.feature.rms(y=samples, **size)[0]  # as many frames as the pitch has
    return float(np.median(pitch_hz[levels >= np.quantile(levels, 1 - VOICED_PART)]))


def spectrum_db(samples: Samples, sample_rate: int) -> NDArray[np.float64]:
    """Long-term spectrum of one channel [T] in BANDS, in dB relative to the bands' mean: [len(BANDS)].

    A band reaches, falling linearly, to the middles of its neighbours.
    """
    frame = min(samples.size, round(SPECTRUM_FRAME_SECONDS * sample_rate))
    frequencies, power = scipy.signal.welch(samples, sample_rate, nperseg=frame, noverlap=0, detrend=False)
    places = frequencies / (sample_rate / 2)
    weights = np.stack([np.interp(places, BANDS, row) for row in np.eye(len(BANDS))])  # [bands, bins]
    bands = weights @ power / np.maximum(weights.sum(axis=1), 1e-9)
    levels_db = 10 * np.log10(bands + SPECTRUM_FLOOR * power.max() + 1e-20)
    return np.asarray(levels_db - levels_db.mean())
