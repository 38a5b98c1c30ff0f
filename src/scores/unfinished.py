"""The results of an evaluation that is still going on, in a file, so that a program that was stopped can go on.

The first line says what the results belong to, each further one is a result, all JSON. Python writes floating point
numbers so that they read back exactly: what is gone on with ends as it would have ended without the interruption.
"""

import dataclasses
import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from src.errors import UserError
from src.scores.scoring import Result

Key = dict[str, Any]  # what the results depend on, in values that JSON has


class Unfinished:
    """The open file. `results` are those of an earlier sitting, in the order in which they came."""

    def __init__(self, path: Path, file: IO[bytes], key: Key) -> None:
        self.path = path
        self.results: list[Result] = []
        self.replaced = False  # there were results of something else
        self._file = file
        self._take_up(key)

    def append(self, result: Result) -> None:
        """Keep one more. Raises `UserError` if it cannot be written."""
        self._write(dataclasses.asdict(result))

    def remove(self) -> None:
        """The results are in their final place."""
        self.path.unlink(missing_ok=True)

    def _take_up(self, key: Key) -> None:
        """Read what is there, as far as it is whole, and go on behind it; or begin anew."""
        self._file.seek(0)
        lines = [line for line in self._file.read().splitlines(keepends=True) if line.endswith(b"\n")]
        found, num_bytes = None, 0
        for number, line in enumerate(lines):
            try:
                values = json.loads(line)
                if number == 0:
                    found = values
                else:
                    self.results.append(Result(**values))
            except (ValueError, TypeError):  # the program was killed in the middle of it
                break
            num_bytes += len(line)
        if found == key:
            self._file.truncate(num_bytes)
            return
        self.replaced = bool(self.results)
        self.results = []
        self._file.truncate(0)
        self._write(key)

    def _write(self, values: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(values).encode() + b"\n")
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror})") from error


@contextmanager
def unfinished_results(path: Path, key: Key) -> Iterator[Unfinished]:
    """Open the file, made if missing, and keep other evaluations out of it for the time of the block.

    Args:
        path: the file; its folder exists.
        key: results of another key are thrown away.

    Raises:
        UserError: the file cannot be written, or another process evaluates there.
    """
    try:
        file = path.open("a+b", buffering=0)  # what cannot be written is known at once
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{path.parent}: found an evaluation that is going on there, expected none: "
                "wait for it, stop it, or choose another --output"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield Unfinished(path, file, key)
