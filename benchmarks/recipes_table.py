"""The recipes that benchmarks/recipes.py compares: what each does otherwise than the common base."""

from dataclasses import dataclass, field
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


def _pairs(count: int, **values: Any) -> Recipe:
    """The base with other data settings, in a network of `count` pairs."""
    text = ", ".join(f"{key} {value}" for key, value in values.items())
    return Recipe(f"R = {count}, {text}", {"model": {"num_pairs": count}, "data": values})


RECIPES = {
    "base": Recipe("N = 128, L = 16, H = 64, R = 1, crops of 2 s, batch 1, Muon 2.4e-3, bfloat16"),
    "r2": _model("R = 2", num_pairs=2),
    "r3": _model("R = 3", num_pairs=3),
    "r4": _model("R = 4", num_pairs=4),
    "h128": _model("H = 128", hidden_size=128),
    "r2-h128": _model("R = 2, H = 128", num_pairs=2, hidden_size=128),
    "r3-h128": _model("R = 3, H = 128", num_pairs=3, hidden_size=128),
    "n64-l8-r2": _model("N = 64, L = 8, R = 2", num_filters=64, kernel_size=8, num_pairs=2),
    "float32": Recipe("float32", {"training": {"amp": "none"}}),
    "r2-crop1": _pairs(2, segment_seconds=1.0),
    "r2-crop4": _pairs(2, segment_seconds=4.0),
    "r2-batch4": Recipe("R = 2, batch 4", {"model": {"num_pairs": 2}, "training": {"batch_size": 4}}),
    "r2-rate-half": Recipe("R = 2, Muon 1.2e-3", {"model": {"num_pairs": 2}, "training": {"learning_rate": 1.2e-3}}),
    "r2-adam": Recipe(
        "R = 2, Adam 1e-3", {"model": {"num_pairs": 2}, "training": {"optimizer": "adam", "learning_rate": 1e-3}}
    ),
    "r2-unchanged": Recipe("R = 2, sources as they are", {"model": {"num_pairs": 2}, "data": NO_CHANGES}),
    "r2-any-pitch": _pairs(2, pitch_ratio_first=1.0, pitch_ratio_last=1.0),
    "r2-apart": _pairs(2, pitch_ratio_first=1.4, pitch_ratio_last=1.4),
    "r2-narrow": _pairs(2, narrow_probability=0.3),
    "r2-room": _pairs(2, reverberation_probability=0.3),
    "r2-coded": _pairs(2, coding_probability=0.3),
    "r2-chains": _pairs(2, narrow_probability=0.3, reverberation_probability=0.3, coding_probability=0.3),
}
