"""What benchmarks/recipes.py finds: points of learning curves, kept in CSV files, and their table."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.contenders import markdown_table
from src.files import written_aside

PLATEAU_DB = 1.0  # SI-SNRi on training-like pieces at which the plateau counts as left


@dataclass(frozen=True)
class Point:
    """A recipe after so many minutes."""

    recipe: str
    cpu_minutes: float  # of the process, updates and mixing; without compiling and scoring
    updates: int
    loss_db: float  # of the training, mean since the point before
    like_db: float  # SI-SNRi on the training-like pieces
    valid_db: float  # SI-SNRi on the validation persons, mean of the pairs of persons
    across_db: float  # … of pairs from two recording chains
    within_db: float  # … of pairs from one
    plateau_minutes: float  # when PLATEAU_DB was first reached; NaN: not yet
    real_time_factor: float  # of separating, on one thread, in the recipe's precision
    pairs: str  # "a+b 1.23, c+d 0.45"

    @property
    def seconds_per_update(self) -> float:
        """CPU time."""
        return 60 * self.cpu_minutes / max(1, self.updates)


def read_points(path: Path) -> list[Point]:
    """Those of earlier runs; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Point(**{each.name: each.type(row[each.name]) for each in fields(Point)}) for row in csv.DictReader(file)
        ]  # type: ignore[operator]


def write_points(path: Path, points: Sequence[Point]) -> None:
    """All of them, aside and then renamed: a run that is stopped loses none."""
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Point)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)


def times(minutes: float, every: float) -> list[float]:
    """When a recipe is scored: every so many minutes, and at the end."""
    return [*(every * number for number in range(1, math.ceil(minutes / every - 1e-9))), minutes]


def recipe_table(points: Sequence[Point], texts: Mapping[str, str]) -> str:
    """A row for each recipe: its two curves, such as `0.95 at 1.5, 1.68 at 3`, and more of its last point."""
    head = ["recipe", "what differs", "CPU minutes", "updates", "CPU s an update", "training-like, dB"]
    head += ["validation persons, dB", "across chains", "within one", f"first {PLATEAU_DB:g} dB, min"]
    head += ["real-time factor"]
    names = dict.fromkeys(point.recipe for point in points)
    return markdown_table(head, [_row([p for p in points if p.recipe == name], texts.get(name, "")) for name in names])


def _row(curve: Sequence[Point], text: str) -> list[str]:
    curve = sorted(curve, key=lambda point: point.cpu_minutes)
    last = curve[-1]
    plateau = "not yet" if math.isnan(last.plateau_minutes) else f"{last.plateau_minutes:.1f}"
    return [
        last.recipe,
        text,
        f"{last.cpu_minutes:.1f}",
        str(last.updates),
        f"{last.seconds_per_update:.3f}",
        ", ".join(f"{point.like_db:.2f} at {round(point.cpu_minutes, 1):g}" for point in curve),
        ", ".join(f"{point.valid_db:.2f} at {round(point.cpu_minutes, 1):g}" for point in curve),
        f"{last.across_db:.2f}",
        f"{last.within_db:.2f}",
        plateau,
        f"{last.real_time_factor:.3f}",
    ]
