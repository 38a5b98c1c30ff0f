"""Metrics against closed forms, every permutation, and mir_eval."""

import itertools
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.signal import lfilter

from src import metrics

T = 4000


def signals(count: int, num_samples: int = T, seed: int = 0) -> np.ndarray:
    """Coloured noise [count, T] with a spectrum that falls like speech's."""
    white = np.random.default_rng([seed, count]).standard_normal((count, num_samples))
    return lfilter([1.0], [1.0, -0.9], white, axis=-1)


def orthogonal_noise(reference: np.ndarray, ratio_db: float, seed: int = 7) -> np.ndarray:
    """Zero-mean noise orthogonal to the zero-mean reference, weaker than it by exactly `ratio_db`."""
    centered = reference - reference.mean()
    noise = np.random.default_rng(seed).standard_normal(reference.size)
    noise -= noise.mean()
    noise -= centered * (noise @ centered) / (centered @ centered)
    return noise * np.linalg.norm(centered) / np.linalg.norm(noise) * 10 ** (-ratio_db / 20)


# SI-SNR


@pytest.mark.parametrize("ratio_db", [-30.0, 0.0, 7.5, 60.0])
@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (-1, 0), (1e-4, 0), (300, 5), (-0.5, -2)])
def test_si_snr_is_the_ratio_to_orthogonal_noise_at_any_gain_and_offset(ratio_db, gain, offset):
    reference = signals(1)[0]
    estimate = gain * (reference + orthogonal_noise(reference, ratio_db)) + offset
    assert metrics.si_snr(reference, estimate) == pytest.approx(ratio_db, abs=1e-6)
    assert metrics.si_snr(3.0 * reference + 1.0, estimate) == pytest.approx(ratio_db, abs=1e-6)


def test_si_snr_takes_the_reference_first():
    reference = np.array([1.0, -1.0, 0.0, 0.0])
    estimate = np.array([1.0, -1.0, 1.0, -1.0]) + np.array([0.0, 0.0, 2.0, -2.0])
    assert metrics.si_snr(reference, estimate) == pytest.approx(10 * np.log10(2 / 18))
    wide = np.array([1.0, 1.0, -1.0, -1.0])
    narrow = np.array([1.0, 0.0, -1.0, 0.0])  # its part along `wide` is half of it, and half is left over
    assert metrics.si_snr(wide, narrow) == pytest.approx(0.0)


def test_si_snr_broadcasts():
    references = signals(6).reshape(2, 3, T)
    estimate = signals(1, seed=5)[0]
    values = metrics.si_snr(references, estimate)
    assert values.shape == (2, 3)
    assert values[1, 2] == metrics.si_snr(references[1, 2], estimate)


def test_pairwise_holds_references_in_rows():
    references, estimates = signals(3), signals(2, seed=1)
    pairs = metrics.pairwise_si_snr(references, estimates)
    assert pairs.shape == (3, 2)
    for row, column in np.ndindex(3, 2):
        assert pairs[row, column] == pytest.approx(metrics.si_snr(references[row], estimates[column]))


# permutation


@pytest.mark.parametrize(
    "order", [order for count in (2, 3, 4) for order in itertools.permutations(range(count))], ids=str
)
def test_every_permutation_is_found(order):
    references = signals(len(order))
    estimates = np.empty_like(references)
    for source, place in enumerate(order):
        estimates[place] = -0.3 * references[source] + orthogonal_noise(references[source], 5.0 + source)
    found, values = metrics.best_permutation(references, estimates)
    np.testing.assert_array_equal(found, order)
    np.testing.assert_allclose(values, metrics.si_snr(references, estimates[found]), atol=1e-9)


def test_the_best_sum_wins_over_the_best_pair():
    references = signals(2)
    both = references[0] + references[1]
    estimates = np.stack([both, references[0] + 0.5 * references[1]])
    pairs = metrics.pairwise_si_snr(references, estimates)
    sums = [pairs[0, 0] + pairs[1, 1], pairs[0, 1] + pairs[1, 0]]
    order, values = metrics.best_permutation(references, estimates)
    assert values.sum() == pytest.approx(max(sums))
    assert order[0] == int(np.argmax(sums))


def test_a_silent_reference_takes_what_is_left():
    references = signals(3)
    estimates = references[[1, 2, 0]] + 0.01 * signals(3, seed=2)
    references[1] = 0.25  # constant
    order, values = metrics.best_permutation(references, estimates)
    np.testing.assert_array_equal(order, [2, 0, 1])
    np.testing.assert_array_equal(np.isnan(values), [False, True, False])


# SDR


def mir_eval_sdr(references: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    separation = pytest.importorskip("mir_eval.separation")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the function goes with mir_eval 0.9
        return separation.bss_eval_sources(references, estimates, compute_permutation=False)[0]


@pytest.mark.parametrize("num_samples", [100, 511, 512, 513, T, 16000])
@pytest.mark.parametrize("count", [2, 3])
def test_sdr_equals_mir_eval(count, num_samples):
    references = signals(count, num_samples)
    leak = lfilter([0.0, 0.5, 0.2], [1.0], references[::-1], axis=-1)
    filtered = lfilter([1.0, 0.4, -0.3], [1.0], references, axis=-1)
    estimates = -0.2 * (filtered + leak) + 0.01 * signals(count, num_samples, seed=3)
    expected = mir_eval_sdr(references, estimates)
    np.testing.assert_allclose(metrics.sdr(references, estimates), expected, atol=0.01)
    np.testing.assert_allclose(metrics.sdr(1e-8 * references, 1e-9 * estimates), expected, atol=0.01)


def test_sdr_forgives_a_short_filter_and_si_snr_does_not():
    references = signals(2)
    references[:, -10:] = 0.0  # what the filter would push over the end
    estimates = lfilter([0.0, 0.0, 1.0], [1.0], references, axis=-1)
    estimates += 1e-3 * signals(2, seed=4)
    assert (metrics.sdr(references, estimates) > 50).all()
    assert (metrics.si_snr(references, estimates) < 10).all()


def test_metrics_need_no_torch():
    program = """
import sys
sys.modules["torch"] = None
import numpy as np
from src import metrics
x = np.random.default_rng(0).standard_normal((2, 3000))
assert 35 < metrics.sdr(x, x + 0.01 * x[::-1]).mean() < 45
assert sys.modules["torch"] is None
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# rules, ranges and mistakes


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_silent_reference_scores_nan_and_silent_estimate_the_floor(constant):
    silence = np.full((1, T), constant)
    for metric in (metrics.si_snr, metrics.sdr):
        assert np.isnan(metric(silence, signals(1))).all()
        assert np.isnan(metric(silence, silence)).all()
        assert metric(signals(1), silence) == -metrics.LIMIT_DB
    assert metrics.is_silent(silence).all()
    assert not metrics.is_silent(signals(1) * 1e-9 + 1e-3).any()


def test_values_stay_within_the_limits():
    reference = signals(1)
    for metric in (metrics.si_snr, metrics.sdr):
        assert metric(reference, -2.0 * reference) == pytest.approx(metrics.LIMIT_DB)
    orthogonal = np.array([1.0, -1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, -1.0])
    assert metrics.si_snr(*orthogonal) == -metrics.LIMIT_DB


def test_score_improves_on_the_mixture_in_the_order_of_si_snr():
    references = signals(2)
    mixture = references.sum(axis=0)
    estimates = (references + 0.05 * signals(2, seed=6))[::-1]
    scores = metrics.score(references, estimates, mixture)
    np.testing.assert_array_equal(scores.order, [1, 0])
    np.testing.assert_allclose(scores.si_snr_db, metrics.si_snr(references, estimates[::-1]))
    np.testing.assert_allclose(scores.si_snr_db - scores.si_snri_db, metrics.si_snr(references, mixture))
    np.testing.assert_allclose(scores.sdr_db, mir_eval_sdr(references, estimates[::-1]), atol=0.01)
    mixture_sdr = mir_eval_sdr(references, np.stack([mixture, mixture]))
    np.testing.assert_allclose(scores.sdr_db - scores.sdri_db, mixture_sdr, atol=0.01)


def test_the_mixture_itself_improves_nothing():
    references = signals(2)
    mixture = references.sum(axis=0)
    scores = metrics.score(references, np.stack([0.5 * mixture, 0.5 * mixture]), mixture)
    np.testing.assert_allclose(scores.si_snri_db, 0.0, atol=1e-9)
    np.testing.assert_allclose(scores.sdri_db, 0.0, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_stay_as_they_are(dtype):
    references, estimates = signals(2).astype(dtype) + 1, signals(2, seed=1).astype(dtype) - 1
    mixture = references.sum(axis=0)
    before = [array.copy() for array in (references, estimates, mixture)]
    metrics.score(references, estimates, mixture)
    for array, copy in zip((references, estimates, mixture), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_wrong_shapes_say_what_is_expected_and_found():
    with pytest.raises(ValueError, match=r"Expected a reference and .* Found: \(\(5,\), \(6,\)\)"):
        metrics.si_snr(np.ones(5), np.ones(6))
    with pytest.raises(ValueError, match="Expected a reference and an estimate"):
        metrics.si_snr(np.ones((2, 0)), np.ones((2, 0)))
    for function in (metrics.sdr, metrics.best_permutation):
        with pytest.raises(ValueError, match=r"Expected references .* Found: \(\(2, 5\), \(3, 5\)\)"):
            function(np.ones((2, 5)), np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"Expected a mixture of shape \(5,\). Found: \(1, 5\)"):
        metrics.score(np.ones((2, 5)), np.ones((2, 5)), np.ones((1, 5)))


# bootstrap


def test_bootstrap_interval_is_about_two_standard_errors():
    values = np.random.default_rng(0).standard_normal(1000) * 3 + 10
    lower, upper = metrics.bootstrap_interval(values)
    standard_error = values.std() / np.sqrt(values.size)
    assert lower == pytest.approx(values.mean() - 1.96 * standard_error, abs=0.2 * standard_error)
    assert upper == pytest.approx(values.mean() + 1.96 * standard_error, abs=0.2 * standard_error)
    narrower = metrics.bootstrap_interval(values, confidence=0.5)
    assert lower < narrower[0] < values.mean() < narrower[1] < upper


def test_bootstrap_interval_depends_on_the_seed_alone():
    values = signals(1)[0]
    assert metrics.bootstrap_interval(values, seed=3) == metrics.bootstrap_interval(values, seed=3)
    assert metrics.bootstrap_interval(values, seed=3) != metrics.bootstrap_interval(values, seed=4)


def test_bootstrap_interval_of_equal_or_too_few_values():
    assert metrics.bootstrap_interval(np.full(20, 2.5)) == (2.5, 2.5)
    assert np.isnan(metrics.bootstrap_interval([1.0])).all()
    assert np.isnan(metrics.bootstrap_interval([])).all()


def test_bootstrap_interval_refuses_what_it_cannot_answer():
    with pytest.raises(ValueError, match="Expected finite values"):
        metrics.bootstrap_interval([1.0, np.nan])
    with pytest.raises(ValueError, match=r"Expected a confidence between 0 and 1. Found: 95"):
        metrics.bootstrap_interval([1.0, 2.0], confidence=95)
