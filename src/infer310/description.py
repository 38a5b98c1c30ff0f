"""What lies beside an exported network, `<file>.json`: all that a program has to know to run it.

Read by the C++ program too, so a name or a meaning changes only together with `VERSION`.

Letters in shapes: B batch, C speakers, M samples of a chunk.
"""

import dataclasses
import hashlib
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.config import from_dict
from src.errors import UserError
from src.files import written_aside

FORMAT, VERSION = "gdprnn exported network", 2
MIXTURE, NUM_SAMPLES, TRACKS = "mixture", "num_samples", "tracks"


@dataclass(frozen=True)
class Array:
    """An input or output of the network."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Description:
    """An exported network. One mixture of at most `chunk_samples` goes through a row at a time."""

    file: str  # its name, in the same folder
    file_format: str  # MINDIR | ONNX
    sha256: str  # of the file, in hexadecimal
    sample_rate: int  # Hz
    num_speakers: int  # <C>
    kernel_size: int  # <L> samples
    chunk_frames: int  # <K> of a chunk inside the network
    normalize_level: bool  # the network brings every mixture to unit RMS, and its tracks back
    prelu_slope: float  # of the network's head
    batch_size: int  # <B>
    chunk_samples: int  # <M>
    overlap_samples: int  # that neighbouring chunks of a longer recording share
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    device_target: str  # CPU | Ascend
    checkpoint: str  # the name of the file that it was made of
    weights: str  # trained | average
    largest_difference: float | None  # from the checkpoint's network, relative to the output's peak; None: not run
    program: str  # version of this program
    mindspore: str  # version

    def __post_init__(self) -> None:
        """Check that the shapes follow from the numbers."""
        for name in ("sample_rate", "kernel_size", "batch_size", "chunk_samples"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: found {getattr(self, name)}, expected at least 1")
        if not 0 <= 2 * self.overlap_samples <= self.chunk_samples:
            raise UserError(f"overlap_samples: found {self.overlap_samples}, expected 0 to {self.chunk_samples // 2}")
        expected = arrays(self.batch_size, self.num_speakers, self.chunk_samples)
        if (self.inputs, self.outputs) != expected:
            raise UserError(f"inputs, outputs: found {self.inputs}, {self.outputs}, expected {expected}")

    def summary(self, path: Path) -> str:
        """What is at `path`, and what to do with it, for a user."""
        shapes = [f"{array.name} {array.dtype} {list(array.shape)}" for array in (*self.inputs, *self.outputs)]
        lines = [f"{path} and {path_beside(path).name}: {', '.join(shapes[:-1])} -> {shapes[-1]}"]
        if self.largest_difference is not None:
            lines.append(f"largest difference from the checkpoint: {self.largest_difference:.1e} of the output's peak")
        if self.file_format == "MINDIR":
            device, name = self.device_target.lower(), shlex.quote(str(path))
            program = "ascend310_infer/build/gdprnn_infer"
            lines.append(f"next: {program} --model {name} --device {device} --input talk.wav --output separated")
            lines.append(f"      bash scripts/run_infer_310.sh {name} TEST_PATH y {device}")
        return "\n".join(lines)


def arrays(batch_size: int, num_speakers: int, num_samples: int) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Inputs and outputs of every exported network: (mixture [B, M], num_samples [B]) -> tracks [B, C, M]."""
    mixture = Array(MIXTURE, "float32", (batch_size, num_samples))
    tracks = Array(TRACKS, "float32", (batch_size, num_speakers, num_samples))
    return (mixture, Array(NUM_SAMPLES, "int32", (batch_size,))), (tracks,)


def path_beside(network: Path) -> Path:
    """Where the description of an exported network is."""
    return network.with_name(network.name + ".json")


def write(description: Description, path: Path) -> None:
    """Write aside, then rename. Raises `UserError` if it cannot be written."""
    values = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(description)}
    with written_aside(path) as aside:
        aside.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Description:
    """The inverse of `write`. Raises `UserError` if the file is missing, damaged, or of another kind or version."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot read the description of a network: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{path}: found no JSON, expected the description that export.py writes") from None
    try:
        return _from_values(values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _from_values(values: Any) -> Description:
    found = (values.pop("format", None), values.pop("version", None)) if isinstance(values, dict) else values
    if found != (FORMAT, VERSION):
        raise UserError(f"found {found!r}, expected format '{FORMAT}', version {VERSION}")
    return from_dict(Description, values)


def check_sum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises `UserError` if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
