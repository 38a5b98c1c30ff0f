"""What ends a program still ends it after a library, or the shell that started it, has changed what signals do."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = """
import ctypes, os, signal, time
from src.command_line import run
from src.runtime import interrupts_held_back, stop_when_terminated

def main(_):
    stop_when_terminated()
{body}
    time.sleep(10)

run(main)
"""
AFTER_A_LIBRARY = """
    with interrupts_held_back():
        ctypes.CDLL(None).signal(signal.SIGTERM, 1)  # SIG_IGN, past Python, as a library in C does
    os.kill(os.getpid(), signal.SIGTERM)
"""
DURING_AN_UPDATE = """
    with interrupts_held_back():
        os.kill(os.getpid(), signal.SIGTERM)
"""
UNTOUCHED = """
import signal
from src.runtime import interrupts_held_back
with interrupts_held_back():
    pass
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""


def run_code(code, **settings):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True, **settings
    )


def ignore_interrupts():
    """As a shell that is no terminal's does for what it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("before", [None, ignore_interrupts])
@pytest.mark.parametrize("body", [AFTER_A_LIBRARY, DURING_AN_UPDATE])
def test_sigterm_stops_the_program(body, before):
    for _ in range(5):
        result = run_code(PROGRAM.format(body=body), preexec_fn=before)
        assert result.returncode == 130, result.stderr
        assert result.stderr.startswith("\ninterrupted: ")


def test_a_program_that_does_nothing_on_sigterm_keeps_that():
    assert run_code(UNTOUCHED).stdout == "True\n"
