"""Which mixtures a network separates worst, and what they have in common; from per_utterance.csv alone.

A property is something that every mixture has or has not. It says something about the failures where it is much more
frequent among the worst tenth of a set than in all of it.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.model_card_sources import Row, split
from src.metrics import bootstrap_interval
from src.report.markup import SEXES
from src.scores.summary import ACROSS, LENGTHS, WITHIN

WORST_SHARE = 0.1  # of the mixtures
FAILED_DB = 1.0  # SI-SNRi below which nobody would call a mixture separated
LEAST_MEMBERS = 3  # of the worst, and LEAST_EXCESS times as many as by chance, for what they have in common
LEAST_EXCESS = 1.5
PITCH_RATIOS = (
    (1.1, "below 1.1"),
    (1.2, "1.1 to 1.2"),
    (1.35, "1.2 to 1.35"),
    (1.6, "1.35 to 1.6"),
    (math.inf, "above 1.6"),
)
LEVEL_DIFFERENCES = ((2.0, "below 2 dB"), (5.0, "2 to 5 dB"), (math.inf, "above 5 dB"))


def interval_told(values: Sequence[float]) -> str:
    """The mean, and its interval where there is one."""
    mean = f"{statistics.fmean(values) + 0.0:.2f}"
    if len(values) < 2:
        return mean
    lower, upper = bootstrap_interval(values)
    return f"{mean} ({lower + 0.0:.2f} to {upper + 0.0:.2f})"


@dataclass(frozen=True)
class Group:
    """The mixtures of a set that have a property."""

    kind: str  # such as "pitch ratio"
    name: str  # such as "below 1.1"
    values_db: list[float]  # SI-SNRi
    num_worst: int  # how many of them are among the worst tenth of the set

    @property
    def title(self) -> str:
        """Both."""
        return f"{self.kind} {self.name}" if self.kind else self.name

    @property
    def mean_db(self) -> float:
        """Of the improvements."""
        return float(np.mean(self.values_db))

    @property
    def failed_share(self) -> float:
        """How many gain next to nothing."""
        return sum(value < FAILED_DB for value in self.values_db) / len(self.values_db)


def si_snri_db(row: Row) -> float:
    """Of a scored mixture."""
    return float(row["si_snri_db"])


def pitch_ratio(row: Row) -> float | None:
    """Of the two voices whose pitches are closest, at least 1; None where a pitch is not known."""
    pitches = _numbers(row, "pitch_hz")
    if len(pitches) < 2 or min(pitches) <= 0:
        return None
    return min(max(a, b) / min(a, b) for a, b in itertools.combinations(pitches, 2))


def level_difference_db(row: Row) -> float | None:
    """Between the loudest and the quietest voice; None where a loudness is not known."""
    levels = _numbers(row, "loudness_lufs")
    return max(levels) - min(levels) if len(levels) >= 2 else None


def _numbers(row: Row, column: str) -> list[float]:
    values = [float(text) for text in split(row, column) if text]
    return values if all(map(math.isfinite, values)) else []


def _pitch_label(row: Row) -> str:
    ratio = pitch_ratio(row)
    return "" if ratio is None else _bin(ratio, PITCH_RATIOS)


def _level_label(row: Row) -> str:
    difference = level_difference_db(row)
    return "" if difference is None else _bin(difference, LEVEL_DIFFERENCES)


def _sex_label(row: Row) -> str:
    sexes = sorted(split(row, "sexes"))
    return " with ".join(SEXES.get(sex, sex) for sex in sexes) if all(sexes) else ""


def chain_label(row: Row) -> str:
    """Across chains or within one; "" where the origins are not known."""
    origins = split(row, "origins")
    return "" if not all(origins) or not origins else WITHIN if len(set(origins)) == 1 else ACROSS


def pair_label(row: Row) -> str:
    """The persons, in one order."""
    return " + ".join(sorted(split(row, "speakers")))


def _bin(value: float, limits: Sequence[tuple[float, str]]) -> str:
    return next(name for limit, name in limits if value < limit)


KINDS: Mapping[str, Callable[[Row], str]] = {
    "pitch ratio": _pitch_label,
    "level difference": _level_label,
    "sexes": _sex_label,
    "recordings": chain_label,
    "length": lambda row: _bin(float(row["seconds"]), LENGTHS),
}
ORDERS = {
    "pitch ratio": [name for _, name in PITCH_RATIOS],
    "level difference": [name for _, name in LEVEL_DIFFERENCES],
    "length": [name for _, name in LENGTHS],
}


def worst(rows: Sequence[Row], share: float = WORST_SHARE) -> list[Row]:
    """The mixtures with the smallest improvement, worst first; at least one."""
    return sorted(rows, key=lambda row: (si_snri_db(row), row["id"]))[: max(1, round(share * len(rows)))]


def groups(rows: Sequence[Row], kind: str, label: Callable[[Row], str] | None = None) -> list[Group]:
    """The mixtures by a property, in its natural order; empty where it is not known of any."""
    label = label or KINDS[kind]
    worst_ids = {row["id"] for row in worst(rows)}
    found: dict[str, list[Row]] = {}
    for row in rows:
        if name := label(row):
            found.setdefault(name, []).append(row)
    order = ORDERS.get(kind) or sorted(found)
    return [
        Group(kind, name, [si_snri_db(row) for row in found[name]], sum(row["id"] in worst_ids for row in found[name]))
        for name in order
        if name in found
    ]


def in_common(rows: Sequence[Row]) -> list[Group]:
    """Properties that the worst tenth has clearly more often than the whole set, the most telling first."""
    num_worst = len(worst(rows))
    telling = [
        (_excess(group, num_worst, len(rows)), group)
        for kind in KINDS
        for group in groups(rows, kind)
        if group.num_worst >= LEAST_MEMBERS
    ]
    return [group for excess, group in sorted(telling, key=lambda pair: -pair[0]) if excess >= LEAST_EXCESS]


def _excess(group: Group, num_worst: int, num_all: int) -> float:
    return (group.num_worst / num_worst) / (len(group.values_db) / num_all)
