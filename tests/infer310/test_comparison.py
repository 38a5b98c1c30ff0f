"""How an exported network is compared: with stand-ins whose difference is known."""

import numpy as np
import pytest

from src.audio import read_mono
from src.errors import UserError
from src.infer310.comparison import TWO_PEOPLE, largest_difference, make_cases

SAMPLES = 1000
SPEECH = read_mono(TWO_PEOPLE, 8000)


def separate(mixtures):
    return np.stack([mixtures, -2 * mixtures], axis=1)


def exported(mixtures, lengths):
    return separate(mixtures * (np.arange(mixtures.shape[1]) < lengths[:, None]))


def cases():
    return make_cases(SAMPLES, 8, SPEECH[:300])


def test_cases_are_of_several_lengths_with_noise_after_the_true_samples():
    lengths = [case.num_samples for case in cases()]
    assert lengths == [1000, 1000, 620, 230, 7]
    for case in cases():
        assert case.samples.shape == (SAMPLES,)
        assert case.samples.dtype == np.float32
        assert case.num_samples == SAMPLES or np.abs(case.samples[case.num_samples :]).max() > 0.5


def test_the_shortest_chunks_have_cases_too():
    assert [case.num_samples for case in make_cases(3, 8, SPEECH[:3])] == [3] * 5


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7])
def test_equal_networks_do_not_differ(batch_size):
    rows = []

    def counted(mixtures, lengths):
        rows.append(len(mixtures))
        return exported(mixtures, lengths)

    assert largest_difference(counted, batch_size, separate, cases()) == 0
    assert set(rows) == {batch_size}


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_difference_is_relative_to_the_cases_own_peak(batch_size):
    def wrong_when_short(mixtures, lengths):
        tracks = exported(mixtures, lengths)
        tracks[lengths == 230] *= 1.001
        return tracks

    assert largest_difference(wrong_when_short, batch_size, separate, cases()) == pytest.approx(1e-3, rel=1e-3)


def test_sound_after_the_true_samples_is_a_difference():
    assert largest_difference(lambda mixtures, _: separate(mixtures), 1, separate, cases()) > 0.5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_numbers(value):
    with pytest.raises(UserError, match="found NaN or infinite samples in the exported network's output"):
        largest_difference(lambda mixtures, _: np.full_like(separate(mixtures), value), 1, separate, cases())
