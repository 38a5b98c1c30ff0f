"""One gain a track, with its sign: what SI-SNR leaves open, fixed by how well the tracks' sum fits the mixture.

Letters in shapes: C speakers, T samples.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

Floats = NDArray[np.float64]

SIGN_RIDGE = 0.1  # of a track's power
GAIN_RIDGE = 1e-6  # of a track's power: what differs by less than -60 dB between tracks counts as equal
SMALLEST_PART = 0.1  # of the gain that a track would get if it were the only one


def fit_gains(tracks: NDArray[Any], mixture: NDArray[Any]) -> Floats:
    """One gain a track, with its sign, by least squares: the tracks' sum fits the mixture best.

    For tracks that are well separated this is plain least squares, whatever gains and signs they came with.
    Where tracks resemble each other plain least squares would mute a track, or turn it upside down, because
    another one holds the mixture already. Two bounds keep every track audible and upright:
    - the sign is that of a ridge regression, which lets a track that resembles others follow the mixture;
    - the size is at least a tenth of what would fit the mixture best without the other tracks.
    Equal tracks get equal gains. A silent track, or any track of a silent mixture, gets 0.

    Args:
        tracks: [C, T], of any gain and sign.
        mixture: [T].

    Returns:
        [C], to be multiplied with the tracks.
    """
    tracks = np.asarray(tracks, dtype=np.float64)
    mixture = np.asarray(mixture, dtype=np.float64)
    return gains_from_products(tracks @ tracks.T, tracks @ mixture)


def gains_from_products(track_products: Floats, mixture_products: Floats) -> Floats:
    """The rule of `fit_gains` from inner products, which can be summed over pieces of a recording.

    Args:
        track_products: [C, C], of the tracks with each other.
        mixture_products: [C], of the tracks with the mixture.

    Returns:
        [C].
    """
    norms = np.sqrt(np.diag(track_products))
    gains = np.zeros(norms.size)
    heard = norms > 0
    if not heard.any():
        return gains
    unit = norms[heard]
    alikeness = track_products[np.ix_(heard, heard)] / np.outer(unit, unit)  # [C, C], ones on the diagonal
    fit = mixture_products[heard] / unit
    signs = np.where(np.linalg.solve(_with_ridge(alikeness, SIGN_RIDGE), fit) < 0, -1.0, 1.0)
    smallest = SMALLEST_PART * np.abs(fit)
    sizes = _bounded_least_squares(np.outer(signs, signs) * alikeness, signs * fit, smallest)
    gains[heard] = signs * sizes / unit
    return gains


def _with_ridge(products: Floats, ridge: float) -> Floats:
    return products + ridge * np.eye(len(products))


def _bounded_least_squares(products: Floats, targets: Floats, smallest: Floats) -> Floats:
    """Minimize a'Ga - 2a'b over a >= smallest, for products G [C, C], with a ridge, and targets b [C]."""
    factor = np.linalg.cholesky(_with_ridge(products, GAIN_RIDGE))  # G = F F', so it is |F'a - F^-1 b|^2
    goal = solve_triangular(factor, targets, lower=True)
    above, _ = nnls(factor.T, goal - factor.T @ smallest)
    return np.asarray(smallest + above, dtype=np.float64)
