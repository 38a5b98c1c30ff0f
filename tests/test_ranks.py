"""Two processes of MindSpore's dynamic cluster against one with twice the batch; each launch takes some 20 s."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.scaling import free_port
from src import checkpoint
from src.config import Config, DataConfig, ModelConfig, TrainingConfig
from src.errors import UserError
from src.ranks import Ranks, join_ranks
from src.run_folder import LATEST
from train import command_line

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "tests" / "faults" / "spoiled_training.py"
BATCH = 2  # of each process


@pytest.fixture(scope="module")
def config(tiny_records):
    """Twenty updates of two processes."""
    model = ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, chunk_frames=16)
    data = DataConfig(
        train=str(tiny_records / "train.mindrecord"),
        valid=str(tiny_records / "valid.mindrecord"),
        segment_seconds=0.25,
        valid_seconds=0.5,
        dynamic_mixing=True,
        dynamic_examples=10 * 2 * BATCH,
    )
    return Config(model, data, TrainingConfig(epochs=2, batch_size=BATCH, average_decay=0.9, save_minutes=1e-9))


def write_recipe(config, folder):
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(dataclasses.asdict(config)))))
    return path


def environment(folder, faults):
    # One thread, so that two processes on few cores do not wait for each other's threads.
    return {**os.environ, "FAULT_RECORD": str(folder), "OMP_NUM_THREADS": "1", "LOCAL_RANKS": "2", **faults}


def launch(config, folder, **faults):
    """Train with two processes. Returns the exit status and when the launcher ended."""
    options = ["--worker_num=2", "--local_worker_num=2", f"--log_dir={folder / 'logs'}", "--join=True"]
    port = f"--master_port={free_port()}"
    task = [str(PROGRAM), "--config", str(write_recipe(config, folder)), "--output_dir", str(folder)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the launcher starts a program called python
    result = subprocess.run(
        [sys.executable, "-m", "mindspore.parallel.cluster.run", *options, port, *task],
        env={**environment(folder, faults), "PATH": path},
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return result.returncode, time.time()


def logs(folder):
    return "\n".join(path.read_text() for path in (folder / "logs").glob("*.log"))


def losses(folder, rank=0):
    lines = (folder / f"losses-{rank}.jsonl").read_text().splitlines()
    return np.array([json.loads(line) for line in lines])  # [steps, (step, loss, norm)]


def values(folder):
    return {name: value.asnumpy() for name, value in checkpoint.read(folder / LATEST).values.items()}


@pytest.fixture(scope="module")
def together(config, tmp_path_factory):
    """The folder of a run of two processes in which an example of the second is spoiled in the fourth update."""
    folder = tmp_path_factory.mktemp("two")
    status, _ = launch(config, folder, FAULT_NAN_STEP="4")
    assert status == 0, logs(folder)
    return folder


@pytest.fixture(scope="module")
def alone(config, tmp_path_factory):
    """The same with one process and twice the batch."""
    folder = tmp_path_factory.mktemp("one")
    settings = dataclasses.replace(config.training, batch_size=2 * BATCH)
    recipe = write_recipe(dataclasses.replace(config, training=settings), folder)
    command = [sys.executable, str(PROGRAM), "--config", str(recipe), "--output_dir", str(folder)]
    faults = environment(folder, {"FAULT_NAN_STEP": "4"})
    subprocess.run(command, env=faults, cwd=folder, check=True, capture_output=True)
    return folder


def test_two_processes_are_one_with_twice_the_batch(together, alone):
    found, expected = losses(together), losses(alone)
    assert len(found) == len(expected) == 20
    finite = np.arange(20) != 3
    np.testing.assert_allclose(found[finite, 1], expected[finite, 1], atol=2e-4)  # dB
    np.testing.assert_allclose(found[finite, 2], expected[finite, 2], rtol=2e-3)
    ours, theirs = values(together), values(alone)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if not name.startswith("adam"):  # weights and their averages
            assert np.linalg.norm(ours[name] - value) <= 1e-3 * np.linalg.norm(value), name


def test_all_processes_skip_what_one_finds_not_finite(together, alone):
    for folder, rank in ((together, 0), (together, 1), (alone, 0)):
        not_finite = ~np.isfinite(losses(folder, rank)[:, 1:]).all(1)
        np.testing.assert_array_equal(np.flatnonzero(not_finite), [3])
    assert checkpoint.read(together / LATEST).progress["health"]["skipped"] == 1


def test_every_process_sees_the_same_losses(together):
    np.testing.assert_array_equal(losses(together, 0), losses(together, 1))


def test_validation_is_shared_out(together, alone):
    scores = [checkpoint.read(folder / LATEST).progress["history"] for folder in (together, alone)]
    for ours, theirs in zip(*scores, strict=True):
        assert ours["valid_si_snri_db"] == pytest.approx(theirs["valid_si_snri_db"], abs=2e-3)


def test_a_dying_process_stops_the_others_and_the_run_goes_on_as_though_nothing_had_happened(
    together, config, tmp_path
):
    status, ended = launch(config, tmp_path, FAULT_NAN_STEP="4", FAULT_DIE_STEP="8", FAULT_DIE_RANK="1")
    assert status != 0
    assert ended - float((tmp_path / "died").read_text()) < 60
    assert checkpoint.read(tmp_path / LATEST).progress["steps_done"] in (6, 7)
    script = ["bash", str(ROOT / "scripts" / "run_distribute_train.sh"), "2", "True", "--foreground"]
    options = ["--config", "recipe.yaml", "--output_dir", str(tmp_path)]
    result = subprocess.run(
        [*script, *options],
        cwd=tmp_path,
        env={**environment(tmp_path, {}), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "trained 2 epochs" in result.stdout
    found, expected = values(tmp_path), values(together)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "two"}, r"MS_WORKER_NUM: found 'two', expected the number"),
        ({"RANK_TABLE_FILE": "table.json", "RANK_SIZE": ""}, r"RANK_SIZE: found '', expected the number"),
    ],
)
def test_an_environment_that_makes_no_sense(monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        join_ranks("CPU")


def test_one_process_communicates_with_nobody():
    ranks = Ranks()
    assert ranks.is_first
    assert ranks.share_text("text") == "text"
    array = np.ones(3, np.float32)
    assert ranks.sum(array) is array
    ranks.share([])


def test_a_run_of_several_processes_writes_down_the_script_that_starts_it():
    words = ["--config", "configs/a b.yaml", "--seed", "1"]
    assert command_line(words, 1) == "python train.py --config 'configs/a b.yaml' --seed 1"
    assert command_line(words, 2).startswith("bash scripts/run_distribute_train.sh 2 True --config 'configs/a b.yaml'")
