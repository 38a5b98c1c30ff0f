"""HTML and SVG from Python calls, and how the listening report writes numbers.

Whatever is not `Markup` is escaped where it enters the page, so that no file name can become a part of it.
"""

import html
import math
from collections.abc import Mapping
from typing import Any

MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EM DASH}"
SEXES = {"F": "female", "M": "male"}
VOID = {"img", "input", "link", "meta"}  # elements that have no end


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element.

    Args:
        name: such as "td".
        children: text, which is escaped, or Markup, in order; None is left out.
        attributes: values are escaped; None and False leave the attribute out, True gives it no value.
            A trailing underscore in the name goes (`class_`), the others become hyphens (`aria_label`).
    """
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Markup(opening if name in VOID else f"{opening}{join(*children)}</{name}>")


def join(*children: object) -> Markup:
    """Children of `tag` without an element around them."""
    return Markup("".join(_text(child) for child in children if child is not None))


def _text(child: object) -> str:
    return child if isinstance(child, Markup) else html.escape(str(child))


def _attribute(name: str, value: object) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'


def number(source: Mapping[str, Any], name: str) -> float | None:
    """A finite number, of a summary or of a table's line; None where there is none."""
    try:
        value = float(source[name])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def places(value: float | None, digits: int = 2) -> str:
    """Fixed decimal places with a typographic minus sign, and none before 0.00; a dash where nothing is known."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """As `places`, with a plus sign before what is above zero."""
    shown = places(value, digits)
    return shown if value is None or round(value, digits) <= 0 else f"+{shown}"


def decibels(value: float | None, digits: int = 2) -> str:
    """As `places`, with its unit."""
    return MISSING if value is None else f"{places(value, digits)} dB"


def plural(count: int, noun: str) -> str:
    """`1 utterance`, `2 utterances`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def clock(seconds: float) -> str:
    """Minutes and seconds, such as 1:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
