import numpy as np
import pytest
import scipy.signal

from src.data.formants import _frames, _hann, _overlap_added, move_formants
from src.data.voice import median_pitch_hz


def vowel(pitch_hz, formants_hz, rate=8000, seconds=1.0):
    """A pulse train through resonances."""
    samples = np.zeros(round(rate * seconds))
    samples[(np.arange(0, seconds * pitch_hz - 1) * rate / pitch_hz).astype(int)] = 1
    for formant_hz in formants_hz:
        radius = np.exp(-np.pi * 200 / rate)
        angle = 2 * np.pi * formant_hz / rate
        samples = scipy.signal.lfilter([1.0], [1, -2 * radius * np.cos(angle), radius**2], samples)
    return (samples / np.abs(samples).max()).astype(np.float32)


def strongest_hz(samples, low, high, rate=8000):
    frequencies, power = scipy.signal.welch(samples, rate, nperseg=256)
    inside = (frequencies >= low) & (frequencies <= high)
    return np.sum(frequencies[inside] * power[inside]) / np.sum(power[inside])


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_formants_move_and_the_pitch_stays(factor):
    before = vowel(120, [700, 2000])
    after = move_formants(before, factor, 8000)
    assert after.shape == before.shape and after.dtype == np.float32
    for low, high in ((400, 1100), (1400, 2700)):
        moved = strongest_hz(after, low * factor, high * factor) / strongest_hz(before, low, high)
        assert moved == pytest.approx(factor, rel=0.06)
    assert median_pitch_hz(after, 8000) == pytest.approx(120, rel=0.01)


def test_formants_that_stay_leave_the_samples_as_they_are():
    before = vowel(120, [700])
    assert move_formants(before, 1.0, 8000) is before


@pytest.mark.parametrize("length", [1, 2, 100, 255, 256, 257, 1000])
def test_formants_of_any_length_and_of_silence_can_be_moved(length):
    samples = np.random.default_rng(0).normal(size=length).astype(np.float32)
    moved = move_formants(samples, 1.2, 8000)
    assert moved.shape == (length,) and np.isfinite(moved).all()
    assert not move_formants(np.zeros(length, np.float32), 1.2, 8000).any()


@pytest.mark.parametrize("length", [1, 127, 128, 129, 999])
def test_frames_are_put_together_again(length):
    samples = np.random.default_rng(0).normal(size=length).astype(np.float32)
    window = _hann(256)
    frames = _frames(samples, 256) * window
    np.testing.assert_allclose(_overlap_added(frames, window, length), samples, atol=1e-6)


def by_the_book(samples, factor, rate):
    """The cepstrum by Fourier transforms of every frame, the envelope read at other frequencies."""
    width = 256
    _, _, spectra = scipy.signal.stft(samples, nperseg=width)
    strength = np.abs(spectra)
    cepstra = np.fft.irfft(np.log(strength + 1e-3 * strength.max() + 1e-9), width, axis=0)
    seconds = np.minimum(np.arange(width), width - np.arange(width)) / rate
    envelopes = np.fft.rfft(cepstra * np.clip((0.0017 - seconds) / 0.0006, 0, 1)[:, None], axis=0).real
    places = np.minimum(np.arange(129) / factor, 0.92 * 128)
    moved = np.stack([np.interp(places, np.arange(129), envelope) for envelope in envelopes.T], axis=1)
    return scipy.signal.istft(spectra * np.exp(np.clip(moved - envelopes, -3, 3)), nperseg=width)[1][: samples.size]


@pytest.mark.parametrize("factor", [0.8, 1.1, 1.25])
def test_the_short_way_is_the_long_one(factor):
    samples = vowel(130, [600, 1800])[:5000]
    wanted = by_the_book(samples, factor, 8000)
    error = move_formants(samples, factor, 8000) - wanted
    assert np.sqrt(np.mean(error**2)) < 0.02 * np.sqrt(np.mean(wanted**2))  # between two bins the book is linear
