"""The listening report's charts, drawn as SVG in the page's own colours and type.

Lengths are in pixels of a picture 400 wide; the page scales it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from src.report.markup import Markup, join, places, plural, tag

WIDTH, HEIGHT = 400, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 388, 26, 226  # the frame within which values are drawn
MANY = 100  # values, from which on a histogram has finer bars


@dataclass(frozen=True)
class Point:
    """One utterance in a scatter."""

    x: float
    y: float
    name: str
    mark: str = ""  # such as "best": a ring around it, with this word


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` along pixels from `start` to `end`, with a tick every `step`."""

    low: float
    high: float
    step: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float, about: int = 6) -> "Axis":
        """An axis that holds all values and ends at ticks, of which there are `about` so many."""
        low, high = min(values), max(values)
        step = nice_step((high - low) / about or 1.0)
        low, high = math.floor(low / step) * step, math.ceil(high / step) * step
        return cls(low, max(high, low + step), step, start, end)

    def at(self, value: float) -> float:
        """The pixel of a value, to a tenth."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Every value at which there is a tick."""
        return [self.low + k * self.step for k in range(round((self.high - self.low) / self.step) + 1)]

    def label(self, tick: float) -> str:
        """A tick with as many decimal places as the step needs."""
        return places(tick, max(0, -math.floor(math.log10(self.step))))


def nice_step(rough: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def histogram(values: Sequence[float], title: str, unit: str) -> Markup:
    """Bars of how many values lie where, and a line at their mean."""
    x = Axis.around(values, LEFT, RIGHT)
    bars_a_tick = 5 if len(values) >= MANY else 2
    held = np.clip(values, x.low, x.high)  # a rounding error would leave the largest out
    counts, edges = np.histogram(held, bins=bars_a_tick * (len(x.ticks()) - 1), range=(x.low, x.high))
    most = int(counts.max())
    y = Axis.around([0, most], BOTTOM, TOP, about=5) if most > 5 else Axis(0, most, 1, BOTTOM, TOP)
    bars = [_bar(x, y, span, int(count), unit) for span, count in zip(pairwise(edges), counts, strict=True) if count]
    mean = sum(values) / len(values)
    fullest = int(counts.argmax())
    told = (
        f"Histogram of {title} of {plural(len(values), 'utterance')}, {_span(values)} {unit}; "
        f"mean {places(mean)} {unit}, most {_span(edges[fullest : fullest + 2], 1)} {unit}."
    )
    return _picture(told, _frame(x, y, f"{title} ({unit})", "utterances"), *bars, _mean_line(x.at(mean), mean, unit))


def scatter(points: Sequence[Point], x_title: str, y_title: str) -> Markup:
    """One dot a point; those with a mark are drawn last, on top."""
    x = Axis.around([point.x for point in points], LEFT, RIGHT)
    y = Axis.around([point.y for point in points], BOTTOM, TOP)
    dots = [_dot(x, y, point) for point in points]
    rings = [_ring(x, y, point) for point in points if point.mark]
    told = f"Scatter of {y_title} against {x_title} for {plural(len(points), 'utterance')}."
    zero = tag("line", x1=LEFT, x2=RIGHT, y1=y.at(0), y2=y.at(0), class_="zero") if y.low < 0 < y.high else None
    return _picture(told, _frame(x, y, x_title, y_title), zero, *dots, *rings)


def whisker(value: float, interval: Sequence[float] | None, low: float, high: float) -> Markup:
    """A bar from zero to a value, with its interval as a thin line, between `low` and `high`: 120 by 14 pixels."""
    axis = Axis(min(low, 0.0), max(high, 0.0, min(low, 0.0) + 1e-9), 1.0, 0, 120)
    ends = sorted((axis.at(0), axis.at(value)))
    bar = tag("rect", x=ends[0], y=3, width=round(max(ends[1] - ends[0], 1), 1), height=8, rx=2, class_="bar")
    line = None
    if interval:
        lower, upper = (axis.at(end) for end in interval)
        line = tag("path", d=f"M{lower} 7H{upper}M{lower} 4V10M{upper} 4V10", class_="whisker")
    return tag("svg", bar, line, class_="strip", viewBox="0 0 120 14", aria_hidden="true")


def _picture(told: str, *parts: Markup | None) -> Markup:
    return tag("svg", *parts, class_="chart", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=told)


def _frame(x: Axis, y: Axis, x_title: str, y_title: str) -> Markup:
    """Ticks, their numbers and the axes' names."""
    across = [
        join(
            tag("line", x1=LEFT, x2=RIGHT, y1=y.at(tick), y2=y.at(tick), class_="grid"),
            tag("text", y.label(tick), x=LEFT - 8, y=y.at(tick) + 4, text_anchor="end"),
        )
        for tick in y.ticks()
    ]
    along = [tag("text", x.label(tick), x=x.at(tick), y=BOTTOM + 17, text_anchor="middle") for tick in x.ticks()]
    names = (
        tag("text", x_title, x=(LEFT + RIGHT) / 2, y=HEIGHT - 8, text_anchor="middle", class_="name"),
        tag(
            "text",
            y_title,
            transform=f"translate(12 {(TOP + BOTTOM) / 2}) rotate(-90)",
            text_anchor="middle",
            class_="name",
        ),
    )
    return tag("g", *across, *along, *names)


def _bar(x: Axis, y: Axis, span: tuple[float, float], count: int, unit: str) -> Markup:
    left, right, top = x.at(span[0]) + 0.75, x.at(span[1]) - 0.75, y.at(count)
    told = tag("title", f"{_span(span, 1)} {unit}: {count}")
    size = {"width": round(right - left, 1), "height": round(BOTTOM - top, 1)}
    return tag("rect", told, x=round(left, 1), y=top, rx=1.5, class_="bar", **size)


def _mean_line(at: float, mean: float, unit: str) -> Markup:
    to_left = at > (LEFT + RIGHT) / 2
    return join(
        tag("line", x1=at, x2=at, y1=TOP - 8, y2=BOTTOM, class_="mean"),
        tag(
            "text",
            f"mean {places(mean)} {unit}",
            x=at - 6 if to_left else at + 6,
            y=TOP - 10,
            text_anchor="end" if to_left else "start",
            class_="mark",
        ),
    )


def _dot(x: Axis, y: Axis, point: Point) -> Markup:
    told = tag("title", f"{point.name}: {places(point.y)} dB")
    return tag("circle", told, cx=x.at(point.x), cy=y.at(point.y), r=3.2, class_="dot")


def _ring(x: Axis, y: Axis, point: Point) -> Markup:
    at, height = x.at(point.x), y.at(point.y)
    to_left = at > RIGHT - 60
    return join(
        tag("circle", cx=at, cy=height, r=6.5, class_="ring"),
        tag(
            "text",
            point.mark,
            x=at - 11 if to_left else at + 11,
            y=height + 4,
            text_anchor="end" if to_left else "start",
            class_="mark",
        ),
    )


def _span(values: Iterable[float], digits: int = 2) -> str:
    values = list(values)
    return f"from {places(min(values), digits)} to {places(max(values), digits)}"
