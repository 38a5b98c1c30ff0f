"""The evaluation of known answers through stand-in networks, its stops and its complaints; a real one at the end."""

import csv
import dataclasses
import functools
import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from scipy.signal import lfilter

import evaluate
from src import checkpoint, evaluation
from src.audio import from_pcm16, to_pcm16
from src.config import CHUNK_SECONDS, Config, ModelConfig
from src.data.loading import Loaded
from src.data.manifest import Manifest, Utterance
from src.data.records import RecordFile, record_writer
from src.data.voice import BANDS, Voice
from src.errors import UserError
from src.evaluation import UNFINISHED, Request, Separation
from src.inference import load_separate
from src.metrics import score
from src.models.swave import Swave
from src.pretrained import PRETRAINED
from src.scores import whole_set
from src.scores.unfinished import unfinished_results
from src.stitching.chunks import Chunking, separate_in_chunks
from tests import work
from tests.synthetic import voice

RATE = 8000
LENGTHS = (4000, 2500, 4000, 3001, 4000, 2500)
SILENT_RECORD = 3
NOISE_DB = 15.0
WHOLE = Chunking()
CHUNKS = Chunking(3000, 600)


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
        persons, origins = (f"p{record}", "q"), ("asterisk", "tuxpaint")
        utterance = Utterance(f"u{record}", "", ("", ""), num_samples, persons, ("F", "M"), origins)
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


class Filter:
    """Splits any mixture into two tracks, better towards its end: chunks come out otherwise than the whole."""

    def __init__(self) -> None:
        self.batch_shapes: list[tuple[int, ...]] = []

    def __call__(self, mixtures: np.ndarray) -> np.ndarray:
        self.batch_shapes.append(mixtures.shape)
        low = lfilter([0.3], [1.0, -0.7], mixtures, axis=-1)
        leak = np.linspace(0.5, 0.0, mixtures.shape[-1]) * (mixtures - low)
        return np.stack([low + leak, mixtures - low - leak], axis=1).astype(np.float32)


def run(records, tmp_path, network, *, batch_size=2, chunking=WHOLE, compare_whole=False):
    """The results of all records."""
    separation = Separation(network, chunking, RATE, batch_size, compare_whole)
    with unfinished_results(tmp_path / UNFINISHED, {}) as unfinished:
        results = evaluation.score_records(records, separation, unfinished)
        unfinished.remove()
    return results


@pytest.fixture(scope="module")
def results(records, tmp_path_factory):
    return run(records, tmp_path_factory.mktemp("results"), NoisyOracle())


# batches and scores


def test_whole_utterances_of_equal_length_share_a_batch(records, tmp_path):
    oracle = NoisyOracle()
    run(records, tmp_path, oracle)
    assert oracle.batch_shapes == [(2, 4000), (1, 4000), (1, 3001), (2, 2500)]
    alone = Separation(oracle, WHOLE, RATE, 1, False)
    assert evaluation.plan_batches(np.array(LENGTHS), alone) == [[0], [2], [4], [3], [1], [5]]


def test_every_record_has_the_known_score_in_its_place(results):
    assert [result.record for result in results] == list(range(len(LENGTHS)))
    for result in results:
        if result.record == SILENT_RECORD:
            assert result.values == {}
            assert result.reason == "source 2 is silent"
        else:
            np.testing.assert_allclose(result.values["si_snr_db"], NOISE_DB, atol=1e-3)


def test_improvements_are_over_the_mixture_of_the_record(results):
    rows = from_pcm16(pcm(1, LENGTHS[1]))
    expected = score(rows[1:], NoisyOracle.one(rows[0]), rows[0])
    np.testing.assert_allclose(results[1].values["si_snri_db"], expected.si_snri_db, atol=1e-3)
    np.testing.assert_allclose(results[1].values["sdri_db"], expected.sdri_db, atol=1e-3)


def test_batches_change_no_score(records, results, tmp_path):
    assert run(records, tmp_path, NoisyOracle(), batch_size=1) == results


def use_processes(monkeypatch):
    """Even for little work, and on a machine with one core."""
    monkeypatch.setattr(whole_set, "SECONDS_FOR_PROCESSES", 0.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def test_several_processes_give_the_same_as_one(records, results, tmp_path, monkeypatch):
    use_processes(monkeypatch)
    asked = []
    real = whole_set.map_in_processes

    def counted(work, items, num_processes, **options):
        asked.append(num_processes)
        return real(work, items, num_processes, **options)

    monkeypatch.setattr(whole_set, "map_in_processes", counted)
    for one, other in zip(run(records, tmp_path, NoisyOracle()), results, strict=True):
        assert (one.record, one.reason) == (other.record, other.reason)
        for name, values in other.values.items():
            assert one.values[name] == pytest.approx(values, abs=1e-6)
    assert asked == [2]


# chunks


def test_longer_utterances_go_in_chunks_and_shorter_ones_whole(records, tmp_path):
    network = Filter()
    results = run(records, tmp_path, network, chunking=CHUNKS)
    assert [result.num_chunks for result in results] == [2, 1, 2, 2, 2, 1]
    assert network.batch_shapes == [(2, 3000)] * 4 + [(2, 2500)]  # both chunks of an utterance share a batch
    rows = from_pcm16(pcm(4, LENGTHS[4]))
    tracks = np.concatenate(list(separate_in_chunks(rows[0], Filter(), CHUNKS, RATE)), axis=1)
    expected = score(rows[1:], tracks, rows[0])
    np.testing.assert_allclose(results[4].values["si_snr_db"], expected.si_snr_db, atol=1e-9)


def test_chunks_beside_the_whole(records, tmp_path):
    in_chunks = run(records, tmp_path, Filter(), chunking=CHUNKS)
    whole = run(records, tmp_path, Filter())
    both = run(records, tmp_path, Filter(), chunking=CHUNKS, compare_whole=True)
    for one, other, together in zip(in_chunks, whole, both, strict=True):
        assert together.values == one.values
        assert one.whole_si_snri_db is None
        compared = together.num_chunks == 2 and not together.reason
        assert together.whole_si_snri_db == (pytest.approx(other.mean("si_snri_db")) if compared else None)
    assert both[0].whole_si_snri_db != pytest.approx(both[0].mean("si_snri_db"), abs=1e-6)


# going on


class StopsAt(Filter):
    """Is interrupted in its batch of this number, from 0."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def __call__(self, mixtures: np.ndarray) -> np.ndarray:
        if len(self.batch_shapes) == self.number:
            raise KeyboardInterrupt
        return super().__call__(mixtures)


FITTING = ModelConfig(num_filters=32, sample_rate=RATE)


@pytest.fixture
def evaluate_with(data_dir, tmp_path, monkeypatch):
    """A function that evaluates with a stand-in for a checkpoint's network."""
    (tmp_path / "a.ckpt").write_text("weights")

    def evaluate_(network, **options):
        monkeypatch.setattr(evaluation, "load_separate", lambda _path, _amp: (network, FITTING))
        request = Request(tmp_path / "a.ckpt", data_dir / "test.mindrecord", tmp_path / "out", **{**OPTIONS, **options})
        evaluation.evaluate(request)
        return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    return evaluate_


OPTIONS = {"batch_size": 2, "chunk_seconds": 0.375, "overlap_seconds": 0.075, "compare_whole": True}


@pytest.mark.parametrize("several", [False, True])
def test_an_interrupted_evaluation_goes_on_to_the_same_files(evaluate_with, tmp_path, monkeypatch, capsys, several):
    if several:
        use_processes(monkeypatch)
    expected = evaluate_with(Filter())
    assert sorted(expected) == ["metrics.json", "per_utterance.csv"]
    for name in expected:
        (tmp_path / "out" / name).unlink()
    with pytest.raises(KeyboardInterrupt):
        evaluate_with(StopsAt(5))  # chunks and whole, twice, and the third one's chunks are done
    assert [path.name for path in (tmp_path / "out").iterdir()] == [UNFINISHED]
    num_kept = len((tmp_path / "out" / UNFINISHED).read_text().splitlines()) - 1
    assert num_kept == 2 or several  # the pool may not have got so far
    capsys.readouterr()
    network = Filter()
    assert evaluate_with(network) == expected
    if num_kept:
        told = f"going on: {num_kept} of 6 utterances were scored before ({tmp_path / 'out' / UNFINISHED})"
        assert capsys.readouterr().out.splitlines()[0] == told
    assert len(network.batch_shapes) == 9 - 2 * num_kept


def test_a_batch_that_was_half_done_is_separated_again_and_scored_once(evaluate_with, tmp_path, monkeypatch):
    whole = {"chunk_seconds": 0.0, "compare_whole": False}
    expected = evaluate_with(Filter(), **whole)
    scored = []

    def score_until_the_second(utterance):
        if len(scored) == 1:
            raise KeyboardInterrupt
        scored.append(utterance.record)
        return real(utterance)

    real = whole_set.score_utterance
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(whole_set, "score_utterance", score_until_the_second)
        evaluate_with(Filter(), **whole)
    monkeypatch.setattr(whole_set, "score_utterance", lambda one: scored.append(one.record) or real(one))
    network = Filter()
    assert evaluate_with(network, **whole) == expected
    assert network.batch_shapes == [(2, 4000), (1, 4000), (1, 3001), (2, 2500)]  # as without an interruption
    assert Counter(scored) == dict.fromkeys(range(6), 1)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 1},
        {"chunk_seconds": 0.4},
        {"overlap_seconds": 0.1},
        {"compare_whole": False},
        {"device_target": "Ascend"},
        {"amp": "bfloat16"},
    ],
    ids=str,
)
def test_other_options_begin_anew(evaluate_with, tmp_path, capsys, change):
    with pytest.raises(KeyboardInterrupt):
        evaluate_with(StopsAt(4))
    files = evaluate_with(Filter(), **change)
    assert f"{UNFINISHED}: found results of another checkpoint, data set or options" in capsys.readouterr().out
    assert sorted(files) == ["metrics.json", "per_utterance.csv"]


def test_what_results_belong_to(data_dir, tmp_path, records, monkeypatch):
    path = tmp_path / "a.ckpt"
    path.write_text("weights")
    request = Request(path, data_dir / "test.mindrecord", tmp_path)
    key = evaluation.make_key(request, records.index, WHOLE)
    assert evaluation.make_key(request, records.index, WHOLE) == key
    assert json.loads(json.dumps(key)) == key
    assert key["data"] == records.index.digest
    (tmp_path / "moved.ckpt").write_text("weights")
    moved = Request(tmp_path / "moved.ckpt", data_dir / "moved.mindrecord", tmp_path / "elsewhere")
    assert evaluation.make_key(moved, records.index, WHOLE) == key
    path.write_text("other weights")
    assert evaluation.make_key(request, records.index, WHOLE) != key
    monkeypatch.setattr(evaluation, "pesq_is_installed", lambda: not key["pesq"])
    path.write_text("weights")
    assert evaluation.make_key(request, records.index, WHOLE) != key


def test_a_process_that_dies_is_told_in_one_line_and_loses_nothing(evaluate_with, tmp_path, monkeypatch):
    use_processes(monkeypatch)
    with monkeypatch.context() as patch, pytest.raises(UserError, match="a process that scores was killed") as caught:
        patch.setattr(whole_set, "score_utterance", work.die)
        evaluate_with(Filter())
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [UNFINISHED]
    assert sorted(evaluate_with(Filter())) == ["metrics.json", "per_utterance.csv"]


# files and screen


def test_files_and_groups(evaluate_with, tmp_path, capsys):
    evaluate_with(Filter())
    summary = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert summary["model_path"] == str(tmp_path / "a.ckpt")
    assert summary["model_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert summary["name"] == ""
    assert (summary["num_utterances"], summary["num_not_scored"]) == (5, 1)
    assert summary["not_scored"] == {"u3": "source 2 is silent"}
    chunking = summary["chunking"]
    assert (chunking["chunk_seconds"], chunking["overlap_seconds"], chunking["num_longer"]) == (0.375, 0.075, 4)
    assert chunking["num_compared"] == 3  # one of the four is silent
    assert {kind: list(found) for kind, found in summary["groups"].items()} == {
        "length": ["< 3 s"],
        "sexes": ["FM"],
        "chains": ["across chains"],
        "origins": ["asterisk+tuxpaint"],
    }
    with (tmp_path / "out" / "per_utterance.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == ["u0", "u1", "u2", "u3", "u4", "u5"]
    assert [row["origins"] for row in table] == ["asterisk;tuxpaint"] * 6
    assert table[1]["speakers"] == "p1;q"
    told = capsys.readouterr()
    assert "6 of 6 utterances done, 2.5 s of audio in " in told.out and ": real-time factor " in told.out
    assert "evaluating: 100%" in told.err and "6/6 utterances, real-time factor " in told.err


def test_the_report_gets_the_results_and_the_tracks(evaluate_with, tmp_path, monkeypatch):
    got = {}

    def write_examples(folder, summary, rows, results, *, records, separate):
        mixture = next(records.read([4]))[0]
        got.update(folder=folder, summary=summary, rows=rows, results=results, tracks=separate(mixture))
        got.update(expected=np.concatenate(list(separate_in_chunks(mixture, Filter(), CHUNKS, RATE)), axis=1))
        got.update(short=separate(next(records.read([1]))[0]))

    monkeypatch.setattr(evaluation, "write_examples", write_examples)
    evaluate_with(Filter(), report_dir=tmp_path / "page")
    assert got["folder"] == tmp_path / "page"
    assert got["summary"] == json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [row["id"] for row in got["rows"]] == [f"u{result.record}" for result in got["results"]]
    np.testing.assert_array_equal(got["tracks"], got["expected"])
    assert got["short"].shape == (2, 2500)


# the real network

SMALL = ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, chunk_frames=16, sample_rate=RATE)


def save_network(path: Path, model: ModelConfig, fill: float | None = None) -> Path:
    network = Swave(model)
    for parameter in network.get_parameters() if fill is not None else ():
        parameter.set_data(Tensor(np.full(parameter.shape, fill, np.float32)))
    checkpoint.save(path, network.get_parameters(), Config(model=model), {})
    return path


def test_the_program_evaluates_a_checkpoint_alike_in_any_batches(tmp_path, data_dir, capsys, monkeypatch):
    model_path = save_network(tmp_path / "small.ckpt", SMALL)
    monkeypatch.setattr(evaluation, "load_separate", functools.cache(load_separate))  # compiles once
    summaries = []
    for batch_size in ("1", "3"):
        output = tmp_path / batch_size
        options = ["--data-dir", str(data_dir), "--batch-size", batch_size, "--output", str(output)]
        chunks = ["--chunk-seconds", "0.375", "--overlap-seconds", "0.075", "--compare-whole", "--device", "CPU"]
        evaluate.main(["--model_path", str(model_path), *options, *chunks])
        summaries.append(json.loads((output / "metrics.json").read_text()))
    one, three = summaries
    for metric in ("si_snr_db", "si_snri_db", "sdr_db", "sdri_db"):
        assert one[metric] == pytest.approx(three[metric], abs=1e-3)
    assert (one["num_utterances"], one["num_not_scored"]) == (5, 1)
    assert one["model_path"] == str(model_path)
    assert one["data_path"] == str(data_dir / "test.mindrecord")
    assert one["chunking"]["num_compared"] == 3
    shown = capsys.readouterr().out
    assert "4 of 6 utterances are longer than a chunk of 0.375 s, and were separated in chunks" in shown
    assert shown.splitlines()[-1] == f"Average SISNR improvement: {three['si_snri_db']:.2f}"


def test_by_default_chunks_are_those_of_every_program(monkeypatch, tmp_path, data_dir):
    requests = []
    summary = {"seen": True}
    monkeypatch.setattr(evaluation, "evaluate", lambda request: requests.append(request) or summary)
    monkeypatch.setattr("src.scores.table.format_summary", str)
    evaluate.main(["--model_path", "a.ckpt", "--data-dir", str(data_dir)])
    assert requests == [Request(Path("a.ckpt"), data_dir / "test.mindrecord", Path("runs/evaluate"))]
    assert (requests[0].chunk_seconds, requests[0].overlap_seconds) == (CHUNK_SECONDS, None)
    evaluate.main(["--model_path", "a.ckpt", "--data-dir", str(data_dir), "--amp", "bfloat16"])
    assert (requests[0].amp, requests[1].amp) == ("none", "bfloat16")


def test_the_network_that_comes_with_the_program_is_the_default_and_told(monkeypatch, data_dir, capsys):
    requests = []
    monkeypatch.setattr(evaluation, "evaluate", requests.append)
    monkeypatch.setattr("src.scores.table.format_summary", str)
    evaluate.main(["--data-dir", str(data_dir), "--name", "ours"])
    assert (requests[0].model_path, requests[0].name) == (PRETRAINED, "ours")
    assert capsys.readouterr().out.splitlines()[0] == f"network: {PRETRAINED}"


@pytest.mark.usefixtures("bfloat16_runs")
def test_an_evaluation_in_bfloat16_says_so_and_scores_nearly_the_same(tmp_path, data_dir):
    model_path = save_network(tmp_path / "tiles.ckpt", dataclasses.replace(SMALL, hidden_size=32))
    none, half = (
        evaluation.evaluate(Request(model_path, data_dir / "test.mindrecord", tmp_path / amp, batch_size=3, amp=amp))
        for amp in ("none", "bfloat16")
    )
    assert (none["amp"], half["amp"]) == ("none", "bfloat16")
    assert none["si_snri_db"] != half["si_snri_db"] == pytest.approx(none["si_snri_db"], abs=0.5)


# mistakes


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
        evaluation.evaluate(Request(model_path, data_dir / "test.mindrecord", tmp_path / "out"))


def spoiled(data_dir: Path, folder: Path, what: str) -> Path:
    """A copy of the data that cannot be used."""
    folder.mkdir()
    for name in ("test.mindrecord", "test.mindrecord.db"):
        (folder / name).write_bytes((data_dir / name).read_bytes())
    path = folder / "test.mindrecord"
    if what == "cut off":
        os.truncate(path, path.stat().st_size // 2)
    elif what == "without index":
        (folder / "test.mindrecord.db").unlink()
    elif what == "another index":
        (folder / "test.mindrecord.db").write_text("not a database\n" * 100)
    elif what == "renamed":
        (folder / "test.mindrecord.db").rename(folder / "x.mindrecord.db")
        path = path.rename(folder / "x.mindrecord")
    return path


MISTAKES = {
    "model": r"a\.ckpt: no such checkpoint",
    "data": r"a\.mindrecord: no such file",
    "cut off": r"test\.mindrecord: damaged or incomplete",
    "without index": r"test\.mindrecord: its index test\.mindrecord\.db is missing",
    "another index": r"test\.mindrecord: not a data set that preprocess\.py wrote",
    "renamed": r"x\.mindrecord: was renamed: found x\.mindrecord, expected test\.mindrecord",
    "output": r"file: cannot be made \(File exists\), expected a folder",
    "report": r"file: cannot be made \(File exists\), expected a folder",
    "read-only": "no/such: cannot be made",
    "batch size": "batch_size: found 0, expected at least 1",
    "negative chunk": r"chunk_seconds: found -1.0, expected seconds, or 0",
    "no number": "chunk_seconds: found nan, expected seconds, or 0",
    "overlap": "overlap_seconds: found 0.6, expected at most half of chunk_seconds, 0.5",
    "tiny chunk": "chunk_seconds: found 1e-06, expected at least 0.1, or 0",
    "NaN weights": r"nan\.ckpt: the network's output is NaN or infinite, expected finite weights",
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_are_one_line(tmp_path, data_dir, what):
    (tmp_path / "file").touch()
    changed = {
        "model": {"model_path": tmp_path / "a.ckpt"},
        "data": {"data_path": data_dir / "a.mindrecord"},
        "output": {"output_dir": tmp_path / "file"},
        "report": {"report_dir": tmp_path / "file"},
        "read-only": {"output_dir": Path("/proc/no/such")},
        "batch size": {"batch_size": 0},
        "negative chunk": {"chunk_seconds": -1.0},
        "no number": {"chunk_seconds": float("nan")},
        "overlap": {"chunk_seconds": 1.0, "overlap_seconds": 0.6},
        "tiny chunk": {"chunk_seconds": 1e-6, "overlap_seconds": 0.0},
    }.get(what, {})
    if what in ("cut off", "without index", "another index", "renamed"):
        changed = {"data_path": spoiled(data_dir, tmp_path / "data", what)}
    if what == "NaN weights":
        changed = {"model_path": save_network(tmp_path / "nan.ckpt", SMALL, fill=np.nan)}
    good = {
        "model_path": save_network(tmp_path / "small.ckpt", SMALL),
        "data_path": data_dir / "test.mindrecord",
        "output_dir": tmp_path / "out",
    }
    with pytest.raises(UserError, match=MISTAKES[what]) as caught:
        evaluation.evaluate(Request(**{**good, **changed}))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "metrics.json").exists()
