"""Work in several processes: order, ends of every kind, and nobody left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from src import processes
from src.errors import UserError
from src.processes import map_in_processes
from tests import work
from tests.sessions import others, wait_until

ROOT = Path(__file__).parent.parent
DIED = "a process that counts was killed"


def run(function, items, num_processes=2):
    return map_in_processes(function, items, num_processes, when_one_dies=DIED)


@pytest.fixture(autouse=True)
def _nobody_is_left_behind():
    yield
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("num_processes", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_results_in_the_items_order(num_processes, count):
    assert list(run(work.double, range(count), num_processes)) == [2 * number for number in range(count)]


def test_a_result_waits_for_those_before_it():
    assert list(run(work.slow_first, range(10))) == list(range(10))


def test_every_process_works_without_mindspore_and_with_one_thread():
    told = set(run(work.tell_process, range(40)))
    assert len(told) == 2
    assert os.getpid() not in {number for number, *_ in told}
    assert {tuple(rest) for _, *rest in told} == {(False, "1")}
    assert os.environ.get("OPENBLAS_NUM_THREADS") != "1"


def test_items_are_taken_a_little_ahead_only():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    with closing(run(work.double, items())) as results:
        for place, _ in enumerate(results):
            assert len(taken) <= place + 1 + 2 * processes.WAITING_PER_PROCESS
            if place == 100:
                break


@pytest.mark.parametrize("num_items", [3, 100])
def test_a_process_that_dies_is_one_line(num_items):
    results = run(work.die_at_two, range(num_items))
    found = []
    with pytest.raises(UserError, match=DIED):
        found.extend(results)
    assert found == list(range(len(found)))


def test_all_processes_dead():
    with pytest.raises(UserError, match=DIED):
        list(run(work.die, range(100)))


@pytest.mark.parametrize("num_processes", [1, 2])
def test_a_users_mistake_comes_through(num_processes):
    with pytest.raises(UserError, match="2: found two, expected another number"):
        list(run(work.fail_at_two, range(10), num_processes))


def test_a_defect_comes_with_its_traceback():
    with pytest.raises(RuntimeError, match=r"(?s)in fail_at_two.*ZeroDivisionError"):
        list(run(work.fail_at_two, [3]))


def test_what_the_items_raise_ends_all():
    def items():
        yield 60.0
        raise UserError("no more")

    began = time.monotonic()
    with pytest.raises(UserError, match="no more"):
        list(run(work.sleep, items()))
    assert time.monotonic() - began < 30


def test_closing_ends_processes_that_are_at_work():
    began = time.monotonic()
    with closing(run(work.sleep, [0.0, 60.0, 60.0, 60.0])) as results:
        assert next(results) == 0.0
    assert time.monotonic() - began < 30


PROGRAM = """
import os, sys
sys.path.insert(0, os.getcwd())
from src.command_line import run
from src.processes import map_in_processes
from tests import work

def main(_):
    seconds = float(sys.argv[1])
    for _ in map_in_processes(work.sleep, [0.0, seconds, seconds, seconds], 2, when_one_dies="died"):
        print("begun", flush=True)
        work.sleep(600.0)

if __name__ == "__main__":
    run(main)
"""


@pytest.fixture
def begin():
    """A function that starts a program with two more processes, which work for so many seconds an item."""
    started = []

    def start(seconds):
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(seconds)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(program)
        assert program.stdout.readline() == "begun\n"
        assert len(others(program.pid)) >= 2
        return program

    yield start
    for program in started:
        program.kill()
        program.communicate()


def test_ctrl_c_ends_all_with_one_line(begin):
    program = begin(600.0)
    os.killpg(program.pid, signal.SIGINT)  # as the terminal does
    _, told = program.communicate(timeout=20)
    assert program.returncode == 130
    assert told == "\ninterrupted: nothing finished is lost, the same command goes on from there\n"
    wait_until(lambda: not others(program.pid))


@pytest.mark.parametrize("seconds", [0.0, 0.5])  # they wait for more, or have a result that nobody takes
def test_nobody_outlives_a_program_that_is_killed(begin, seconds):
    program = begin(seconds)
    program.kill()
    _, told = program.communicate(timeout=20)
    assert told == ""
    wait_until(lambda: not others(program.pid))
