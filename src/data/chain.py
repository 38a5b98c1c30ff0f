"""What a recording chain does to one voice: room, equalizer, bandwidth, noise floor, speech coder.

A network can tell persons apart by their chains instead of their voices. With chains drawn at random it cannot.
T samples, full scale at 1.0. Each function keeps the level of what it is given (a coder about), so that loudness that
was measured before still holds, and leaves its input as it is.
"""

from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from src.data.voice import BANDS

Samples = NDArray[np.float32]
Levels = list[float] | NDArray[np.float64]

BAND_EDGE = 0.05  # width of the slope where a limited band ends, 1: half the sample rate
STEEPEST_NOISE_SLOPE = 0.7  # exponent of amplitude over frequency; 0.5 is pink
FLATTENED_BINS = 20  # at the lowest frequencies the noise is flat
DECAY = 3 * np.log(10)  # of an amplitude over the reverberation time: 60 dB
FIRST_REFLECTION_SECONDS = 0.002  # a wall 34 cm further than the mouth

NO_CODER, MU_LAW, BLOCK_CODER = range(3)
MU = 255.0  # ITU-T G.711
CODER_BLOCK_SECONDS = 0.005  # GSM 06.10: a subframe, whose largest pulse sets the steps of all
PREEMPHASIS = 0.86  # GSM 06.10: what a sample takes from the one before it


def reverberate(samples: Samples, rt60_seconds: float, direct_db: float, sample_rate: int, seed: int) -> Samples:
    """Put [T] into a room, at the same level: the direct sound and a tail of decaying noise.

    Polack's model of late reverberation (1988): Gaussian noise under an exponential.

    Args:
        samples: [T].
        rt60_seconds: time in which the tail falls by 60 dB; 0: no room, the samples stay as they are.
        direct_db: energy of the direct sound over that of the tail.
        sample_rate: in Hz.
        seed: of the noise.
    """
    if rt60_seconds == 0 or not samples.any():
        return samples
    times = np.arange(1, max(2, round(rt60_seconds * sample_rate)), dtype=np.float32) / sample_rate
    tail = np.random.default_rng(seed).standard_normal(times.size, dtype=np.float32)
    tail *= np.exp(-DECAY / rt60_seconds * times) * (times >= min(FIRST_REFLECTION_SECONDS, times[-1]))
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2))
    size = scipy.fft.next_fast_len(samples.size + tail.size, real=True)
    response = np.concatenate([np.ones(1, np.float32), tail])
    spectrum = scipy.fft.rfft(samples, size) * scipy.fft.rfft(response, size)
    return _at_level(scipy.fft.irfft(spectrum, size)[: samples.size], _rms(samples))


def equalize(samples: Samples, gains_db: Levels, bandwidth: float = 1.0) -> Samples:
    """Filter [T] by gains at the frequencies of `src.data.voice.BANDS`, at the same level.

    Between them the gain in dB is interpolated. Above `bandwidth`, a part of half the sample rate, nothing is
    left. No gains with the full bandwidth, or silence, leave the samples as they are.
    """
    if (not len(gains_db) and bandwidth >= 1) or not samples.any():
        return samples
    spectrum = scipy.fft.rfft(samples)
    places = _places(spectrum.size)
    if len(gains_db):
        logarithms = np.interp(places, BANDS, np.asarray(gains_db) * (np.log(10) / 20))
        spectrum *= np.exp(logarithms.astype(np.float32))
    if bandwidth < 1:
        spectrum *= np.clip((bandwidth - places) / np.float32(BAND_EDGE) + np.float32(0.5), 0, 1)
    return _at_level(scipy.fft.irfft(spectrum, samples.size), _rms(samples))


def add_noise_floor(samples: Samples, level_db: float, seed: int) -> Samples:
    """Add steady noise, `level_db` relative to the samples [T], white to pinkish; -inf adds none.

    A recording's noise floor tells which chain it came through. Drawn at random it tells nothing, so that a
    network has to listen to the voice.
    """
    if np.isneginf(level_db):
        return samples
    rng = np.random.default_rng(seed)
    slope = rng.uniform(0.0, STEEPEST_NOISE_SLOPE)
    bins = samples.size // 2 + 1
    parts = rng.standard_normal((bins, 2), dtype=np.float32)  # real and imaginary
    parts *= np.exp(_log_bins(bins) * np.float32(-slope))[:, None]
    noise = scipy.fft.irfft(parts.view(np.complex64)[:, 0], samples.size)
    noise *= np.float32(_rms(samples) / _rms(noise) * 10 ** (level_db / 20))
    return np.asarray(samples + noise, dtype=np.float32)


def code(samples: Samples, coder: int, bits: int, sample_rate: int) -> Samples:
    """What a speech coder leaves of [T]: NO_CODER, MU_LAW or BLOCK_CODER, with so many bits a sample (2 to 16)."""
    if coder == NO_CODER or not samples.any():
        return samples
    steps = 2 ** (bits - 1) - 1  # from zero to full scale; zero stays zero
    if coder == MU_LAW:
        return _mu_law(samples, steps)
    return _block_coded(samples, steps, round(CODER_BLOCK_SECONDS * sample_rate))


def _mu_law(samples: Samples, steps: int) -> Samples:
    """Equal steps of the logarithm (ITU-T G.711, there with 127 steps), the loudest sample at full scale."""
    peak = np.abs(samples).max()
    logarithms = np.log1p(np.abs(samples) * np.float32(MU / peak)) / np.float32(np.log1p(MU))
    coded = np.round(logarithms * steps) / np.float32(steps)
    sizes = np.expm1(coded * np.float32(np.log1p(MU))) * np.float32(peak / MU)
    return np.asarray(np.copysign(sizes, samples), dtype=np.float32)


def _block_coded(samples: Samples, steps: int, block: int) -> Samples:
    """Differences of neighbours in steps that follow the largest of each block, as ADPCM's and GSM's do.

    Open-loop differential PCM (Jayant & Noll 1984, Digital Coding of Waveforms): the decoder's filter gives the
    noise the slope of a voice's spectrum. Its noise grows and falls with the voice.
    """
    differences = samples.copy()
    differences[1:] -= np.float32(PREEMPHASIS) * samples[:-1]
    blocks = np.pad(differences, (0, -samples.size % block)).reshape(-1, block)
    step = np.abs(blocks).max(axis=1, keepdims=True) / steps + np.float32(1e-12)
    coded = (np.round(blocks / step) * step).reshape(-1)[: samples.size]
    decoded = scipy.signal.lfilter(np.ones(1, np.float32), np.array([1, -PREEMPHASIS], np.float32), coded)
    return np.asarray(decoded, dtype=np.float32)


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _at_level(samples: Samples, rms: float) -> Samples:
    return np.asarray(samples * np.float32(rms / _rms(samples)), dtype=np.float32)


@lru_cache(maxsize=8)
def _places(bins: int) -> Samples:
    """Frequencies of the bins of a spectrum, 1: half the sample rate."""
    return np.linspace(0, 1, bins, dtype=np.float32)


@lru_cache(maxsize=8)
def _log_bins(bins: int) -> Samples:
    return np.asarray(np.log(np.arange(bins) + FLATTENED_BINS), dtype=np.float32)
