"""The two index.json: of the inputs that the C++ program reads, and of the outputs that it writes.

Each describes one .bin file an utterance in its own folder: little-endian float32 in C order. An input is [1, W], of
which the first T samples are the utterance; an output is [C, T]. An index is written when all its files are there, so
a folder without one is not complete.

Letters in shapes: C speakers, T samples of an utterance, W samples with the padding.
"""

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from src.errors import UserError
from src.files import written_aside
from src.infer310.json_fields import Fields, read_object

INDEX_NAME = "index.json"
INPUT_FORMAT, OUTPUT_FORMAT = "gdprnn inputs", "gdprnn outputs"
VERSION = 1
DTYPE = "float32"
BYTES_PER_SAMPLE = 4


@dataclass(frozen=True)
class Entry:
    """One .bin file."""

    name: str  # the utterance's ID
    file: str  # its name in the index's folder
    shape: tuple[int, ...]
    num_samples: int  # T

    @property
    def num_bytes(self) -> int:
        """What the file must have."""
        return math.prod(self.shape) * BYTES_PER_SAMPLE


@dataclass(frozen=True)
class InputIndex:
    """What the model shall separate."""

    sample_rate: int  # Hz
    num_speakers: int
    data: str  # digest of the test set
    inputs: tuple[Entry, ...]


@dataclass(frozen=True)
class OutputIndex:
    """What the model has made of it."""

    sample_rate: int  # Hz
    num_speakers: int
    data: str  # digest of the test set, as the inputs had it
    model_sha256: str
    chunk_samples: int
    overlap_samples: int
    outputs: tuple[Entry, ...]


def read_inputs(path: Path) -> InputIndex:
    """Read an index of inputs. Raises `UserError` if it is missing, unreadable or not exactly of this form."""
    fields = _open(path, INPUT_FORMAT)
    rate, num_speakers, data = _common(fields)
    entries = [_entry(each) for each in fields.objects("inputs")]
    fields.end()
    index = InputIndex(rate, num_speakers, data, tuple(entries))
    _check(index, path)
    return index


def read_outputs(path: Path) -> OutputIndex:
    """Read an index of outputs. Raises `UserError` if it is missing, unreadable or not exactly of this form."""
    fields = _open(path, OUTPUT_FORMAT)
    rate, num_speakers, data = _common(fields)
    model_sha256 = fields.text("model_sha256")
    chunk_samples, overlap_samples = fields.number("chunk_samples", 1), fields.number("overlap_samples", 0)
    if overlap_samples > chunk_samples // 2:
        raise fields.unfit("overlap_samples", overlap_samples, f"at most half of chunk_samples, {chunk_samples // 2}")
    entries = [_entry(each) for each in fields.objects("outputs")]
    fields.end()
    index = OutputIndex(rate, num_speakers, data, model_sha256, chunk_samples, overlap_samples, tuple(entries))
    _check(index, path)
    return index


def write_index(path: Path, index: InputIndex | OutputIndex) -> None:
    """Write an index, an utterance a line, aside first and then under its name.

    Raises `UserError` if it is not of the form that the readers take, or cannot be written.
    """
    _check(index, path)
    values = asdict(index)
    name = "inputs" if isinstance(index, InputIndex) else "outputs"
    entries = [json.dumps(_with_dtype(entry)) for entry in values.pop(name)]
    head = {"format": INPUT_FORMAT if name == "inputs" else OUTPUT_FORMAT, "version": VERSION, **values}
    lines = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
    lines.append(f'"{name}": [' + ",".join(f"\n  {entry}" for entry in entries) + "]")
    with written_aside(path) as aside:
        aside.write_text("{" + ",\n ".join(lines) + "}\n", encoding="utf-8")


def _with_dtype(entry: dict[str, object]) -> dict[str, object]:
    """The keys in the order that people expect."""
    return {"name": entry["name"], "file": entry["file"], "dtype": DTYPE, **entry}


def _open(path: Path, form: str) -> Fields:
    fields = read_object(path)
    fields.fixed("format", form)
    fields.fixed("version", VERSION)
    return fields


def _common(fields: Fields) -> tuple[int, int, str]:
    return fields.number("sample_rate", 1), fields.number("num_speakers", 1), fields.text("data")


def _entry(fields: Fields) -> Entry:
    name, file = fields.text("name"), fields.text("file")
    fields.fixed("dtype", DTYPE)
    entry = Entry(name, file, fields.numbers("shape"), fields.number("num_samples", 1))
    fields.end()
    return entry


def _check(index: InputIndex | OutputIndex, path: Path) -> None:
    """Raise `UserError` for an entry that does not fit the index, or names that are there twice."""
    is_input = isinstance(index, InputIndex)
    entries = index.inputs if isinstance(index, InputIndex) else index.outputs
    for entry in entries:
        rows, least = (1 if is_input else index.num_speakers), entry.num_samples
        fits = len(entry.shape) == 2 and entry.shape[0] == rows and entry.shape[1] >= least
        if not fits or (not is_input and entry.shape[1] != least):
            expected = f"[{rows}, {'at least ' if is_input else ''}{least}]"
            raise UserError(f"{path}: {entry.name}: found the shape {list(entry.shape)}, expected {expected}")
        if entry.file != Path(entry.file).name or not entry.file.endswith(".bin"):
            raise UserError(f"{path}: {entry.name}: found the file '{entry.file}', expected NAME.bin without a folder")
    for what, found in (("name", [entry.name for entry in entries]), ("file", [entry.file for entry in entries])):
        twice = next((text for text, count in Counter(found).items() if count > 1), None)
        if twice is not None:
            raise UserError(f"{path}: found the {what} {twice} twice, expected it once")
