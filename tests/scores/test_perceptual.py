"""STOI and PESQ: the libraries' own numbers, and no number where there is none to be had."""

import importlib.util

import numpy as np
import pytest
from pystoi import stoi as pystoi

from src.scores import perceptual
from tests.synthetic import voice

needs_pesq = pytest.mark.skipif(not perceptual.pesq_is_installed(), reason="pip install pesq")


def speech(seconds: float = 3.0, rate: int = 8000) -> np.ndarray:
    return np.asarray(voice(130.0, seconds * rate / 8000, seed=1), dtype=np.float64)


def noisy(reference: np.ndarray, ratio_db: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(reference.size)
    return reference + noise * np.linalg.norm(reference) / np.linalg.norm(noise) * 10 ** (-ratio_db / 20)


# STOI


def test_stoi_is_the_librarys_classic_one():
    reference = speech()
    estimate = noisy(reference, 5.0)
    assert perceptual.stoi(reference, estimate, 8000) == pytest.approx(pystoi(reference, estimate, 8000), abs=1e-6)
    extended = pystoi(reference, estimate, 8000, extended=True)
    assert abs(perceptual.stoi(reference, estimate, 8000) - extended) > 0.01


def test_stoi_of_the_reference_itself_is_one_and_falls_with_noise():
    reference = speech()
    values = [perceptual.stoi(reference, noisy(reference, ratio), 8000) for ratio in (100.0, 20.0, 0.0, -20.0)]
    assert values[0] == pytest.approx(1.0, abs=1e-4)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.5


@pytest.mark.parametrize("metric", [perceptual.stoi, pytest.param(perceptual.pesq, marks=needs_pesq)])
@pytest.mark.parametrize(("of_reference", "of_estimate"), [(1, -1), (1e-9, 1), (1, 1e-12), (1e4, 1e-4)])
def test_gain_and_sign_change_nothing(metric, of_reference, of_estimate):
    reference = speech()
    estimate = noisy(reference, 5.0)
    plain = metric(reference, estimate, 8000)
    assert metric(of_reference * reference, of_estimate * estimate, 8000) == pytest.approx(plain, abs=1e-4)


@pytest.mark.parametrize("num_samples", [1, 10, 204, 205, 1000, 3000, 3200])
def test_stoi_of_less_than_thirty_frames_is_none(num_samples, recwarn):
    reference = speech()[:num_samples]
    assert perceptual.stoi(reference, noisy(reference, 5.0), 8000) is None
    assert not recwarn.list


def test_stoi_counts_frames_with_sound_and_not_the_file():
    reference = speech()
    estimate = noisy(reference, 5.0)
    reference[2000:] = 0.0  # a quarter of a second is left
    assert perceptual.stoi(reference, estimate, 8000) is None
    assert perceptual.stoi(speech()[:4000], estimate[:4000], 8000) is not None


@pytest.mark.parametrize("rate", [4000, 8001, 11025, 16000, 22050, 44100, 48000])
def test_stoi_takes_any_rate(rate):
    reference = speech(2.0, rate)
    assert 0.3 < perceptual.stoi(reference, noisy(reference, 5.0), rate) < 1.0


def test_a_silent_estimate_is_not_intelligible():
    assert perceptual.stoi(speech(), np.zeros(speech().size), 8000) == 0.0


def test_stoi_that_is_no_number_is_none():
    estimate = speech()
    estimate[100] = np.nan
    assert perceptual.stoi(speech(), estimate, 8000) is None


# PESQ


@needs_pesq
@pytest.mark.parametrize(("rate", "band"), [(8000, "nb"), (16000, "wb")])
def test_pesq_is_the_librarys_in_the_band_of_the_rate(rate, band):
    from pesq import pesq

    reference = speech(3.0, rate)
    estimate = noisy(reference, 15.0)
    expected = pesq(rate, reference, estimate, band)
    assert perceptual.pesq(reference, estimate, rate) == pytest.approx(expected, abs=1e-3)
    assert perceptual.pesq(reference, reference, rate) > 4.4
    assert perceptual.why_no_pesq(rate) == ""


@pytest.mark.parametrize("rate", [7999, 11025, 22050, 44100, 48000])
def test_other_rates_have_no_pesq(rate):
    assert perceptual.pesq(speech(), noisy(speech(), 5.0), rate) is None
    assert perceptual.why_no_pesq(rate) == f"it is defined for 8000 and 16000 Hz, not for {rate}"


@needs_pesq
@pytest.mark.parametrize(
    ("reference", "estimate"),
    [
        (np.zeros(8000), speech(1.0)),
        (speech(1.0), np.zeros(8000)),
        (speech(1.0), np.full(8000, 0.3)),
        (speech(1.0)[:1999], speech(1.0)[:1999]),
        (speech(1.0)[:1], speech(1.0)[:1]),
        (np.eye(1, 8000)[0], speech(1.0)),
        (speech(1.0), np.full(8000, np.nan)),
    ],
    ids=["silent reference", "silent estimate", "constant", "too short", "one sample", "a click", "NaN"],
)
def test_no_speech_has_no_pesq(reference, estimate):
    assert perceptual.pesq(reference, estimate, 8000) is None


@needs_pesq
def test_what_would_crash_the_library_is_not_given_to_it():
    """Bursts of 0.21 s: 47 of them in 20 s, 71 in 30 s, where the library is killed by the system."""
    time = np.arange(30 * 8000) / 8000
    bursts = np.random.default_rng(0).standard_normal(time.size) * (time % 0.42 < 0.21)
    assert perceptual.pesq(bursts[: 20 * 8000], noisy(bursts, 30.0)[: 20 * 8000], 8000) is not None
    assert perceptual.pesq(bursts, noisy(bursts, 30.0), 8000) is None


def test_without_the_library(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pesq" else real(name))
    assert not perceptual.pesq_is_installed()
    assert perceptual.pesq(speech(), noisy(speech(), 5.0), 8000) is None
    assert perceptual.why_no_pesq(8000) == "the library is not installed (pip install pesq)"
