"""What ends a program still ends it after a library has put its own handlers in place."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPLACED = """
import ctypes, os, signal, time
from src.runtime import interrupts_held_back, stop_when_terminated
stop_when_terminated()
with interrupts_held_back():
    ctypes.CDLL(None).signal(signal.SIGTERM, 1)  # SIG_IGN, past Python, as a library in C does
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
except KeyboardInterrupt:
    print("stopped")
"""
UNTOUCHED = """
import signal
from src.runtime import interrupts_held_back
with interrupts_held_back():
    pass
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""


def output_of(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_sigterm_stops_the_program_although_a_library_took_it():
    assert output_of(REPLACED) == "stopped\n"


def test_a_program_that_does_nothing_on_sigterm_keeps_that():
    assert output_of(UNTOUCHED) == "True\n"
