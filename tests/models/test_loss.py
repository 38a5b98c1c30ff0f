"""Pairwise SI-SNR against its definition in float64, and the choice of the best assignment."""

import itertools

import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from scipy.optimize import linear_sum_assignment

from src.models.loss import MOST_ENUMERATED, BestAssignment, length_mask, pairwise_si_snr
from src.runtime import start


@pytest.fixture(autouse=True)
def pynative_mode():
    start("CPU", graph_mode=False)


def random(*shape, seed=0):
    return np.random.default_rng([11, seed, *shape]).standard_normal(shape)


def scores(sources, estimates, num_samples):
    """The product's table [B, M, C], from NumPy."""
    arrays = (sources.astype(np.float32), estimates.astype(np.float32), np.asarray(num_samples, np.int32))
    return pairwise_si_snr(*(Tensor(array) for array in arrays)).asnumpy()


def definition(source, estimate):
    """10 log10(|target|^2 / |error|^2), the estimate's projection on the source being the target; float64."""
    source, estimate = source - source.mean(), estimate - estimate.mean()
    target = (source @ estimate) / (source @ source) * source
    return 10 * np.log10((target @ target) / ((estimate - target) @ (estimate - target)))


def pair_at(decibels, num_samples, seed=0):
    """A zero-mean source and the source plus orthogonal noise: SI-SNR is known in closed form."""
    source, noise = random(2, num_samples, seed=seed)
    source, noise = source - source.mean(), noise - noise.mean()
    noise -= (noise @ source) / (source @ source) * source
    noise *= np.linalg.norm(source) / np.linalg.norm(noise) * 10 ** (-decibels / 20)
    return 0.1 * source, 0.1 * (source + noise)


# |estimate|^2 - |target|^2 loses digits in float32 where the noise is small: 10 times as many every 10 dB.
@pytest.mark.parametrize(
    ("decibels", "tolerance_db"),
    [(-30, 1e-3), (-10, 1e-3), (0, 1e-3), (10, 1e-3), (20, 1e-3), (25, 1e-3), (30, 5e-3), (40, 0.05)],
)
@pytest.mark.parametrize("num_samples", [500, 8000, 32000])
def test_the_closed_form(decibels, tolerance_db, num_samples):
    source, estimate = pair_at(decibels, num_samples)
    assert definition(source, estimate) == pytest.approx(decibels, abs=1e-6)
    found = scores(source[None, None], estimate[None, None], [num_samples])
    assert found.shape == (1, 1, 1)
    assert found.item() == pytest.approx(decibels, abs=tolerance_db)


def test_every_pair_has_its_place_and_true_lengths_count():
    lengths = np.array([300, 220])
    sources, noise = random(2, 3, 300), random(2, 4, 300, seed=1)
    estimates = 0.3 * noise + np.stack([sources[:, 2], -sources[:, 0], sources[:, 1], sources.sum(1)], axis=1)
    found = scores(sources, estimates, lengths)
    assert found.shape == (2, 4, 3)
    for example, estimate, source in np.ndindex(found.shape):
        true = slice(0, lengths[example])
        expected = definition(sources[example, source, true], estimates[example, estimate, true])
        assert found[example, estimate, source] == pytest.approx(expected, abs=1e-3)


def test_length_mask():
    found = length_mask(Tensor(np.array([2, 0, 4], np.int32)), 4).asnumpy()
    np.testing.assert_array_equal(found[:, 0], [[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])


@pytest.mark.parametrize("gain", [-1.0, 1e-2, -7.0, 300.0])
def test_scale_and_sign_do_not_matter(gain):
    sources, estimates = random(1, 2, 400), random(1, 2, 400, seed=1) + random(1, 2, 400)
    expected = scores(sources, estimates, [400])
    np.testing.assert_allclose(scores(sources, gain * estimates, [400]), expected, atol=2e-3)
    np.testing.assert_allclose(scores(gain * sources, estimates, [400]), expected, atol=2e-3)


@pytest.mark.parametrize("offset", [-0.3, 5.0])
def test_an_offset_does_not_matter(offset):
    sources, estimates = random(1, 2, 400), random(1, 2, 400, seed=1) + random(1, 2, 400)
    expected = scores(sources, estimates, [400])
    np.testing.assert_allclose(scores(sources, estimates + offset, [400]), expected, atol=1e-3)
    np.testing.assert_allclose(scores(sources + offset, estimates, [400]), expected, atol=1e-3)


def test_a_silent_source_scores_zero_against_anything():
    sources = random(1, 2, 400)
    sources[0, 1] = 0.25  # silent but for an offset
    found = scores(sources, random(1, 3, 400, seed=1), [400])
    np.testing.assert_array_equal(found[:, :, 1], 0)
    assert (found[:, :, 0] != 0).all()


def test_silent_and_perfect_estimates_are_finite():
    sources = random(1, 2, 400)
    estimates = np.stack([np.zeros(400), sources[0, 0], np.full(400, 0.5)])[None]
    found = scores(sources, estimates, [400])
    assert np.isfinite(found).all()
    assert found[0, 1, 0] > 50


def random_scores(batch, count):
    return (10 * random(batch, count, count)).astype(np.float32)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_enumeration_equals_scipys_assignment(count):
    table = random_scores(20, count)
    assert count <= MOST_ENUMERATED
    chosen = BestAssignment(count)(Tensor(table)).asnumpy()
    assert_is_the_best(table, chosen)


@pytest.mark.parametrize("count", [6, 10])
@pytest.mark.parametrize("graph_mode", [False, True])
def test_the_assignment_problem_equals_scipys(count, graph_mode):
    start("CPU", graph_mode=graph_mode)
    assignment = BestAssignment(count)
    assert not assignment.enumerate
    for call in range(3):
        table = random_scores(3, count) * (-1) ** call
        assert_is_the_best(table, assignment(Tensor(table)).asnumpy())


def assert_is_the_best(table, chosen):
    assert chosen.shape == table.shape
    for scores_of_one, choice in zip(table, chosen, strict=True):
        rows, columns = linear_sum_assignment(scores_of_one, maximize=True)
        expected = np.zeros_like(scores_of_one)
        expected[rows, columns] = 1
        np.testing.assert_array_equal(choice, expected)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_every_permutation_is_found(order):
    table = np.zeros((1, 3, 3), np.float32)
    table[0, range(3), order] = 1
    np.testing.assert_array_equal(BestAssignment(3)(Tensor(table)).asnumpy(), table)


class Chosen(nn.Cell):
    def __init__(self, count):
        super().__init__()
        self.assignment = BestAssignment(count)

    def construct(self, table):
        return (table * self.assignment(table)).sum()


@pytest.mark.parametrize("count", [3, 6])
@pytest.mark.parametrize("graph_mode", [False, True])
def test_the_gradient_goes_through_the_chosen_pairs_only(count, graph_mode):
    start("CPU", graph_mode=graph_mode)
    gradient = ops.grad(Chosen(count))
    for call in range(3):
        table = random_scores(2, count) * (-1) ** call
        assert_is_the_best(table, gradient(Tensor(table)).asnumpy())
