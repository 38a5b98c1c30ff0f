import numpy as np
import pytest

from src.data.mixing import change_length, cut_mixture, cut_source, mix

MIDDLE = np.array([0.5])


def noise(shape, seed=0, scale=3000):
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.int16)


def as_float(pcm):
    return pcm / np.float32(32768)


@pytest.mark.parametrize(("place", "start"), [(0.0, 0), (0.5, 50), (0.9999, 100), (1.0, 100)])
def test_a_mixture_is_cut_at_its_place(place, start):
    pcm = noise((3, 200))
    mixture, sources, num_samples = cut_mixture(pcm, [-20, -20], np.array([place]), 100)
    np.testing.assert_array_equal(mixture, as_float(pcm[0, start : start + 100]))
    np.testing.assert_array_equal(sources, as_float(pcm[1:, start : start + 100]))
    assert num_samples == 100


@pytest.mark.parametrize("length", [1, 99, 100])
def test_a_short_mixture_is_padded_at_its_end(length):
    pcm = noise((3, length))
    mixture, sources, num_samples = cut_mixture(pcm, [-20, -20], MIDDLE, 100)
    assert (mixture.shape, sources.shape, num_samples) == ((100,), (2, 100), length)
    np.testing.assert_array_equal(sources[:, :length], as_float(pcm[1:]))
    assert not mixture[length:].any() and not sources[:, length:].any()


def test_a_place_where_a_source_is_silent_is_passed_over():
    pcm = noise((3, 400))
    pcm[2, :200] = noise(200, seed=1, scale=3)  # 60 dB below the rest
    places = np.array([0.0, 0.3, 0.9, 0.7])
    _, sources, _ = cut_mixture(pcm, [-20, -20], places, 100)
    np.testing.assert_array_equal(sources, as_float(pcm[1:, 270:370]))  # 0.9 of 301 places


def test_where_all_places_are_silent_the_loudest_is_taken():
    source = noise(400, scale=2)
    source[150:250] = noise(100, scale=9)
    cut = cut_source(source, -20, np.array([0.0, 0.5, 0.9]), 1.0, 100)
    np.testing.assert_array_equal(cut, as_float(source[150:250]))


def test_a_source_at_speed_one_is_the_recording():
    source = noise(500)
    np.testing.assert_array_equal(cut_source(source, -20, MIDDLE, 1.0, 100), as_float(source[200:300]))


@pytest.mark.parametrize("speed", [0.8, 0.93, 1.07, 1.25])
def test_speed_moves_a_tone_by_its_factor(speed):
    rate, tone_hz = 8000, 500
    tone = (8000 * np.sin(2 * np.pi * tone_hz * np.arange(4 * rate) / rate)).astype(np.int16)
    cut = cut_source(tone, -20, MIDDLE, speed, rate)
    assert cut.shape == (rate,) and cut.dtype == np.float32
    assert np.abs(np.fft.rfft(cut * np.hanning(rate))).argmax() == pytest.approx(tone_hz * speed, abs=1)


def test_a_short_source_lies_somewhere_in_silence():
    source = noise(40)
    offsets = set()
    for place in (0.0, 0.3, 0.99):
        cut = cut_source(source, -20, np.array([place]), 1.0, 100)
        first = int(np.flatnonzero(cut)[0])
        np.testing.assert_array_equal(cut[first : first + 40], as_float(source))
        assert np.count_nonzero(cut) == np.count_nonzero(source)
        offsets.add(first)
    assert min(offsets) == 0 and max(offsets) == 60 and len(offsets) == 3


@pytest.mark.parametrize("speed", [0.5, 0.9, 1.1, 2.0])
@pytest.mark.parametrize("length", [1, 49, 89, 90, 91, 109, 110, 111, 199])
def test_every_length_gives_the_asked_length(speed, length):
    assert cut_source(noise(length), -20, MIDDLE, speed, 100).shape == (100,)


def test_change_length_keeps_a_band_limited_signal():
    times = np.arange(200) / 200
    wave = np.sin(2 * np.pi * 7 * times).astype(np.float32)
    wanted = np.sin(2 * np.pi * 7 * np.arange(130) / 130)
    np.testing.assert_allclose(change_length(wave, 130), wanted, atol=1e-5)


def test_a_mixture_is_the_sum_of_its_scaled_sources():
    sources = [as_float(noise(100, seed)) for seed in (1, 2, 3)]
    mixture, scaled, num_samples = mix(sources, [-6.0, 0.0, -12.0])
    for row, source, gain_db in zip(scaled, sources, [-6.0, 0.0, -12.0], strict=True):
        np.testing.assert_allclose(row, source * 10 ** (gain_db / 20), rtol=1e-5)
    np.testing.assert_allclose(mixture, scaled.sum(axis=0), atol=1e-7)
    assert (num_samples, mixture.dtype, scaled.dtype) == (100, np.float32, np.float32)


def test_what_would_clip_is_scaled_as_in_librimix():
    loud, soft = np.full(10, 0.5, np.float32), np.full(10, 0.1, np.float32)
    _, scaled, _ = mix([loud, -soft], [20.0, 0.0])  # 5.0 -> 0.9, alone
    np.testing.assert_allclose(scaled[:, 0], [0.9, -0.1], rtol=1e-5)
    mixture, scaled, _ = mix([loud, loud], [3.0, 0.0])  # 0.706 + 0.5 -> 0.9, together
    assert mixture.max() == pytest.approx(0.9)
    assert scaled[0, 0] / scaled[1, 0] == pytest.approx(10 ** (3 / 20))
    np.testing.assert_allclose(mixture, scaled.sum(axis=0), atol=1e-6)


def test_inputs_are_left_alone():
    pcm, source = noise((3, 50)), as_float(noise(50))
    copies = pcm.copy(), source.copy()
    mixture, sources, _ = cut_mixture(pcm, [-20, -20], MIDDLE, 50)
    mixture += 1
    sources += 1
    mix([source, source], [30.0, 30.0])
    np.testing.assert_array_equal(pcm, copies[0])
    np.testing.assert_array_equal(source, copies[1])
