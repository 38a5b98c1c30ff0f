"""What the scripts that start training and evaluation hand on, write down and stop; see tests/stand_in.py."""

import fcntl
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sessions import PATIENCE, wait_until

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"
STANDALONE, DISTRIBUTE, EVAL = "run_standalone_train.sh", "run_distribute_train.sh", "run_eval.sh"
TRAIN = str(ROOT / "train.py")
FOREIGN = (
    "RANK_",
    "DEVICE_",
    "MS_",
    "MASTER_",
    "NODE_",
    "NUM_NODES",
    "SERVER_ID",
    "STOP_SECONDS",
    "CLUSTER_",
    "PYTHON",
)


class Site:
    """A folder to call from, a stand-in for Python, and what it has written down."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "the caller's folder"
        self.records = tmp_path / "records"
        self.folder.mkdir()
        self.records.mkdir()
        self.interpreter = tmp_path / "bin of a site" / "stand-in"
        self.interpreter.parent.mkdir()
        program = shlex.join([sys.executable, "-I", "-S", str(Path(__file__).with_name("stand_in.py"))])
        self.interpreter.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        self.interpreter.chmod(0o755)

    def environment(self, variables):
        own = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        return {**own, "PYTHON": str(self.interpreter), "STAND_IN": str(self.records), **variables}

    def call(self, script, *arguments, **variables):
        result = subprocess.run(
            ["bash", str(SCRIPTS / script), *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(variables),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        result.stdout, result.stderr = result.stdout.decode(), result.stderr.decode()  # carriage returns stay
        return result

    def begin(self, script, *arguments, **variables):
        """In a process group of its own and heeding SIGINT, as a shell would start it at a terminal."""
        return subprocess.Popen(
            ["env", "--default-signal=INT", "bash", str(SCRIPTS / script), *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def record(self, name):
        return json.loads((self.records / f"{name}.json").read_text())

    def wait_for(self, *names):
        wait_until(lambda: all((self.records / f"{name}.json").exists() for name in names))

    def log(self, name="runs/train/train.log"):
        return (self.folder / name).read_bytes().decode()


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pairs(arguments):
    """Options and their values, `--name=value` or `--name value`."""
    return dict(re.findall(r"--(\w+)[= ](\S+)", " ".join(arguments)))


# --- what is refused before anything is started ----------------------------------------------------------------------


@pytest.mark.parametrize("script", [STANDALONE, DISTRIBUTE, EVAL])
def test_usage(site, script):
    result = site.call(script, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: bash scripts/{script}")
    assert "--foreground" in result.stdout
    assert not list(site.folder.iterdir())


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        (STANDALONE, ["first"], "DEVICE_ID: found 'first', expected a whole number"),
        (STANDALONE, ["-1"], "DEVICE_ID: found '-1', expected a whole number"),
        (STANDALONE, ["0", "1"], "unknown argument '1'"),
        (STANDALONE, ["0", "--epochs", "1", "--output_dir"], "--output_dir needs a value"),
        (DISTRIBUTE, ["0"], "DEVICE_NUM: found '0', expected a whole number above 0"),
        (DISTRIBUTE, ["two"], "DEVICE_NUM: found 'two', expected a whole number above 0"),
        (DISTRIBUTE, ["8", "true"], "DISTRIBUTE: found 'true', expected True or False"),
        (DISTRIBUTE, ["8", "False"], "DISTRIBUTE: found False with DEVICE_NUM 8, expected True"),
        (DISTRIBUTE, ["1", "False", "table.json"], "RANK_TABLE_FILE: found 'table.json' with DISTRIBUTE False"),
        (DISTRIBUTE, ["8", "True", "table.json", "more"], "unknown argument 'more'"),
        (EVAL, [], "found 0 arguments before the options, expected 3: DEVICE_ID MODEL_PATH DATA_DIR"),
        (EVAL, ["0", "best.ckpt"], "found 2 arguments before the options, expected 3: DEVICE_ID MODEL_PATH DATA_DIR"),
        (EVAL, ["first", "best.ckpt", "data"], "DEVICE_ID: found 'first', expected a whole number"),
        (EVAL, ["0", "best.ckpt", "data", "more"], "unknown argument 'more'"),
    ],
)
def test_wrong_arguments(site, script, arguments, message):
    result = site.call(script, *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert f"usage: bash scripts/{script}" in result.stderr
    assert not list(site.folder.iterdir())


SEVERAL = {"NUM_NODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "8118"}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DEVICE_TARGET": "TPU"}, "DEVICE_TARGET: found 'TPU', expected CPU, Ascend or GPU"),
        ({"PYTHON": "no-such-python"}, "PYTHON: found no program 'no-such-python', expected a Python interpreter"),
        ({"STOP_SECONDS": "soon"}, "STOP_SECONDS: found 'soon', expected a whole number from 0 to 86400"),
        ({"CLUSTER_TIME_OUT": "-1"}, "CLUSTER_TIME_OUT: found '-1', expected a whole number from 1"),
        ({"MASTER_PORT": "80"}, "MASTER_PORT: found '80', expected a whole number from 1024 to 65535"),
        ({"NUM_NODES": "no"}, "NUM_NODES: found 'no', expected a whole number from 1"),
        ({"NODE_RANK": "1"}, "NODE_RANK: found '1', expected a whole number from 0 to 0"),
        (SEVERAL | {"NODE_RANK": "2"}, "NODE_RANK: found '2', expected a whole number from 0 to 1"),
        (SEVERAL | {"NODE_RANK": ""}, "NODE_RANK: found nothing, expected a value because NUM_NODES is 2"),
        (SEVERAL | {"MASTER_ADDR": ""}, "MASTER_ADDR: found nothing, expected a value because NUM_NODES is 2"),
        (SEVERAL | {"MASTER_PORT": ""}, "MASTER_PORT: found nothing, expected a value because NUM_NODES is 2"),
        (SEVERAL | {"NUM_NODES": "3"}, "DEVICE_NUM: found 8 on 3 machines (NUM_NODES), expected a multiple of 3"),
    ],
)
def test_wrong_environment(site, variables, message):
    result = site.call(DISTRIBUTE, "--foreground", **variables)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("folder", [".venv/bin", "somewhere"])
def test_the_interpreter_is_that_of_the_virtual_environment_or_else_python3(site, tmp_path, folder):
    checkout = tmp_path / "a checkout"
    shutil.copytree(SCRIPTS, checkout / "scripts")
    name = checkout / folder / ("python" if folder == ".venv/bin" else "python3")
    name.parent.mkdir(parents=True)
    name.symlink_to(site.interpreter)
    path = f"{checkout / 'somewhere'}:{os.environ['PATH']}"
    result = site.call(checkout / "scripts" / STANDALONE, PYTHON="", PATH=path, STAND_IN_WITHOUT_MINDSPORE="1")
    assert result.stderr.startswith(f"error: {name} has no mindspore")


@pytest.mark.parametrize(("script", "arguments"), [(STANDALONE, []), (DISTRIBUTE, ["2"])])
def test_an_interpreter_without_mindspore_is_told_in_one_line(site, script, arguments):
    result = site.call(script, *arguments, STAND_IN_WITHOUT_MINDSPORE="1")
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {site.interpreter} has no mindspore: run bash scripts/run_demo.sh")
    assert len(result.stderr.splitlines()) == 1


def test_what_is_to_be_evaluated_must_exist(site):
    result = site.call(EVAL, 0, "best.ckpt", "data")
    assert (result.returncode, result.stderr.splitlines()) == (
        2,
        ["error: MODEL_PATH: found no file 'best.ckpt', expected a checkpoint of train.py"],
    )
    (site.folder / "best.ckpt").touch()
    result = site.call(EVAL, 0, "best.ckpt", "data")
    assert result.returncode == 2
    assert result.stderr.startswith("error: DATA_DIR: found neither folder nor file 'data'")


def test_an_output_folder_that_cannot_be_made(site):
    (site.folder / "taken").touch()
    result = site.call(STANDALONE, "--output_dir", "taken/run")
    assert result.returncode == 2
    assert result.stderr.startswith("error: --output-dir: found 'taken/run', expected a folder that can be made")


@pytest.mark.parametrize("script", [STANDALONE, DISTRIBUTE])
def test_a_run_that_is_going_on_is_left_alone(site, script):
    logs = site.folder / "runs/train/logs"
    logs.mkdir(parents=True)
    (logs / "rank_0.log").write_text("still written to")
    with (logs.parent / ".lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = site.call(script, "--foreground")
    assert result.returncode == 2
    assert result.stderr == f"error: {logs.parent}: found a run that is going on (pid 4711), expected none\n"
    assert (logs / "rank_0.log").read_text() == "still written to"


# --- one process -----------------------------------------------------------------------------------------------------


def test_standalone(site):
    result = site.call(STANDALONE, 3, "--foreground", "--epochs", 2, "--valid_dir", "a  b", DEVICE_TARGET="Ascend")
    assert result.returncode == 0, result.stderr
    called = site.record("program")
    device = ["--device_target", "Ascend", "--device_id", "3"]
    assert called["arguments"] == [TRAIN, *device, "--epochs", "2", "--valid_dir", "a  b"]
    assert called["cwd"] == str(site.folder)


def test_the_defaults(site):
    assert site.call(STANDALONE, "--foreground").returncode == 0
    assert site.record("program")["arguments"] == [TRAIN, "--device_target", "CPU", "--device_id", "0"]


def test_what_the_user_says_of_the_device_stands(site):
    options = ["--device-target=GPU", "--device_id", "5"]
    assert site.call(STANDALONE, *options, "--foreground").returncode == 0
    assert site.record("program")["arguments"] == [TRAIN, *options]


@pytest.mark.parametrize(
    "option", [["--output_dir", "my runs/1"], ["--output-dir", "my runs/1"], ["--output_dir=my runs/1"]]
)
def test_screen_and_log_say_the_same(site, option):
    result = site.call(STANDALONE, "--foreground", *option, STAND_IN_SAY="\r10 %\r20 %")
    assert result.stdout == site.log("my runs/1/train.log")
    first, *_ = result.stdout.split("\n")
    assert re.fullmatch(r"== \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} in .*: bash .*run_standalone_train.sh .*", first)
    assert result.stdout.endswith("\n\r10 %\r20 %\nexit status 0\n")


def test_a_second_sitting_is_added_to_the_log(site):
    site.call(STANDALONE, "--foreground", STAND_IN_SAY="first sitting\n")
    result = site.call(STANDALONE, "--foreground", STAND_IN_SAY="second sitting\n")
    assert "first sitting" not in result.stdout
    log = site.log()
    assert log.index("first sitting") < log.index("second sitting")
    assert [line for line in log.splitlines() if line.startswith("exit status")] == ["exit status 0"] * 2


def test_the_exit_status_in_the_foreground(site):
    result = site.call(STANDALONE, "--foreground", STAND_IN_FAIL="0:3")
    assert result.returncode == 3
    assert site.log().endswith("error: found a mistake in rank 0\nexit status 3\n")


def test_the_background(site):
    result = site.call(STANDALONE, STAND_IN_SAY="at work\n", STAND_IN_SLEEP="4", STAND_IN_FAIL="9:9")
    assert "exit status" not in site.log()  # it returns while the job is at work
    assert result.returncode == 0
    assert re.search(r"started in the background, process \d+\n", result.stdout)
    assert f"log:     {site.folder / 'runs/train/train.log'}\n" in result.stdout
    assert "follow:  tail -f " in result.stdout
    wait_until(lambda: site.log().endswith("exit status 0\n"))
    assert "at work\n" in site.log()


def test_the_exit_status_in_the_background(site):
    assert site.call(STANDALONE, STAND_IN_FAIL="0:7").returncode == 0
    wait_until(lambda: site.log().endswith("exit status 7\n"))


def test_a_background_job_has_left_the_terminal_and_saves_when_it_is_stopped(site):
    result = site.call(STANDALONE, STAND_IN_SLEEP="60")
    site.wait_for("program")
    supervisor = int(re.search(r"process (\d+)", result.stdout)[1])
    program = site.record("program")["pid"]
    assert os.getsid(supervisor) == supervisor != os.getsid(0)
    assert os.getsid(program) == program
    os.kill(supervisor, signal.SIGHUP)
    os.kill(supervisor, signal.SIGTERM)
    wait_until(lambda: site.log().endswith("exit status 130\n"))
    assert (site.records / "saved").exists()
    assert not is_alive(program)


def test_evaluation(site):
    (site.folder / "my model.ckpt").touch()
    (site.folder / "data").mkdir()
    arguments = [2, "my model.ckpt", "data", "--foreground", "--batch_size", 4, "--output", "my scores"]
    result = site.call(EVAL, *arguments, STAND_IN_SAY="\r100 %\nAverage SISNR improvement: 1.00\n")
    assert result.returncode == 0, result.stderr
    given = ["--model_path", "my model.ckpt", "--data_dir", "data", "--device_target", "CPU", "--device_id", "2"]
    assert site.record("program")["arguments"] == [
        str(ROOT / "evaluate.py"),
        *given,
        "--batch_size",
        "4",
        "--output",
        "my scores",
    ]
    assert result.stdout.endswith("\n\r100 %\nAverage SISNR improvement: 1.00\n")  # and no exit status
    assert site.log("my scores/eval.log") == result.stdout


def evaluation_arguments(site):
    (site.folder / "best.ckpt").touch()
    (site.folder / "data").mkdir()
    return [0, "best.ckpt", "data"]


def test_an_evaluation_in_the_background_has_the_logs_last_word(site):
    result = site.call(EVAL, *evaluation_arguments(site), STAND_IN_SAY="Average SISNR improvement: 1.00\n")
    supervisor = int(re.search(r"process (\d+)", result.stdout)[1])
    wait_until(lambda: not is_alive(supervisor))
    assert site.log("runs/evaluate/eval.log").endswith("\nAverage SISNR improvement: 1.00\n")


def test_an_evaluation_that_fails_tells_its_exit_status(site):
    result = site.call(EVAL, *evaluation_arguments(site), "--foreground", STAND_IN_FAIL="0:2")
    assert result.returncode == 2
    assert result.stdout.endswith("error: found a mistake in rank 0\nexit status 2\n")
    assert site.log("runs/evaluate/eval.log") == result.stdout


def test_the_short_name_of_the_device_stands(site):
    result = site.call(EVAL, *evaluation_arguments(site), "--foreground", "--device", "GPU")
    assert result.returncode == 0, result.stderr
    given = ["--model_path", "best.ckpt", "--data_dir", "data", "--device_id", "0"]
    assert site.record("program")["arguments"] == [str(ROOT / "evaluate.py"), *given, "--device", "GPU"]


# --- several processes by msrun --------------------------------------------------------------------------------------


def test_msrun(site):
    result = site.call(DISTRIBUTE, 3, "--epochs", 2, "--foreground", STAND_IN_SAY="\r10 %\r100 %\nthe end\n")
    assert result.returncode == 0, result.stdout
    output = site.folder / "runs/train"
    called = site.record("msrun")["arguments"]
    assert called[called.index(TRAIN) :] == [TRAIN, "--device_target", "CPU", "--epochs", "2"]
    options = pairs(called[: called.index(TRAIN)])
    assert 1024 <= int(options.pop("master_port")) <= 65535
    assert f"--log_dir={output / 'logs'}" in called
    del options["log_dir"]
    assert options == {
        "worker_num": "3",
        "local_worker_num": "3",
        "master_addr": "127.0.0.1",
        "node_rank": "0",
        "worker_log_name": "rank",
        "tail_worker_log": "3",
        "join": "True",
        "cluster_time_out": "600",
    }
    assert "\n\r10 %\r100 %\nthe end\nexit status 0\n" in result.stdout
    assert result.stdout == site.log()
    for rank in range(3):
        assert site.record(f"rank_{rank}")["arguments"] == [TRAIN, "--device_target", "CPU", "--epochs", "2"]
        assert (output / f"logs/rank_{rank}.log").read_text().endswith("the end\n")


def test_workers_run_the_chosen_interpreter_and_can_find_their_own_python(site):
    assert site.call(DISTRIBUTE, 1, "True", "--foreground", RANK_TABLE_FILE="/of/another/job").returncode == 0
    environment = site.record("rank_0")["environment"]
    assert "RANK_STATUS_FOLDER" not in environment
    assert "RANK_TABLE_FILE" not in environment
    assert environment["PYTHON"] == str(site.interpreter)


def test_eight_processes_is_the_default(site):
    assert site.call(DISTRIBUTE, "--foreground").returncode == 0
    assert pairs(site.record("msrun")["arguments"])["worker_num"] == "8"
    assert len(list(site.records.glob("rank_*.json"))) == 8


def test_one_process_alone(site):
    assert site.call(DISTRIBUTE, 1, "False", "--foreground").returncode == 0
    assert site.record("program")["arguments"] == [TRAIN, "--device_target", "CPU"]
    assert not (site.records / "msrun.json").exists()


def test_one_of_several_machines(site):
    result = site.call(DISTRIBUTE, 4, "--foreground", STAND_IN_SAY="here\n", **SEVERAL)
    assert result.returncode == 0
    options = pairs(site.record("msrun")["arguments"])
    expected = {"worker_num": "4", "local_worker_num": "2", "master_addr": "10.0.0.1", "master_port": "8118"}
    assert {key: options[key] for key in expected} == expected
    assert options["node_rank"] == "1"
    assert sorted(path.stem for path in site.records.glob("rank_*.json")) == ["rank_2", "rank_3"]
    assert result.stdout == site.log("runs/train/train_rank2.log")
    assert "\nhere\n" in result.stdout


def test_a_rank_that_fails_under_msrun_is_told_without_a_traceback(site):
    began = time.monotonic()
    result = site.call(DISTRIBUTE, 3, "--foreground", STAND_IN_FAIL="2:5", STAND_IN_SLEEP="60")
    assert time.monotonic() - began < 10  # the scheduler alone would take half a minute
    assert result.returncode == 5
    logs = site.folder / "runs/train/logs"
    line = f"error: rank 2 ended with status 5, look at {logs}/rank_2.log; last error told: found a mistake in rank 2"
    assert result.stdout.endswith(f"\n{line}\nexit status 5\n")
    assert "Traceback" not in result.stdout + result.stderr
    for rank in range(3):
        assert not is_alive(site.record(f"rank_{rank}")["pid"])


# --- several processes by a rank table -------------------------------------------------------------------------------


def make_table(*servers):
    """A table with these numbers of devices: a server each, device ids from 0, ranks counted through."""
    listed, rank = [], 0
    for number, count in enumerate(servers):
        devices = []
        for device in range(count):
            devices.append({"device_id": str(device), "device_ip": f"192.1.27.{rank}", "rank_id": str(rank)})
            rank += 1
        listed.append({"server_id": f"10.0.0.{number}", "device": devices, "host_nic_ip": "reserve"})
    return {"version": "1.0", "server_count": str(len(servers)), "server_list": listed, "status": "completed"}


@pytest.fixture
def table_of(site):
    def write(*servers):
        path = site.folder / "rank table.json"
        path.write_text(json.dumps(make_table(*servers)))
        return path

    return write


def test_rank_table(site, table_of):
    table = table_of(8)
    arguments = [8, "True", table.name, "--seed", 1, "--foreground"]
    result = site.call(DISTRIBUTE, *arguments, DEVICE_TARGET="Ascend", STAND_IN_SAY="\r10 %\r100 %\nthe end\n")
    assert result.returncode == 0, result.stdout
    for rank in range(8):
        called = site.record(f"rank_{rank}")
        assert called["arguments"] == [TRAIN, "--device_target", "Ascend", "--seed", "1"]
        environment = called["environment"]
        assert environment["RANK_TABLE_FILE"] == str(table)
        assert (environment["RANK_ID"], environment["DEVICE_ID"]) == (str(rank), str(rank))
        assert (environment["RANK_SIZE"], environment["DEVICE_NUM"]) == ("8", "8")
        assert (site.folder / f"runs/train/logs/rank_{rank}.log").read_text().endswith("the end\n")
    assert "\n\r10 %\r100 %\nthe end\nexit status 0\n" in result.stdout
    assert result.stdout == site.log()


def test_a_server_of_a_rank_table_that_has_several(site, table_of):
    table = table_of(2, 2)
    result = site.call(DISTRIBUTE, 4, "True", table, "--foreground")
    assert result.returncode == 2
    assert result.stderr == (
        f"error: {table}: found 2 servers, expected SERVER_ID to name this one: 10.0.0.0, 10.0.0.1\n"
    )
    result = site.call(DISTRIBUTE, 4, "True", table, "--foreground", SERVER_ID="10.0.0.1", STAND_IN_SAY="here\n")
    assert result.returncode == 0
    assert sorted(path.stem for path in site.records.glob("rank_*.json")) == ["rank_2", "rank_3"]
    environment = site.record("rank_3")["environment"]
    assert (environment["DEVICE_ID"], environment["RANK_SIZE"]) == ("1", "4")
    assert "\nhere\n" in result.stdout


def test_a_rank_table_of_another_size_starts_nothing(site, table_of):
    table = table_of(4)
    result = site.call(DISTRIBUTE, 8, "True", table)
    assert result.returncode == 2
    assert result.stderr == f"error: {table}: found 4 devices, expected 8 (DEVICE_NUM)\n"
    assert not list(site.records.iterdir())
    assert not (site.folder / "runs").exists()


def test_a_rank_that_fails_stops_the_others(site, table_of):
    began = time.monotonic()
    variables = {"STAND_IN_FAIL": "1:5", "STAND_IN_SLEEP": "60"}
    result = site.call(DISTRIBUTE, 3, "True", table_of(3), "--foreground", **variables)
    assert time.monotonic() - began < 30
    assert result.returncode == 5
    log = site.folder / "runs/train/logs/rank_1.log"
    line = f"error: rank 1 ended with status 5, look at {log}; last error told: found a mistake in rank 1"
    assert result.stdout.endswith(f"\n{line}\nexit status 5\n")
    for rank in range(3):
        assert not is_alive(site.record(f"rank_{rank}")["pid"])


def test_a_rank_that_does_not_heed_term_is_killed(site, table_of):
    variables = {"STAND_IN_FAIL": "1:5", "STAND_IN_SLEEP": "60", "STAND_IN_DEAF": "2", "STOP_SECONDS": "1"}
    result = site.call(DISTRIBUTE, 3, "True", table_of(3), "--foreground", **variables)
    assert result.returncode == 5
    assert not is_alive(site.record("rank_2")["pid"])


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


def interrupted(job, number=signal.SIGINT):
    """The signal to the script's process group, as a terminal sends it; what was shown until the end."""
    os.killpg(job.pid, number)
    shown, _ = job.communicate(timeout=PATIENCE)
    return shown.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_reaches_the_single_process(site, number):
    job = site.begin(STANDALONE, "--foreground", STAND_IN_SLEEP="60")
    site.wait_for("program")
    shown = interrupted(job, number)
    assert job.returncode == 130
    assert (site.records / "saved").exists()
    assert shown.endswith(
        "interrupted: the program may save first; a second time ends everything at once\nsaved\nexit status 130\n"
    )


def test_an_interrupt_reaches_rank_0_of_msrun_by_its_lock_file(site):
    lock = site.folder / "runs/train/.lock"
    job = site.begin(DISTRIBUTE, 3, "--foreground", STAND_IN_SLEEP="60", STAND_IN_LOCK=str(lock))
    site.wait_for("rank_0", "rank_1", "rank_2")
    shown = interrupted(job)
    assert job.returncode == 130
    assert (site.records / "saved").read_text() == "0"
    assert shown.endswith("\nsaved\nexit status 130\n")
    for name in ("msrun", "rank_0", "rank_1", "rank_2"):
        assert not is_alive(site.record(name)["pid"])


def test_an_interrupt_reaches_rank_0_of_a_rank_table(site, table_of):
    job = site.begin(DISTRIBUTE, 3, "True", table_of(3), "--foreground", STAND_IN_SLEEP="60")
    site.wait_for("rank_0", "rank_1", "rank_2")
    shown = interrupted(job)
    assert job.returncode == 130
    assert (site.records / "saved").read_text() == "0"
    assert shown.endswith("\nsaved\nexit status 130\n")
    for rank in range(3):
        assert not is_alive(site.record(f"rank_{rank}")["pid"])


def test_a_pid_that_an_earlier_run_left_is_not_touched(site):
    lock = site.folder / "runs/train/.lock"
    lock.parent.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        lock.write_text(f"{stranger.pid}\n")
        job = site.begin(DISTRIBUTE, 2, "--foreground", STAND_IN_SLEEP="60")
        site.wait_for("rank_0", "rank_1")
        shown = interrupted(job)
        assert stranger.poll() is None
        stranger.kill()
    assert job.returncode == 130
    assert shown.endswith("\ninterrupted\nexit status 130\n")
    for rank in range(2):
        assert not is_alive(site.record(f"rank_{rank}")["pid"])


def test_a_second_interrupt_ends_a_program_that_does_not_heed_the_first(site):
    job = site.begin(STANDALONE, "--foreground", STAND_IN_SLEEP="60", STAND_IN_IGNORE="1")
    site.wait_for("program")
    os.killpg(job.pid, signal.SIGINT)
    wait_until(lambda: "interrupted: " in site.log())
    time.sleep(0.3)
    assert job.poll() is None
    shown = interrupted(job)
    assert job.returncode == 130
    assert shown.endswith("interrupted again: everything is ended at once\nexit status 130\n")
    assert not is_alive(site.record("program")["pid"])


# --- check_rank_table.py ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def check_rank_table():
    specification = importlib.util.spec_from_file_location("check_rank_table", SCRIPTS / "check_rank_table.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_ranks_and_devices_of_a_server(check_rank_table, tmp_path, capsys):
    table = make_table(2, 3)
    for device, rank_id in zip(table["server_list"][1]["device"], ["4", "3", "2"], strict=True):
        device["rank_id"] = rank_id
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table))
    assert check_rank_table.main([str(path), "5", "10.0.0.1"]) == 0
    assert capsys.readouterr().out == "2 2\n3 1\n4 0\n"


def test_a_status_may_be_missing_and_numbers_may_be_numbers(check_rank_table, tmp_path, capsys):
    table = make_table(1)
    del table["status"]
    table["server_count"] = 1
    table["server_list"][0]["device"] = [{"device_id": 5, "rank_id": 0}]
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table))
    assert check_rank_table.main([str(path), "1"]) == 0
    assert capsys.readouterr().out == "0 5\n"


def changed(*path_and_value):
    """A table of two servers with two devices each, of which one entry is replaced, or removed by `...`."""
    *path, last, value = path_and_value
    table = make_table(2, 2)
    holder = table
    for key in path:
        holder = holder[key]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return json.dumps(table)


SERVERS = "server_list"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "found no JSON (Expecting property name enclosed in double quotes: line 1 column 2"),
        ("[]", "found a JSON list, expected an object with a server_list"),
        (changed("status", "initializing"), "found status 'initializing', expected 'completed'"),
        (changed(SERVERS, ...), "found no list of objects as server_list of the table, expected one with at least"),
        (changed(SERVERS, []), "found no list of objects as server_list of the table, expected one with at least"),
        (changed(SERVERS, ["10.0.0.1"]), "found no list of objects as server_list of the table"),
        (changed("server_count", "1"), "found server_count '1', expected '2' as in server_list"),
        (changed("server_count", ...), "found server_count None, expected '2' as in server_list"),
        (changed(SERVERS, 1, "server_id", ...), "found server_id None in server 1, expected its address"),
        (changed(SERVERS, 1, "server_id", "10.0.0.0"), "found server_id 10.0.0.0 2 times in the table, expected once"),
        (changed(SERVERS, 0, "device", ...), "found no list of objects as device of server 10.0.0.0, expected one"),
        (changed(SERVERS, 0, "device", 1, "rank_id", ...), "found rank_id None in server 10.0.0.0, expected a whole"),
        (changed(SERVERS, 0, "device", 1, "rank_id", "-1"), "found rank_id '-1' in server 10.0.0.0, expected a whole"),
        (changed(SERVERS, 0, "device", 1, "device_id", True), "found device_id True in server 10.0.0.0, expected"),
        (changed(SERVERS, 0, "device", 1, "device_id", "0"), "found device_id 0 2 times in server 10.0.0.0, expected"),
        (changed(SERVERS, 0, "device", 1, "rank_id", "3"), "found rank_id 3 2 times in the table, expected once"),
        (changed(SERVERS, 1, "device", 1, "rank_id", "4"), "found rank_id 4 but no rank_id 3, expected 0 to 3"),
        (changed(SERVERS, 1, "device", 1, ...), "found 3 devices, expected 4 (DEVICE_NUM)"),
    ],
)
def test_what_is_wrong_with_a_table(check_rank_table, tmp_path, capsys, text, message):
    path = tmp_path / "table.json"
    path.write_text(text)
    assert check_rank_table.main([str(path), "4", "10.0.0.0"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {path}: {message}")
    assert len(said.err.splitlines()) == 1


def test_a_table_or_server_that_is_not_there(check_rank_table, tmp_path, capsys):
    path = tmp_path / "table.json"
    assert check_rank_table.main([str(path), "4"]) == 2
    assert capsys.readouterr().err == (
        f"error: {path}: found no readable file (No such file or directory), expected a rank table\n"
    )
    path.write_text(json.dumps(make_table(2, 2)))
    assert check_rank_table.main([str(path), "4", "10.0.0.9"]) == 2
    assert capsys.readouterr().err == (
        f"error: {path}: found no server 10.0.0.9 (SERVER_ID), expected one of 10.0.0.0, 10.0.0.1\n"
    )


@pytest.mark.parametrize(
    "arguments", [[], ["table.json"], ["table.json", "four"], ["table.json", "4", "server", "more"]]
)
def test_usage_of_the_check(check_rank_table, capsys, arguments):
    assert check_rank_table.main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python scripts/check_rank_table.py TABLE DEVICE_NUM")
