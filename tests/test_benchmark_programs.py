"""Contenders that talk, points that are ended, and one tiny run of each program."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import growth, performance
from benchmarks.contenders import Contender, Process, UnavailableError, idle_shares, started
from benchmarks.growth_points import MEASURED, MEMORY, TIME, TRAINING, Point, read_results

ROOT = Path(__file__).parent.parent
WITH_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")


def contender(body: str, **options: object) -> Contender:
    """A process that speaks through `serve`; `body` defines `prepare`."""
    text = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom benchmarks.contenders import *\n{body}\nserve(prepare)"
    return Contender("one", [sys.executable, "-c", text], **options)


ECHO = "def prepare(): return (lambda task: f'got {task}'), 'a note'"


def test_a_contender_answers_every_line():
    one = contender(ECHO, first_task="first")
    process = Process(one)
    assert process.run_once("second") >= 0
    process.end()
    assert one.values == ["got first", "got second"]
    assert one.note == "a note"
    assert one.peak_kb > 1000
    assert len(one.start_seconds) == len(one.first_seconds) == 1


def test_what_a_library_prints_is_no_answer():
    one = contender("def prepare(): return (lambda task: print('hello') or ''), ''")
    process = Process(one)
    process.run_once()
    process.end()
    assert one.values == []


def test_a_contender_has_its_own_environment():
    one = contender("def prepare(): return (lambda task: os.environ['KIND']), ''", environment={"KIND": "special"})
    Process(one).end()
    assert one.values == ["special"]


def test_a_contender_may_be_unavailable():
    with pytest.raises(UnavailableError, match="no such processor"):
        Process(contender("def prepare(): raise UnavailableError('no such processor')"))


def test_one_that_dies_is_a_failure_and_the_others_go_on(tmp_path):
    log = tmp_path / "errors.log"
    dying = contender("def prepare(): return (lambda task: 1 / 0), ''", log=log)
    away = contender("def prepare(): raise UnavailableError('why')")
    problems: list[str] = []
    with started([dying, away, contender(ECHO)], problems) as processes:
        assert len(processes) == 1
    assert problems == [
        "one failed: expected an answer, found none: its exit status is 1, see errors.log",
        "one is left out: why",
    ]
    assert "ZeroDivisionError" in log.read_text()


def test_idle_processes_are_told_from_busy_ones(monkeypatch):
    monkeypatch.setattr("benchmarks.contenders.IDLE_SECONDS", 0.3)
    monkeypatch.setattr("benchmarks.contenders.SETTLE_SECONDS", 0.0)
    spinning = (
        "import threading\n"
        "def spin():\n    while True: pass\n"
        "def prepare():\n    threading.Thread(target=spin, daemon=True).start()\n    return (lambda task: ''), ''"
    )
    busy, idle = Process(contender(spinning)), Process(contender(ECHO))
    busy.contender.name = "busy"
    found = idle_shares([busy, idle])
    busy.stop()
    idle.end()
    assert found["busy"] > found["one"]


# growth


def sleeper(extra: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", f"import time; {extra}; time.sleep(60)"], text=True)


def test_a_process_that_takes_too_much_memory_is_ended():
    process = sleeper("kept = bytearray(300_000_000)")
    assert growth.watch(process, 200e6, 60) == MEMORY
    assert process.poll() is not None


def test_a_process_that_takes_too_long_is_ended():
    assert growth.watch(sleeper(), 1e12, 0) == TIME


def test_one_that_ends_is_left_alone():
    assert growth.watch(subprocess.Popen([sys.executable, "-c", ""], text=True), 1e12, 60) == ""


def test_points_are_kept_as_they_are_found(tmp_path):
    points = [Point("tiny", "batch", TRAINING, 1)]
    for _ in range(2):  # the second time nothing is left to measure
        results = growth.measure_all(points, tmp_path, runs=1, most_seconds=100, minutes=1)
        assert [one.state for one in results] == [MEASURED]
        assert read_results(tmp_path / "growth.csv") == results
    assert results[0].peak_mb > 100


# whole programs


@WITH_TORCH
def test_a_tiny_inference_beside_pytorch(tmp_path, capsys):
    wanted = ["--part", "inference", "--contenders", "ours, one length", "--rounds", "1"]
    performance.main(["--work", str(tmp_path), "--sizes", "tiny", *wanted])
    text = capsys.readouterr().out
    assert "| ours, one length (" in text
    assert text.strip() == (tmp_path / "performance.md").read_text().strip()


@WITH_TORCH
@pytest.mark.slow
def test_a_tiny_training_and_block_beside_pytorch(tmp_path, capsys):
    wanted = ["--part", "training", "block", "--rounds", "1"]
    performance.main(["--work", str(tmp_path), "--sizes", "tiny", *wanted])
    text = capsys.readouterr().out
    assert "Losses of the first updates in dB: PyTorch" in text
    assert "one MulCat block" in text


@pytest.mark.slow
def test_a_quick_look_at_growth_and_shares(tmp_path, capfd):
    growth.main(["--work", str(tmp_path), "--network", "tiny", "--quick"])
    text = capfd.readouterr().out
    assert "points are left" not in text
    assert (tmp_path / "growth-tiny.png").exists()
    assert "permutation search, C = 10" in text
