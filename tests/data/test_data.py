import dataclasses
from itertools import islice

import numpy as np
import pytest
from mixtures_on_disk import RATE, write_records

from src.config import DataConfig
from src.data import data as module
from src.data.data import TrainingData, validation_batches
from src.data.records import RecordFile
from src.data.voice import loudness_lufs
from src.errors import UserError

LENGTHS = [4000, 5000, 9000, 2000, 7000, 8000, 4100, 6000, 4200, 5500]
STATIC = DataConfig(segment_seconds=0.5)
DYNAMIC = DataConfig(
    segment_seconds=0.5,
    dynamic_mixing=True,
    dynamic_examples=27,
    speed_min=0.9,
    speed_max=1.1,
    equalizer_db=6.0,
    noise_floor_db=-20.0,
)
PLAIN = DataConfig(segment_seconds=0.5, dynamic_mixing=True)  # speed 1


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "train.mindrecord"
    return path, write_records(path, LENGTHS)


def same(batches, others):
    batches, others = list(batches), list(others)
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        for array, wanted in zip(batch, other, strict=True):
            assert array.dtype == wanted.dtype
            np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize(("config", "num_batches"), [(STATIC, 3), (DYNAMIC, 9)])
def test_batches_have_one_shape(stored, config, num_batches):
    data = TrainingData(stored[0], config, 3, seed=0)
    batches = list(data.epoch(0))
    assert len(batches) == data.batches_per_epoch == num_batches
    for mixture, sources, num_samples in batches:
        assert (mixture.shape, sources.shape, num_samples.shape) == ((3, 4000), (3, 2, 4000), (3,))
        assert (mixture.dtype, sources.dtype, num_samples.dtype) == (np.float32, np.float32, np.int32)
        np.testing.assert_allclose(sources.sum(axis=1), mixture, atol=1e-6)


@pytest.mark.parametrize("config", [STATIC, DYNAMIC])
def test_an_epoch_repeats_exactly_and_differs_from_the_next(stored, config):
    first = list(TrainingData(stored[0], config, 3, seed=7).epoch(1))
    same(first, TrainingData(stored[0], config, 3, seed=7).epoch(1))
    other = list(TrainingData(stored[0], config, 3, seed=7).epoch(2))
    assert all(not np.array_equal(one[0], two[0]) for one, two in zip(first, other, strict=True))
    other = list(TrainingData(stored[0], config, 3, seed=8).epoch(1))
    assert all(not np.array_equal(one[0], two[0]) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("config", [STATIC, DYNAMIC])
@pytest.mark.parametrize("first_batch", [1, 2, 3])
def test_skipped_batches_leave_the_rest_of_the_epoch(stored, config, first_batch):
    data = TrainingData(stored[0], config, 3, seed=1)
    same(data.epoch(4, first_batch=first_batch), islice(data.epoch(4), first_batch, None))


@pytest.mark.parametrize("config", [STATIC, DYNAMIC])
def test_two_processes_share_the_batches_of_one(stored, config):
    one = list(TrainingData(stored[0], config, 4, seed=2).epoch(3))
    ranks = [list(TrainingData(stored[0], config, 2, seed=2, shard=(rank, 2)).epoch(3)) for rank in (0, 1)]
    joined = [tuple(map(np.concatenate, zip(*parts, strict=True))) for parts in zip(*ranks, strict=True)]
    same(joined, one)
    assert TrainingData(stored[0], config, 2, seed=2, shard=(1, 2)).batches_per_epoch == len(one)


def test_a_static_example_is_a_piece_of_its_recording(stored):
    path, pcm = stored
    data = TrainingData(path, STATIC, 2, seed=0)
    records = data.plan(0).records.ravel()
    examples = [example for batch in data.epoch(0) for example in zip(*batch, strict=True)]
    for record, (mixture, sources, num_samples) in zip(records, examples, strict=True):
        recorded = pcm[record] / np.float32(32768)
        assert num_samples == min(4000, LENGTHS[record])
        start = find(recorded[0], mixture[:num_samples])
        np.testing.assert_array_equal(sources[:, :num_samples], recorded[1:, start : start + num_samples])
        assert not sources[:, num_samples:].any()


def find(recorded, piece):
    for start in range(len(recorded) - len(piece) + 1):
        if np.array_equal(recorded[start : start + len(piece)], piece):
            return start
    raise AssertionError("the piece is not from this recording")


def test_a_dynamic_source_is_a_recording_times_a_gain(stored):
    path, pcm = stored
    data = TrainingData(path, PLAIN, 2, seed=0)
    plan, index = data.plan(0), data.records.index
    sources = np.concatenate([batch[1] for batch in data.epoch(0)])
    for row, source in np.ndindex(plan.records.shape):
        record, which = plan.records[row, source], plan.sources[row, source]
        if LENGTHS[record] < 4000:
            continue
        recorded = pcm[record][1 + which] / np.float32(32768)
        start = int(plan.places[row, source, 0] * (LENGTHS[record] - 4000 + 1))
        gain = 10 ** ((plan.targets_lufs[row, source] - index.loudness_lufs[record, which]) / 20)
        np.testing.assert_allclose(sources[row, source], recorded[start : start + 4000] * gain, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "change",
    [
        {"equalizer_db": 6.0},
        {"noise_floor_db": -20.0},
        {"flatten_spectrum": True},
        {"formant_spread": 0.1},
        {"narrow_probability": 1.0},
        {"reverberation_probability": 1.0},
        {"coding_probability": 1.0},
    ],
)
def test_each_change_of_the_sources_reaches_every_example(stored, change):
    plain = np.concatenate([batch[1] for batch in TrainingData(stored[0], PLAIN, 2, seed=0).epoch(0)])
    config = dataclasses.replace(PLAIN, **change)
    changed = np.concatenate([batch[1] for batch in TrainingData(stored[0], config, 2, seed=0).epoch(0)])
    for before, after in zip(plain.reshape(-1, 4000), changed.reshape(-1, 4000), strict=True):
        assert 0.5 < np.corrcoef(before, after)[0, 1] < 1 - 1e-8  # the same piece of the same source, but changed


def test_above_the_band_of_the_slowest_source_no_source_has_anything_left(stored):
    config = dataclasses.replace(PLAIN, speed_min=0.6, speed_max=1.0)
    data = TrainingData(stored[0], config, 2, seed=0)
    sources = np.concatenate([batch[1] for batch in data.epoch(0)])
    spectra = np.abs(np.fft.rfft(sources)) ** 2  # [E, C, bins]
    for spectrum, bandwidths in zip(spectra, data.plan(0).bandwidths, strict=False):
        beyond = int((bandwidths.max() + 0.05) * spectrum.shape[-1])
        assert (spectrum[:, beyond:].sum(axis=1) < 1e-4 * spectrum.sum(axis=1)).all()


def test_the_pitch_ratio_goes_from_first_to_last_over_the_epochs(stored, monkeypatch):
    seen = []
    draw = module.dynamic_plan
    monkeypatch.setattr(
        module, "dynamic_plan", lambda *a, progress: seen.append(progress) or draw(*a, progress=progress)
    )
    data = TrainingData(stored[0], PLAIN, 2, seed=0, num_epochs=5)
    for epoch in (0, 2, 4):
        data.plan(epoch)
    assert seen == [0.0, 0.5, 1.0]


def test_a_whole_dynamic_source_has_the_loudness_aimed_at(tmp_path):
    path = tmp_path / "x.mindrecord"
    write_records(path, [3 * RATE] * 6)
    data = TrainingData(path, DataConfig(segment_seconds=3, dynamic_mixing=True), 6, seed=0)
    (_, sources, num_samples), targets = next(data.epoch(0)), data.plan(0).targets_lufs
    assert (num_samples == 3 * RATE).all()
    for row in np.ndindex(targets.shape):
        level = loudness_lufs(sources[row], RATE)
        assert level == pytest.approx(targets[row], abs=0.02)
        assert -33.02 < level < -24.98


def test_no_person_is_mixed_with_herself(stored):
    data = TrainingData(stored[0], DYNAMIC, 3, seed=0)
    persons = np.array(data.records.index.speakers)
    for epoch in range(20):
        plan = data.plan(epoch)
        drawn = persons[plan.records, plan.sources]
        assert (drawn[:, 0] != drawn[:, 1]).all()


def test_short_utterances_are_mixed_as_whole_examples(tmp_path):
    path = tmp_path / "x.mindrecord"
    write_records(path, [1000] * 8)
    data = TrainingData(path, PLAIN, 4, seed=0)
    starts = set()
    for _, sources, num_samples in data.epoch(0):
        assert (num_samples == 4000).all()
        starts |= {int(np.flatnonzero(row)[0]) for row in sources.reshape(-1, 4000)}
    assert len(starts) > 8 and max(starts) > 1500


def test_three_voices_from_records_of_two(stored):
    data = TrainingData(stored[0], PLAIN, 2, seed=0, num_speakers=3)
    mixture, sources, _ = next(data.epoch(0))
    assert sources.shape == (2, 3, 4000)
    np.testing.assert_allclose(sources.sum(axis=1), mixture, atol=1e-6)


def test_fewer_records_than_examples_of_a_batch(tmp_path):
    path = tmp_path / "x.mindrecord"
    write_records(path, [5000, 6000])
    config = DataConfig(segment_seconds=0.5, dynamic_mixing=True, dynamic_examples=10)
    assert [len(batch[0]) for batch in TrainingData(path, config, 5, seed=0).epoch(0)] == [5, 5]


def test_an_abandoned_epoch_is_no_hindrance(stored):
    data = TrainingData(stored[0], STATIC, 2, seed=0)
    for epoch in range(5):
        next(data.epoch(epoch))
    assert len(list(data.epoch(9))) == 5


def test_a_failure_while_reading_ends_the_epoch_with_an_error(stored, monkeypatch):
    def fail(*arguments):
        raise ValueError("no such thing")

    monkeypatch.setattr("src.data.data.cut_mixture", fail)
    with pytest.raises(RuntimeError, match=r"no such thing"):
        list(TrainingData(stored[0], STATIC, 2, seed=0).epoch(0))


def test_validation_has_every_record_once_in_order(stored):
    path, pcm = stored
    batches = list(validation_batches(path, 4, 0.5))
    assert [num_real for _, num_real in batches] == [4, 4, 2]
    mixtures, sources, num_samples = (np.concatenate(arrays) for arrays in zip(*(b for b, _ in batches), strict=True))
    assert mixtures.shape == (12, 4000)
    for record, length in enumerate(LENGTHS):
        true = min(length, 4000)
        start = int(0.5 * (length - true + 1))
        wanted = pcm[record][:, start : start + true] / np.float32(32768)
        assert num_samples[record] == true
        np.testing.assert_array_equal(mixtures[record, :true], wanted[0])
        np.testing.assert_array_equal(sources[record, :, :true], wanted[1:])
    np.testing.assert_array_equal(mixtures[10], mixtures[9])
    same((b for b, _ in batches), (b for b, _ in validation_batches(path, 4, 0.5)))


@pytest.mark.parametrize(
    ("config", "batch_size", "expected", "message"),
    [
        (STATIC, 2, {"num_speakers": 3}, "found mixtures of 2 speakers, expected 3 as in the network"),
        (STATIC, 2, {"sample_rate": 16000}, "found a sample rate of 8000 Hz, expected 16000 Hz"),
        (DYNAMIC, 2, {"sample_rate": 16000}, "found a sample rate of 8000 Hz, expected 16000 Hz"),
        (STATIC, 11, {}, "found 10 examples an epoch, expected at least one batch of 11"),
        (STATIC, 6, {"shard": (0, 2)}, "expected at least one batch of 12"),
        (PLAIN, 1, {"num_speakers": 8}, "found 7 different persons, expected at least 8"),
    ],
)
def test_what_does_not_fit_is_refused(stored, config, batch_size, expected, message):
    with pytest.raises(UserError, match=message) as caught:
        TrainingData(stored[0], config, batch_size, seed=0, **expected)
    assert str(stored[0]) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("speakers", "mixture_type", "message"),
    [
        ([("a", "b"), ()], "mix_clean", "found 1 of 2 mixtures without speakers"),
        ([("a", "a"), ("a", "a")], "mix_clean", "found 1 different persons, expected at least 2"),
        ([("a", "b"), ("c", "d")], "mix_both", "found mix_both, expected mix_clean"),
    ],
)
def test_mixing_needs_clean_voices_of_known_persons(tmp_path, speakers, mixture_type, message):
    write_records(tmp_path / "x.mindrecord", [4000, 4000], speakers, mixture_type=mixture_type)
    with pytest.raises(UserError, match=message):
        TrainingData(tmp_path / "x.mindrecord", PLAIN, 1, seed=0)
    assert len(list(TrainingData(tmp_path / "x.mindrecord", STATIC, 1, seed=0).epoch(0))) == 2


def test_validation_refuses_what_does_not_fit_before_it_starts(stored, tmp_path):
    with pytest.raises(UserError, match=r"expected 5 as in the network"):
        validation_batches(stored[0], 2, 0.5, num_speakers=5)
    with pytest.raises(UserError, match=r"no such file"):
        validation_batches(tmp_path / "none.mindrecord", 2, 0.5)


def test_records_of_this_test_are_what_it_takes_them_for(stored):
    index = RecordFile(stored[0]).index
    assert index.num_samples.tolist() == LENGTHS
    assert len({person for persons in index.speakers for person in persons}) == 7
