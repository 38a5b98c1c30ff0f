"""One graph is compiled in the first test that trains; the others use as small a network as there can be."""

import dataclasses
import json

import numpy as np
import pytest

from src import checkpoint
from src.config import Config, DataConfig, ModelConfig, TrainingConfig
from src.errors import UserError
from src.runtime import start
from src.training import BEST, HISTORY, LATEST, Run, train


@pytest.fixture(scope="module", autouse=True)
def graph_mode():
    start("CPU")


@pytest.fixture(scope="module", params=["adam", "muon"])
def config(tiny_records, request):
    """Two epochs of three steps, with everything that is drawn at random."""
    return Config(
        ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, chunk_frames=16, normalize_level=True),
        DataConfig(
            train=str(tiny_records / "train.mindrecord"),
            valid=str(tiny_records / "valid.mindrecord"),
            segment_seconds=0.25,
            valid_seconds=0.5,
            dynamic_mixing=True,
            speed_min=0.8,
            speed_max=1.2,
            formant_share=0.5,
            formant_spread=0.05,
            pitch_ratio_first=1.2,
            flatten_spectrum=True,
            equalizer_db=3.0,
            noise_floor_db=-20.0,
        ),
        TrainingConfig(epochs=2, batch_size=4, optimizer=request.param, learning_rate=1e-3),
    )


@pytest.fixture(scope="module")
def straight(config, tmp_path_factory):
    """The folder of a run without interruption."""
    output = tmp_path_factory.mktemp("straight")
    train(config, output)
    return output


def weights(path):
    return {name: value.asnumpy() for name, value in checkpoint.read(path)[0].items()}


def test_a_run_leaves_checkpoints_and_a_history(straight, config):
    history = [json.loads(line) for line in (straight / HISTORY).read_text().splitlines()]
    assert [entry["epoch"] for entry in history] == [1, 2]
    assert [entry["step"] for entry in history] == [3, 6]
    assert all(np.isfinite(entry[key]) for entry in history for key in ("train_loss_db", "valid_si_snri_db"))
    _, stored, progress = checkpoint.read(straight / LATEST)
    assert stored == config
    assert progress["epochs_done"] == 2
    best = max(history, key=lambda entry: entry["valid_si_snri_db"])
    assert checkpoint.read(straight / BEST)[2]["epochs_done"] == best["epoch"]
    assert progress["best_si_snri_db"] == pytest.approx(best["valid_si_snri_db"], abs=1e-4)


def test_weights_change_with_every_epoch(straight, config):
    first = {p.name: p.asnumpy() for p in Run(config, straight / "none").network.get_parameters()}
    last = weights(straight / LATEST)
    for name, value in first.items():
        assert np.abs(value - last[name]).max() > 0, name


def test_a_run_begins_with_the_initial_values_asked_for(config, tmp_path):
    masked = dataclasses.replace(config, training=dataclasses.replace(config.training, initial_values="mask"))
    encoder = [Run(each, tmp_path).network.encoder.weight.asnumpy() for each in (config, masked)]
    half = len(encoder[0]) // 2  # channels of one speaker
    np.testing.assert_array_equal(encoder[1][:half], encoder[1][half:])
    assert np.abs(encoder[0][:half] - encoder[0][half:]).max() > 0


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(straight, config, tmp_path, monkeypatch):
    validate = Run._validate

    def interrupt_in_the_second_epoch(self):
        if self.progress.epochs_done == 1:
            raise KeyboardInterrupt
        return validate(self)

    monkeypatch.setattr(Run, "_validate", interrupt_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path)
    assert checkpoint.read(tmp_path / LATEST)[2]["epochs_done"] == 1
    monkeypatch.undo()
    train(config, tmp_path)

    again, before = weights(tmp_path / LATEST), weights(straight / LATEST)
    assert again.keys() == before.keys()
    for name in before:
        np.testing.assert_array_equal(again[name], before[name], err_msg=name)


def test_a_finished_run_is_left_as_it_is(straight, config):
    before = (straight / LATEST).read_bytes()
    assert train(config, straight).epochs_done == 2
    assert (straight / LATEST).read_bytes() == before


def test_another_configuration_is_not_mixed_into_a_run(straight, config):
    other = dataclasses.replace(config, training=dataclasses.replace(config.training, learning_rate=2e-3))
    with pytest.raises(UserError, match=r"training\.learning_rate = 0\.001 was begun here, now it is 0\.002"):
        train(other, straight)


def test_a_loss_that_is_not_finite_stops_the_run(config, tmp_path):
    wild = dataclasses.replace(
        config, training=dataclasses.replace(config.training, learning_rate=1e30, schedule="constant")
    )
    with pytest.raises(UserError, match=r"the loss is (nan|inf|-inf) at step \d: a smaller training\.learning_rate"):
        train(wild, tmp_path)


def test_the_number_of_speakers_must_fit_the_validation_data(config, tmp_path):
    model = dataclasses.replace(config.model, num_speakers=3)
    with pytest.raises(UserError, match=r"found mixtures of 2 speakers, expected 3"):
        train(dataclasses.replace(config, model=model), tmp_path)
    assert not (tmp_path / LATEST).exists()
