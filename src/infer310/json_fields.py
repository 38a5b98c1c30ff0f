"""Reading JSON objects of a fixed form: every key there, of its type, and no other key."""

import json
from pathlib import Path
from typing import Any

from src.errors import UserError


class Fields:
    """One JSON object, whose values are taken key by key.

    Every method raises `UserError` for what is missing or of another type.
    """

    def __init__(self, values: Any, path: Path, where: str = "") -> None:
        """`where` tells which object of the file `path` it is, e.g. "inputs[3]."; nothing for the outermost."""
        self._path, self._where = path, where
        if not isinstance(values, dict):
            raise UserError(f"{path}: found {_kind(values)}{f' as {where[:-1]}' if where else ''}, expected an object")
        self._left = dict(values)

    def text(self, key: str) -> str:
        """A string that is not empty."""
        value = self._take(key, "text")
        if not isinstance(value, str) or not value:
            raise self.unfit(key, value, "text")
        return value

    def fixed(self, key: str, expected: str | int) -> None:
        """A value that can only be this one."""
        value = self._take(key, repr(expected))
        if type(value) is not type(expected) or value != expected:
            raise self.unfit(key, value, repr(expected))

    def number(self, key: str, least: int) -> int:
        """A whole number, at least `least`."""
        value = self._take(key, "a whole number")
        if not _is_number(value) or value < least:
            raise self.unfit(key, value, f"a whole number of at least {least}")
        return int(value)

    def numbers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        values = self._take(key, "a list of whole numbers")
        if not isinstance(values, list) or not all(_is_number(value) for value in values):
            raise self.unfit(key, values, "a list of whole numbers")
        return tuple(values)

    def objects(self, key: str) -> list["Fields"]:
        """A list of objects, at least one."""
        values = self._take(key, "a list of objects")
        if not isinstance(values, list) or not values:
            raise self.unfit(key, values, "a list of at least one object")
        return [Fields(value, self._path, f"{self._where}{key}[{place}].") for place, value in enumerate(values)]

    def end(self) -> None:
        """All keys have been taken."""
        if self._left:
            key = next(iter(self._left))
            raise UserError(f"{self._path}: found the unknown key {self._where}{key}, expected none")

    def unfit(self, key: str, found: Any, expected: str) -> UserError:
        """What to raise for a value that does not fit."""
        return UserError(f"{self._path}: {self._where}{key}: found {_kind(found)}, expected {expected}")

    def _take(self, key: str, expected: str) -> Any:
        if key not in self._left:
            raise UserError(f"{self._path}: {self._where}{key}: found nothing, expected {expected}")
        return self._left.pop(key)


def read_object(path: Path) -> Fields:
    """The JSON object that a file holds. Raises `UserError` if the file is missing, unreadable or something else."""
    try:
        return Fields(json.loads(path.read_text(encoding="utf-8")), path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}), expected a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: found something that is not JSON ({error}), expected a JSON object") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    """A short word for what was found."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
