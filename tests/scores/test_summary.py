"""Means, groups and lines of the table from results that are given."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from src.data.record_index import RecordIndex
from src.errors import UserError
from src.metrics import bootstrap_interval
from src.scores import summary as module
from src.scores.scoring import METRICS, Result
from src.scores.summary import groups, summarize, to_row, write_results
from src.stitching.chunks import Chunking

RATE = 8000
SECONDS = (2.0, 3.0, 5.0, 9.99, 10.0, 60.0)
SPEAKERS = (("a", "b"), ("c", "d"), ("a", "c"), (), ("b", "a"), ("a", "b"))
SEXES = (("M", "F"), ("F", "M"), ("F", "F"), (), ("M", "M"), ("F", "M"))
ORIGINS = (("y", "x"), ("x", "y"), ("x", "x"), (), (), ("y", "y"))
SILENT = 4
WHOLE = Chunking()


def make_index(**others) -> RecordIndex:
    count = len(SECONDS)
    index = RecordIndex(
        ids=tuple(f"u{record}" for record in range(count)),
        speakers=SPEAKERS,
        sexes=SEXES,
        num_samples=np.array([round(seconds * RATE) for seconds in SECONDS]),
        loudness_lufs=np.tile([-20.0, -30.0], (count, 1)),
        pitch_hz=np.full((count, 2), 150.0),
        spectrum_db=np.zeros((count, 2, 3)),
        sample_rate=RATE,
        num_speakers=2,
        mixture_type="mix_clean",
        origins=ORIGINS,
    )
    return replace(index, **others)


def make_result(record: int, **others) -> Result:
    """Improvements of record + 1 dB, for the sources half a dB less and more."""
    if record == SILENT:
        return Result(record, reason="source 2 is silent")
    values = {
        "si_snr_db": [record + 0.5, record + 1.5],
        "si_snri_db": [record + 0.5, record + 1.5],
        "sdr_db": [record + 4.0, record + 4.0],
        "sdri_db": [record + 2.0, record + 2.0],
        "stoi": [0.8, None] if record == 0 else [0.7, 0.9],
        "stoi_improvement": [0.2, None] if record == 0 else [0.1, 0.1 + 0.1 * record],
        "pesq": [None, None],
        "pesq_improvement": [None, None],
    }
    return replace(Result(record, values), **others)


@pytest.fixture
def index():
    return make_index()


@pytest.fixture
def results():
    return [make_result(record) for record in range(len(SECONDS))]


SCORED = [record for record in range(len(SECONDS)) if record != SILENT]  # 0, 1, 2, 3, 5


def test_means_over_sources_and_then_over_scored_utterances(index, results):
    summary = summarize(index, results, WHOLE, False)
    assert summary["si_snri_db"] == pytest.approx(np.mean(SCORED) + 1)
    assert summary["sdr_db"] == pytest.approx(np.mean(SCORED) + 4)
    assert summary["stoi"] == pytest.approx(0.8)
    assert summary["stoi_improvement"] == pytest.approx(np.mean([0.2] + [0.1 + 0.05 * r for r in SCORED[1:]]))
    assert summary["pesq"] is summary["pesq_improvement"] is summary["pesq_improvement_interval"] is None


def test_intervals_are_those_of_the_bootstrap(index, results):
    summary = summarize(index, results, WHOLE, False)
    assert summary["si_snri_interval_db"] == list(bootstrap_interval([record + 1.0 for record in SCORED]))
    assert summary["sdri_interval_db"] == list(bootstrap_interval([record + 2.0 for record in SCORED]))
    lower, upper = summary["stoi_improvement_interval"]
    assert lower < summary["stoi_improvement"] < upper
    one = summarize(index, results[:1], WHOLE, False)
    assert one["si_snri_interval_db"] is one["sdri_interval_db"] is one["stoi_improvement_interval"] is None


def test_what_has_no_score_is_counted_with_its_reason(index, results):
    results[1] = Result(1, reason="source 2 is silent")
    results[3] = Result(3, reason="source 1 is silent")
    summary = summarize(index, results, WHOLE, False)
    assert (summary["num_utterances"], summary["num_not_scored"]) == (3, 3)
    reasons = {"u1": "source 2 is silent", "u3": "source 1 is silent", "u4": "source 2 is silent"}
    assert summary["not_scored"] == reasons
    assert summary["not_scored_by_reason"] == {"source 2 is silent": 2, "source 1 is silent": 1}
    assert list(summary["not_scored_by_reason"]) == ["source 2 is silent", "source 1 is silent"]  # most first
    assert summary["sources_without"] == {"stoi": 1, "pesq": 6}
    assert summary["num_sources"] == 6


def test_no_score_at_all_is_a_mistake(index, results):
    with pytest.raises(UserError, match="found no utterance with a score among 1: source 2 is silent"):
        summarize(index, [results[SILENT]], WHOLE, False)


def test_why_there_is_no_pesq(index, results, monkeypatch):
    monkeypatch.setattr(module, "why_no_pesq", lambda rate: f"not at {rate}")
    assert summarize(index, results, WHOLE, False)["no_pesq_because"] == "not at 8000"
    assert summarize(index, results, WHOLE, False)["pesq_band"] == "narrow band"
    wide = summarize(make_index(sample_rate=16000), results, WHOLE, False)
    assert wide["pesq_band"] == "wide band"
    assert summarize(make_index(sample_rate=11025), results, WHOLE, False)["pesq_band"] is None


# groups


def test_groups_by_length(index, results):
    found = groups(index, [results[record] for record in SCORED])["length"]
    assert {name: group["num_utterances"] for name, group in found.items()} == {
        "< 3 s": 1,
        "3 to 5 s": 1,
        "5 to 10 s": 2,
        ">= 10 s": 1,
    }
    assert list(found) == ["< 3 s", "3 to 5 s", "5 to 10 s", ">= 10 s"]
    assert found["5 to 10 s"]["si_snri_db"] == pytest.approx(3.5)  # records 2 and 3
    assert found["5 to 10 s"]["sdri_db"] == pytest.approx(4.5)
    assert found["5 to 10 s"]["si_snri_interval_db"] == list(bootstrap_interval([3.0, 4.0]))
    assert found["5 to 10 s"]["sdri_interval_db"] == list(bootstrap_interval([4.0, 5.0]))
    assert found["< 3 s"]["si_snri_interval_db"] is None


def test_groups_by_sexes_and_origins_know_no_order_and_leave_out_the_unknown(index, results):
    found = groups(index, [results[record] for record in SCORED])
    assert {name: group["num_utterances"] for name, group in found["sexes"].items()} == {"FF": 1, "FM": 3}
    assert found["sexes"]["FM"]["si_snri_db"] == pytest.approx(np.mean([1.0, 2.0, 6.0]))
    assert {name: group["num_utterances"] for name, group in found["origins"].items()} == {
        "x+x": 1,
        "x+y": 2,
        "y+y": 1,
    }


def test_one_origin_is_a_chain_and_the_unknown_belongs_nowhere(index, results):
    found = groups(index, [results[record] for record in SCORED])["chains"]
    assert {name: group["num_utterances"] for name, group in found.items()} == {"across chains": 2, "within a chain": 2}
    assert found["across chains"]["si_snri_db"] == pytest.approx(np.mean([1.0, 2.0]))
    assert found["within a chain"]["si_snri_db"] == pytest.approx(np.mean([3.0, 6.0]))
    assert found["within a chain"]["si_snri_interval_db"] == list(bootstrap_interval([3.0, 6.0]))


def test_without_labels_there_are_no_such_groups(results):
    nobody = ((),) * len(SECONDS)
    for origins in (nobody, ()):
        found = groups(make_index(sexes=nobody, origins=origins), [results[record] for record in SCORED])
        assert found["sexes"] == found["chains"] == found["origins"] == {}
        assert len(found["length"]) == 4


def test_three_speakers(results):
    found = groups(make_index(sexes=(("M", "F", "F"),) * len(SECONDS)), results[:2])["sexes"]
    assert {name: group["num_utterances"] for name, group in found.items()} == {"FFM": 2}


# chunks


def test_how_many_were_longer_than_a_chunk(index, results):
    told = summarize(index, results, Chunking(5 * RATE, RATE), False)["chunking"]
    assert (told["chunk_seconds"], told["overlap_seconds"]) == (5.0, 1.0)
    assert (told["num_longer"], told["num_all"]) == (3, 6)
    assert (told["num_compared"], told["whole_si_snri_db"], told["difference_db"]) == (0, None, None)
    assert summarize(index, results, WHOLE, False)["chunking"]["num_longer"] == 0


def test_chunks_are_compared_with_the_whole_on_the_same_utterances(index, results):
    results[3] = replace(results[3], num_chunks=2, whole_si_snri_db=5.0)
    results[5] = replace(results[5], num_chunks=9, whole_si_snri_db=5.5)
    told = summarize(index, results, Chunking(5 * RATE, RATE), True)["chunking"]
    assert told["compare_whole"] is True
    assert told["num_compared"] == 2
    assert told["chunked_si_snri_db"] == pytest.approx((4.0 + 6.0) / 2)
    assert told["whole_si_snri_db"] == pytest.approx(5.25)
    assert told["difference_db"] == pytest.approx(-0.25)


# files


def test_a_line_of_the_table(index):
    row = to_row(index, make_result(1, num_chunks=2, whole_si_snri_db=1.25))
    assert row == {
        "id": "u1",
        "num_samples": "24000",
        "seconds": "3.000",
        "speakers": "c;d",
        "sexes": "F;M",
        "origins": "x;y",
        "loudness_lufs": "-20.00;-30.00",
        "pitch_hz": "150.0;150.0",
        "input_si_snr_db": "0.0000",
        "si_snr_db": "2.0000",
        "si_snri_db": "2.0000",
        "sdr_db": "5.0000",
        "sdri_db": "3.0000",
        "stoi": "0.8000",
        "stoi_improvement": "0.1500",
        "pesq": "",
        "pesq_improvement": "",
        "si_snri_db_by_source": "1.5000;2.5000",
        "num_chunks": "2",
        "whole_si_snri_db": "1.2500",
        "not_scored": "",
    }


def test_a_line_without_scores(index, results):
    row = to_row(index, results[SILENT])
    assert row["not_scored"] == "source 2 is silent"
    assert (row["origins"], row["seconds"], row["num_chunks"]) == ("", "10.000", "1")
    assert {row[name] for pair in METRICS.items() for name in pair} == {""}
    assert to_row(make_index(origins=()), results[0])["origins"] == ""


def test_files_hold_all_lines_and_the_summary(index, results, tmp_path):
    summary = summarize(index, results, WHOLE, False)
    write_results(tmp_path / "new", [to_row(index, result) for result in results], summary)
    with (tmp_path / "new" / "per_utterance.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == list(index.ids)
    assert tuple(table[0]) == module.COLUMNS
    assert json.loads((tmp_path / "new" / "metrics.json").read_text()) == summary


def test_results_are_replaced_together_or_not_at_all(tmp_path):
    for name in (module.PER_UTTERANCE, module.SUMMARY):
        (tmp_path / name).write_text("old")
    with pytest.raises(TypeError):
        write_results(tmp_path, [], {"bad": object()})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "per_utterance.csv"]
    assert all(path.read_text() == "old" for path in tmp_path.iterdir())
