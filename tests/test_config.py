import dataclasses
import math
from pathlib import Path

import pytest

from src.config import Config, DataConfig, ModelConfig, TrainingConfig, from_json, load_config, override, to_json
from src.errors import UserError

RECIPES = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_a_recipe_holds_only_differences(tmp_path):
    config = load_config(write(tmp_path, "model: {num_speakers: 3}\ntraining: {learning_rate: 1e-3}\n"))
    assert config.model == ModelConfig(num_speakers=3)
    assert config.training == TrainingConfig(learning_rate=0.001)
    assert config.data == DataConfig()


def test_an_empty_recipe_is_the_defaults(tmp_path):
    assert load_config(write(tmp_path, "")) == Config()


def test_json_round_trip_keeps_every_field():
    config = Config(
        ModelConfig(num_speakers=3, num_pairs=2, normalize_level=True),
        DataConfig(train="a.mindrecord", dynamic_mixing=True, speed_min=0.9, speed_max=1.1),
        TrainingConfig(block_weights=(0.5, 1.0), seed=7),
    )
    assert from_json(to_json(config)) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {speakers: 2}", "unknown configuration key 'model.speakers', expected one of: num_speakers"),
        ("modell: {}", "unknown configuration key 'modell', expected one of: model, data, training"),
        ("model: {num_filters: many}", "model.num_filters: found 'many', expected a whole number"),
        ("model: {num_filters: 1.5}", "model.num_filters: found 1.5, expected a whole number"),
        ("model: {num_filters: true}", "model.num_filters: found True, expected a whole number"),
        ("model: {normalize_level: 1}", "model.normalize_level: found 1, expected true or false"),
        ("training: {learning_rate: fast}", "training.learning_rate: found 'fast', expected a number"),
        ("training: {block_weights: 1.0}", "training.block_weights: found 1.0, expected a list"),
        ("model: 3", "model: found 3, expected keys with values"),
        ("model: {a: [}", "not valid YAML"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_filters": 100}, "found 100, expected a multiple of kernel_size (L) = 8"),
        ({"num_filters": 64, "kernel_size": 16}, "expected at least 128 for kernel_size (L) = 16"),
        ({"kernel_size": 7}, "expected an even number of samples"),
        ({"num_speakers": 1}, "found 1, expected at least 2"),
        ({"num_pairs": 0}, "found 0, expected at least 1"),
        ({"segment_seconds": 0.0}, "found 0.0, expected a number above 0"),
        ({"chunk_frames": 1}, "found 1, expected at least 2"),
    ],
)
def test_a_network_that_cannot_be_is_refused(values, message):
    with pytest.raises(UserError, match=r"model\.") as caught:
        ModelConfig(**values)
    assert message in str(caught.value)


def test_the_smallest_allowed_numbers_of_filters():
    assert ModelConfig(num_filters=64, kernel_size=8).hop_samples == 4
    assert ModelConfig(num_filters=128, kernel_size=16).hop_samples == 8


def test_chunk_frames_follow_the_paper():
    assert ModelConfig().resolved_chunk_frames == 126  # 8 kHz, 4 s, L = 8
    assert ModelConfig(chunk_frames=50).resolved_chunk_frames == 50


def test_block_weights_must_fit_the_pairs():
    with pytest.raises(UserError, match="found 2 weights, expected one for each of the 6 pairs"):
        Config(training=TrainingConfig(block_weights=(0.5, 1.0)))


@pytest.mark.parametrize(
    "change",
    [
        {"speed_max": 1.1},
        {"speaker_exponent": 0.5},
        {"loudness_range_db": 4.0},
        {"formant_share": 0.5},
        {"formant_spread": 0.1},
        {"pitch_ratio_first": 1.2},
        {"pitch_ratio_last": 1.2},
        {"flatten_spectrum": True},
        {"equalizer_db": 6.0},
        {"noise_floor_db": -20.0},
        {"narrow_probability": 0.1},
        {"reverberation_probability": 0.1},
        {"coding_probability": 0.1},
    ],
)
def test_changing_the_sources_needs_dynamic_mixing(change):
    with pytest.raises(
        UserError, match=rf"data\.{next(iter(change))}: choosing or changing the sources needs data\.dynamic_mixing"
    ):
        DataConfig(**change)


def test_override_leaves_what_is_none():
    config = override(Config(), "model", num_filters=256, hidden_size=None)
    assert config.model == dataclasses.replace(ModelConfig(), num_filters=256)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_recipe_of_the_repository_loads_and_tells_how_it_was_run(path):
    load_config(path)
    header = path.read_text().split("model:")[0]
    for word in ("command:", "hardware:", "time:", "score:"):
        assert word in header


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loudness_range_db": 31}, "data.loudness_range_db: found 31, expected 0.0 to 30.0"),
        ({"speaker_exponent": -0.1}, "data.speaker_exponent: found -0.1, expected 0.0 to 1.0"),
        ({"formant_share": 1.1}, "data.formant_share: found 1.1, expected 0.0 to 1.0"),
        ({"formant_spread": -0.1}, "data.formant_spread: found -0.1, expected 0.0 to 0.5"),
        ({"pitch_ratio_first": 0.9}, "data.pitch_ratio_first: found 0.9, expected 1.0 to 3.0"),
        ({"pitch_ratio_last": math.nan}, "data.pitch_ratio_last: found nan, expected 1.0 to 3.0"),
        ({"equalizer_db": -1.0}, "data.equalizer_db: found -1.0, expected 0.0 to 60.0"),
        ({"narrow_probability": 1.1}, "data.narrow_probability: found 1.1, expected 0.0 to 1.0"),
        ({"reverberation_probability": -0.1}, "data.reverberation_probability: found -0.1, expected 0.0 to 1.0"),
        ({"coding_probability": 2.0}, "data.coding_probability: found 2.0, expected 0.0 to 1.0"),
    ],
)
def test_changes_out_of_their_range_are_refused(values, message):
    with pytest.raises(UserError) as caught:
        DataConfig(dynamic_mixing=True, **values)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("training", {"seed": 2**32}, r"training\.seed: found 4294967296, expected 0\.0 to 4294967295"),
        ("training", {"epochs": 10**12}, r"training\.epochs: found 1000000000000, expected 0\.0 to 100000"),
        ("training", {"average_decay": 2.0}, r"training\.average_decay: found 2\.0, expected 0\.0 to 0\.99999"),
        ("training", {"weight_decay": 0.1}, r"training\.weight_decay: found 0\.1 with the optimizer adam, expected 0"),
        ("training", {"accumulation": 0}, r"training\.accumulation: found 0, expected at least 1"),
        ("training", {"amp": "float64"}, r"training\.amp: found 'float64', expected one of none, bfloat16, float16"),
        ("data", {"segment_seconds": 1e-5}, r"data\.segment_seconds: found 1e-05 s, expected at least the encoder's"),
        ("data", {"valid_seconds": 1e-5}, r"data\.valid_seconds: found 1e-05 s, expected at least the encoder's"),
    ],
)
def test_values_outside_what_makes_sense(section, values, message):
    with pytest.raises(UserError, match=message):
        override(Config(), section, **values)


def test_a_recipe_that_is_no_text(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(UserError, match=r"recipe.yaml: cannot read the configuration: found no text"):
        load_config(path)
