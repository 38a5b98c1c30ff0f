"""The evaluation of known answers through a stand-in network, its files and its complaints; a real one at the end."""

import csv
import functools
import json
from pathlib import Path

import numpy as np
import pytest

import evaluate
from src import checkpoint, evaluation
from src.audio import from_pcm16, to_pcm16
from src.config import Config, ModelConfig
from src.data.loading import Loaded
from src.data.manifest import Manifest, Utterance
from src.data.records import RecordFile, record_writer
from src.data.voice import BANDS, Voice
from src.errors import UserError
from src.inference import load_separate
from src.metrics import score
from src.models.swave import Swave
from tests.synthetic import voice

RATE = 8000
LENGTHS = (4000, 2500, 4000, 3001, 4000, 2500)
SILENT_RECORD = 3
NOISE_DB = 15.0


def pcm(record: int, num_samples: int) -> np.ndarray:
    """A mixture and its two sources, int16 [3, T]."""
    sources = np.stack([voice(pitch, num_samples / RATE, seed=record) for pitch in (110.0, 190.0 + record)])
    if record == SILENT_RECORD:
        sources[1] = 0.0
    steps = to_pcm16(sources).astype(np.int32)
    return np.concatenate([steps.sum(0, keepdims=True), steps]).astype(np.int16)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    """test.mindrecord with six mixtures, one of which has a silent source."""
    folder = tmp_path_factory.mktemp("data")
    mixtures = []
    for record, num_samples in enumerate(LENGTHS):
        utterance = Utterance(f"u{record}", "", ("", ""), num_samples, (f"p{record}", "q"), ("F", "M"))
        voices = tuple(Voice(loudness, 150.0, (0.0,) * len(BANDS)) for loudness in (-20.0 - record, -30.0))
        mixtures.append(Loaded(utterance, pcm(record, num_samples), voices, False))
    manifest = Manifest(RATE, 2, "mix_clean", folder, tuple(loaded.utterance for loaded in mixtures))
    with record_writer(folder / "test.mindrecord", manifest) as writer:
        for loaded in mixtures:
            writer.write(loaded)
    return folder


@pytest.fixture(scope="module")
def records(data_dir) -> RecordFile:
    return RecordFile(data_dir / "test.mindrecord")


class NoisyOracle:
    """Knows the sources; adds noise orthogonal to them, 15 dB below, and gives them in turned order, gain and sign."""

    def __init__(self) -> None:
        self.batch_shapes: list[tuple[int, ...]] = []

    def __call__(self, mixtures: np.ndarray) -> np.ndarray:
        self.batch_shapes.append(mixtures.shape)
        return np.stack([self.one(mixture) for mixture in mixtures]).astype(np.float32)

    @staticmethod
    def one(mixture: np.ndarray) -> np.ndarray:
        record = next(r for r, length in enumerate(LENGTHS) if np.array_equal(from_pcm16(pcm(r, length))[0], mixture))
        sources = from_pcm16(pcm(record, mixture.size)[1:]).astype(np.float64)
        noisy = []
        for source in sources - sources.mean(axis=1, keepdims=True):
            noise = np.random.default_rng(0).standard_normal(source.size)
            noise -= noise.mean()
            noise -= source * (noise @ source) / max(source @ source, 1e-9)
            noisy.append(source + noise * 10 ** (-NOISE_DB / 20) * np.linalg.norm(source) / np.linalg.norm(noise))
        return np.stack([-0.1 * noisy[1], 5.0 * noisy[0]])


@pytest.fixture(scope="module")
def results(records):
    return evaluation.score_records(records, NoisyOracle(), batch_size=2)


def test_whole_utterances_of_equal_length_share_a_batch(records):
    oracle = NoisyOracle()
    evaluation.score_records(records, oracle, batch_size=2)
    assert oracle.batch_shapes == [(2, 4000), (1, 4000), (1, 3001), (2, 2500)]
    assert evaluation.plan_batches(np.array(LENGTHS), 1) == [[0], [2], [4], [3], [1], [5]]


def test_every_record_has_the_known_score_in_its_place(results):
    assert [result.record for result in results] == list(range(len(LENGTHS)))
    for result in results:
        if result.record == SILENT_RECORD:
            assert result.scores is None
            assert result.reason == "source 2 is silent"
        else:
            np.testing.assert_allclose(result.scores.si_snr_db, NOISE_DB, atol=1e-3)
            np.testing.assert_array_equal(result.scores.order, [1, 0])


def test_improvements_are_over_the_mixture_of_the_record(results):
    rows = from_pcm16(pcm(1, LENGTHS[1]))
    expected = score(rows[1:], NoisyOracle.one(rows[0]), rows[0])
    np.testing.assert_allclose(results[1].scores.si_snri_db, expected.si_snri_db, atol=1e-3)
    np.testing.assert_allclose(results[1].scores.sdri_db, expected.sdri_db, atol=1e-3)


def test_batches_change_no_score(records, results):
    alone = evaluation.score_records(records, NoisyOracle(), batch_size=1)
    for one, other in zip(alone, results, strict=True):
        assert (one.scores is None) == (other.scores is None)
        if one.scores:
            np.testing.assert_array_equal(one.scores.sdri_db, other.scores.sdri_db)


def test_summary_is_the_mean_over_scored_utterances(records, results):
    summary = evaluation.summarize(records.index, results)
    assert (summary["num_utterances"], summary["num_not_scored"]) == (5, 1)
    assert summary["not_scored"] == {"u3": "source 2 is silent"}
    gains = [result.scores.si_snri_db.mean() for result in results if result.scores]
    assert summary["si_snri_db"] == pytest.approx(np.mean(gains))
    assert summary["si_snr_db"] == pytest.approx(NOISE_DB, abs=1e-3)
    lower, upper = summary["si_snri_interval_db"]
    assert min(gains) <= lower < summary["si_snri_db"] < upper <= max(gains)


def test_one_utterance_has_no_interval_and_none_is_a_mistake(records, results):
    one = evaluation.summarize(records.index, results[:1])
    assert one["si_snri_interval_db"] is None
    assert "interval" not in evaluation.format_summary(one)
    with pytest.raises(UserError, match="found no utterance with a score among 1: source 2 is silent"):
        evaluation.summarize(records.index, [results[SILENT_RECORD]])


def test_table_has_a_line_for_every_utterance(records, results, tmp_path):
    rows = [evaluation.to_row(records.index, result) for result in results]
    evaluation.write_results(tmp_path / "new", rows, evaluation.summarize(records.index, results))
    with (tmp_path / "new" / "per_utterance.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == ["u0", "u1", "u2", "u3", "u4", "u5"]
    assert [int(row["num_samples"]) for row in table] == list(LENGTHS)
    row = table[1]
    assert (row["speakers"], row["sexes"], row["loudness_lufs"]) == ("p1;q", "F;M", "-21.00;-30.00")
    assert float(row["si_snr_db"]) == pytest.approx(NOISE_DB, abs=1e-3)
    by_source = [float(value) for value in row["si_snri_db_by_source"].split(";")]
    assert np.mean(by_source) == pytest.approx(float(row["si_snri_db"]), abs=1e-3)
    assert (table[3]["si_snr_db"], table[3]["not_scored"]) == ("", "source 2 is silent")


def test_results_are_replaced_together_or_not_at_all(tmp_path):
    for name in (evaluation.PER_UTTERANCE, evaluation.SUMMARY):
        (tmp_path / name).write_text("old")
    with pytest.raises(TypeError):
        evaluation.write_results(tmp_path, [], {"bad": object()})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "per_utterance.csv"]
    assert all(path.read_text() == "old" for path in tmp_path.iterdir())


def test_screen_closes_with_the_line_of_the_recipe():
    summary = {
        "num_utterances": 3000,
        "num_not_scored": 2,
        "si_snr_db": 10.0,
        "si_snri_db": 9.875,
        "sdr_db": 10.5,
        "sdri_db": 10.501,
        "si_snri_interval_db": [9.5, 10.125],
    }
    lines = evaluation.format_summary(summary).splitlines()
    assert lines[1].split() == ["SI-SNR", "0.12", "dB", "10.00", "dB", "9.88", "dB"]
    assert lines[2].split() == ["SDR", "0.00", "dB", "10.50", "dB", "10.50", "dB"]
    assert lines[3] == "3000 utterances scored, 2 not"
    assert lines[4] == "95% interval of the SI-SNR improvement: 9.50 to 10.12 dB"
    assert lines[-1] == "Average SISNR improvement: 9.88"


# the real network

SMALL = ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, chunk_frames=16, sample_rate=RATE)


def save_network(path: Path, model: ModelConfig) -> Path:
    checkpoint.save(path, Swave(model).get_parameters(), Config(model=model), {})
    return path


def test_the_program_evaluates_a_checkpoint_alike_in_any_batches(tmp_path, data_dir, capsys, monkeypatch):
    model_path = save_network(tmp_path / "small.ckpt", SMALL)
    monkeypatch.setattr(evaluation, "load_separate", functools.cache(load_separate))  # compiles once
    summaries = []
    for batch_size in ("1", "3"):
        output = tmp_path / batch_size
        options = ["--data-dir", str(data_dir), "--batch-size", batch_size, "--output", str(output)]
        evaluate.main(["--model_path", str(model_path), *options])
        summaries.append(json.loads((output / "metrics.json").read_text()))
    one, three = summaries
    for metric in evaluation.METRICS:
        assert one[metric] == pytest.approx(three[metric], abs=1e-3)
    assert (one["num_utterances"], one["num_not_scored"]) == (5, 1)
    assert one["model_path"] == str(model_path)
    assert one["data_path"] == str(data_dir / "test.mindrecord")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"Average SISNR improvement: {three['si_snri_db']:.2f}"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ModelConfig(num_filters=32, num_speakers=3), "found 2 speakers, expected 3 speakers as the model has"),
        (ModelConfig(num_filters=32, sample_rate=16000), "found 8000 Hz, expected 16000 Hz as the model has"),
    ],
)
def test_data_that_do_not_fit_the_model(tmp_path, data_dir, model, message):
    model_path = save_network(tmp_path / "other.ckpt", model)
    with pytest.raises(UserError, match=rf"test\.mindrecord: {message}"):
        evaluation.evaluate(model_path, data_dir / "test.mindrecord", 1, tmp_path / "out")


@pytest.mark.parametrize("what", ["model", "data", "output", "batch size"])
def test_mistakes_are_one_line(tmp_path, data_dir, what):
    good = {
        "model": tmp_path / "small.ckpt",
        "data": data_dir / "test.mindrecord",
        "output": tmp_path / "out",
        "batch size": 1,
    }
    bad = {
        "model": tmp_path / "a.ckpt",
        "data": data_dir / "a.mindrecord",
        "output": tmp_path / "file",
        "batch size": 0,
    }
    messages = {
        "model": r"a\.ckpt: no such checkpoint",
        "data": r"a\.mindrecord: no such file",
        "output": "file: cannot be made",
        "batch size": "batch_size: found 0, expected at least 1",
    }
    save_network(good["model"], SMALL)
    (tmp_path / "file").touch()
    given = {**good, what: bad[what]}
    with pytest.raises(UserError, match=messages[what]) as caught:
        evaluation.evaluate(given["model"], given["data"], given["batch size"], given["output"])
    assert "\n" not in str(caught.value)
