import numpy as np
import pytest
import scipy.signal

from src.data.voice import BANDS, median_pitch_hz, spectrum_db


def buzz(pitch_hz, rate, seconds=1.0):
    """A voice-like tone: a pulse train through a resonance, with a pause in the middle."""
    pulses = np.zeros(round(rate * seconds))
    pulses[(np.arange(0, seconds * pitch_hz) * rate / pitch_hz).astype(int)[:-1]] = 1
    tone = scipy.signal.lfilter([1.0], [1, -1.2, 0.8], pulses)
    tone[len(tone) // 3 : len(tone) // 2] = 0
    return tone * 0.1


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("pitch_hz", [80, 140, 235, 380])
def test_the_pitch_of_a_tone_with_pauses(pitch_hz, rate):
    assert median_pitch_hz(buzz(pitch_hz, rate), rate) == pytest.approx(pitch_hz, rel=0.02)


def test_quiet_frames_do_not_count():
    tone = buzz(150, 8000)
    hiss = np.random.default_rng(0).normal(size=3 * len(tone)) * 1e-3
    assert median_pitch_hz(np.concatenate([hiss[: len(tone)], tone]), 8000) == pytest.approx(150, rel=0.02)


@pytest.mark.parametrize("length", [1, 10, 100, 600])
def test_very_short_sources_can_be_measured(length):
    samples = np.random.default_rng(0).normal(size=length)
    assert 60 < median_pitch_hz(samples, 8000) < 430
    assert np.isfinite(spectrum_db(samples, 8000)).all()


@pytest.mark.parametrize("rate", [8000, 16000])
def test_white_noise_has_a_flat_spectrum_and_a_filter_shows(rate):
    samples = np.random.default_rng(0).normal(size=20 * rate)
    flat = spectrum_db(samples, rate)
    assert np.abs(flat).max() < 1.5
    spectrum = np.fft.rfft(samples)
    places = np.linspace(0, 1, spectrum.size)
    gains_db = np.linspace(12, -12, len(BANDS))
    filtered = np.fft.irfft(spectrum * 10 ** (np.interp(places, BANDS, gains_db) / 20))
    np.testing.assert_allclose(spectrum_db(filtered, rate) - flat, gains_db - gains_db.mean(), atol=1.5)


def test_levels_do_not_depend_on_the_level():
    samples = buzz(140, 8000)
    np.testing.assert_allclose(spectrum_db(samples, 8000), spectrum_db(samples * 1e-3, 8000), atol=1e-3)
    assert median_pitch_hz(samples * 1e-3, 8000) == pytest.approx(median_pitch_hz(samples, 8000))


def test_silence_can_be_measured():
    assert not spectrum_db(np.zeros(4000), 8000).any()
    assert np.isfinite(median_pitch_hz(np.zeros(4000), 8000))
