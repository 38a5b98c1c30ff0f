"""What is meant by the inputs of separate.py, and where their tracks will be."""

import glob
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.audio_stream import FileSource
from src.errors import UserError
from src.files import make_folder
from src.recordings.track_files import FORMATS

STANDARD_INPUT = "-"
HEADER_BYTES = 4096  # more than the header of a wav file that a program writes to a pipe
EMPTY_DATA = b"data\0\0\0\0"
# What libsndfile knows a file by, usual spellings included; without raw, which has no header, and Matlab's mat.
EXTENSIONS = (
    *(".wav", ".wave", ".wavex", ".rf64", ".w64", ".flac", ".mp3", ".ogg", ".oga", ".opus"),
    *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".voc", ".sph", ".nist", ".iff", ".svx", ".8svx"),
    *(".avr", ".htk", ".ircam", ".sf", ".mpc", ".paf", ".pvf", ".sd2", ".sds", ".wve", ".xi"),
)


@dataclass(frozen=True)
class Input:
    """One recording to separate."""

    path: Path | None  # None: standard input
    folder: Path = Path()  # of its tracks, inside the output folder

    @property
    def name(self) -> str:
        """As it is told."""
        return "standard input" if self.path is None else str(self.path)

    @property
    def stem(self) -> str:
        """What its tracks are named after."""
        return "stdin" if self.path is None else self.path.stem


@dataclass(frozen=True)
class Planned:
    """An input and its output files, each without the extension."""

    input: Input
    stems: tuple[Path, ...]


def expand_inputs(arguments: Sequence[str]) -> tuple[list[Input], list[str]]:
    """The recordings meant by files, folders, patterns and `-`, each only once, and what is wrong with the others.

    A folder stands for all files in it and below that have a known extension, sorted, without hidden ones; their
    tracks keep its structure. A pattern is one only if there is no such file; `**` goes through folders.
    """
    inputs: dict[Path | None, Input] = {}
    problems = []
    for argument in arguments:
        found = list(_expand(argument))
        for each in found:
            inputs.setdefault(each.path and _place(each.path), each)
        if not found:
            problems.append(f"{argument}: found no audio file there, expected at least one (wav, flac, mp3, …)")
    return list(inputs.values()), problems


def _expand(argument: str) -> Iterator[Input]:
    path = Path(argument)
    if argument == STANDARD_INPUT:
        yield Input(None)
    elif os.path.isdir(path):  # noqa: PTH112 (`Path.is_dir` raises where a name is too long)
        for file in _audio_files(path):
            yield Input(file, file.parent.relative_to(path))
    elif glob.has_magic(argument) and not os.path.exists(path):  # noqa: PTH110
        matches = (Path(match) for match in glob.iglob(argument, recursive=True))  # noqa: PTH207
        for file in sorted(match for match in matches if _is_audio(match)):
            yield Input(file)
    else:
        yield Input(path)


def _audio_files(root: Path) -> list[Path]:
    files = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(file for file in files if _is_audio(file))


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.is_dir()


def plan_outputs(
    inputs: Sequence[Input], output_dir: Path, num_speakers: int, *, residual: bool = False, extension: str = "wav"
) -> list[Planned]:
    """The output files of each input, checked: none is an input, none is another's, the folder can be written.

    With flac a track may become wav, where flac would clip, so both are checked.

    Raises:
        UserError: one of these is not so.
    """
    if extension not in FORMATS:
        raise UserError(f"format: found '{extension}', expected {' or '.join(FORMATS)}")
    taken = {place for each in inputs if each.path for place in (_real(each.path), _place(each.path))}
    owners: dict[Path, Input] = {}  # of the outputs
    endings = [f"s{number + 1}" for number in range(num_speakers)] + ["residual"] * residual
    extensions = [extension] if extension == FORMATS[0] else FORMATS
    plan = []
    for each in inputs:
        stems = tuple(output_dir / each.folder / f"{each.stem}_{ending}" for ending in endings)
        for output in (stem.with_name(f"{stem.name}.{ending}") for stem in stems for ending in extensions):
            if {_real(output), _place(output)} & taken:
                raise UserError(f"{each.name}: its output {output} is an input too, expected another --output-dir")
            owner = owners.setdefault(_place(output), each)
            if owner is not each:
                raise UserError(
                    f"{each.name}: its output {output} is also that of {owner.name}, expected different names"
                )
            if os.path.isdir(output):  # noqa: PTH112
                raise UserError(f"{each.name}: its output {output} is a folder, expected none of that name")
        plan.append(Planned(each, stems))
    make_folder(output_dir)
    return plan


def _place(path: Path) -> Path:
    """Where a file of this path would be written: through links to folders, but not through one to a file."""
    return _real(path.parent) / path.name


def _real(path: Path) -> Path:
    """Without links. (`Path.resolve` would raise where a link leads to itself.)"""
    return Path(os.path.realpath(path))


def open_input(each: Input, folder: Path) -> FileSource:
    """The input as a source that can be read more than once: standard input is copied into `folder` first.

    Raises:
        UserError: standard input is a terminal, or the copy cannot be written.
    """
    if each.path:
        return FileSource(each.path)
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError(f"{each.name}: found a terminal or nothing, expected audio from a pipe or a file")
    copy = folder / "stdin"
    try:
        with copy.open("wb") as file:
            start = sys.stdin.buffer.read(HEADER_BYTES)
            file.write(_with_unknown_size(start))
            shutil.copyfileobj(sys.stdin.buffer, file)
    except OSError as error:
        raise UserError(f"{each.name}: cannot be copied to the disk ({error.strerror})") from error
    return FileSource(copy, each.name)


def _with_unknown_size(start: bytes) -> bytes:
    """The start of a file; where a wav header tells 0 bytes of samples, as some programs leave it, it tells none."""
    end = start.find(EMPTY_DATA) + len(EMPTY_DATA)
    if start.startswith(b"RIFF") and len(EMPTY_DATA) <= end < len(start):
        return start[: end - 4] + b"\xff" * 4 + start[end:]
    return start
