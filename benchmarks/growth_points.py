"""What benchmarks/growth.py measures: points of curves, kept in a CSV file so that none is measured twice."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from benchmarks.sizes import SIZES
from src.config import ModelConfig
from src.files import written_aside

MEASURED = "measured"
MEMORY = "memory"  # it did not fit into the memory that is free
TIME = "time"  # it took longer than it may
FAILED = "failed"

TRAINING, WHOLE, CHUNKS = "training", "inference", "inference in chunks"
LENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 120.0, 300.0, 600.0)  # seconds, inference
TRAINING_LENGTHS = LENGTHS[:5]
CHUNK_LENGTHS = LENGTHS[5:]  # from where on separate.py cuts a recording
BATCHES = (1, 2, 4, 8)
SPEAKERS = tuple(range(2, 11))
PAIRS = (1, 2, 4, 6, 8)
AXES = {"length": "length, s", "batch": "batch, examples", "speakers": "speakers C", "pairs": "pairs R"}


@dataclass(frozen=True)
class Point:
    """One measurement of its own process."""

    network: str  # of benchmarks.sizes
    axis: str  # of AXES: what grows
    work: str  # training, or one of the two ways of inference
    value: float  # on the axis

    @property
    def model(self) -> ModelConfig:
        """The network, with the value where the axis is one of its own."""
        model = SIZES[self.network].model
        name = {"speakers": "num_speakers", "pairs": "num_pairs"}.get(self.axis)
        return replace(model, **{name: int(self.value)}) if name else model

    @property
    def seconds_of_audio(self) -> float:
        """Of each example."""
        return self.value if self.axis == "length" else SIZES[self.network].seconds

    @property
    def batch_size(self) -> int:
        """Examples at once."""
        return int(self.value) if self.axis == "batch" else 1

    @property
    def text(self) -> str:
        """For people, and for the process that measures it."""
        return f"{self.network}/{self.axis}/{self.work}/{self.value:g}"

    @classmethod
    def from_text(cls, text: str) -> "Point":
        """The inverse of `text`."""
        network, axis, work, value = text.split("/")
        return cls(network, axis, work, float(value))


@dataclass(frozen=True)
class Result:
    """What was found at a point."""

    network: str
    axis: str
    work: str
    value: float
    state: str  # measured, or why not
    seconds: float = 0.0  # of a run, the median
    first_seconds: float = 0.0  # of the first one, in which the graph is compiled
    peak_mb: float = 0.0  # of the process, 10^6 bytes

    @property
    def point(self) -> Point:
        """Where."""
        return Point(self.network, self.axis, self.work, self.value)


def all_points(network: str, quick: bool = False) -> list[Point]:
    """Of all curves, each from its smallest value to its largest, so that one that does not fit ends its curve.

    `quick` leaves two small values of each.
    """
    curves: list[tuple[str, str, Sequence[float]]] = [
        ("length", WHOLE, LENGTHS),
        ("length", CHUNKS, CHUNK_LENGTHS),
        ("length", TRAINING, TRAINING_LENGTHS),
    ]
    axes: tuple[tuple[str, Sequence[float]], ...] = (("batch", BATCHES), ("speakers", SPEAKERS), ("pairs", PAIRS))
    curves += [(axis, work, values) for axis, values in axes for work in (WHOLE, TRAINING)]
    return [
        Point(network, axis, work, value)
        for axis, work, values in curves
        for value in (values[:2] if quick else values)
    ]


def read_results(path: Path) -> list[Result]:
    """Those of earlier runs; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [_from_row(row) for row in csv.DictReader(file)]


def _from_row(row: dict[str, str]) -> Result:
    values = {each.name: float(row[each.name]) if each.type is float else row[each.name] for each in fields(Result)}
    return Result(**values)  # type: ignore[arg-type]


def write_results(path: Path, results: Sequence[Result]) -> None:
    """All of them, aside and then renamed: a run that is stopped loses none."""
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Result)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(result) for result in results)


def points_left(points: Sequence[Point], results: Sequence[Result]) -> list[Point]:
    """Those not found yet. What has failed is tried again; what did not fit is not, and no larger one of its curve."""
    known = {result.point for result in results if result.state != FAILED}
    return [point for point in points if point not in known and not _is_beyond(point, results)]


def _is_beyond(point: Point, results: Sequence[Result]) -> bool:
    curve = (point.network, point.axis, point.work)
    return any(
        (one.network, one.axis, one.work) == curve and one.state in {MEMORY, TIME} and one.value < point.value
        for one in results
    )
