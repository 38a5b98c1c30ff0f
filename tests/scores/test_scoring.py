"""The scores of one utterance: known answers, one permutation for all, and reasons where there are none."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.metrics import score
from src.scores import perceptual, scoring
from src.scores.scoring import METRICS, Result, Separated, score_utterance
from tests.synthetic import voice

RATE = 8000
SECONDS = 1.5


@pytest.fixture
def audio() -> np.ndarray:
    """float32 [3, T]: a mixture and its sources."""
    sources = np.stack([voice(pitch, SECONDS, seed=0) for pitch in (110.0, 190.0)])
    return np.concatenate([sources.sum(0, keepdims=True), sources])


@pytest.fixture
def tracks(audio) -> np.ndarray:
    """In turned order: the second one is worse."""
    return np.stack([-2.0 * (audio[2] + 0.1 * audio[1]), 0.5 * (audio[1] + 0.4 * audio[2])])


def test_values_are_the_metrics_own_in_the_order_of_si_snr(audio, tracks):
    result = score_utterance(Separated(7, audio, tracks, RATE))
    expected = score(audio[1:], tracks, audio[0])
    assert (result.record, result.reason, result.num_chunks) == (7, "", 1)
    assert result.values["si_snr_db"] == pytest.approx(expected.si_snr_db)
    assert result.values["sdri_db"] == pytest.approx(expected.sdri_db)
    assert result.values["stoi"] == pytest.approx(
        [perceptual.stoi(audio[1], tracks[1], RATE), perceptual.stoi(audio[2], tracks[0], RATE)]
    )
    mixture = [perceptual.stoi(source, audio[0], RATE) for source in audio[1:]]
    assert np.add(result.values["stoi_improvement"], mixture) == pytest.approx(result.values["stoi"])
    assert result.mean("stoi") == pytest.approx(np.mean(result.values["stoi"]))
    assert set(result.values) == {name for pair in METRICS.items() for name in pair}


def test_a_silent_source_leaves_no_scores(audio, tracks):
    audio[2] = 0.25
    result = score_utterance(Separated(1, audio, tracks, RATE, num_chunks=3))
    assert result == Result(1, {}, "source 2 is silent", 3)
    assert result.mean("si_snr_db") is None


def test_a_source_without_stoi_is_not_in_the_mean(audio, tracks):
    audio[2, 1500:] = 0.0
    result = score_utterance(Separated(0, audio, tracks, RATE))
    assert result.values["stoi"][1] is None and result.values["stoi_improvement"][1] is None
    assert result.mean("stoi") == result.values["stoi"][0]
    assert None not in result.values["si_snr_db"]


def test_value_and_improvement_are_there_together_or_not_at_all(audio, tracks, monkeypatch):
    def pesq(_source, estimate, _rate):
        return None if np.array_equal(estimate, audio[0]) else 2.0

    monkeypatch.setattr(perceptual, "pesq", pesq)
    monkeypatch.setattr(perceptual, "stoi", lambda *_: 0.5)
    result = score_utterance(Separated(0, audio, tracks, RATE))
    assert result.values["pesq"] == result.values["pesq_improvement"] == [None, None]
    assert result.values["stoi_improvement"] == [0.0, 0.0]


def test_without_pesq_the_rest_is_scored(audio, tracks, monkeypatch):
    monkeypatch.setattr(perceptual, "pesq_is_installed", lambda: False)
    result = score_utterance(Separated(0, audio, tracks, RATE))
    assert result.values["pesq"] == [None, None]
    assert result.mean("pesq") is None
    assert result.mean("stoi") is not None


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050])
def test_any_rate_is_scored(audio, tracks, rate):
    result = score_utterance(Separated(0, audio, tracks, rate))
    assert result.mean("si_snri_db") is not None
    assert result.mean("stoi") is not None
    assert (result.mean("pesq") is None) == (perceptual.why_no_pesq(rate) != "")


@pytest.mark.parametrize("num_samples", [1, 7, 100, 600])
def test_very_short_utterances_are_scored(audio, tracks, num_samples):
    result = score_utterance(Separated(0, audio[:, 100 : 100 + num_samples], tracks[:, 100 : 100 + num_samples], RATE))
    if num_samples == 1:
        assert result.reason == "source 1, 2 is silent"
    else:
        assert np.isfinite(result.values["sdri_db"]).all()
        assert result.values["stoi"] == [None, None]


def test_what_was_separated_whole_has_an_improvement_of_its_own(audio, tracks):
    whole = audio[1:] + 0.01 * audio[:0:-1]
    result = score_utterance(Separated(0, audio, tracks, RATE, 2, whole))
    assert result.whole_si_snri_db == pytest.approx(score(audio[1:], whole, audio[0]).si_snri_db.mean())
    assert result.whole_si_snri_db > result.mean("si_snri_db") + 10


def test_results_survive_json_to_the_bit(audio, tracks):
    result = score_utterance(Separated(0, audio, tracks, RATE, 2, tracks))
    values = json.loads(json.dumps(result.__dict__))
    assert Result(**values) == result


def test_workers_load_no_mindspore():
    program = "import sys, evaluate, src.scores.scoring, src.processes; print('mindspore' in sys.modules)"
    root = Path(scoring.__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
