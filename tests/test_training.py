"""Runs of as small a network as there can be; what needs no gradient replaces the update by a number."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from mindspore import Tensor

from src import checkpoint
from src.config import Config, DataConfig, ModelConfig, TrainingConfig
from src.errors import UserError
from src.run_folder import BEST, DAMAGED, HISTORY, LATEST, PREVIOUS, SITTINGS
from src.runtime import start, stop_when_terminated
from src.stepper import Stepper, StepResult
from src.training import Run, train
from src.validation import Validation
from tests.faults.runs import TIMES, contents

ROOT = Path(__file__).parent.parent
EVERY_STEP = 1e-9  # minutes between checkpoints


@pytest.fixture(scope="module", autouse=True)
def graph_mode():
    start("CPU")


def with_training(config, **changes):
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **changes))


@pytest.fixture(scope="module")
def static(tiny_records):
    """Two epochs of three updates, crops of mixtures as they are."""
    return Config(
        ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, chunk_frames=16, normalize_level=True),
        DataConfig(
            train=str(tiny_records / "train.mindrecord"),
            valid=str(tiny_records / "valid.mindrecord"),
            segment_seconds=0.25,
            valid_seconds=0.5,
        ),
        TrainingConfig(epochs=2, batch_size=4, learning_rate=1e-3),
    )


@pytest.fixture(scope="module", params=["dynamic mixing, muon", "static, adamw, accumulation"])
def config(static, request):
    """Twenty updates in two epochs or in five, with everything that is drawn or remembered."""
    if request.param.startswith("static"):
        settings = {"epochs": 5, "batch_size": 1, "accumulation": 3, "optimizer": "adamw", "weight_decay": 0.01}
        return with_training(static, average_decay=0.9, schedule="plateau", plateau_epochs=1, **settings)
    data = dataclasses.replace(
        static.data,
        dynamic_mixing=True,
        dynamic_examples=40,
        speed_min=0.8,
        speed_max=1.2,
        formant_share=0.5,
        formant_spread=0.05,
        pitch_ratio_first=1.2,
        flatten_spectrum=True,
        equalizer_db=3.0,
        noise_floor_db=-20.0,
    )
    return with_training(
        dataclasses.replace(static, data=data), optimizer="muon", schedule="cosine", warmup_steps=3, average_decay=0.9
    )


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    """The folder of a run without interruption."""
    output = tmp_path_factory.mktemp("straight")
    train(config, output)
    return output


def read_history(folder):
    return [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]


def assert_same_run(folder, expected):
    """Weights, averages, moments, counters and history equal, bit for bit; only the times differ."""
    found, wanted = contents(folder), contents(expected)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []


def test_a_run_leaves_checkpoints_a_history_and_curves(straight, config):
    history = read_history(straight)
    assert [entry["epoch"] for entry in history] == list(range(1, config.training.epochs + 1))
    assert history[-1]["step"] == 20
    numbers = ("train_loss_db", "valid_si_snri_db", "gradient_norm", "learning_rate", *TIMES)
    assert all(np.isfinite(entry[key]) for entry in history for key in numbers)
    stored = checkpoint.read(straight / LATEST)
    assert stored.config == config
    assert stored.progress["epochs_done"] == config.training.epochs
    assert (
        (straight / PREVIOUS).exists() and (straight / "curves.png").exists() and any((straight / "events").iterdir())
    )
    best = max(history, key=lambda entry: entry["valid_si_snri_db"])
    assert checkpoint.read(straight / BEST).progress["epochs_done"] == best["epoch"]
    assert stored.progress["best_si_snri_db"] == best["valid_si_snri_db"]
    assert len(list(straight.glob("best-epoch*.ckpt"))) == min(config.training.epochs, config.training.keep_best)


def test_a_run_writes_down_its_sittings_and_counts_the_time_of_the_cores(config, tmp_path):
    short = with_training(config, epochs=1, schedule="constant")
    data = dataclasses.replace(short.data, pitch_ratio_first=1.0, pitch_ratio_last=1.0)
    short = dataclasses.replace(short, data=data)
    train(short, tmp_path, command="python train.py --epochs 1")
    train(with_training(short, epochs=2), tmp_path, command="python train.py --epochs 2")
    first, second = (json.loads(line) for line in (tmp_path / SITTINGS).read_text().splitlines())
    assert (first["command"], second["command"]) == ("python train.py --epochs 1", "python train.py --epochs 2")
    assert (first["steps_done"], second["epochs_done"]) == (0, 1)
    assert all(entry["processor"] and entry["cores"] >= 1 and entry["processes"] == 1 for entry in (first, second))
    history = read_history(tmp_path)
    assert 0 < history[0]["cpu_seconds"] < history[1]["cpu_seconds"]


def test_every_weight_and_its_average_change(straight, config):
    first = {p.name: p.asnumpy() for p in Run(config, straight / "none").stepper.network.get_parameters()}
    last = checkpoint.read(straight / LATEST).values
    for name, value in first.items():
        assert np.abs(value - last[name].asnumpy()).max() > 0, name
        assert np.abs(last[f"average.{name}"].asnumpy() - last[name].asnumpy()).max() > 0, name


def test_two_runs_are_identical(straight, config, tmp_path):
    train(config, tmp_path)
    assert_same_run(tmp_path, straight)


def test_a_killed_run_goes_on_as_though_nothing_had_happened(straight, config, tmp_path):
    saving = with_training(config, save_minutes=EVERY_STEP)
    recipe = tmp_path / "recipe.yaml"
    sections = json.loads(json.dumps(dataclasses.asdict(saving)))
    recipe.write_text(yaml.safe_dump(sections))
    command = [
        sys.executable,
        "tests/faults/spoiled_training.py",
        "--config",
        str(recipe),
        "--output_dir",
        str(tmp_path),
    ]
    faults = {"FAULT_RECORD": str(tmp_path), "FAULT_DIE_STEP": "8", "FAULT_DIE_RANK": "0"}
    result = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **faults}, capture_output=True, text=True, check=False
    )
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert checkpoint.read(tmp_path / LATEST).progress["steps_done"] == 7
    train(config, tmp_path)
    assert_same_run(tmp_path, straight)


@pytest.fixture
def terminating():
    """Signals as train.py has them; in the background pytest may have been started with SIGINT ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stop_when_terminated()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("terminating")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_the_last_update_and_the_run_goes_on_from_it(straight, config, tmp_path, monkeypatch, number):
    if number == signal.SIGTERM and config.training.optimizer == "muon":
        pytest.skip("once is enough")
    take = Stepper.take
    steps = []

    def pressed_during_the_update(self, *arguments):
        result = take(self, *arguments)
        steps.append(result)
        if len(steps) == 5:
            signal.raise_signal(number)
        return result

    monkeypatch.setattr(Stepper, "take", pressed_during_the_update)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path)
    assert checkpoint.read(tmp_path / LATEST).progress["steps_done"] == 5
    monkeypatch.undo()
    train(config, tmp_path)
    assert_same_run(tmp_path, straight)


def test_a_damaged_checkpoint_is_told_and_the_one_before_used(straight, config, tmp_path, monkeypatch, capsys):
    score, scores = Validation.score, []

    def interrupted_at_the_end(self, separation):
        if len(scores) == config.training.epochs - 1:
            raise KeyboardInterrupt
        scores.append(score(self, separation))
        return scores[-1]

    monkeypatch.setattr(Validation, "score", interrupted_at_the_end)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path)
    monkeypatch.undo()
    damaged = bytearray((tmp_path / LATEST).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / LATEST).unlink()  # a new file: previous.ckpt may be the same one
    (tmp_path / LATEST).write_bytes(damaged)
    train(config, tmp_path)
    assert f"going on from {PREVIOUS}, which is older" in capsys.readouterr().err
    assert (tmp_path / DAMAGED).read_bytes() == damaged
    assert_same_run(tmp_path, straight)


def test_a_finished_run_is_left_as_it_is(straight, config):
    before = (straight / LATEST).read_bytes()
    assert train(config, straight).epochs_done == config.training.epochs
    assert (straight / LATEST).read_bytes() == before


def test_a_run_begins_with_the_initial_values_asked_for(static, tmp_path):
    masked = with_training(static, initial_values="mask")
    encoder = [Run(each, tmp_path).stepper.network.encoder.weight.asnumpy() for each in (static, masked)]
    half = len(encoder[0]) // 2  # channels of one speaker
    np.testing.assert_array_equal(encoder[1][:half], encoder[1][half:])
    assert np.abs(encoder[0][:half] - encoder[0][half:]).max() > 0


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_a_run_begins_with_the_weights_of_a_checkpoint(static, tmp_path, decay):
    first = with_training(static, epochs=1, average_decay=decay)
    train(first, tmp_path / "first")
    path = tmp_path / "first" / LATEST
    network, _ = checkpoint.load_network(path)  # what one separates with: the averages, where there are any
    wanted = {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}
    second = with_training(static, epochs=1, average_decay=0.9, initial_values=str(path), seed=1)
    run = Run(second, tmp_path / "second")
    for each in (run.stepper.network, run.stepper.averaged):
        for parameter in each.get_parameters():
            np.testing.assert_array_equal(parameter.asnumpy(), wanted[parameter.name.removeprefix(checkpoint.AVERAGE)])
    assert run.progress.steps_done == 0
    train(second, tmp_path / "second")
    path.unlink()  # a run that goes on does not need it any more
    assert Run(second, tmp_path / "second").progress.epochs_done == 1


def test_a_deeper_network_begins_where_a_trained_one_ended(static, tmp_path):
    train(with_training(static, epochs=1), tmp_path / "first")
    path = tmp_path / "first" / LATEST
    network, _ = checkpoint.load_network(path)
    model = dataclasses.replace(static.model, num_pairs=3)
    deeper = dataclasses.replace(with_training(static, epochs=1, initial_values=str(path)), model=model)
    run = Run(deeper, tmp_path / "second")
    mixture = Tensor(np.random.default_rng(0).normal(0, 0.1, (1, 2000)).astype(np.float32))
    run.stepper.network.set_train(True)
    tracks = run.stepper.network(mixture).asnumpy()  # [1, 3, C, T], of every pair
    for pair in range(3):
        np.testing.assert_array_equal(tracks[:, pair], network(mixture).asnumpy())
    before = {p.name: p.asnumpy().copy() for p in run.stepper.network.get_parameters()}
    run.run()
    changed = [p.name for p in run.stepper.network.get_parameters() if np.abs(p.asnumpy() - before[p.name]).max() > 0]
    assert {"along.2.output.weight", "across.2.output.bias", "along.1.lstm.weight_ih"} <= set(changed)


def test_a_run_refuses_the_weights_of_another_network(static, tmp_path):
    train(with_training(static, epochs=1), tmp_path / "first")
    path = tmp_path / "first" / LATEST
    model = dataclasses.replace(static.model, normalize_level=False)
    other = dataclasses.replace(with_training(static, initial_values=str(path)), model=model)
    with pytest.raises(UserError, match=r"latest.ckpt: found model.normalize_level = True, expected False"):
        Run(other, tmp_path / "second")
    train(
        dataclasses.replace(with_training(static, epochs=1), model=dataclasses.replace(static.model, num_pairs=2)),
        tmp_path / "deep",
    )
    with pytest.raises(UserError, match=r"latest.ckpt: found model.num_pairs = 2, expected 1"):
        Run(with_training(static, initial_values=str(tmp_path / "deep" / LATEST)), tmp_path / "second")
    missing = with_training(static, initial_values=str(tmp_path / "none.ckpt"))
    with pytest.raises(UserError, match=r"none.ckpt: no such checkpoint"):
        Run(missing, tmp_path / "second")


def test_another_seed_is_another_run(static, tmp_path):
    weights = [
        Run(with_training(static, seed=seed), tmp_path).stepper.network.encoder.weight.asnumpy() for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 0


def test_an_interrupt_that_was_dropped_on_its_way_ends_the_run_all_the_same(scripted, static, tmp_path, monkeypatch):
    pressed = threading.Event()
    monkeypatch.setattr("src.command_line.INTERRUPTED", pressed)
    pressed.set()
    with pytest.raises(KeyboardInterrupt):
        train(static, tmp_path)
    assert checkpoint.read(tmp_path / LATEST).progress["steps_done"] == 1


class Scripted:
    """Replaces updates and validations by numbers, so that a run takes no time."""

    def __init__(self, monkeypatch):
        self.results = []  # (loss, norm) of the updates to come; then (-1, 2)
        self.scores = []  # of the validations to come
        self.taken = []  # (rate, kept, scale) of every update
        monkeypatch.setattr(Stepper, "take", self.take)
        monkeypatch.setattr("src.curves.draw", lambda *_: None)
        monkeypatch.setattr(Validation, "score", lambda *_: self.scores.pop(0))

    def take(self, _batches, *controls):
        self.taken.append(controls)
        return StepResult(*(self.results.pop(0) if self.results else (-1.0, 2.0)))

    @property
    def rates(self):
        return [round(rate / 1e-3, 6) for rate, _, _ in self.taken]


@pytest.fixture
def scripted(monkeypatch):
    return Scripted(monkeypatch)


def test_the_best_epochs_stay(scripted, static, tmp_path):
    scripted.scores = [1.0, 3.0, 2.0, 0.5, 3.0, 4.0]
    train(with_training(static, epochs=6, keep_best=3), tmp_path)
    kept = sorted(path.name for path in tmp_path.glob("best-*"))
    assert kept == ["best-epoch0002.ckpt", "best-epoch0005.ckpt", "best-epoch0006.ckpt"]
    assert checkpoint.read(tmp_path / BEST).progress["epochs_done"] == 6


def test_plateaus_lower_the_rate_also_after_a_stop(scripted, static, tmp_path):
    plateau = with_training(static, epochs=5, schedule="plateau", plateau_epochs=1, plateau_factor=0.5)
    scripted.scores = [1.0, 0.0]
    with pytest.raises(IndexError):  # no more scores: as if it had been killed in the third validation
        train(plateau, tmp_path)
    scripted.scores = [0.0, 2.0, 3.0]
    train(plateau, tmp_path)
    assert scripted.rates[:6] == [1.0] * 6
    assert scripted.rates[-9:] == [0.5] * 3 + [0.25] * 6
    assert [entry["learning_rate"] for entry in read_history(tmp_path)] == [1e-3, 1e-3, 5e-4, 2.5e-4, 2.5e-4]


def test_early_stopping(scripted, static, tmp_path, capsys):
    scripted.scores = [1.0, 2.0, 1.5, 1.9, 9.0]
    progress = train(with_training(static, epochs=9, early_stopping_epochs=2), tmp_path)
    assert progress.epochs_done == 4
    assert "stopped early: nothing better on the validation set for 2 epochs" in capsys.readouterr().out


def test_updates_that_are_not_finite_are_counted_and_told(scripted, static, tmp_path, capsys):
    scripted.results = [(-3.0, 1.0), (float("nan"), 1.0), (-5.0, float("inf")), (-1.0, 3.0)]
    scripted.scores = [1.0, 2.0]
    train(static, tmp_path)
    history = read_history(tmp_path)
    assert [entry["skipped"] for entry in history] == [2, 0]
    assert [entry["train_loss_db"] for entry in history] == [-3.0, -1.0]  # of those that were made
    assert [entry["gradient_norm"] for entry in history] == [1.0, 2.3333]
    assert "step 2: loss nan, gradient norm 1.0: skipped, 1 in all" in capsys.readouterr().err


def test_too_many_in_a_row_stop_the_run_with_advice(scripted, static, tmp_path):
    scripted.results = [(-3.0, 1.0)] * 4 + [(float("nan"), 1.0)] * 3
    scripted.scores = [1.0, 2.0]
    with pytest.raises(UserError, match=r"step 7: found .* not finite 3 times in a row") as told:
        train(with_training(static, epochs=3, skipped_in_a_row=3, save_minutes=EVERY_STEP), tmp_path)
    assert f"{tmp_path / LATEST} is from before. A smaller --lr" in str(told.value)
    progress = checkpoint.read(tmp_path / LATEST).progress
    assert (progress["steps_done"], progress["health"]["skipped"]) == (6, 2)  # an epoch's end is always saved


def test_a_longer_run_may_follow_but_no_other(scripted, static, tmp_path):
    scripted.scores = [1.0, 2.0, 3.0]
    train(static, tmp_path)
    assert train(with_training(static, epochs=3), tmp_path).epochs_done == 3
    with pytest.raises(UserError, match=r"training\.epochs = 3 was begun here, now it is 2"):
        train(static, tmp_path)
    with pytest.raises(UserError, match=r"training\.learning_rate = 0\.001 was begun here, now it is 0\.002: choose"):
        train(with_training(static, epochs=3, learning_rate=2e-3), tmp_path)
    for split, words in (("train", "training"), ("valid", "validation")):
        other = {split: static.data.train if split == "valid" else static.data.valid}
        data = dataclasses.replace(static.data, dynamic_mixing=False, **other)
        with pytest.raises(UserError, match=rf"a run with another {words} set was begun here: use the same"):
            train(with_training(dataclasses.replace(static, data=data), epochs=3), tmp_path)


def test_data_that_were_moved_are_the_same(scripted, static, tmp_path):
    scripted.scores = [1.0, 2.0, 3.0]
    train(static, tmp_path)
    moved = tmp_path / "moved"
    shutil.copytree(Path(static.data.train).parent, moved)
    paths = {split: str(moved / f"{split}.mindrecord") for split in ("train", "valid")}
    longer = with_training(dataclasses.replace(static, data=dataclasses.replace(static.data, **paths)), epochs=3)
    assert train(longer, tmp_path).epochs_done == 3


def test_a_cosine_cannot_become_longer(scripted, static, tmp_path):
    scripted.scores = [1.0, 2.0]
    cosine = with_training(static, schedule="cosine")
    train(cosine, tmp_path)
    with pytest.raises(UserError, match=r"training\.epochs = 2 was begun here, now it is 3 \(its cosine"):
        train(with_training(cosine, epochs=3), tmp_path)


def test_a_run_of_an_older_version_is_refused_in_one_line(scripted, static, tmp_path, monkeypatch):
    scripted.scores = [1.0, 2.0]
    train(static, tmp_path)
    stored = checkpoint.read(tmp_path / LATEST)
    stored.progress.pop("health")
    monkeypatch.setattr(checkpoint, "read", lambda _path: stored)
    with pytest.raises(UserError, match=r"latest.ckpt: found a run of version 0\.2\.0.*, which this one cannot go on"):
        train(static, tmp_path)


def test_restart_moves_the_old_run_aside(scripted, static, tmp_path, capsys):
    scripted.scores = [1.0, 2.0, 5.0, 6.0]
    train(static, tmp_path)
    (tmp_path / "data").mkdir()
    train(static, tmp_path, restart=True)
    assert f"the run that was there is now in {tmp_path / 'before-1'}" in capsys.readouterr().err
    assert [entry["valid_si_snri_db"] for entry in read_history(tmp_path)] == [5.0, 6.0]
    assert [entry["valid_si_snri_db"] for entry in read_history(tmp_path / "before-1")] == [1.0, 2.0]
    assert checkpoint.read(tmp_path / "before-1" / LATEST).progress["epochs_done"] == 2
    assert (tmp_path / "data").exists()


def test_a_restart_that_cannot_begin_moves_nothing(scripted, static, tmp_path):
    scripted.scores = [1.0, 2.0]
    train(static, tmp_path)
    missing = dataclasses.replace(static, data=dataclasses.replace(static.data, train="typo.mindrecord"))
    with pytest.raises(UserError, match=r"typo.mindrecord: no such file"):
        train(missing, tmp_path, restart=True)
    assert (tmp_path / LATEST).exists() and not (tmp_path / "before-1").exists()


class Killed(BaseException):
    """As a kill, nothing catches it."""


def die_at(monkeypatch, number):
    """Raise `Killed` instead of the file operation with this number, counted over all that a save makes."""
    counted = []

    def count(operation):
        def counting(*arguments, **options):
            counted.append(operation)
            if len(counted) == number:
                raise Killed
            return operation(*arguments, **options)

        return counting

    for owner, name in ((Path, "replace"), (Path, "hardlink_to"), (Path, "unlink"), (Path, "chmod"), (os, "fsync")):
        monkeypatch.setattr(owner, name, count(getattr(owner, name)))
    return counted


def test_a_kill_between_any_two_file_operations_loses_nothing(scripted, static, tmp_path, monkeypatch):
    saving = with_training(static, keep_best=1)
    scripted.scores = [1.0, 2.0]
    train(saving, tmp_path / "straight")
    died, number = True, 0
    while died:
        number += 1
        folder = tmp_path / str(number)
        scripted.scores = [1.0, 2.0]
        with monkeypatch.context() as patch:
            operations = die_at(patch, number)
            try:
                train(saving, folder)
                died = False
            except Killed:
                pass
        history = folder / HISTORY
        told = len(history.read_text().splitlines()) if history.exists() else 0  # it is written first
        found = checkpoint.read(folder / LATEST).progress["epochs_done"] if (folder / LATEST).exists() else 0
        assert told - 1 <= found <= told
        scripted.scores = [1.0, 2.0][found:]
        train(saving, folder)
        assert_same_run(folder, tmp_path / "straight")
        assert sorted(path.name for path in folder.glob("*.ckpt")) == [
            "best-epoch0002.ckpt",
            "best.ckpt",
            "latest.ckpt",
            "previous.ckpt",
        ]
    assert number > 20 and len(operations) < number  # every one of them was tried


def test_a_disk_that_is_full_leaves_the_last_checkpoint(scripted, static, tmp_path, monkeypatch):
    scripted.scores = [1.0, 2.0]
    write = checkpoint.ms.save_checkpoint

    def full(entries, path, **options):
        if options["append_dict"]["progress"].find('"epochs_done": 2') >= 0:
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        write(entries, path, **options)

    monkeypatch.setattr(checkpoint.ms, "save_checkpoint", full)
    with pytest.raises(UserError, match=r"cannot write the checkpoint: .*No space left on device"):
        train(static, tmp_path)
    assert checkpoint.read(tmp_path / LATEST).progress["epochs_done"] == 1
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_the_number_of_speakers_must_fit_the_validation_data(static, tmp_path):
    model = dataclasses.replace(static.model, num_speakers=3)
    with pytest.raises(UserError, match=r"found mixtures of 2 speakers, expected 3"):
        train(dataclasses.replace(static, model=model), tmp_path)
    assert not (tmp_path / LATEST).exists()


def test_more_batches_for_an_update_than_there_are(static, tmp_path):
    with pytest.raises(UserError, match=r"accumulation: found 4, expected at most the 3 batches of an epoch"):
        train(with_training(static, accumulation=4), tmp_path)
