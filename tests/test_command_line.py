import signal
import subprocess
import sys
from pathlib import Path

import pytest

from src import command_line
from src.command_line import OptionParser, run
from src.errors import UserError

ROOT = Path(__file__).parent.parent
ENTRY_SCRIPTS = ["preprocess.py", "train.py", "evaluate.py", "separate.py", "postprocess.py"]


@pytest.mark.parametrize("declared", ["--data-dir", "--data_dir"])
@pytest.mark.parametrize("used", ["--data-dir", "--data_dir"])
def test_hyphen_and_underscore_are_the_same_option(declared, used):
    parser = OptionParser("test")
    parser.add_argument(declared)
    assert parser.parse_args([used, "x"]).data_dir == "x"


def test_a_wrong_option_is_one_line_and_status_2(capsys):
    parser = OptionParser("test")
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--nothing", "1"])
    assert caught.value.code == 2
    printed = capsys.readouterr().err
    assert "--nothing" in printed
    assert len(printed.splitlines()) == 1


@pytest.fixture
def keep_signals(monkeypatch):
    """Leave pytest its own Ctrl-C."""
    monkeypatch.setattr(command_line, "_forward_interrupts", lambda: None)
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("keep_signals")
@pytest.mark.parametrize(
    ("raised", "status", "printed"),
    [
        (None, 0, ""),
        (UserError("x.wav: found 3, expected 2"), 2, "error: x.wav: found 3, expected 2\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_main_raises_becomes_an_exit_status(capsys, raised, status, printed):
    def main(_argv):
        if raised is not None:
            raise raised

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == status
    assert printed in capsys.readouterr().err


@pytest.mark.usefixtures("keep_signals")
def test_a_defect_is_not_hidden():
    def main(_argv):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(main)


@pytest.mark.parametrize("script", ENTRY_SCRIPTS)
def test_help_is_quick_and_loads_no_library(script):
    code = (
        "import sys; sys.modules['mindspore'] = sys.modules['numpy'] = None; sys.argv = [sys.argv[1], '--help'];"
        "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", code, script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert script in result.stdout


def test_ctrl_c_reaches_python_although_a_library_takes_it():
    code = """
import ctypes, os, signal, threading, time
from src.command_line import run
def main(_argv):
    libc = ctypes.CDLL(None)
    libc.signal(signal.SIGINT, ctypes.c_void_p(1))  # as a library in C: ignored, behind Python's back
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    time.sleep(20)
run(main)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 130, result.stderr
    assert "interrupted: nothing finished is lost" in result.stderr


def test_ctrl_c_while_the_program_ends_is_without_a_traceback():
    code = """
import atexit, os, signal, time
from src.command_line import run
def ending():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.5)
atexit.register(ending)
run(lambda _argv: None)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
