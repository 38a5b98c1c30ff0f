"""Every random choice of one epoch, drawn up front as a table.

Row i of the table says all about example i: which records, which sources of them, where to cut, how fast and
how loud. The table depends on the seed and the epoch alone, and an example on its row and its records alone.
So an interrupted epoch goes on by skipping rows, and several processes share an epoch by taking turns in it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from src.config import DataConfig
from src.data.chain import BLOCK_CODER, MU_LAW, NO_CODER
from src.data.record_index import RecordIndex
from src.data.voice import BANDS

NUM_CANDIDATES = 4  # places for a crop, of which mixing takes the first that is not silent
LOUDNESS_LUFS = -29.0  # the middle of LibriMix's range for speech
LARGEST_FLATTENING_DB = 12.0  # more would lift what is only noise
PITCH_DRAWS = 100  # until a mixture's pitches are far enough apart; if they never are, the last draw stays
NOISE_FLOOR_RANGE_DB = 40.0  # from the loudest noise floor downwards
SPEED_STEP = 0.01  # speeds are multiples of it, so that a crop has few different lengths
NARROW_BANDS = (0.5, 0.9)  # of half the sample rate: what a lower sampling rate leaves, at 8 kHz one of 4 to 7.2 kHz
RT60_RANGE_SECONDS = (0.1, 0.4)  # of a room: a furnished one to an office
DIRECT_RANGE_DB = (0.0, 15.0)  # direct sound over reverberation: a mouth at some distance to one at the microphone
CODER_BITS = np.array([(0, 0), (5, 8), (3, 5)])  # fewest and most of each coder; a telephone has 8 of mu-law


@dataclass(frozen=True)
class Plan:
    """The table of E examples, each of C sources; letters of the shapes below: K candidate places.

    Without mixing on the fly an example is one record and the tables have one column (C = 1).
    """

    records: NDArray[np.int64]  # [E, C] record that a source comes from
    sources: NDArray[np.int64]  # [E, C] which source of that record
    places: NDArray[np.float64]  # [E, C, K] candidate starts of the crop, 0: earliest, 1: latest
    speeds: NDArray[np.float64]  # [E, C] factor on pitch and tempo
    formants: NDArray[np.float64]  # [E, C] factor on the formants; equal to the speed: as a plain speed change has it
    targets_lufs: NDArray[np.float64]  # [E, C] loudness to bring the source to
    equalizers_db: NDArray[np.float64]  # [E, C, bands], gains at src.data.voice.BANDS; [E, C, 0]: none
    bandwidths: NDArray[np.float64]  # [E, C] highest frequency that is left, 1: half the sample rate
    noise_floors_db: NDArray[np.float64]  # [E, C] relative to the source; -inf: none
    noise_seeds: NDArray[np.int64]  # [E, C]
    rt60_seconds: NDArray[np.float64]  # [E, C] of the source's room; 0: none
    direct_db: NDArray[np.float64]  # [E, C] direct sound over reverberation
    room_seeds: NDArray[np.int64]  # [E, C]
    coders: NDArray[np.int64]  # [E, C] as src.data.chain numbers them
    coder_bits: NDArray[np.int64]  # [E, C] of a sample

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
        formants=np.ones(order.shape),
        targets_lufs=np.zeros(order.shape),
        equalizers_db=np.zeros((*order.shape, 0)),
        bandwidths=np.ones(order.shape),
        noise_floors_db=np.full(order.shape, -np.inf),
        noise_seeds=np.zeros_like(order),
        rt60_seconds=np.zeros(order.shape),
        direct_db=np.zeros(order.shape),
        room_seeds=np.zeros_like(order),
        coders=np.full_like(order, NO_CODER),
        coder_bits=np.zeros_like(order),
    )


def dynamic_plan(
    voices: "Voices", num_speakers: int, config: DataConfig, seed: int, epoch: int, *, progress: float = 0.0
) -> Plan:
    """Mixtures of different persons: a person as `speaker_exponent` tells, then any source of that person.

    `progress` tells how far training is, from 0 to 1.
    """
    rng = np.random.default_rng([seed, epoch])
    num_examples = config.dynamic_examples or voices.num_records
    shape = (num_examples, num_speakers)
    ratio = config.pitch_ratio_first ** (1 - progress) * config.pitch_ratio_last**progress
    persons, speeds = _draw_apart(rng, voices, shape, config, ratio)
    slots = voices.draw(rng, persons)
    loudness_db = config.loudness_range_db / 2
    spread = rng.uniform(-config.formant_spread, config.formant_spread, shape)
    formants = speeds**config.formant_share * (1 + spread)
    plan = Plan(
        records=voices.records[slots],
        sources=voices.sources[slots],
        places=rng.random((*shape, NUM_CANDIDATES)),
        speeds=speeds,
        formants=formants,
        targets_lufs=rng.uniform(LOUDNESS_LUFS - loudness_db, LOUDNESS_LUFS + loudness_db, shape),
        equalizers_db=_draw_equalizers(rng, voices, persons, formants, config),
        bandwidths=np.broadcast_to(np.minimum(1.0, speeds.min(axis=1, keepdims=True)), shape),
        noise_floors_db=_draw_noise_floors(rng, shape, config.noise_floor_db),
        noise_seeds=rng.integers(2**31, size=shape),
        rt60_seconds=np.zeros(shape),
        direct_db=np.zeros(shape),
        room_seeds=np.zeros(shape, dtype=np.int64),
        coders=np.full(shape, NO_CODER),
        coder_bits=np.zeros(shape, dtype=np.int64),
    )
    # Another generator, so that what is above stays the same whatever is asked for here.
    return _with_chains(plan, np.random.default_rng([seed, epoch, 1]), config)


def _with_chains(plan: Plan, rng: np.random.Generator, config: DataConfig) -> Plan:
    """Give some sources a narrow band, a room or a speech coder, each by its own probability."""
    shape = plan.records.shape
    is_narrow, has_room, is_coded = (
        rng.random(shape) < probability
        for probability in (config.narrow_probability, config.reverberation_probability, config.coding_probability)
    )
    coders = rng.choice([MU_LAW, BLOCK_CODER], size=shape)
    return replace(
        plan,
        bandwidths=np.where(is_narrow, np.minimum(plan.bandwidths, rng.uniform(*NARROW_BANDS, shape)), plan.bandwidths),
        rt60_seconds=np.where(has_room, rng.uniform(*RT60_RANGE_SECONDS, shape), 0.0),
        direct_db=rng.uniform(*DIRECT_RANGE_DB, shape),
        room_seeds=rng.integers(2**31, size=shape),
        coders=np.where(is_coded, coders, NO_CODER),
        coder_bits=rng.integers(CODER_BITS[coders, 0], CODER_BITS[coders, 1] + 1),
    )


def _draw_apart(
    rng: np.random.Generator, voices: "Voices", shape: tuple[int, int], config: DataConfig, ratio: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Persons and speeds [E, C] such that the pitches in a row are at least a factor of `ratio` apart."""
    persons, speeds = np.zeros(shape, dtype=np.int64), np.ones(shape)
    wanted = np.arange(shape[0])  # rows still to be drawn
    for _ in range(PITCH_DRAWS):
        rows = (len(wanted), shape[1])
        persons[wanted] = voices.draw_persons(rng, *rows, config.speaker_exponent)
        drawn = np.exp(rng.uniform(np.log(config.speed_min), np.log(config.speed_max), rows))
        speeds[wanted] = np.clip(np.round(drawn / SPEED_STEP) * SPEED_STEP, config.speed_min, config.speed_max)
        pitches = np.sort(voices.pitch_hz[persons[wanted]] * speeds[wanted], axis=1)
        wanted = wanted[(pitches[:, 1:] < ratio * pitches[:, :-1]).any(axis=1)]
        if not wanted.size:
            break
    return persons, speeds


def _draw_equalizers(
    rng: np.random.Generator,
    voices: "Voices",
    persons: NDArray[np.int64],
    formants: NDArray[np.float64],
    config: DataConfig,
) -> NDArray[np.float64]:
    """What takes away a person's own long-term spectrum, plus random gains."""
    shape = (*persons.shape, len(BANDS))
    if not config.flatten_spectrum and not config.equalizer_db:
        return np.zeros((*persons.shape, 0))
    gains_db = rng.uniform(-config.equalizer_db, config.equalizer_db, shape)
    if config.flatten_spectrum:
        for place in np.ndindex(persons.shape):  # the spectrum was measured where the formants were then
            gains_db[place] += np.interp(BANDS / formants[place], BANDS, voices.flattening_db[persons[place]])
    return gains_db


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


def draw_weighted(rng: np.random.Generator, weights: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.int64]:
    """Numbers below P, one after the other in proportion to weights [P] of those left: int64 [rows, columns]."""
    shares = np.cumsum(weights / weights.sum())
    drawn = np.empty((rows, columns), dtype=np.int64)
    for column in range(columns):
        wanted = np.arange(rows)  # rows whose number is one that they have already
        while wanted.size:
            number = np.searchsorted(shares, rng.random(wanted.size), side="right").clip(max=len(weights) - 1)
            drawn[wanted, column] = number
            wanted = wanted[(drawn[wanted, :column] == number[:, None]).any(axis=1)]
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
        pitches, spectra = index.pitch_hz[self.records, self.sources], index.spectrum_db[self.records, self.sources]
        own = [slice(first, first + count) for first, count in zip(self._first, self._count, strict=True)]
        self.pitch_hz = np.array([np.median(pitches[slots]) for slots in own])  # [P]
        self.flattening_db = _flattening_db(np.stack([spectra[slots].mean(axis=0) for slots in own]))  # [P, bands]

    @property
    def num_persons(self) -> int:
        """How many different persons speak."""
        return len(self.persons)

    def draw_persons(self, rng: np.random.Generator, rows: int, columns: int, exponent: float) -> NDArray[np.int64]:
        """Different persons in each row, likely in proportion to (number of sources) ** exponent: [rows, columns]."""
        if exponent == 0:
            return draw_different(rng, self.num_persons, rows, columns)
        return draw_weighted(rng, self._count**exponent, rows, columns)

    def draw(self, rng: np.random.Generator, persons: NDArray[np.int64]) -> NDArray[np.int64]:
        """A slot of each of these persons, uniform over what the person has; same shape as `persons`."""
        return self._first[persons] + rng.integers(self._count[persons])


def _flattening_db(spectra_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gains that bring every person's spectrum [P, bands] to the mean of all persons, as far as is reasonable."""
    gains_db = spectra_db.mean(axis=0) - spectra_db
    gains_db -= gains_db.mean(axis=1, keepdims=True)
    return np.asarray(np.clip(gains_db, -LARGEST_FLATTENING_DB, LARGEST_FLATTENING_DB))
