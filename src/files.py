"""Files and folders that programs write: whole or not at all.

Needs nothing but Python itself, so that what runs before anything is installed can use it.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from src.errors import UserError

PathLike = str | os.PathLike[str]


@contextmanager
def written_aside(path: PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it to `path` when the block ends well.

    When the block raises, or is interrupted, the temporary file goes and `path` stays as it was.
    The folder is made if it is missing.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    final = Path(path)
    aside = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(final)
    except OSError as error:
        raise UserError(f"{final}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # gone after the rename, or its folder could not be made
            aside.unlink()


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_folder(path: PathLike) -> None:
    """Make a folder for outputs if it is missing, before the work that fills it.

    Raises:
        UserError: it cannot be made, or files cannot be written there.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be made ({error.strerror}), expected a folder") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"{path}: found a folder without the right to write, expected one with it")
