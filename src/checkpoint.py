"""Checkpoints: weights, the optimizer's state, the resolved configuration and the run's progress in one file.

The format is MindSpore's own with its checksum, and three texts beside the tensors: `config` and `progress`, both
JSON, and `version`, that of the program.
"""

import binascii
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import mindspore as ms
from mindspore import Parameter, Tensor, nn

from src.config import Config, from_json, to_json
from src.errors import UserError
from src.models.swave import Swave
from src.pretrained import why_missing
from src.version import code_version

CONFIG_KEY, PROGRESS_KEY, VERSION_KEY = "config", "progress", "version"
CHECKSUM_MARK, CHECKSUM_BYTES = b"crc_num", 10  # how MindSpore ends a file: a CRC-32, big endian
AVERAGE = "average."  # before the name of a weight: its moving average


class Stored(NamedTuple):
    """What a checkpoint holds."""

    values: dict[str, Tensor]  # by name: weights, their averages, the optimizer's state
    config: Config
    progress: dict[str, Any]
    version: str  # of the program that wrote it


def save(
    path: Path,
    parameters: Iterable[Parameter],
    config: Config,
    progress: dict[str, Any],
    before_rename: Callable[[], None] = lambda: None,
) -> None:
    """Write a checkpoint aside, flush it to the disk, then rename: `path` is either the old or the new one.

    `before_rename` is called once the new one is safe on the disk and while `path` is still the old one.

    Raises `UserError` if it cannot be written, for instance because the disk is full.
    """
    aside = path.with_name(f".{path.stem}.partial.ckpt")
    texts = {
        CONFIG_KEY: to_json(config),
        PROGRESS_KEY: json.dumps(progress, sort_keys=True),
        VERSION_KEY: code_version(),
    }
    entries = [{"name": parameter.name, "data": parameter} for parameter in parameters]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(aside)
        ms.save_checkpoint(entries, str(aside), append_dict=texts, crc_check=True)
        aside.chmod(0o644)  # MindSpore writes read-only files
        _flush(aside)
        before_rename()
        aside.replace(path)
        _flush(path.parent)
    except (OSError, RuntimeError) as error:
        _remove_leftovers(aside)
        raise UserError(f"{path}: cannot write the checkpoint: {_first_line(error)}") from None


def _flush(path: Path) -> None:
    """Make the operating system write a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(aside: Path) -> None:
    """What MindSpore left of a write that failed or was killed; it writes beside `aside` first."""
    for leftover in aside.parent.glob(f"{aside.stem}*"):
        with suppress(OSError):
            leftover.unlink()


def read(path: Path | str) -> Stored:
    """What a checkpoint holds.

    Raises `UserError` for a missing or damaged file, and for one that this program did not write.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint{why_missing(path)}")
    if path.suffix != ".ckpt":
        raise UserError(f"{path}: found a file ending in '{path.suffix}', expected a checkpoint ending in '.ckpt'")
    _check_sum(path)
    try:
        values = ms.load_checkpoint(str(path))
    except (ValueError, RuntimeError, OSError) as error:
        raise UserError(f"{path}: not a readable checkpoint: {_first_line(error)}") from None
    texts = [values.pop(key, None) for key in (CONFIG_KEY, PROGRESS_KEY)]
    version = values.pop(VERSION_KEY, "0.1")  # which did not tell it
    if not all(isinstance(text, str) for text in texts):
        raise UserError(f"{path}: found no configuration in this checkpoint, expected one written by train.py")
    try:
        return Stored(values, from_json(texts[0]), json.loads(texts[1]), str(version))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _check_sum(path: Path) -> None:
    """Raise `UserError` unless the file ends with MindSpore's checksum of all before it, and that is right.

    MindSpore's own check passes over a file whose end is missing, and may crash on what it then reads (2.10).
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: not a readable checkpoint: {error.strerror}") from None
    end = len(content) - len(CHECKSUM_MARK) - CHECKSUM_BYTES
    mark, found = content[max(0, end) : -CHECKSUM_BYTES], int.from_bytes(content[-CHECKSUM_BYTES:], "big")
    if end < 0 or mark != CHECKSUM_MARK or binascii.crc32(memoryview(content)[:end]) != found:
        raise UserError(
            f"{path}: not a readable checkpoint: its checksum is missing or wrong: damaged, or not written by train.py"
        )


def load_into(values: dict[str, Tensor], parameters: Iterable[Parameter], path: Path | str) -> None:
    """Copy values into the parameters of the same names.

    Raises `UserError`, before anything is changed, if one is missing or has another shape.
    """
    targets = {parameter.name: parameter for parameter in parameters}
    for name, target in targets.items():
        if name not in values:
            raise UserError(f"{path}: found no '{name}' in this checkpoint, expected shape {tuple(target.shape)}")
        if tuple(values[name].shape) != tuple(target.shape):
            raise UserError(
                f"{path}: '{name}' has shape {tuple(values[name].shape)}, expected {tuple(target.shape)}: "
                f"the checkpoint is of a network of another shape"
            )
    for name, target in targets.items():
        target.set_data(Tensor(values[name].asnumpy(), target.dtype))


def load_network(path: Path | str) -> tuple[nn.Cell, Config]:
    """The network of a checkpoint, ready to separate (not in training), and its configuration.

    Where the run kept a moving average of the weights, that is what the network gets.
    """
    stored = read(path)
    return build_network(stored, path), stored.config


def build_network(stored: Stored, path: Path | str) -> nn.Cell:
    """The same of a checkpoint that is read already; `path` is for errors."""
    network = Swave(stored.config.model)
    load_into(for_use(stored), network.get_parameters(), path)
    network.set_train(False)
    return network


def for_use(stored: Stored) -> dict[str, Tensor]:
    """The weights to separate with, or to train on from: the moving averages where the run kept them."""
    return averages(stored) or stored.values


def averages(stored: Stored) -> dict[str, Tensor]:
    """The moving averages by the names of the weights; empty where the run kept none."""
    return {name.removeprefix(AVERAGE): value for name, value in stored.values.items() if name.startswith(AVERAGE)}


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]
