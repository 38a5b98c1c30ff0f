import numpy as np
import pytest

from src.config import DataConfig
from src.data.plan import Voices, draw_different, dynamic_plan, static_plan
from src.data.record_index import RecordIndex

TABLES = ("records", "sources", "places", "speeds", "targets_lufs")


def index(speakers):
    count = len(speakers)
    return RecordIndex(
        ids=tuple(map(str, range(count))),
        speakers=tuple(speakers),
        sexes=((),) * count,
        num_samples=np.full(count, 1000),
        loudness_lufs=np.full((count, 2), -25.0),
        sample_rate=8000,
        num_speakers=2,
        mixture_type="mix_clean",
    )


SPEAKERS = [("a", "b"), ("c", "a"), ("a", "d"), ("b", "c")]
CONFIG = DataConfig(dynamic_mixing=True, dynamic_examples=3000, speed_min=0.9, speed_max=1.1)


def plan(seed=0, epoch=0, num_speakers=2, config=CONFIG):
    return dynamic_plan(Voices(index(SPEAKERS)), num_speakers, config, seed, epoch)


@pytest.mark.parametrize(("population", "columns"), [(2, 2), (5, 3), (5, 5), (900, 4)])
def test_numbers_of_a_row_differ_and_every_row_is_possible(population, columns):
    rows = draw_different(np.random.default_rng(0), population, 4000, columns)
    assert rows.min() >= 0 and rows.max() == population - 1
    assert all(len(set(row)) == columns for row in rows.tolist())
    if population <= 5:  # every ordered choice is equally likely
        _, counts = np.unique(rows, axis=0, return_counts=True)
        expected = 4000 * np.prod([1 / (population - c) for c in range(columns)])
        assert len(counts) == round(4000 / expected)
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_persons_are_different_and_equally_likely():
    drawn = plan()
    persons = np.array(SPEAKERS)[drawn.records, drawn.sources]  # [E, C]
    assert (persons[:, 0] != persons[:, 1]).all()
    names, counts = np.unique(persons, return_counts=True)
    assert names.tolist() == ["a", "b", "c", "d"]
    assert np.abs(counts - 1500).max() < 150


def test_every_source_of_a_person_has_its_turn():
    drawn = plan()
    pairs = np.stack([drawn.records.ravel(), drawn.sources.ravel()])
    assert len(np.unique(pairs, axis=1).T) == 8


def test_more_speakers_than_a_record_has():
    drawn = plan(num_speakers=4)
    persons = np.array(SPEAKERS)[drawn.records, drawn.sources]
    assert all(sorted(row) == ["a", "b", "c", "d"] for row in persons.tolist())


def test_levels_and_speeds_fill_their_ranges():
    drawn = plan()
    assert drawn.targets_lufs.min() == pytest.approx(-33, abs=0.05)
    assert drawn.targets_lufs.max() == pytest.approx(-25, abs=0.05)
    assert (drawn.speeds.min(), drawn.speeds.max()) == (pytest.approx(0.9), pytest.approx(1.1))
    assert (plan(config=DataConfig(dynamic_mixing=True)).speeds == 1.0).all()


def test_an_epoch_has_as_many_examples_as_asked_for():
    assert len(plan()) == 3000
    assert len(plan(config=DataConfig(dynamic_mixing=True))) == len(SPEAKERS)


def test_a_static_epoch_has_every_record_once():
    assert sorted(static_plan(50, 0, 0).records.ravel()) == list(range(50))


@pytest.mark.parametrize("draw", [plan, lambda seed=0, epoch=0: static_plan(50, seed, epoch)])
def test_seed_and_epoch_decide_everything(draw):
    for name in ("records", "places"):
        first = getattr(draw(seed=3, epoch=5), name)
        assert not np.array_equal(first, getattr(draw(seed=3, epoch=6), name))
        assert not np.array_equal(first, getattr(draw(seed=4, epoch=5), name))
    np.random.seed(1)  # noqa: NPY002  global state must not matter
    for name in TABLES:
        np.testing.assert_array_equal(getattr(draw(seed=3, epoch=5), name), getattr(draw(seed=3, epoch=5), name))


def test_equalizers_and_noise_floors_fill_their_ranges():
    drawn = plan(config=DataConfig(dynamic_mixing=True, dynamic_examples=2000, equalizer_db=6.0, noise_floor_db=-20.0))
    assert drawn.equalizers_db.shape == (2000, 2, 6)
    assert -6 <= drawn.equalizers_db.min() < -5.9 and 5.9 < drawn.equalizers_db.max() <= 6
    assert -60 <= drawn.noise_floors_db.min() < -59.5 and -20.5 < drawn.noise_floors_db.max() <= -20
    assert len(np.unique(drawn.noise_seeds)) > 3900


def test_by_default_sources_are_left_as_they_are():
    drawn = plan()
    assert drawn.equalizers_db.size == 0
    assert np.isneginf(drawn.noise_floors_db).all()
