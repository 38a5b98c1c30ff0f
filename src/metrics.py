"""How well estimates match references: SI-SNR, SDR, the permutation, the improvement over the mixture.

Everything here is NumPy in float64 and independent of the training loss, so that each can check the other.
A metric is positive in dB (more is better) and takes (reference, estimate). No input is changed.

Letters in shapes: C sources, T samples, `...` any leading dimensions.

Rules where a formula has no answer:
- a silent reference (constant, once its mean is removed) scores NaN: no estimate can be right or wrong;
- a silent estimate of a reference that is not silent scores the floor, -100 dB;
- all values are held within -100 to 100 dB, beyond which 16-bit audio tells nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float64]

LIMIT_DB = 100.0
SDR_FILTER_TAPS = 512  # BSS-eval v3: what a filter this long makes of the reference is no distortion
SILENCE_POWER_RATIO = 1e-24  # of a signal's power; removing a constant's mean leaves about 1e-32 of it


@dataclass(frozen=True)
class Scores:
    """The scores of one utterance; every array is [C], in the order of the references."""

    order: NDArray[np.int64]  # estimate order[c] belongs to reference c
    si_snr_db: Floats
    si_snri_db: Floats
    sdr_db: Floats
    sdri_db: Floats


def si_snr(reference: ArrayLike, estimate: ArrayLike) -> Floats:
    """Scale-invariant signal-to-noise ratio of zero-mean signals, in dB.

    10 log10(|target|^2 / |s' - target|^2), target = <s', s> s / |s|^2, for a reference s and an estimate s'
    both without their mean: Luo & Mesgarani 2018 (TasNet, arXiv 1711.00541). Where the mean stays, it is the
    SI-SDR of Le Roux et al. 2019 (arXiv 1811.02508).

    Args:
        reference: [..., T].
        estimate: [..., T]; leading dimensions are broadcast against the reference's.

    Returns:
        [...], NaN where the reference is silent.

    Raises:
        ValueError: lengths differ, or there are no samples.
    """
    reference, estimate = _same_length(reference, estimate)
    centered = _center(estimate)
    target = _project(centered, _center(reference))
    return _guarded(_ratio_db(_power(target), _power(centered - target)), reference, estimate)


def pairwise_si_snr(references: ArrayLike, estimates: ArrayLike) -> Floats:
    """SI-SNR of every pair.

    Args:
        references: [..., C, T].
        estimates: [..., D, T].

    Returns:
        [..., C, D]: row c holds reference c against every estimate.
    """
    references, estimates = _same_length(references, estimates)
    return si_snr(references[..., :, np.newaxis, :], estimates[..., np.newaxis, :, :])


def best_permutation(references: ArrayLike, estimates: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    """The one-to-one assignment with the highest sum of SI-SNR.

    Silent references say nothing about it: they take the estimates that the others leave.

    Args:
        references: [C, T].
        estimates: [C, T].

    Returns:
        order [C] and values [C] in dB: `estimates[order[c]]` belongs to reference c and scores `values[c]`.

    Raises:
        ValueError: other shapes.
    """
    references, estimates = _sources(references, estimates)
    pairs = pairwise_si_snr(references, estimates)  # [C, C]
    rows, order = linear_sum_assignment(np.nan_to_num(pairs), maximize=True)
    return np.asarray(order, dtype=np.int64), pairs[rows, order]


def sdr(references: ArrayLike, estimates: ArrayLike) -> Floats:
    """Signal-to-distortion ratio of BSS-eval v3, in dB; estimate c belongs to reference c.

    The target is the estimate's projection on the reference and its 511 delays (Vincent et al. 2006,
    "Performance measurement in blind audio source separation"). Equals `bss_eval_sources` of mir_eval without
    its search for a permutation; computed by fast_bss_eval (Scheibler 2022, arXiv 2110.06440).

    Args:
        references: [C, T].
        estimates: [C, T].

    Returns:
        [C], NaN where the reference is silent.

    Raises:
        ValueError: other shapes.
    """
    references, estimates = _sources(references, estimates)
    values = [_sdr_of_one(*pair) for pair in zip(references, estimates, strict=True)]
    return _guarded(np.array(values), references, estimates)


def score(references: ArrayLike, estimates: ArrayLike, mixture: ArrayLike) -> Scores:
    """All metrics of one utterance, with the one permutation that SI-SNR chooses.

    The improvements are over the mixture, taken as the estimate of every source.

    Args:
        references: [C, T].
        estimates: [C, T], in any order.
        mixture: [T].

    Raises:
        ValueError: other shapes.
    """
    references, estimates = _sources(references, estimates)
    mixture = np.asarray(mixture, dtype=np.float64)
    if mixture.shape != references.shape[-1:]:
        raise ValueError(f"Expected a mixture of shape {references.shape[-1:]}. Found: {mixture.shape}")
    mixtures = np.broadcast_to(mixture, references.shape)
    order, si_snr_db = best_permutation(references, estimates)
    sdr_db = sdr(references, estimates[order])
    return Scores(
        order=order,
        si_snr_db=si_snr_db,
        si_snri_db=si_snr_db - si_snr(references, mixtures),
        sdr_db=sdr_db,
        sdri_db=sdr_db - sdr(references, mixtures),
    )


def is_silent(signals: ArrayLike) -> NDArray[np.bool_]:
    """Whether signals [..., T] are constant, in other words zero once their mean is removed: [...]."""
    signals = np.asarray(signals, dtype=np.float64)
    return np.asarray(_power(_center(signals)) <= SILENCE_POWER_RATIO * _power(signals))


def bootstrap_interval(
    values: ArrayLike, confidence: float = 0.95, seed: int = 0, num_resamples: int = 2000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron & Tibshirani 1993, chapter 13).

    It tells what other utterances of the same persons would change, not what other persons would.

    Args:
        values: [n] finite values, one an utterance.
        confidence: the part of the resampled means that lies inside.
        seed: equal seeds give equal intervals.
        num_resamples: how often n values are drawn with replacement.

    Returns:
        The lower and the upper end; both NaN for fewer than two values, which say nothing about the spread.

    Raises:
        ValueError: values of another shape, or not finite, or a confidence outside 0 to 1.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"Expected finite values of shape [n]. Found: {values.shape}, {values}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"Expected a confidence between 0 and 1. Found: {confidence}")
    if values.size < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng([seed, values.size])
    means = [values[rng.integers(values.size, size=values.size)].mean() for _ in range(num_resamples)]
    outside = 50.0 * (1.0 - confidence)  # percent on either side
    lower, upper = np.percentile(means, [outside, 100.0 - outside])
    return float(lower), float(upper)


def _same_length(reference: ArrayLike, estimate: ArrayLike) -> tuple[Floats, Floats]:
    reference = np.asarray(reference, dtype=np.float64)
    estimate = np.asarray(estimate, dtype=np.float64)
    shapes = reference.shape, estimate.shape
    if not all(shapes) or shapes[0][-1] != shapes[1][-1] or shapes[0][-1] == 0:
        raise ValueError(f"Expected a reference and an estimate [..., T] of one length. Found: {shapes}")
    return reference, estimate


def _sources(references: ArrayLike, estimates: ArrayLike) -> tuple[Floats, Floats]:
    references = np.asarray(references, dtype=np.float64)
    estimates = np.asarray(estimates, dtype=np.float64)
    shapes = references.shape, estimates.shape
    if references.ndim != 2 or shapes[0] != shapes[1] or references.size == 0:
        raise ValueError(f"Expected references and estimates of one shape [C, T]. Found: {shapes}")
    return references, estimates


def _center(signals: Floats) -> Floats:
    return np.asarray(signals - signals.mean(axis=-1, keepdims=True))


def _power(signals: Floats) -> Floats:
    return np.asarray(np.square(signals).mean(axis=-1))


def _project(estimate: Floats, reference: Floats) -> Floats:
    """The part of the estimate that is the reference times a factor: [..., T]."""
    scalar = (estimate * reference).mean(axis=-1)
    power = _power(reference)
    factor = np.divide(scalar, power, out=np.zeros_like(scalar), where=power > 0)
    return factor[..., np.newaxis] * reference


def _ratio_db(signal_power: Floats, noise_power: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 and infinity are held within the limits below
        return np.asarray(10.0 * np.log10(signal_power / noise_power))


def _guarded(values_db: Floats, reference: Floats, estimate: Floats) -> Floats:
    """Apply the module's rules for silence and limits to values [...] of signals [..., T]."""
    limited = np.clip(values_db, -LIMIT_DB, LIMIT_DB)
    limited = np.where(is_silent(estimate), -LIMIT_DB, limited)
    return np.where(is_silent(reference), np.nan, limited)


def _sdr_of_one(reference: Floats, estimate: Floats) -> float:
    import fast_bss_eval  # here, because it loads PyTorch wherever that is installed

    if is_silent(reference) or is_silent(estimate):
        return -LIMIT_DB  # the rules for silence decide
    # fast_bss_eval errs, without complaint, for signals shorter than its filter or of a norm below 1e-6.
    padding = max(0, SDR_FILTER_TAPS - reference.size)
    pair = [np.pad(x / np.linalg.norm(x), (0, padding)) for x in (reference, estimate)]
    loss = fast_bss_eval.numpy.sdr_loss(pair[1], pair[0], filter_length=SDR_FILTER_TAPS, clamp_db=LIMIT_DB)
    return -float(loss)
