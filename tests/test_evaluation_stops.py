"""The real evaluate.py, killed or interrupted with its processes at work, and gone on with."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import evaluate
from src import checkpoint
from src.config import Config, ModelConfig
from src.evaluation import UNFINISHED
from src.models.swave import Swave
from src.scores import whole_set
from tests.sessions import others, wait_until

ROOT = Path(__file__).parent.parent
SMALL = ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, chunk_frames=16)

# evaluate.py with two processes, which stops for long or kills itself once the second result is kept.
PROGRAM = """
import os, signal, sys, time
sys.path.insert(0, os.getcwd())
import evaluate
from src.command_line import run

def main(arguments):
    import src.scores.whole_set as whole_set
    from src.scores.unfinished import Unfinished
    whole_set.SECONDS_FOR_PROCESSES = 0.0
    os.sched_getaffinity = lambda _: {0, 1}
    keep, kept = Unfinished.append, []
    def append(unfinished, result):
        keep(unfinished, result)
        kept.append(result)
        if len(kept) == 2:
            if sys.argv[1] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            print("two are kept", flush=True)
            time.sleep(600)
    Unfinished.append = append
    evaluate.main(sys.argv[2:])

if __name__ == "__main__":
    run(main)
"""


@pytest.fixture
def arguments(tmp_path, tiny_records):
    checkpoint.save(tmp_path / "a.ckpt", Swave(SMALL).get_parameters(), Config(model=SMALL), {})
    chunks = ["--chunk_seconds", "1.5", "--overlap_seconds", "0.25"]
    return ["--model_path", str(tmp_path / "a.ckpt"), "--data-dir", str(tiny_records), *chunks]


def start(how, arguments):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_after_kill_the_same_command_ends_with_the_same_files(arguments, tmp_path, monkeypatch, capsys):
    killed = start("kill", [*arguments, "--output", str(tmp_path / "killed")])
    _, told = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, told
    wait_until(lambda: not others(killed.pid))
    assert [path.name for path in (tmp_path / "killed").iterdir()] == [UNFINISHED]
    with (tmp_path / "killed" / UNFINISHED).open("ab") as file:
        file.write(b'{"record": 4, "val')  # as though it had been killed in the middle of a line
    monkeypatch.setattr(whole_set, "SECONDS_FOR_PROCESSES", 0.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    evaluate.main([*arguments, "--output", str(tmp_path / "killed")])
    assert "going on: 2 of 5 utterances were scored before" in capsys.readouterr().out
    evaluate.main([*arguments, "--output", str(tmp_path / "whole")])
    files = {path.name: path.read_bytes() for path in (tmp_path / "killed").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert sorted(files) == ["metrics.json", "per_utterance.csv"]


def test_ctrl_c_ends_all_at_once_with_one_line_and_keeps_what_is_done(arguments, tmp_path):
    program = start("wait", [*arguments, "--output", str(tmp_path / "out")])
    for line in program.stdout:
        if line == "two are kept\n":
            break
    assert len(others(program.pid)) >= 2
    os.killpg(program.pid, signal.SIGINT)  # as the terminal does
    _, told = program.communicate(timeout=60)
    assert program.returncode == 130, told
    assert told.endswith("\ninterrupted: nothing finished is lost, the same command goes on from there\n")
    assert "Traceback" not in told
    wait_until(lambda: not others(program.pid))
    assert len((tmp_path / "out" / UNFINISHED).read_text().splitlines()) == 3
