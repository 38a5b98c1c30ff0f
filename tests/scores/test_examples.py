"""Which utterances a report lets one hear, and how their tracks come to it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from src.report import page as page_module
from src.scores.examples import choose_examples, to_scale, write_examples
from src.scores.scoring import Result
from tests.synthetic import voice


def make_results(*gains_db: float | None) -> list[Result]:
    """None: not scored."""
    return [
        Result(record, {}, "source 1 is silent")
        if gain is None
        else Result(record, {"si_snri_db": [gain - 1.0, gain + 1.0]})
        for record, gain in enumerate(gains_db)
    ]


@pytest.mark.parametrize(
    ("gains_db", "expected"),
    [
        ((3.0, None, 9.0, -2.0, 5.0, 4.0), {"Best": 2, "Median": 5, "Worst": 3}),
        ((1.0, 2.0, 3.0), {"Best": 2, "Median": 1, "Worst": 0}),
        ((1.0, 2.0, 3.0, 4.0), {"Best": 3, "Median": 2, "Worst": 0}),
        ((None, 1.0, 2.0), {"Best": 2, "Worst": 1}),
        ((1.0, None), {"Best": 0}),
        ((7.0, 7.0, 7.0), {"Best": 0, "Median": 1, "Worst": 2}),
    ],
)
def test_best_median_and_worst_of_those_with_a_score(gains_db, expected):
    chosen = choose_examples(make_results(*gains_db))
    assert chosen == expected
    assert list(chosen) == list(expected)


@pytest.fixture
def audio() -> np.ndarray:
    """float32 [2, 3, T]: two records, each a mixture and its sources."""
    sources = np.stack([[voice(pitch, 0.5, seed=record) for pitch in (110.0, 190.0)] for record in range(2)])
    return np.concatenate([sources.sum(1, keepdims=True), sources], axis=1)


def turned(sources: np.ndarray) -> np.ndarray:
    """As a network may leave them."""
    return np.stack([-40.0 * sources[1], 0.001 * sources[0]])


def test_tracks_come_into_the_references_order_gain_and_sign(audio):
    scaled = to_scale(turned(audio[0, 1:]), audio[0])
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, audio[0, 1:], atol=1e-4)


def test_the_report_gets_cases_of_the_right_utterances(audio, tmp_path, monkeypatch, capsys):
    got: list[Any] = []

    def write_report(folder, summary, rows, cases):
        got.extend([folder, summary, rows, cases])
        return folder / "index.html"

    monkeypatch.setattr(page_module, "write_report", write_report)
    sources_of = {mixture.tobytes(): sources for mixture, *sources in audio}
    records = SimpleNamespace(
        index=SimpleNamespace(ids=("u0", "u1"), sample_rate=8000), read=lambda order: iter(audio[list(order)])
    )
    summary, rows = {"si_snri_db": 2.0}, [{"id": "u0"}, {"id": "u1"}]
    page = write_examples(
        tmp_path,
        summary,
        rows,
        make_results(1.0, 3.0),
        records=records,
        separate=lambda mixture: turned(np.stack(sources_of[mixture.tobytes()])),
    )
    assert page == tmp_path / "index.html"
    assert capsys.readouterr().out == f"report: {page}\n"
    folder, given_summary, given_rows, cases = got
    assert (folder, given_summary, given_rows) == (tmp_path, summary, rows)
    assert [(case.title, case.id, case.sample_rate) for case in cases] == [("Best", "u1", 8000), ("Worst", "u0", 8000)]
    for case, record in zip(cases, (1, 0), strict=True):
        assert case.row == rows[record]
        np.testing.assert_array_equal(case.mixture, audio[record, 0])
        np.testing.assert_array_equal(case.references, audio[record, 1:])
        np.testing.assert_allclose(case.estimates, audio[record, 1:], atol=1e-4)
