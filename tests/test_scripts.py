"""What the shell scripts say before they install anything."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


def call(script, *arguments, **variables):
    return subprocess.run(
        ["bash", str(SCRIPTS / script), *arguments],
        cwd="/",
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fast"], "unknown option '--fast'"),
        (["--corpus"], "--corpus needs a value"),
        (["--seed", "1", "extra"], "unknown option 'extra'"),
    ],
)
def test_wrong_options_of_the_demo(arguments, message):
    result = call("run_demo.sh", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert "usage: bash scripts/run_demo.sh" in result.stderr


def test_the_demo_tells_its_usage():
    result = call("run_demo.sh", "--help")
    assert result.returncode == 0
    assert "--full" in result.stdout


@pytest.fixture
def checkout(tmp_path):
    """The scripts where there is no virtual environment yet."""
    (tmp_path / "scripts").symlink_to(SCRIPTS)
    (tmp_path / "bin").mkdir()
    return tmp_path


def prepare(checkout, programs):
    """Source environment.sh with stand-ins for `uname` and every Python, in this order of words to say."""
    for name, text in programs.items():
        path = checkout / "bin" / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    return subprocess.run(
        ["bash", "-c", ". scripts/environment.sh; prepare_environment"],
        cwd=checkout,
        env={"PATH": f"{checkout / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


X86 = {"uname": '[ "$1" = -s ] && echo Linux || echo x86_64'}
NO_PYTHON = {f"python{version}": "exit 1" for version in ("3.10", "3.11", "3.12")}


def test_another_machine_is_told_in_one_line(checkout):
    result = prepare(checkout, {"uname": '[ "$1" = -s ] && echo Darwin || echo arm64'})
    assert result.returncode == 2
    assert result.stderr.startswith("error: found Darwin on arm64, expected Linux on x86_64")
    assert len(result.stderr.splitlines()) == 1


def test_a_missing_python_is_told_in_one_line(checkout):
    unfit = {"python3": '[ "$1" = --version ] && echo Python 3.13.1 || exit 1'}
    result = prepare(checkout, X86 | NO_PYTHON | unfit)
    assert result.returncode == 2
    assert "found no Python 3.10, 3.11 or 3.12 (python3 is Python 3.13.1): install one" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_missing_venv_module_is_told_in_one_line(checkout):
    without_venv = {
        "python3.11": 'case "$2" in *ensurepip*) exit 1 ;; *print*) echo 3.11 ;; *) exit 0 ;; esac',
    }
    result = prepare(checkout, X86 | NO_PYTHON | without_venv)
    assert result.returncode == 2
    assert "Python 3.11 cannot make virtual environments: apt-get install python3.11-venv" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (checkout / ".venv").exists()


DEMO_PYTHON = """
echo "$*" >> "$LOG"
case "$*" in
    "- "*) shift; exec python3 - "$@" ;;
    "-m src.data.librimix"*) mkdir -p "$OUT/librimix/Libri2Mix/wav8k/min/test/mix_clean" ;;
    train.py*) touch -d "1 hour ago" "$OUT/latest.ckpt" ;;
    evaluate.py*)
        mkdir -p "$9" && touch "$9/index.html"
        printf '{"num_utterances": 150, "si_snri_db": %s.256, "model_path": "%s", "name": "%s"}' \
            "$(grep -c evaluate.py "$LOG")" "$3" "${11}" > "$7/metrics.json" ;;
esac
"""


@pytest.fixture
def demo(checkout):
    """Run the demo with a stand-in for Python that leaves the files that the script looks at; gives its calls."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/bash\n{DEMO_PYTHON}")
    python.chmod(0o755)
    for name in ("requirements.txt", ".venv/installed-requirements.txt"):
        (checkout / name).write_text("")
    output, log = checkout / "out", checkout / "log"

    def run():
        log.write_text("")
        command = ["bash", str(checkout / "scripts" / "run_demo.sh"), "--output", str(output)]
        variables = {**os.environ, "LOG": str(log), "OUT": str(output)}
        result = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        run.said = result.stdout.splitlines()
        return log.read_text().splitlines()

    return output, run


def test_the_demo_evaluates_with_a_report_and_again_only_when_something_is_missing(demo):
    output, run = demo
    evaluation = (
        f"evaluate.py --model_path {output}/latest.ckpt --data-dir {output}/data --output {output} "
        f"--report {output}/report --name the network trained by this demo"
    )
    assert evaluation in run()
    assert evaluation not in run()
    (output / "report" / "index.html").unlink()
    assert evaluation in run()
    (output / "metrics.json").unlink()
    assert evaluation in run()
    assert not any("checkpoints/" in call for call in run())
    assert run.said[-2:] == [
        "mean SI-SNR improvement on 150 mixtures of unheard people:",
        f"    1.26 dB  the network trained by this demo ({output}/latest.ckpt)",
    ]


def test_the_demo_evaluates_the_network_that_comes_with_the_program_too(demo):
    output, run = demo
    shipped = output.parent / "checkpoints" / "gdprnn_2spk_8k.ckpt"
    shipped.parent.mkdir()
    shipped.write_text("")
    os.utime(shipped, (0, 0))
    evaluations = [call for call in run() if call.startswith("evaluate.py")]
    assert evaluations[1:] == [
        f"evaluate.py --model_path checkpoints/{shipped.name} --data-dir {output}/data --output {output}/shipped "
        f"--report {output}/shipped/report --name the network that comes with the program"
    ]
    assert run.said[-3:] == [
        "mean SI-SNR improvement on 150 mixtures of unheard people:",
        f"    1.26 dB  the network trained by this demo ({output}/latest.ckpt)",
        f"    2.26 dB  the network that comes with the program (checkpoints/{shipped.name})",
    ]
    assert f"separated     {output}/separated, by the network that comes with the program" in run.said
    assert f"to listen to  {output}/shipped/report/index.html (in a browser)" in run.said
    calls = run()
    assert not any(call.startswith("evaluate.py") for call in calls)
    assert any(call.startswith("separate.py") and f"--model_path checkpoints/{shipped.name}" in call for call in calls)


@pytest.mark.parametrize(
    ("display", "terminal", "program", "opened"),
    [
        ("DISPLAY", True, True, True),
        ("WAYLAND_DISPLAY", True, True, True),
        ("DISPLAY", False, True, False),
        ("OTHER", True, True, False),
        ("DISPLAY", True, False, False),
    ],
)
def test_a_page_is_opened_where_somebody_sits_before_a_screen(checkout, display, terminal, program, opened):
    seen = checkout / "seen"
    if program:
        opener = checkout / "bin" / "xdg-open"
        opener.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
        opener.chmod(0o755)
    master, slave = pty.openpty()
    result = subprocess.run(
        ["/bin/bash", "-euc", ". scripts/open_page.sh; open_page 'a b.html'; wait"],
        cwd=checkout,
        env={"PATH": str(checkout / "bin"), display: ":0"},
        stdout=slave if terminal else subprocess.DEVNULL,
        check=False,
    )
    os.close(slave)
    os.close(master)
    assert result.returncode == 0
    assert seen.exists() == opened
    assert not opened or seen.read_text() == "a b.html\n"
