"""The configuration of a run: frozen dataclasses, read from YAML with strict keys.

A recipe file holds only what differs from the defaults below. The resolved configuration travels
inside every checkpoint as JSON, so that a checkpoint alone is enough to rebuild its network.
"""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from src.errors import UserError

T = TypeVar("T")

# Of inference, for every program and exported network alike: how a long recording is cut, in seconds.
CHUNK_SECONDS = 16.0
OVERLAP_SECONDS = 4.0
# And what the network's products are rounded to; none: not at all.
PRECISIONS = ("none", "bfloat16")


@dataclass(frozen=True)
class ModelConfig:
    """The network of Nachmani, Adi, Wolf 2020 (arXiv 2003.01531), letters as in the paper."""

    num_speakers: int = 2  # <C> tracks that the network separates into
    num_filters: int = 128  # <N> channels of the encoder
    kernel_size: int = 8  # <L> samples; the hop is L/2
    hidden_size: int = 128  # <H> units of each LSTM direction
    num_pairs: int = 6  # <R> pairs of MulCat blocks
    sample_rate: int = 8000  # Hz
    chunk_frames: int = 0  # <K> frames of a chunk; 0: from segment_seconds, as in the paper
    segment_seconds: float = 4.0  # typical length of an example, from which K follows
    normalize_level: bool = False  # bring every mixture to unit RMS inside the network

    def __post_init__(self) -> None:
        """Check every field, and those that must fit each other."""
        for name in ("num_filters", "hidden_size", "num_pairs", "sample_rate"):
            _at_least(f"model.{name}", getattr(self, name), 1)
        _at_least("model.num_speakers", self.num_speakers, 2)
        _at_least("model.kernel_size", self.kernel_size, 2)
        _positive("model.segment_seconds", self.segment_seconds)
        if self.kernel_size % 2:
            raise UserError(f"model.kernel_size (L): found {self.kernel_size}, expected an even number of samples")
        if self.num_filters % self.kernel_size:
            raise UserError(
                f"model.num_filters (N): found {self.num_filters}, expected a multiple of "
                f"kernel_size (L) = {self.kernel_size}, because the decoder averages channels in groups of L"
            )
        if self.num_filters // self.kernel_size < self.hop_samples:
            raise UserError(
                f"model.num_filters (N): found {self.num_filters}, expected at least "
                f"{self.kernel_size * self.hop_samples} for kernel_size (L) = {self.kernel_size}: "
                f"decoded frames of N/L samples must cover the hop of L/2 samples"
            )
        if self.chunk_frames:
            _at_least("model.chunk_frames", self.chunk_frames, 2)

    @property
    def hop_samples(self) -> int:
        """The encoder's stride L/2, in samples."""
        return self.kernel_size // 2

    @property
    def resolved_chunk_frames(self) -> int:
        """K = sqrt(2 * frames of a segment), rounded down: 126 at 8 kHz, 4 s and L = 8.

        The square root makes the sequences along and across the chunks about equally long.
        """
        if self.chunk_frames:
            return self.chunk_frames
        frames = self.sample_rate * self.segment_seconds / self.hop_samples
        return max(2, int(math.sqrt(2 * frames)))


@dataclass(frozen=True)
class DataConfig:
    """Where examples come from and how they are cut and mixed."""

    train: str = ""  # training set: a .mindrecord file
    valid: str = ""  # validation set: a .mindrecord file
    segment_seconds: float = 4.0  # length of a training crop
    valid_seconds: float = 4.0  # length of a validation piece, cut from the utterance's middle
    dynamic_mixing: bool = False  # mix sources of different persons anew in every epoch
    dynamic_examples: int = 0  # mixtures in an epoch when mixing on the fly; 0: one a record
    speaker_exponent: float = 0.0  # persons are drawn as (their number of sources) ** this; 0: all equally often
    loudness_range_db: float = 8.0  # of the sources when mixing on the fly, around -29 LUFS; 8: LibriMix's
    speed_min: float = 1.0  # factor of the random speed change of a source, lower end
    speed_max: float = 1.0  # … and upper end; 1.0 and 1.0: no change
    formant_share: float = 1.0  # of a speed change that the formants follow; 1.0: all of it, 0.0: they stay
    formant_spread: float = 0.0  # largest further change of the formants, as a part of them; 0: none
    pitch_ratio_first: float = 1.0  # smallest ratio of the pitches in a mixture, in the first epoch …
    pitch_ratio_last: float = 1.0  # … and in the last; 1.0: any pitches
    flatten_spectrum: bool = False  # bring every person's long-term spectrum to the mean of all
    equalizer_db: float = 0.0  # largest gain or cut of a source's random equalizer; 0: none
    noise_floor_db: float = 0.0  # loudest random noise floor, relative to its source, e.g. -20; 0: none
    narrow_probability: float = 0.0  # of a source to have a narrower band, as of a lower sampling rate
    reverberation_probability: float = 0.0  # of a source to be in a room, whose reverberation is part of the target
    coding_probability: float = 0.0  # of a source to have gone through a speech coder, mu-law or a coarser one

    def __post_init__(self) -> None:
        """Check every field, and those that must fit each other."""
        _positive("data.segment_seconds", self.segment_seconds)
        _positive("data.valid_seconds", self.valid_seconds)
        _at_least("data.dynamic_examples", self.dynamic_examples, 0)
        if not 0.5 <= self.speed_min <= self.speed_max <= 2.0:
            raise UserError(
                f"data.speed_min, data.speed_max: found {self.speed_min} and {self.speed_max}, "
                f"expected 0.5 <= speed_min <= speed_max <= 2.0"
            )
        for name, lowest, highest in (
            ("speaker_exponent", 0.0, 1.0),
            ("loudness_range_db", 0.0, 30.0),
            ("formant_share", 0.0, 1.0),
            ("formant_spread", 0.0, 0.5),
            ("pitch_ratio_first", 1.0, 3.0),
            ("pitch_ratio_last", 1.0, 3.0),
            ("equalizer_db", 0.0, 60.0),
            ("narrow_probability", 0.0, 1.0),
            ("reverberation_probability", 0.0, 1.0),
            ("coding_probability", 0.0, 1.0),
        ):
            _between(f"data.{name}", getattr(self, name), lowest, highest)
        if self.noise_floor_db > 0:
            raise UserError(
                f"data.noise_floor_db: found {self.noise_floor_db}, expected a level below 0, or 0 for none"
            )
        changed = [name for name in SOURCE_CHANGES if getattr(self, name) != getattr(type(self), name)]
        if changed and not self.dynamic_mixing:
            raise UserError(f"data.{changed[0]}: choosing or changing the sources needs data.dynamic_mixing: true")


@dataclass(frozen=True)
class TrainingConfig:
    """The optimizer and the course of a training run."""

    epochs: int = 100
    batch_size: int = 4  # examples that one process takes at once
    accumulation: int = 1  # batches whose gradients are averaged for one update
    optimizer: str = "adam"  # adam | adamw | muon: see src/optimizer.py
    weight_decay: float = 0.0  # of adamw and muon, decoupled: matrices shrink by rate * weight_decay an update
    learning_rate: float = 5e-4  # peak
    warmup_steps: int = 0  # updates; linear from 0 to the peak
    schedule: str = "step"  # constant | step | piecewise | plateau | cosine
    step_factor: float = 0.98  # schedule step: multiply by this …
    step_epochs: int = 2  # … every so many epochs
    piecewise_epochs: tuple[int, ...] = (45, 78)  # schedule piecewise: from so many epochs on …
    piecewise_factors: tuple[float, ...] = (0.5, 0.2)  # … the peak times this
    plateau_factor: float = 0.5  # schedule plateau: multiply by this …
    plateau_epochs: int = 3  # … after so many epochs without a better validation score
    clip_norm: float = 5.0  # largest global norm of the gradient
    average_decay: float = 0.0  # of the weights' moving average, e.g. 0.999 an update; 0: no average is kept
    # none | bfloat16 | float16: precision of the network's matrix products. A CPU never takes float16, and bfloat16
    # only with avx512_bf16 or AMX, with the compiled operators, and where N and H are multiples of 32.
    amp: str = "none"
    recompute: bool = False  # blocks' activations are computed again for the gradient, not kept: less memory
    # random | mask: begin with the mixture itself, see src/models/initial.py | a checkpoint's path: with its weights
    initial_values: str = "random"
    block_weights: tuple[float, ...] = ()  # one per pair; (): j/R for pair j, as in the paper
    early_stopping_epochs: int = 0  # stop after so many epochs without a better validation score; 0: never
    seed: int = 0
    skipped_in_a_row: int = 10  # updates skipped for a loss or gradient that is not finite, before the run stops
    keep_best: int = 3  # checkpoints of the best epochs that stay
    save_minutes: float = 10.0  # between checkpoints inside an epoch; 0: only at its end
    data_timeout_seconds: float = 600.0  # without a batch, before the data pipeline counts as hung; 0: for ever

    def __post_init__(self) -> None:
        """Check every field, and those that must fit each other."""
        for name in ("epochs", "batch_size", "accumulation", "step_epochs", "plateau_epochs", "skipped_in_a_row"):
            _at_least(f"training.{name}", getattr(self, name), 1)
        for name in ("warmup_steps", "seed", "early_stopping_epochs"):
            _at_least(f"training.{name}", getattr(self, name), 0)
        _at_least("training.keep_best", self.keep_best, 1)
        for name in ("learning_rate", "clip_norm", "step_factor"):
            _positive(f"training.{name}", getattr(self, name))
        for name, highest in (
            ("average_decay", 0.99999),
            ("plateau_factor", 1.0),
            ("weight_decay", 10.0),
            ("save_minutes", 1e6),
            ("epochs", 1e5),
            ("seed", 2**32 - 1),
            ("data_timeout_seconds", 1e6),
        ):
            _between(f"training.{name}", getattr(self, name), 0.0, highest)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices and not (name == "initial_values" and self.initial_checkpoint):
                raise UserError(f"training.{name}: found '{getattr(self, name)}', expected one of {', '.join(choices)}")
        self._check_pieces()
        if self.weight_decay and self.optimizer == "adam":
            raise UserError(
                f"training.weight_decay: found {self.weight_decay} with the optimizer adam, expected 0: "
                f"choose adamw, which decays the weights"
            )

    @property
    def initial_checkpoint(self) -> str | None:
        """The checkpoint whose weights a run begins with; None: it begins with none."""
        return self.initial_values if self.initial_values.endswith(".ckpt") else None

    def _check_pieces(self) -> None:
        epochs, factors = self.piecewise_epochs, self.piecewise_factors
        if len(epochs) != len(factors):
            raise UserError(
                f"training.piecewise_epochs, training.piecewise_factors: found {len(epochs)} and {len(factors)} "
                f"values, expected as many of one as of the other"
            )
        if list(epochs) != sorted(set(epochs)) or min(epochs, default=1) < 1:
            raise UserError(f"training.piecewise_epochs: found {list(epochs)}, expected rising numbers from 1")
        for factor in factors:
            _positive("training.piecewise_factors", factor)


# What may differ between two sittings of one run: it decides where and how safely one trains, not what is learned.
OPERATIONAL = frozenset(
    {
        ("data", "train"),
        ("data", "valid"),
        ("training", "skipped_in_a_row"),
        ("training", "keep_best"),
        ("training", "save_minutes"),
        ("training", "data_timeout_seconds"),
        ("training", "early_stopping_epochs"),
    }
)


SOURCE_CHANGES = (
    "speaker_exponent",
    "loudness_range_db",
    "speed_min",
    "speed_max",
    "formant_share",
    "formant_spread",
    "pitch_ratio_first",
    "pitch_ratio_last",
    "flatten_spectrum",
    "equalizer_db",
    "noise_floor_db",
    "narrow_probability",
    "reverberation_probability",
    "coding_probability",
)
CHOICES = {
    "optimizer": ("adam", "adamw", "muon"),
    "schedule": ("constant", "step", "piecewise", "plateau", "cosine"),
    "amp": ("none", "bfloat16", "float16"),
    "initial_values": ("random", "mask", "a checkpoint's path, FILE.ckpt"),
}


@dataclass(frozen=True)
class Config:
    """Everything that defines a run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        """Check what must fit between the sections."""
        for name in ("segment_seconds", "valid_seconds"):
            seconds = getattr(self.data, name)
            if round(seconds * self.model.sample_rate) < self.model.kernel_size:
                raise UserError(
                    f"data.{name}: found {seconds} s, expected at least the encoder's kernel of "
                    f"{self.model.kernel_size} samples (L) at {self.model.sample_rate} Hz"
                )
        weights = self.training.block_weights
        if weights and len(weights) != self.model.num_pairs:
            raise UserError(
                f"training.block_weights: found {len(weights)} weights, "
                f"expected one for each of the {self.model.num_pairs} pairs of blocks"
            )


def load_config(path: Path | str) -> Config:
    """Read a YAML recipe over the defaults.

    Raises `UserError` for a missing file, YAML that does not parse, an unknown section or key, a
    value of the wrong type, or values that do not fit each other.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: cannot read the configuration: found no text, expected YAML in UTF-8") from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return from_dict(Config, {} if values is None else values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def from_dict(kind: type[T], values: Any, where: str = "") -> T:
    """Build a dataclass from nested dictionaries, refusing unknown keys and wrong types."""
    if not isinstance(values, dict):
        raise UserError(f"{where or 'configuration'}: found {values!r}, expected keys with values")
    hints = get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    arguments = {}
    for key, value in values.items():
        name = f"{where}.{key}" if where else str(key)
        if key not in known:
            raise UserError(f"unknown configuration key '{name}', expected one of: {', '.join(known)}")
        arguments[key] = _convert(hints[key], value, name)
    for name in _required(kind):
        if name not in arguments:
            raise UserError(f"{where or 'configuration'}: found no '{name}', expected {_words(hints[name])}")
    return kind(**arguments)


def _required(kind: type[Any]) -> list[str]:
    missing = dataclasses.MISSING
    return [f.name for f in dataclasses.fields(kind) if f.default is missing and f.default_factory is missing]


def to_json(config: Config) -> str:
    """The resolved configuration as one line of JSON."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True)


def from_json(text: str) -> Config:
    """The inverse of `to_json`. Raises `UserError` if it is not such a configuration."""
    try:
        values = json.loads(text)
    except ValueError:
        raise UserError("the stored configuration is not valid JSON") from None
    return from_dict(Config, values)


def override(config: Config, section: str, **values: Any) -> Config:
    """A copy with fields of one section replaced; values that are None are left as they are."""
    given = {key: value for key, value in values.items() if value is not None}
    changed = dataclasses.replace(getattr(config, section), **given)
    return dataclasses.replace(config, **{section: changed})


def _convert(hint: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, name)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise UserError(f"{name}: found {value!r}, expected a list")
        return tuple(_convert(get_args(hint)[0], item, name) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 as a string
        return _float(value, name)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise UserError(f"{name}: found {value!r}, expected {_words(hint)}")
    return value


def _float(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{name}: found '{text}', expected a number") from None


def _words(hint: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}.get(hint, str(hint))


def _at_least(name: str, value: int, smallest: int) -> None:
    if value < smallest:
        raise UserError(f"{name}: found {value}, expected at least {smallest}")


def _between(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise UserError(f"{name}: found {value}, expected {lowest} to {highest}")


def _positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise UserError(f"{name}: found {value}, expected a number above 0")
