"""The arithmetic of benchmarks/ascend_on_paper.py."""

from pathlib import Path

import pytest

from benchmarks import ascend_on_paper
from benchmarks.ascend_on_paper import Assumptions, cells_in_sequence, dense_overlap_add, expected_parts, step_flops


def test_the_dense_matrix_is_the_original_s():
    dense = dense_overlap_add(6)
    assert (dense.rows, dense.inner, dense.columns) == (6 * 2 * 4, 31_996, 8_002)
    assert dense.matrix_bytes == pytest.approx(1.024e9, rel=1e-3)
    assert dense.multiply_adds == 48 * 31_996 * 8_002


def test_the_dense_matrix_adds_zeros():
    dense = dense_overlap_add(6)
    assert dense.multiply_adds // dense.useful == dense.columns


def test_the_work_of_a_step():
    assert step_flops(6) == pytest.approx(6 * 3 * 2 * 120.9e9, rel=1e-3)
    assert ascend_on_paper.step_bytes(6, "float32") == 2 * ascend_on_paper.step_bytes(6, "float16")


def test_time_steps_wait_for_each_other():
    assert cells_in_sequence(side_by_side=True) == 6 * (126 + 128)
    assert cells_in_sequence(side_by_side=False) == 4 * 6 * (126 + 128)


def test_parts_follow_their_assumptions():
    usual = expected_parts(Assumptions(), side_by_side=True)
    changed = expected_parts(Assumptions(peak_tflops=512, bandwidth_tb=0.6, cell_us=20), side_by_side=True)
    ratios = [changed[name] / usual[name] for name in usual]
    assert ratios == pytest.approx([0.5, 2, 2])


def test_twice_the_batch_is_twice_the_work_but_no_more_time_steps():
    one, two = (expected_parts(Assumptions(batch=batch), side_by_side=False) for batch in (6, 12))
    assert [two[name] / one[name] for name in one] == pytest.approx([2, 2, 1])


def test_the_original_s_time_is_not_explained_by_counting():
    assert sum(ascend_on_paper.original_parts(Assumptions()).values()) < 0.1 * ascend_on_paper.ORIGINAL_SECONDS


def test_the_tables_are_printed(capsys):
    ascend_on_paper.main(["--batch", "3", "--cell_us", "5"])
    text = capsys.readouterr().out
    assert "step of 3 examples" in text
    assert "[24 x 31,996] x [31,996 x 8,002]: 1.02 GB" in text


def test_the_documentation_shows_what_the_program_prints(capsys):
    ascend_on_paper.main([])
    text = (Path(__file__).parent.parent / "docs" / "performance.md").read_text(encoding="utf-8")
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert printed
    assert [line for line in printed if line not in text] == []
