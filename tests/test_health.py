import math
import threading
import time
from pathlib import Path

import pytest

from src.errors import UserError
from src.health import FIRST_SCALE, SCALE_PERIOD, Health, watched


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (1.0, math.inf), (-math.inf, 1.0)])
def test_what_is_not_finite_is_counted(loss, norm):
    health = Health()
    assert health.observe(1.0, 2.0)
    assert not health.observe(loss, norm)
    assert not health.observe(loss, norm)
    assert (health.skipped, health.skipped_in_a_row, health.loss_scale) == (2, 2, 1.0)
    assert health.observe(1.0, 2.0)
    assert (health.skipped, health.skipped_in_a_row) == (2, 0)


def test_only_a_row_of_them_stops_the_run(tmp_path):
    health, kept = Health(), tmp_path / "latest.ckpt"
    for _ in range(5):
        health.observe(math.nan, 1.0)
        health.check(2, 7, kept)
        health.observe(1.0, 1.0)
    health.observe(math.nan, 1.0)
    health.observe(math.nan, 1.0)
    with pytest.raises(UserError, match=r"step 7: found .* 2 times in a row, expected finite ones\. A smaller --lr"):
        health.check(2, 7, kept)
    kept.write_text("")
    with pytest.raises(UserError, match=r"expected finite ones: .*latest.ckpt is from before\. A smaller"):
        health.check(2, 7, kept)


def test_the_scale_finds_its_way_down_before_anything_counts_as_wrong():
    health = Health.of_precision("float16")
    halvings = int(math.log2(FIRST_SCALE))
    for n in range(halvings):
        assert health.loss_scale == FIRST_SCALE / 2**n
        health.observe(math.inf, 1.0)
        health.check(1, 0, Path("x"))
    assert health.loss_scale == 1
    health.observe(math.inf, 1.0)
    with pytest.raises(UserError):
        health.check(1, 0, Path("x"))


def test_the_scale_is_doubled_after_many_good_updates():
    health = Health.of_precision("float16")
    for _ in range(SCALE_PERIOD - 1):
        health.observe(1.0, 1.0)
    assert health.loss_scale == FIRST_SCALE
    health.observe(1.0, 1.0)
    assert (health.loss_scale, health.good_in_a_row) == (2 * FIRST_SCALE, 0)


@pytest.mark.parametrize("amp", ["none", "bfloat16"])
def test_other_precisions_are_not_scaled(amp):
    health = Health.of_precision(amp)
    for _ in range(SCALE_PERIOD + 1):
        health.observe(1.0, 1.0)
    assert health.loss_scale == 1


def test_watched_items_are_the_same():
    assert list(watched(iter(range(50)), 5.0, "x")) == list(range(50))
    assert list(watched(iter([]), 0.0, "x")) == []


def test_what_the_source_raises_arrives():
    def broken():
        yield 1
        raise ValueError("damaged record")

    items = watched(broken(), 5.0, "x")
    assert next(items) == 1
    with pytest.raises(ValueError, match="damaged record"):
        next(items)


def test_a_source_that_hangs_is_noticed():
    release = threading.Event()

    def hanging():
        yield 1
        release.wait(20)

    items = watched(hanging(), 0.3, "train.mindrecord")
    assert next(items) == 1
    began = time.monotonic()
    with pytest.raises(UserError, match=r"train.mindrecord: found no batch for 0.3 s, expected one sooner"):
        next(items)
    assert time.monotonic() - began < 15
    release.set()


def test_nothing_is_read_once_nobody_wants_it():
    read = []

    def endless():
        while True:
            read.append(1)
            yield 1

    items = watched(endless(), 5.0, "x")
    next(items)
    items.close()
    assert len(read) <= 5
    assert "reading ahead" not in [thread.name for thread in threading.enumerate()]
