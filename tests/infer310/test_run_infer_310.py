"""What scripts/run_infer_310.sh runs, shows, keeps and stops: stand-ins for the programs, at the end the real ones."""

import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sessions import PATIENCE, others, wait_until

ROOT = Path(__file__).parents[2]
SCRIPT = "scripts/run_infer_310.sh"
FOREIGN = ("OUTPUT", "GDPRNN_INFER", "PYTHON", "STAND_IN")
LAST_LINE = "Average SISNR improvement: 1.23"

# It writes its arguments down, as preprocess, build, gdprnn_infer or postprocess, and does as the environment says.
STAND_IN = f"""#!/bin/bash
if [ "$1" = -c ]; then [[ -z $STAND_IN_WITHOUT || $2 != *"$STAND_IN_WITHOUT"* ]]; exit; fi
name=$(basename "$0"); [ "$name" != python ] || {{ name=$(basename "$1" .py); shift; }}; name=${{name%.sh}}
printf '%s\\n' "$@" >"$STAND_IN/$name"
echo "$name at work" >&2
if [ "$STAND_IN_DEAF" = "$name" ]; then trap '' INT; fi
if [ "$STAND_IN_SLOW" = "$name" ]; then : >"$STAND_IN/slow"; exec sleep 60; fi
if [ "$STAND_IN_FAIL" = "$name" ]; then seq -f 'line %g' 1 50; printf '\\r50 %%\\rerror: a mistake\\n'; exit 7; fi
while [ $# -gt 0 ]; do
    case $1 in --out_dir | --output) folder=$2 ;; esac
    shift
done
case $name in
    preprocess) mkdir -p "$folder"; touch "$folder/00000.bin" "$folder/00001.bin" "$folder/index.json" ;;
    gdprnn_infer) mkdir -p "$folder"; touch "$folder/00000.bin"; sleep 0.5; touch "$folder/00001.bin" ;;
    postprocess) echo "scoring: 100%" >&2; echo "a table"; echo "{LAST_LINE}" ;;
esac
"""


class Site:
    """A folder to call from, with a model, a test set and stand-ins for Python and the program."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "the caller's folder"
        self.records = tmp_path / "records"
        self.bin = tmp_path / "bin of a site"
        for folder in (self.folder / "data", self.records, self.bin):
            folder.mkdir(parents=True)
        for name in ("net.mindir", "net.mindir.json", "data/test.mindrecord"):
            (self.folder / name).touch()
        self.python, self.program = self.add(self.bin / "python"), self.add(self.bin / "gdprnn_infer")

    def add(self, path):
        path.write_text(STAND_IN)
        path.chmod(0o755)
        return path

    def environment(self, variables):
        own = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        stand_ins = {"PYTHON": str(self.python), "GDPRNN_INFER": str(self.program), "STAND_IN": str(self.records)}
        return {**own, **stand_ins, **variables}

    def call(self, *arguments, script=ROOT / SCRIPT, **variables):
        return subprocess.run(
            ["bash", str(script), *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(variables),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def begin(self, *arguments, stderr=subprocess.PIPE, **variables):
        """In a session of its own and heeding SIGINT, as a shell would start it at a terminal."""
        return subprocess.Popen(
            ["env", "--default-signal=INT", "bash", str(ROOT / SCRIPT), *arguments],
            cwd=self.folder,
            env=self.environment(variables),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    def called(self):
        return sorted(path.name for path in self.records.iterdir())

    def arguments(self, name):
        return (self.records / name).read_text().splitlines()

    def log(self, name, output="runs/infer310"):
        return (self.folder / output / f"{name}.log").read_text()


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


USUAL = ("net.mindir", "data", "y", "cpu")

# --- what is refused before anything is started ----------------------------------------------------------------------


def test_usage(site):
    result = site.call("--help")
    assert result.returncode == 0
    assert result.stdout.startswith(
        "usage: bash scripts/run_infer_310.sh MINDIR_PATH TEST_PATH NEED_PREPROCESS [DEVICE]"
    )
    assert site.called() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "found 0 arguments before the options, expected MINDIR_PATH TEST_PATH NEED_PREPROCESS [DEVICE]"),
        (["net.mindir", "data"], "found 2 arguments before the options, expected MINDIR_PATH TEST_PATH"),
        ([*USUAL, "0"], "unknown argument '0'"),
        (["net.mindir", "data", "yes"], "NEED_PREPROCESS: found 'yes', expected y or n"),
        (["net.mindir", "data", "y", "0"], "DEVICE: found '0', expected cpu or ascend"),
        ([*USUAL, "--fast"], "--fast needs a value"),
        ([*USUAL, "--fast", "1"], "unknown option '--fast'"),
        ([*USUAL, "--threads", "0"], "--threads: found '0', expected a whole number of at least 1"),
        ([*USUAL, "--batch=two"], "--batch: found 'two', expected a whole number of at least 1"),
        ([*USUAL, "--device_id", "-1"], "--device-id: found '-1', expected a whole number of at least 0"),
        ([*USUAL, "--output"], "--output needs a value"),
    ],
)
def test_wrong_arguments(site, arguments, message):
    result = site.call(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert "usage: bash scripts/run_infer_310.sh" in result.stderr
    assert site.called() == []


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["no.mindir", "data", "y"], {}, "MINDIR_PATH: found no file 'no.mindir', expected a model of export.py"),
        (["data/test.mindrecord", "data", "y"], {}, "MINDIR_PATH: found no description 'data/test.mindrecord.json'"),
        (["net.mindir", "nowhere", "y"], {}, "TEST_PATH: found neither folder nor file 'nowhere', expected a test set"),
        (["net.mindir", "data", "n"], {}, "NEED_PREPROCESS n: found no '"),
        (USUAL, {"GDPRNN_INFER": "no-program"}, "GDPRNN_INFER: found no program 'no-program', expected one that was"),
        (USUAL, {"PYTHON": "no-python"}, "PYTHON: found no program 'no-python', expected a Python interpreter"),
        ([*USUAL, "--output", "net.mindir"], {}, "--output: found '"),
    ],
)
def test_what_must_be_there(site, arguments, variables, message):
    result = site.call(*arguments, **variables)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1
    assert site.called() == []


def test_mindspore_is_needed_for_record_files_only(site):
    (site.folder / "audio").mkdir()
    assert site.call("net.mindir", "audio", "y", STAND_IN_WITHOUT="mindspore").returncode == 0
    for records in ("data", "data/test.mindrecord"):
        result = site.call("net.mindir", records, "y", STAND_IN_WITHOUT="mindspore")
        assert result.returncode == 2
        assert result.stderr.startswith(f"error: {site.python} has no mindspore: run bash scripts/run_demo.sh once")


# --- the stages ------------------------------------------------------------------------------------------------------


def test_the_stages(site):
    result = site.call(
        *USUAL, "--threads", 2, "--batch=4", "--device_id", 1, "--sample-rate", 8000, "--mixture_type", "mix_both"
    )
    assert result.returncode == 0, result.stderr
    output = site.folder / "runs/infer310"
    inputs, outputs = f"{output}/inputs", f"{output}/outputs"
    given = ["--mixture-type", "mix_both"]
    assert site.called() == ["gdprnn_infer", "postprocess", "preprocess"]
    assert site.arguments("preprocess") == shlex.split(
        f"--mode infer310 --test_dir data --out_dir {shlex.quote(inputs)}"
    ) + [*given, "--sample-rate", "8000"]
    assert site.arguments("gdprnn_infer") == [
        *("--model", "net.mindir", "--index", f"{inputs}/index.json", "--output", outputs, "--device", "cpu"),
        *("--threads", "2", "--batch", "4", "--device-id", "1"),
    ]
    assert site.arguments("postprocess") == [
        "--bin_path",
        outputs,
        "--test_dir",
        "data",
        "--output",
        str(output),
        *given,
    ]
    lines = result.stdout.splitlines()
    assert lines.pop(2) == "gdprnn_infer at work"  # the last line of its log: how long it took
    assert [line.split("] ")[1] for line in lines[:3]] == [
        f"1/3 preprocess: {output}/preprocess.log",
        f"2/3 infer: {output}/infer.log",
        f"3/3 score: {output}/score.log",
    ]
    assert lines[3:] == ["a table", LAST_LINE]
    assert result.stderr == ""
    for log, name in (("preprocess", "preprocess"), ("infer", "gdprnn_infer"), ("score", "postprocess")):
        assert site.log(log).startswith("== ")
        assert f"{name} at work\n" in site.log(log)
    assert site.log("score").endswith(f"scoring: 100%\na table\n{LAST_LINE}\n")
    assert sorted(path.name for path in output.iterdir()) == [
        *(".lock", "infer.log", "inputs", "outputs", "preprocess.log", "score.log")
    ]


def test_inputs_of_an_earlier_run(site):
    assert site.call(*USUAL, OUTPUT="mine").returncode == 0
    (site.records / "preprocess").unlink()
    result = site.call("net.mindir", "data", "n", "cpu", "--output", "mine")
    assert result.returncode == 0
    assert site.called() == ["gdprnn_infer", "postprocess", "preprocess"]
    assert site.arguments("preprocess")[-1] == "--check"
    assert "1/3 check: " in result.stdout
    assert "2/3 infer: " in result.stdout


def test_the_program_is_built_where_none_is_given(site, tmp_path):
    checkout = tmp_path / "a checkout"
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    (checkout / "ascend310_infer/build").mkdir(parents=True)
    site.add(checkout / "ascend310_infer/build.sh")
    site.add(checkout / "ascend310_infer/build/gdprnn_infer")
    result = site.call(*USUAL, script=checkout / SCRIPT, GDPRNN_INFER="")
    assert result.returncode == 0, result.stderr
    assert site.called() == ["build", "gdprnn_infer", "postprocess", "preprocess"]
    assert "2/4 build: " in result.stdout
    assert "build at work" in site.log("build")


@pytest.mark.skipif(any(Path("/dev").glob("davinci[0-9]*")), reason="this machine has an Ascend")
@pytest.mark.parametrize("present", [True, False])
def test_the_device_is_what_is_present(site, present):
    if present:
        site.add(site.bin / "npu-smi")
    result = site.call("net.mindir", "data", "y", PATH=f"{site.bin}:{os.environ['PATH']}")
    assert result.returncode == 0, result.stderr
    arguments = site.arguments("gdprnn_infer")
    assert arguments[arguments.index("--device") + 1] == ("ascend" if present else "cpu")


@pytest.mark.parametrize(
    ("program", "stage", "called"),
    [
        ("preprocess", "preprocess", ["preprocess"]),
        ("gdprnn_infer", "infer", ["gdprnn_infer", "preprocess"]),
        ("postprocess", "score", ["gdprnn_infer", "postprocess", "preprocess"]),
    ],
)
def test_the_first_failure_ends_the_run(site, program, stage, called):
    result = site.call(*USUAL, STAND_IN_FAIL=program)
    assert result.returncode == 7
    assert site.called() == called
    log = site.folder / f"runs/infer310/{stage}.log"
    told = result.stderr.splitlines()
    assert told[0] == f"error: the stage {stage} failed with exit status 7; the last lines of {log}:"
    assert len(told) == 11
    assert told[-1] == "error: a mistake"
    assert LAST_LINE not in result.stdout


def test_one_run_at_a_time_in_a_folder(site):
    first = site.begin(*USUAL, STAND_IN_SLOW="gdprnn_infer")
    wait_until((site.records / "slow").exists)
    result = site.call(*USUAL)
    os.killpg(first.pid, signal.SIGINT)
    first.communicate(timeout=PATIENCE)
    assert result.returncode == 2
    assert result.stderr == f"error: {site.folder}/runs/infer310: found a run that is going on, expected none\n"
    assert site.call(*USUAL).returncode == 0


# --- Ctrl-C, and a terminal ------------------------------------------------------------------------------------------


def left_over(site):
    """Programs of this site that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"STAND_IN={site.records}\0".encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("program", ["preprocess", "gdprnn_infer", "postprocess"])
def test_an_interrupt_ends_the_stage_and_the_run(site, program, number):
    job = site.begin(*USUAL, STAND_IN_SLOW=program)
    wait_until((site.records / "slow").exists)
    os.killpg(job.pid, number)
    shown, told = job.communicate(timeout=PATIENCE)
    assert job.returncode == 130
    assert told == "\ninterrupted: what is finished is kept, the same command goes on from there\n"
    assert LAST_LINE not in shown
    wait_until(lambda: not left_over(site))


def test_a_second_interrupt_ends_a_program_that_does_not_heed_the_first(site):
    job = site.begin(*USUAL, STAND_IN_SLOW="gdprnn_infer", STAND_IN_DEAF="gdprnn_infer")
    wait_until((site.records / "slow").exists)
    os.killpg(job.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        job.wait(timeout=1)
    os.killpg(job.pid, signal.SIGINT)
    job.communicate(timeout=PATIENCE)
    assert job.returncode == 130
    wait_until(lambda: not left_over(site))
    assert not others(job.pid)


def test_a_terminal_shows_how_far_it_is(site):
    master, slave = pty.openpty()
    job = site.begin(*USUAL, stderr=slave)
    os.close(slave)
    shown, _ = job.communicate(timeout=PATIENCE)
    told = os.read(master, 65536).decode()
    os.close(master)
    assert job.returncode == 0
    assert "preprocess at work" in told
    assert "\rinfer: 1 of 2 utterances" in told
    assert "\rinfer: 2 of 2 utterances\r\n" in told
    assert "scoring: 100%" in told
    assert shown.splitlines()[-2:] == ["a table", LAST_LINE]


# --- the real Python programs ----------------------------------------------------------------------------------------


def test_the_chain_on_audio_files(site, tiny_librimix):
    program = site.bin / "in-python"
    command = shlex.join([sys.executable, str(Path(__file__).with_name("stand_in_program.py"))])
    program.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {command} "$@"\n')
    program.chmod(0o755)
    job = site.begin("net.mindir", str(tiny_librimix), "y", "cpu", PYTHON=sys.executable, GDPRNN_INFER=str(program))
    shown, told = job.communicate(timeout=120)
    assert (job.returncode, told) == (0, ""), told
    rows = (site.folder / "runs/infer310/per_utterance.csv").read_text().splitlines()
    assert len(rows) == 1 + 5
    column = rows[0].split(",").index("si_snri_db")
    mean = sum(float(row.split(",")[column]) for row in rows[1:]) / 5
    label, _, number = shown.splitlines()[-1].rpartition(" ")
    assert label == "Average SISNR improvement:"
    assert float(number) == pytest.approx(mean, abs=0.0051)
