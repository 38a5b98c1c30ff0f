"""The recipes that benchmarks/recipes.py compares: what each does otherwise than the common base."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from src.config import Config, from_dict, override

Settings = dict[str, dict[str, Any]]  # section -> key -> value

# The demo's recipe (configs/demo_2spk_8k.yaml) with what makes runs comparable at any time: a constant rate and
# averaged weights in place of a rate that falls to zero at an end that is known before, and pairs that do not change.
BASE: Settings = {
    "model": {
        "kernel_size": 16,
        "hidden_size": 64,
        "num_pairs": 1,
        "segment_seconds": 2.0,
        "normalize_level": True,
    },
    "data": {
        "segment_seconds": 2.0,
        "valid_seconds": 3.0,
        "dynamic_mixing": True,
        "dynamic_examples": 4000,
        "speed_min": 0.65,
        "speed_max": 1.5,
        "formant_share": 0.4,
        "formant_spread": 0.08,
        "pitch_ratio_first": 1.1,
        "pitch_ratio_last": 1.1,
        "flatten_spectrum": True,
        "equalizer_db": 6.0,
        "noise_floor_db": -18.0,
    },
    "training": {
        "batch_size": 1,
        "optimizer": "muon",
        "learning_rate": 2.4e-3,
        "warmup_steps": 50,
        "schedule": "constant",
        "initial_values": "mask",
        "amp": "bfloat16",
        "average_decay": 0.999,
    },
}
NO_CHANGES = {
    "speed_min": 1.0,
    "speed_max": 1.0,
    "formant_share": 1.0,
    "formant_spread": 0.0,
    "pitch_ratio_first": 1.0,
    "pitch_ratio_last": 1.0,
    "flatten_spectrum": False,
    "equalizer_db": 0.0,
    "noise_floor_db": 0.0,
}


@dataclass(frozen=True)
class Recipe:
    """One of them."""

    text: str  # what is tried
    settings: Settings = field(default_factory=dict)  # over the base

    def config(self, train: Path | str = "", valid: Path | str = "") -> Config:
        """The whole configuration; `train` and `valid` are .mindrecord files."""
        merged = {section: {**values, **self.settings.get(section, {})} for section, values in BASE.items()}
        return override(from_dict(Config, merged), "data", train=str(train), valid=str(valid))


def _model(text: str, **values: Any) -> Recipe:
    return Recipe(text, {"model": values})


def _two(text: str, model: Mapping[str, Any] = {}, data: Mapping[str, Any] = {}, **training: Any) -> Recipe:
    """Of the network with two pairs, and batches of four unless told otherwise."""
    settings = {"model": {"num_pairs": 2, **model}, "data": dict(data), "training": {"batch_size": 4, **training}}
    return Recipe(f"two, {text}", settings)


def _half(text: str, model: Mapping[str, Any] = {}, data: Mapping[str, Any] = {}, **training: Any) -> Recipe:
    """As `_two`, of persons drawn as the square root of their utterances: few persons of hours, many of minutes."""
    recipe = _two("", model, {"speaker_exponent": 0.5, **data}, **training)
    return replace(recipe, text=f"two-by-half, {text}")


def _one(text: str, model: Mapping[str, Any] = {}, data: Mapping[str, Any] = {}, **training: Any) -> Recipe:
    """As `_half`, of the network with one pair, which gets through most updates."""
    return replace(_half("", {"num_pairs": 1, **model}, data, **training), text=f"one, {text}")


CHAINS = ("narrow_probability", "reverberation_probability", "coding_probability")
RECIPES = {
    "base": Recipe("N = 128, L = 16, H = 64, R = 1, crops of 2 s, batch 1, Muon 2.4e-3, bfloat16"),
    "r2": _model("R = 2", num_pairs=2),
    "r3": _model("R = 3", num_pairs=3),
    "r3-h128": _model("R = 3, H = 128", num_pairs=3, hidden_size=128),
    "float32": Recipe("float32", {"training": {"amp": "none"}}),
    "two": Recipe("R = 2, batch 4", {"model": {"num_pairs": 2}, "training": {"batch_size": 4}}),
    "two-batch8": _two("batch 8", batch_size=8),
    "two-h128": _two("H = 128", {"hidden_size": 128}),
    "two-r1": _two("R = 1", {"num_pairs": 1}),
    "two-r3": _two("R = 3", {"num_pairs": 3}),
    "two-r4": _two("R = 4", {"num_pairs": 4}),
    "two-n64-l8": _two("N = 64, L = 8", {"num_filters": 64, "kernel_size": 8}),
    "two-crop1": _two("crops of 1 s, batch 8", data={"segment_seconds": 1.0}, batch_size=8),
    "two-crop4": _two("crops of 4 s, batch 2", data={"segment_seconds": 4.0}, batch_size=2),
    "two-by-half": _two("persons as the square root of their utterances", data={"speaker_exponent": 0.5}),
    "one": replace(_one(""), text="R = 1, batch 4, persons as the square root of their utterances"),
    "one-h128": _one("H = 128", {"hidden_size": 128}),
    "one-h32": _one("H = 32", {"hidden_size": 32}),
    "one-n64-l8": _one("N = 64, L = 8", {"num_filters": 64, "kernel_size": 8}),
    "one-k100": _one("chunks of 100 frames", {"chunk_frames": 100}),
    "one-batch2": _one("batch 2", batch_size=2),
    "one-batch8": _one("batch 8", batch_size=8),
    "one-crop1": _one("crops of 1 s, batch 8", data={"segment_seconds": 1.0}, batch_size=8),
    "one-crop4": _one("crops of 4 s, batch 2", data={"segment_seconds": 4.0}, batch_size=2),
    "one-rate-half": _one("Muon 1.2e-3", learning_rate=1.2e-3),
    "one-rate-double": _one("Muon 4.8e-3", learning_rate=4.8e-3),
    "one-warm": _one("warm-up of 500 updates", warmup_steps=500),
    "one-adam": _one("Adam 2e-3", optimizer="adam", learning_rate=2e-3),
    "one-random": _one("random initial values", initial_values="random"),
    "one-unnormalized": _one("the mixture's level as it is", {"normalize_level": False}),
    "one-alike": _one("all of one loudness", data={"loudness_range_db": 0.0}),
    "one-unlike": _one("loudness over 16 dB", data={"loudness_range_db": 16.0}),
    "one-unchanged": _one("sources as they are", data=NO_CHANGES),
    "one-not-flat": _one("spectra not flattened", data={"flatten_spectrum": False}),
    "one-any-pitch": _one("any pitches", data={"pitch_ratio_first": 1.0, "pitch_ratio_last": 1.0}),
    "one-apart": _one("pitches 1.4 apart", data={"pitch_ratio_first": 1.4, "pitch_ratio_last": 1.4}),
    "half-unchanged": _half("sources as they are", data=NO_CHANGES),
    "two-by-sources": _two("persons as their utterances", data={"speaker_exponent": 1.0}),
    "two-rate-half": _two("Muon 1.2e-3", learning_rate=1.2e-3),
    "two-rate-double": _two("Muon 4.8e-3", learning_rate=4.8e-3),
    "two-adam": _two("Adam 2e-3", optimizer="adam", learning_rate=2e-3),
    "two-unchanged": _two("sources as they are", data=NO_CHANGES),
    "two-any-pitch": _two("any pitches", data={"pitch_ratio_first": 1.0, "pitch_ratio_last": 1.0}),
    "two-apart": _two("pitches 1.4 apart", data={"pitch_ratio_first": 1.4, "pitch_ratio_last": 1.4}),
    "two-narrow": _two("three of ten sources with a narrow band", data={"narrow_probability": 0.3}),
    "two-room": _two("three of ten sources in a room", data={"reverberation_probability": 0.3}),
    "two-coded": _two("three of ten sources coded", data={"coding_probability": 0.3}),
    "two-chains": _two("narrow band, room, coder, each for three of ten sources", data=dict.fromkeys(CHAINS, 0.3)),
}
