"""The gain rule in closed form."""

import itertools

import numpy as np
import pytest
from scipy.signal import lfilter

from src.stitching import gains

T = 4000


def signals(count: int, num_samples: int = T, seed: int = 0) -> np.ndarray:
    white = np.random.default_rng([seed, count]).standard_normal((count, num_samples))
    return 0.1 * lfilter([1.0], [1.0, -0.9], white, axis=-1)


def fitted(tracks: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    return gains.fit_gains(tracks, mixture)[:, np.newaxis] * tracks


def without_part_along(signal: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """What is left of a signal after least squares on others."""
    basis = np.stack(others, axis=1)
    return signal - basis @ np.linalg.lstsq(basis, signal, rcond=None)[0]


@pytest.mark.parametrize(
    "signs", [*itertools.product([1, -1], repeat=2), *itertools.product([1, -1], repeat=3)], ids=str
)
def test_true_sources_come_back_from_any_gain_and_sign(signs):
    sources = signals(len(signs))
    scales = np.array(signs) * [0.001, 40.0, 1.0][: len(signs)]
    np.testing.assert_allclose(fitted(scales[:, np.newaxis] * sources, sources.sum(0)), sources, atol=1e-5)


def test_sum_of_tracks_fits_the_mixture_best():
    sources = signals(3)
    mixture = sources.sum(0)
    tracks = sources + 0.3 * sources[[1, 2, 0]] + 0.05 * signals(3, seed=1)
    factors = gains.fit_gains(tracks, mixture)
    np.testing.assert_allclose(factors, np.linalg.lstsq(tracks.T, mixture, rcond=None)[0], rtol=1e-3)


@pytest.mark.parametrize("scales", [(1.0, 1.0), (-0.5, -0.5), (3.0, -0.01), (1.0, -2.0, 5.0)])
def test_equal_tracks_share_the_mixture_evenly(scales):
    mixture = signals(1)[0]
    tracks = np.outer(scales, mixture)
    share = np.broadcast_to(mixture / len(scales), tracks.shape)
    np.testing.assert_allclose(fitted(tracks, mixture), share, atol=1e-6)
    nearly = tracks * (1 + 1e-6 * signals(len(scales), seed=3))  # as float32 arithmetic leaves them
    np.testing.assert_allclose(fitted(nearly, mixture), share, atol=1e-3)


@pytest.mark.parametrize("scale", [2.0, -2.0])
def test_a_track_that_is_the_mixture_does_not_mute_the_other(scale):
    sources = signals(2)
    mixture = sources.sum(0)
    whole, part = fitted(np.stack([mixture, scale * sources[0]]), mixture)
    assert whole @ mixture == pytest.approx(mixture @ mixture, rel=0.1)
    alone = sources[0] * (sources[0] @ mixture) / (sources[0] @ sources[0])
    np.testing.assert_allclose(part, 0.1 * alone, rtol=1e-6)


def test_versions_of_the_mixture_all_stay_upright():
    mixture = signals(1)[0]
    rest = 0.3 * without_part_along(signals(1, seed=2)[0], mixture)
    tracks = np.stack([mixture - rest, mixture - 2 * rest])
    assert (np.linalg.lstsq(tracks.T, mixture, rcond=None)[0] < 0).any()  # plain least squares turns one
    assert (fitted(tracks, mixture) @ mixture > 0).all()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_quiet_source_against_the_mixture_keeps_its_own_sign(sign):
    loud = signals(1)[0]
    quiet = 0.03 * without_part_along(signals(1, seed=5)[0], loud) - 0.01 * loud
    mixture = loud + quiet
    assert quiet @ mixture < 0
    np.testing.assert_allclose(fitted(np.stack([loud, sign * quiet]), mixture)[1], quiet, rtol=1e-2, atol=1e-6)


def test_silence_gets_no_gain():
    sources = signals(2)
    silence = np.zeros(T)
    np.testing.assert_allclose(
        gains.fit_gains(np.stack([silence, -2 * sources[0]]), sources[0]), [0.0, -0.5], rtol=1e-5
    )
    np.testing.assert_array_equal(gains.fit_gains(sources, silence), [0.0, 0.0])
    np.testing.assert_array_equal(gains.fit_gains(np.zeros((2, T)), sources[0]), [0.0, 0.0])


def test_gains_from_pieces_equal_those_of_the_whole():
    sources = signals(2)
    tracks, mixture = sources * [[-2.0], [0.1]], sources.sum(0)
    pieces = [slice(0, 1000), slice(1000, T)]
    products = sum(tracks[:, piece] @ tracks[:, piece].T for piece in pieces)
    targets = sum(tracks[:, piece] @ mixture[piece] for piece in pieces)
    expected = gains.fit_gains(tracks, mixture)
    np.testing.assert_allclose(gains.gains_from_products(products, targets), expected, rtol=1e-9)


def test_inputs_stay_as_they_are():
    tracks, mixture = signals(2).astype(np.float32), signals(1)[0].astype(np.float32)
    before = tracks.copy(), mixture.copy()
    gains.fit_gains(tracks, mixture)
    np.testing.assert_array_equal(tracks, before[0])
    np.testing.assert_array_equal(mixture, before[1])
