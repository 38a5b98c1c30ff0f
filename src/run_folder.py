"""The files of a run in its output folder, and how they survive whatever happens to the process.

`latest.ckpt` is everything that the run needs to go on, `previous.ckpt` the same from the time before, in case
the latest is damaged. `best-epochNNNN.ckpt` are the weights of the best epochs, `best.ckpt` the best of them.
`sittings.jsonl` tells when the run was begun and gone on with, by which command and on what machine.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from src.curves import EVENTS, PICTURE
from src.errors import UserError

T = TypeVar("T")

LATEST = "latest.ckpt"
PREVIOUS = "previous.ckpt"
BEST = "best.ckpt"
HISTORY = "history.jsonl"
SITTINGS = "sittings.jsonl"
LOCK = ".lock"
DAMAGED = "latest.damaged.ckpt"
OWN_FILES = (PREVIOUS, BEST, DAMAGED, HISTORY, SITTINGS, PICTURE, EVENTS)  # beside the latest; logs stay: may be open
BEST_EPOCH = re.compile(r"best-epoch(\d+)\.ckpt")


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep every other training run out of the folder for the time of the block.

    The lock is the operating system's and ends with the process, however it ends. The file holds the process's
    number, so that a script can pass Ctrl-C on to it.

    Raises `UserError` if another process trains there, or the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise UserError(f"{folder}: cannot train there: {error.strerror}, expected a writable folder") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            number = file.read().strip() or "unknown"
            raise UserError(
                f"{folder}: found a run that is going on there (process {number}), expected none: "
                f"wait for it, stop it, or choose another --output_dir"
            ) from None
        except OSError as error:  # a file system without locks
            sys.stderr.write(f"warning: {folder}: cannot be locked ({error.strerror}): train there once at a time\n")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        _remove_leftovers(folder)
        try:
            yield
        finally:
            file.truncate(0)


def _remove_leftovers(folder: Path) -> None:
    """What a process that was killed was writing aside (src.files.written_aside)."""
    for name in (HISTORY, PICTURE):
        for leftover in folder.glob(f".{name}.*.part"):
            leftover.unlink(missing_ok=True)


def add_sitting(folder: Path, sitting: dict[str, Any]) -> None:
    """Write down that somebody begins the run or goes on with it. Raises `UserError` if that cannot be written."""
    try:
        with (folder / SITTINGS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(sitting) + "\n")
    except OSError as error:
        raise UserError(f"{folder / SITTINGS}: cannot be written ({error.strerror})") from None


def keep_previous(folder: Path) -> None:
    """Give the latest checkpoint the name of the previous one too, at no moment without either."""
    if (folder / LATEST).exists():
        _second_name(folder / LATEST, folder / PREVIOUS)


def _second_name(path: Path, second: Path) -> None:
    """Let `second`, which may exist, be the same file as `path`, in one move."""
    aside = second.with_name(f".{second.name}.link")
    aside.unlink(missing_ok=True)
    try:
        aside.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copyfile(path, aside)
    aside.replace(second)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a run to go on with."""
    return any((folder / name).exists() for name in (LATEST, PREVIOUS))


def read_latest(folder: Path, read: Callable[[Path], T]) -> tuple[T, Path] | None:
    """What `read` makes of the latest checkpoint, and its path, or of the one before if it is damaged; None: none.

    A damaged one is told on the screen.

    Raises `UserError` if there are checkpoints and none can be read.
    """
    candidates = [folder / name for name in (LATEST, PREVIOUS) if (folder / name).exists()]
    if not candidates:
        return None
    try:
        return read(candidates[0]), candidates[0]
    except UserError as error:
        if len(candidates) == 1:
            raise UserError(f"{error}; there is no other to go on from: --restart begins anew") from None
        found = str(error)
    try:
        value = read(candidates[1])
    except UserError as error:
        raise UserError(f"{found}; nor is the one before: {error}; --restart begins anew") from None
    sys.stderr.write(f"warning: {found}: going on from {candidates[1].name}, which is older\n")
    return value, candidates[1]


def put_damaged_aside(folder: Path) -> None:
    """Rename the latest checkpoint, which could not be read, so that it never becomes the previous one."""
    (folder / LATEST).replace(folder / DAMAGED)


def best_epochs(scores: Sequence[float], count: int) -> list[int]:
    """The numbers, from 1, of the epochs with the highest scores, best first; of equal ones the earlier."""
    return sorted(range(1, len(scores) + 1), key=lambda epoch: (-scores[epoch - 1], epoch))[:count]


def best_path(folder: Path, epoch: int) -> Path:
    """Where the weights of one of the best epochs are kept."""
    return folder / f"best-epoch{epoch:04d}.ckpt"


def name_best(folder: Path, epoch: int) -> None:
    """Let `best.ckpt` be the weights of this epoch."""
    _second_name(best_path(folder, epoch), folder / BEST)


def tidy(folder: Path, epochs: Sequence[int]) -> None:
    """Remove the weights of epochs that are not among the best any more."""
    for path in folder.glob("best-epoch*.ckpt"):
        found = BEST_EPOCH.fullmatch(path.name)
        if found and int(found[1]) not in epochs:
            path.unlink(missing_ok=True)


def set_aside(folder: Path) -> Path | None:
    """Move a run's own files into `before-1`, or the next free number; returns that folder, None if there were none.

    Nothing else in the output folder is touched: data sets may live there too.
    """
    names = [name for name in OWN_FILES if (folder / name).exists()]
    names += [path.name for path in folder.glob("best-epoch*.ckpt")]
    names += [LATEST] if (folder / LATEST).exists() else []  # last: without it the rest is not a run to go on with
    if not names:
        return None
    number = 1
    while (folder / f"before-{number}").exists():
        number += 1
    target = folder / f"before-{number}"
    target.mkdir()
    for name in names:
        (folder / name).rename(target / name)
    return target
