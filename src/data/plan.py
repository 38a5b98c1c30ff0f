"""Every random choice of one epoch, drawn up front as a table.

Row i of the table says all about example i: which records, which sources of them, where to cut, how fast and
how loud. The table depends on the seed and the epoch alone, and an example on its row and its records alone.
So an interrupted epoch goes on by skipping rows, and several processes share an epoch by taking turns in it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.config import DataConfig
from src.data.record_index import RecordIndex

NUM_CANDIDATES = 4  # places for a crop, of which mixing takes the first that is not silent
LOUDNESS_RANGE_LUFS = (-33.0, -25.0)  # LibriMix's, for speech
EQUALIZER_BANDS = 6  # random gains at equal distances from 0 Hz to half the sample rate
NOISE_FLOOR_RANGE_DB = 40.0  # from the loudest noise floor downwards
SPEED_STEP = 0.01  # speeds are multiples of it, so that a crop has few different lengths


@dataclass(frozen=True)
class Plan:
    """The table of E examples, each of C sources; letters of the shapes below: K candidate places.

    Without mixing on the fly an example is one record and the tables have one column (C = 1).
    """

    records: NDArray[np.int64]  # [E, C] record that a source comes from
    sources: NDArray[np.int64]  # [E, C] which source of that record
    places: NDArray[np.float64]  # [E, C, K] candidate starts of the crop, 0: earliest, 1: latest
    speeds: NDArray[np.float64]  # [E, C] factor on pitch and tempo
    targets_lufs: NDArray[np.float64]  # [E, C] loudness to bring the source to
    equalizers_db: NDArray[np.float64]  # [E, C, EQUALIZER_BANDS]; [E, C, 0]: none
    noise_floors_db: NDArray[np.float64]  # [E, C] relative to the source; -inf: none
    noise_seeds: NDArray[np.int64]  # [E, C]

    def __len__(self) -> int:
        return len(self.records)


def static_plan(num_records: int, seed: int, epoch: int) -> Plan:
    """Every record once, in random order, cut at a random place."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(num_records)[:, None]  # [E, 1]
    return Plan(
        records=order,
        sources=np.zeros_like(order),
        places=rng.random((num_records, 1, NUM_CANDIDATES)),
        speeds=np.ones(order.shape),
        targets_lufs=np.zeros(order.shape),
        equalizers_db=np.zeros((*order.shape, 0)),
        noise_floors_db=np.full(order.shape, -np.inf),
        noise_seeds=np.zeros_like(order),
    )


def dynamic_plan(voices: "Voices", num_speakers: int, config: DataConfig, seed: int, epoch: int) -> Plan:
    """Mixtures of different persons: every person equally likely, then every source of that person."""
    rng = np.random.default_rng([seed, epoch])
    num_examples = config.dynamic_examples or voices.num_records
    shape = (num_examples, num_speakers)
    persons = draw_different(rng, voices.num_persons, num_examples, num_speakers)
    slots = voices.draw(rng, persons)
    speeds = rng.uniform(config.speed_min, config.speed_max, shape)
    return Plan(
        records=voices.records[slots],
        sources=voices.sources[slots],
        places=rng.random((*shape, NUM_CANDIDATES)),
        speeds=np.clip(np.round(speeds / SPEED_STEP) * SPEED_STEP, config.speed_min, config.speed_max),
        targets_lufs=rng.uniform(*LOUDNESS_RANGE_LUFS, shape),
        equalizers_db=_draw_equalizers(rng, shape, config.equalizer_db),
        noise_floors_db=_draw_noise_floors(rng, shape, config.noise_floor_db),
        noise_seeds=rng.integers(2**31, size=shape),
    )


def _draw_equalizers(rng: np.random.Generator, shape: tuple[int, int], largest_db: float) -> NDArray[np.float64]:
    bands = EQUALIZER_BANDS if largest_db else 0
    return rng.uniform(-largest_db, largest_db, (*shape, bands))


def _draw_noise_floors(rng: np.random.Generator, shape: tuple[int, int], loudest_db: float) -> NDArray[np.float64]:
    if not loudest_db:
        return np.full(shape, -np.inf)
    return rng.uniform(loudest_db - NOISE_FLOOR_RANGE_DB, loudest_db, shape)


def draw_different(rng: np.random.Generator, population: int, rows: int, columns: int) -> NDArray[np.int64]:
    """Numbers below `population`, uniform, no two alike in a row: int64 [rows, columns]."""
    drawn = np.empty((rows, columns), dtype=np.int64)
    for column in range(columns):
        number = rng.integers(population - column, size=rows)
        # The number counts only those not taken yet: step over the taken ones in rising order.
        for taken in np.sort(drawn[:, :column], axis=1).T:
            number += number >= taken
        drawn[:, column] = number
    return drawn


class Voices:
    """All sources of a record file, grouped by the person who speaks."""

    def __init__(self, index: RecordIndex) -> None:
        slots = sorted(
            (person, record, source)
            for record, persons in enumerate(index.speakers)
            for source, person in enumerate(persons)
        )
        self.num_records = len(index.ids)
        self.persons = sorted({person for person, _, _ in slots})
        self.records = np.array([record for _, record, _ in slots], dtype=np.int64)  # [S], grouped by person
        self.sources = np.array([source for _, _, source in slots], dtype=np.int64)  # [S]
        owners = np.array([person for person, _, _ in slots])
        self._first = np.searchsorted(owners, self.persons, side="left")  # [P] a person's first slot
        self._count = np.searchsorted(owners, self.persons, side="right") - self._first  # [P]

    @property
    def num_persons(self) -> int:
        """How many different persons speak."""
        return len(self.persons)

    def draw(self, rng: np.random.Generator, persons: NDArray[np.int64]) -> NDArray[np.int64]:
        """A slot of each of these persons, uniform over what the person has; same shape as `persons`."""
        return self._first[persons] + rng.integers(self._count[persons])
