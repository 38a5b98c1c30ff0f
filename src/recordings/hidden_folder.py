"""Files that appear together when all of them are done: they are made in a hidden folder and then moved."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from src.errors import UserError
from src.runtime import interrupts_held_back


@contextmanager
def hidden_folder(parent: Path, prefix: str = ".separating-") -> Iterator[Path]:
    """A temporary folder in `parent`, which is gone after the block, whatever ended that.

    Raises:
        UserError: it cannot be made.
    """
    folder = None
    try:
        with interrupts_held_back():
            folder = _make_hidden_folder(parent, prefix)
        yield folder
    finally:
        if folder is not None:
            with interrupts_held_back():
                shutil.rmtree(folder, ignore_errors=True)


def _make_hidden_folder(parent: Path, prefix: str) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    except OSError as error:
        raise UserError(f"{parent}: cannot be written to ({error.strerror})") from error


def put_in_place(finals: Mapping[Path, Path]) -> None:
    """Give written files their final paths; Ctrl-C waits until all have them. Raises `UserError` if one cannot."""
    with interrupts_held_back():
        for path, final in finals.items():
            try:
                final.parent.mkdir(parents=True, exist_ok=True)
                path.replace(final)
            except OSError as error:
                raise UserError(f"{final}: cannot be written ({error.strerror})") from error
