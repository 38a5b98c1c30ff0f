import numpy as np
import pytest
import scipy.signal

from src.data.chain import BLOCK_CODER, MU_LAW, NO_CODER, add_noise_floor, code, equalize, reverberate
from src.data.voice import BANDS

RATE = 8000


def noise(size, seed=0):
    return np.random.default_rng(seed).normal(size=size).astype(np.float32)


def voice_like(size):
    return scipy.signal.lfilter([1], [1, -0.9], noise(size)).astype(np.float32)


def rms(samples):
    return np.sqrt(np.mean(np.square(samples, dtype=np.float64)))


def test_an_equalizer_gives_its_gains_at_its_frequencies():
    time = np.arange(8000) / 8000
    tones = [np.sin(2 * np.pi * hertz * time) for hertz in (700, 2200)]  # in the middle of two bands
    gains_db = np.zeros(len(BANDS))
    gains_db[[3, 6]] = 6.0, -6.0
    filtered = equalize((tones[0] + tones[1]).astype(np.float32), gains_db)
    levels = [20 * np.log10(np.abs(np.mean(filtered * np.exp(-2j * np.pi * hertz * time)))) for hertz in (700, 2200)]
    assert levels[0] - levels[1] == pytest.approx(12.0, abs=0.01)
    assert np.mean(filtered**2) == pytest.approx(1.0, rel=1e-5)  # the level stays


def test_no_equalizer_and_silence_change_nothing():
    samples = np.random.default_rng(0).normal(size=100).astype(np.float32)
    np.testing.assert_array_equal(equalize(samples, []), samples)
    silence = np.zeros(100, np.float32)
    np.testing.assert_array_equal(equalize(silence, [3.0] * len(BANDS)), silence)


@pytest.mark.parametrize("level_db", [-20.0, -40.0])
def test_a_noise_floor_has_its_level_and_follows_its_seed(level_db):
    samples = np.random.default_rng(0).normal(size=8000).astype(np.float32)
    noisy = add_noise_floor(samples, level_db, seed=3)
    level = 10 * np.log10(np.mean((noisy - samples) ** 2) / np.mean(samples**2))
    assert level == pytest.approx(level_db, abs=0.01)
    np.testing.assert_array_equal(noisy, add_noise_floor(samples, level_db, seed=3))
    assert np.abs(noisy - add_noise_floor(samples, level_db, seed=4)).max() > 0


def test_no_noise_floor_changes_nothing():
    samples = np.ones(10, np.float32)
    assert add_noise_floor(samples, -np.inf, seed=0) is samples


@pytest.mark.parametrize("gains_db", [np.zeros(0), np.zeros(len(BANDS))])
def test_above_the_bandwidth_nothing_is_left(gains_db):
    before = np.random.default_rng(0).normal(size=8000).astype(np.float32)
    after = equalize(before, gains_db, bandwidth=0.7)
    spectrum = np.abs(np.fft.rfft(after))
    assert spectrum[3000:].max() < 1e-2 * spectrum[:2500].mean()
    assert np.sqrt(np.mean(after**2)) == pytest.approx(np.sqrt(np.mean(before**2)), rel=1e-4)


# rooms


def impulse(size=RATE):
    samples = np.zeros(size, np.float32)
    samples[0] = 1
    return samples


@pytest.mark.parametrize("rt60_seconds", [0.1, 0.25, 0.4])
def test_the_tail_falls_by_60_db_in_the_reverberation_time(rt60_seconds):
    tails = np.stack([reverberate(impulse(), rt60_seconds, 0.0, RATE, seed)[16:] for seed in range(50)])
    remaining = np.cumsum(np.mean(tails**2, axis=0)[::-1])[::-1]  # Schroeder's integral
    from_5_to_25_db = [np.argmax(10 * np.log10(remaining / remaining[0]) < level) for level in (-5, -25)]
    assert 3 * np.diff(from_5_to_25_db)[0] / RATE == pytest.approx(rt60_seconds, rel=0.08)


@pytest.mark.parametrize("direct_db", [0.0, 15.0])
def test_the_direct_sound_has_its_level_over_the_tail(direct_db):
    response = reverberate(impulse(), 0.3, direct_db, RATE, 0)
    assert 10 * np.log10(response[0] ** 2 / np.sum(response[1:] ** 2)) == pytest.approx(direct_db, abs=0.01)
    assert np.abs(response[1:16]).max() < 1e-6 < np.abs(response[16:30]).max()  # the first reflection: after 2 ms


def test_a_room_follows_its_seed_and_keeps_the_level():
    samples = noise(4000)
    wet = reverberate(samples, 0.2, 5.0, RATE, 3)
    assert (wet.shape, wet.dtype) == (samples.shape, np.float32)
    assert rms(wet) == pytest.approx(rms(samples), rel=1e-5)
    np.testing.assert_array_equal(wet, reverberate(samples, 0.2, 5.0, RATE, 3))
    assert np.abs(wet - reverberate(samples, 0.2, 5.0, RATE, 4)).max() > 0


def test_a_room_is_a_convolution():
    samples = np.concatenate([np.zeros(500, np.float32), noise(500)])
    response = reverberate(impulse(1000), 0.1, 0.0, RATE, 7)
    wanted = scipy.signal.convolve(samples, response / response[0])[:1000]
    wet = reverberate(samples, 0.1, 0.0, RATE, 7)
    np.testing.assert_allclose(wet / rms(wet), wanted / rms(wanted), atol=1e-4)
    assert not wet[:500].round(5).any()  # nothing sounds before it is said


# coders


@pytest.mark.parametrize(("bits", "level_db"), [(8, -38), (6, -26)])
def test_mu_law_leaves_a_noise_that_follows_the_level(bits, level_db):
    time = np.arange(RATE) / RATE
    loud = (0.5 * np.sin(2 * np.pi * 331.7 * time)).astype(np.float32)
    samples = np.concatenate([loud, loud / 8])
    error = code(samples, MU_LAW, bits, RATE) - samples
    for part in (slice(0, RATE), slice(RATE, None)):  # about the same signal-to-noise ratio at both levels
        assert 20 * np.log10(rms(error[part]) / rms(samples[part])) == pytest.approx(level_db, abs=4)


def test_eight_bits_of_mu_law_are_those_of_the_standard():
    samples = np.linspace(-1, 1, 4001, dtype=np.float32)
    logarithms = np.sign(samples) * np.log(1 + 255 * np.abs(samples)) / np.log(256)
    coded = np.round(logarithms * 127) / 127
    wanted = np.sign(coded) * (256 ** np.abs(coded) - 1) / 255
    np.testing.assert_allclose(code(samples, MU_LAW, 8, RATE), wanted, atol=1e-5)


def test_a_block_coder_s_noise_falls_by_6_db_a_bit_and_rises_with_the_voice():
    voice = voice_like(RATE)
    voice[RATE // 2 :] *= 0.01
    levels = []
    for bits in (3, 4, 5):
        error = code(voice, BLOCK_CODER, bits, RATE) - voice
        levels.append([20 * np.log10(rms(error[part])) for part in (slice(0, 3900), slice(4200, None))])
    assert np.diff(levels, axis=0) == pytest.approx(-6.5, abs=1.2)
    assert np.diff(levels, axis=1) == pytest.approx(-40, abs=2)
    assert levels[0][0] - 20 * np.log10(rms(voice[:3900])) == pytest.approx(-17, abs=4)


@pytest.mark.parametrize(("coder", "bits"), [(MU_LAW, 5), (MU_LAW, 8), (BLOCK_CODER, 3), (BLOCK_CODER, 5)])
def test_what_is_coded_has_about_its_level_and_silence_stays(coder, bits):
    samples = voice_like(1001)
    copy = samples.copy()
    coded = code(samples, coder, bits, RATE)
    assert (coded.shape, coded.dtype) == (samples.shape, np.float32)
    assert rms(coded) == pytest.approx(rms(samples), rel=0.05)
    assert not code(np.zeros(50, np.float32), coder, bits, RATE).any()
    np.testing.assert_array_equal(samples, copy)


def test_without_room_or_coder_the_samples_stay():
    samples = noise(100)
    assert reverberate(samples, 0.0, 5.0, RATE, 0) is samples
    assert code(samples, NO_CODER, 0, RATE) is samples


@pytest.mark.parametrize("size", [1, 2, 39, 40, 41, 333])
def test_any_length_goes_through_the_whole_chain(size):
    samples = noise(size)
    wet = reverberate(samples, 0.1, 3.0, RATE, 1)
    for coder in (MU_LAW, BLOCK_CODER):
        coded = code(add_noise_floor(equalize(wet, [1.0] * len(BANDS)), -20.0, 2), coder, 4, RATE)
        assert coded.shape == (size,) and np.isfinite(coded).all()
