import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest

from src.config import DataConfig
from src.data.chain import BLOCK_CODER, MU_LAW, NO_CODER
from src.data.plan import Voices, draw_different, draw_weighted, dynamic_plan, static_plan
from src.data.record_index import RecordIndex
from src.data.voice import BANDS

TABLES = ("records", "sources", "places", "speeds", "targets_lufs")


PITCHES_HZ = {"a": 100.0, "b": 120.0, "c": 180.0, "d": 200.0}
SPECTRA_DB = {
    "a": np.zeros(len(BANDS)),
    "b": np.linspace(5, -5, len(BANDS)),
    "c": np.linspace(-5, 5, len(BANDS)),
    "d": np.zeros(len(BANDS)),
}


def index(speakers):
    count = len(speakers)
    return RecordIndex(
        ids=tuple(map(str, range(count))),
        speakers=tuple(speakers),
        sexes=((),) * count,
        num_samples=np.full(count, 1000),
        loudness_lufs=np.full((count, 2), -25.0),
        pitch_hz=np.array([[PITCHES_HZ[person] for person in row] for row in speakers]),
        spectrum_db=np.array([[SPECTRA_DB[person] for person in row] for row in speakers]),
        sample_rate=8000,
        num_speakers=2,
        mixture_type="mix_clean",
    )


SPEAKERS = [("a", "b"), ("c", "a"), ("a", "d"), ("b", "c")]
CONFIG = DataConfig(dynamic_mixing=True, dynamic_examples=3000, speed_min=0.9, speed_max=1.1)


def plan(seed=0, epoch=0, num_speakers=2, config=CONFIG, progress=0.0):
    return dynamic_plan(Voices(index(SPEAKERS)), num_speakers, config, seed, epoch, progress=progress)


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


@pytest.mark.parametrize(("weights", "columns"), [((1, 3), 2), ((1, 2, 5), 2), ((4, 1, 2, 2), 3), ((7, 7, 7), 1)])
def test_weighted_numbers_of_a_row_differ_and_are_drawn_in_proportion_to_what_is_left(weights, columns):
    rows = draw_weighted(np.random.default_rng(0), np.array(weights, dtype=float), 20000, columns)
    found = Counter(map(tuple, rows.tolist()))
    for row in itertools.permutations(range(len(weights)), columns):
        left, probability = sum(weights), 1.0
        for number in row:
            probability *= weights[number] / left
            left -= weights[number]
        expected = 20000 * probability
        assert abs(found.pop(row, 0) - expected) < 5 * np.sqrt(expected), row
    assert not found


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_a_person_of_more_sources_is_drawn_more_often_if_wanted(exponent):
    drawn = plan(config=dataclasses.replace(CONFIG, speaker_exponent=exponent))
    counts = Counter(name for row in SPEAKERS for name in row)  # a: 3, b: 2, c: 2, d: 1
    firsts = Counter(SPEAKERS[r][s] for r, s in zip(drawn.records[:, 0], drawn.sources[:, 0], strict=True))
    total = sum(count**exponent for count in counts.values())
    for person, count in counts.items():
        expected = len(drawn) * count**exponent / total
        assert abs(firsts[person] - expected) < 5 * np.sqrt(expected), person
    for records, sources in zip(drawn.records, drawn.sources, strict=True):
        assert len({SPEAKERS[r][s] for r, s in zip(records, sources, strict=True)}) == 2


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
    narrower = plan(config=dataclasses.replace(CONFIG, loudness_range_db=2.0)).targets_lufs
    assert (narrower.min(), narrower.max()) == pytest.approx((-30, -28), abs=0.05)
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
    assert drawn.equalizers_db.shape == (2000, 2, len(BANDS))
    assert -6 <= drawn.equalizers_db.min() < -5.9 and 5.9 < drawn.equalizers_db.max() <= 6
    assert -60 <= drawn.noise_floors_db.min() < -59.5 and -20.5 < drawn.noise_floors_db.max() <= -20
    assert len(np.unique(drawn.noise_seeds)) > 3900


def test_by_default_sources_are_left_as_they_are():
    drawn = plan()
    assert drawn.equalizers_db.size == 0
    assert np.isneginf(drawn.noise_floors_db).all()
    assert (plan(config=DataConfig(dynamic_mixing=True)).bandwidths == 1).all()


def pitches_hz(drawn):
    persons = np.array(SPEAKERS)[drawn.records, drawn.sources]
    return np.vectorize(PITCHES_HZ.get)(persons) * drawn.speeds


@pytest.mark.parametrize(("progress", "ratio"), [(0.0, 1.6), (0.5, np.sqrt(1.6 * 1.25)), (1.0, 1.25)])
def test_pitches_of_a_mixture_are_apart_and_come_closer_in_the_course_of_training(progress, ratio):
    config = dataclasses.replace(CONFIG, pitch_ratio_first=1.6, pitch_ratio_last=1.25)
    pitches = np.sort(pitches_hz(plan(config=config, progress=progress)), axis=1)
    assert ratio <= (pitches[:, 1] / pitches[:, 0]).min() < 1.05 * ratio


def test_pitches_that_cannot_be_apart_are_mixed_nonetheless():
    assert len(plan(num_speakers=4, config=dataclasses.replace(CONFIG, pitch_ratio_first=3.0))) == 3000


def test_a_slowed_source_limits_the_band_of_its_mixture():
    drawn = plan()
    for bandwidths in drawn.bandwidths.T:
        np.testing.assert_array_equal(bandwidths, np.minimum(1, drawn.speeds.min(axis=1)))
    assert drawn.bandwidths.min() < 0.95 and drawn.bandwidths.max() == 1


def test_formants_follow_the_speed_as_far_as_they_should():
    np.testing.assert_array_equal(plan().formants, plan().speeds)
    drawn = plan(config=dataclasses.replace(CONFIG, formant_share=0.5))
    np.testing.assert_allclose(drawn.formants, np.sqrt(drawn.speeds))
    drawn = plan(config=dataclasses.replace(CONFIG, formant_share=0.0, formant_spread=0.1))
    assert 0.9 <= drawn.formants.min() < 0.901 and 1.099 < drawn.formants.max() <= 1.1


def test_flattening_brings_every_spectrum_to_the_mean():
    config = DataConfig(dynamic_mixing=True, flatten_spectrum=True)
    drawn = plan(config=config)
    persons = np.array(SPEAKERS)[drawn.records, drawn.sources]
    for person, gains_db in zip(persons.ravel(), drawn.equalizers_db.reshape(-1, len(BANDS)), strict=True):
        np.testing.assert_allclose(SPECTRA_DB[person] + gains_db, 0, atol=1e-9)


def test_flattening_follows_the_formants():
    config = DataConfig(dynamic_mixing=True, dynamic_examples=50, flatten_spectrum=True, speed_min=1.25, speed_max=1.25)
    drawn = plan(config=config)
    persons = np.array(SPEAKERS)[drawn.records, drawn.sources]
    row, source = np.argwhere(persons == "b")[0]
    expected = np.interp(BANDS / 1.25, BANDS, np.linspace(-5, 5, len(BANDS)))
    np.testing.assert_allclose(drawn.equalizers_db[row, source], expected)


def test_flattening_does_not_lift_what_is_hardly_there(monkeypatch):
    monkeypatch.setitem(SPECTRA_DB, "b", np.array([0.0] * 9 + [-60.0]))
    assert np.abs(Voices(index(SPEAKERS)).flattening_db).max() == 12


def chains(**probabilities):
    return plan(config=DataConfig(dynamic_mixing=True, dynamic_examples=3000, **probabilities))


def test_some_sources_have_a_narrow_band_of_their_own():
    drawn = chains(narrow_probability=0.3)
    is_narrow = drawn.bandwidths < 1
    assert is_narrow.mean() == pytest.approx(0.3, abs=0.03)
    assert (is_narrow[:, 0] & is_narrow[:, 1]).mean() == pytest.approx(0.09, abs=0.02)
    narrow = drawn.bandwidths[is_narrow]
    assert 0.5 <= narrow.min() < 0.51 and 0.89 < narrow.max() <= 0.9


def test_some_sources_are_in_a_room():
    drawn = chains(reverberation_probability=0.6)
    has_room = drawn.rt60_seconds > 0
    assert has_room.mean() == pytest.approx(0.6, abs=0.03)
    assert 0.1 <= drawn.rt60_seconds[has_room].min() < 0.11 and 0.39 < drawn.rt60_seconds.max() <= 0.4
    assert 0 <= drawn.direct_db.min() < 0.1 and 14.9 < drawn.direct_db.max() <= 15


def test_some_sources_go_through_one_of_the_coders():
    drawn = chains(coding_probability=0.5)
    for coder, fewest, most in ((MU_LAW, 5, 8), (BLOCK_CODER, 3, 5)):
        bits = drawn.coder_bits[drawn.coders == coder]
        assert bits.size / drawn.coders.size == pytest.approx(0.25, abs=0.03)
        assert np.unique(bits).tolist() == list(range(fewest, most + 1))


def test_chains_leave_every_other_choice_as_it_was():
    plain, drawn = chains(), chains(narrow_probability=0.5, reverberation_probability=1.0, coding_probability=0.5)
    for name in (*TABLES, "formants", "noise_seeds"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(drawn, name))
    assert (plain.bandwidths == 1).all() and not plain.rt60_seconds.any() and (plain.coders == NO_CODER).all()
