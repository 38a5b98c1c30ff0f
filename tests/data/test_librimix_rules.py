from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from src.data.librimix_rules import PEAK_LIMIT, Utterance, UtteranceReader, at_one_rate, gains, mix, to_rate
from src.errors import UserError
from tests.synthetic import voice


def utterance(samples: np.ndarray, sample_rate: int = 16000) -> Utterance:
    return Utterance(samples, sample_rate, float(pyloudnorm.Meter(sample_rate).integrated_loudness(samples)))


def sound(seconds: float, seed: int, level: float = 0.05) -> np.ndarray:
    return level * np.random.default_rng(seed).normal(size=round(16000 * seconds))


def test_gains_bring_each_source_to_its_loudness() -> None:
    utterances = [utterance(sound(2.0, 1)), utterance(sound(3.0, 2, level=0.002))]
    meter = pyloudnorm.Meter(16000)
    for each, gain, target in zip(utterances, gains(utterances, [-31.0, -26.0]), [-31.0, -26.0], strict=True):
        assert meter.integrated_loudness(gain * each.samples) == pytest.approx(target, abs=1e-6)


def test_a_source_that_would_clip_gets_a_peak_of_0_9() -> None:
    peaky = sound(2.0, 1, level=0.001)
    peaky[100] = 0.5
    quiet = utterance(sound(2.0, 2))
    peaky_gain, quiet_gain = gains([utterance(peaky), quiet], [-25.0, -60.0])
    total = peaky_gain * peaky + quiet_gain * quiet.samples
    assert np.abs(peaky_gain * peaky).max() == pytest.approx(PEAK_LIMIT, rel=0.02)
    assert np.abs(total).max() <= PEAK_LIMIT + 1e-12


def test_a_sum_that_would_clip_scales_all_sources_alike() -> None:
    spike = np.zeros(32000)
    spike[5] = 0.8
    one, two = utterance(sound(2.0, 1) + spike), utterance(np.concatenate([sound(2.0, 2) + spike, sound(1.0, 3)]))
    targets = [one.loudness_lufs, two.loudness_lufs]
    found = gains([one, two], targets)
    assert found[0] == found[1] < 0.6
    total = found[0] * one.samples + found[1] * two.samples[:32000]
    assert np.abs(total).max() == pytest.approx(PEAK_LIMIT)


def test_the_tail_of_the_longer_source_counts_for_the_limit() -> None:
    late = np.concatenate([sound(2.0, 2), np.full(10, 0.99)])
    assert gains([utterance(sound(1.0, 1)), utterance(late)], [-40.0, utterance(late).loudness_lufs])[1] < 0.92


def test_mix_resamples_and_cuts_to_the_shortest() -> None:
    first, second = utterance(sound(1.00005, 1)), utterance(sound(1.5, 2))
    mixture, sources = mix([first, second], [1.0, 0.5], 8000)
    assert sources.shape == (2, 8001)  # ceil(16001 / 2)
    np.testing.assert_allclose(mixture, sources[0] + sources[1])
    np.testing.assert_allclose(sources[1], 0.5 * to_rate(second.samples, 16000, 8000)[:8001])


def test_resampling_keeps_a_tone() -> None:
    time = np.arange(22050) / 22050
    resampled = to_rate(np.sin(2 * np.pi * 500 * time), 22050, 8000)
    expected = np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)
    np.testing.assert_allclose(resampled[100:-100], expected[100:-100], atol=2e-3)


def test_sources_of_different_rates_meet_at_the_lowest() -> None:
    high, low = utterance(sound(1.0, 1), 16000), utterance(sound(1.0, 2), 8000)
    both = at_one_rate([high, low], [Path("a"), Path("b")], 8000)
    assert [each.sample_rate for each in both] == [8000, 8000]
    assert len(both[0].samples) == 8000
    assert both[0].loudness_lufs == high.loudness_lufs
    with pytest.raises(UserError, match=r"b: found 8000 Hz, expected at least 16000 Hz"):
        at_one_rate([high, low], [Path("a"), Path("b")], 16000)


def test_reader_measures_and_knows_what_is_unusable(tmp_path: Path) -> None:
    speech, reader = voice(150, 1.5, 0), UtteranceReader()
    soundfile.write(tmp_path / "good.wav", np.stack([speech, speech], axis=1), 8000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 8000)
    soundfile.write(tmp_path / "short.wav", speech[:7000], 8000)
    assert [reader.is_usable(tmp_path / f"{name}.wav") for name in ("good", "silent", "short")] == [True, False, False]
    good = reader.read(tmp_path / "good.wav")
    assert good.samples.shape == speech.shape
    assert good.loudness_lufs == pytest.approx(pyloudnorm.Meter(8000).integrated_loudness(speech), abs=0.01)
    assert reader.read(tmp_path / "good.wav").loudness_lufs == good.loudness_lufs
