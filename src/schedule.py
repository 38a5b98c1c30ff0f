"""The learning rate of every update of a run.

All of it follows from the configuration and the validation scores so far, so a run that goes on after a stop
has the same rates as one that never stopped.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from src.config import TrainingConfig


def learning_rates(config: TrainingConfig, steps_per_epoch: int) -> NDArray[np.float32]:
    """One rate an update, [epochs * steps_per_epoch].

    `constant` stays at the peak; `step` multiplies by `step_factor` every `step_epochs` epochs (the paper's public
    recipe: 0.98 every 2); `piecewise` has the peak times `piecewise_factors[i]` from epoch `piecewise_epochs[i]` on,
    the first epoch being number 0; `cosine` falls from the peak to zero along half a cosine (Loshchilov & Hutter
    2017, arXiv 1608.03983, equation 5, one cycle). Each begins with `warmup_steps` of linear rise. `plateau` stays
    at the peak here, and is multiplied by `plateau_factor` of the scores.
    """
    steps = np.arange(config.epochs * steps_per_epoch)
    rise = np.minimum(1.0, (steps + 1) / (config.warmup_steps + 1))
    return np.asarray(config.learning_rate * _factors(config, steps, steps_per_epoch) * rise, dtype=np.float32)


def _factors(config: TrainingConfig, steps: NDArray[np.int64], steps_per_epoch: int) -> NDArray[np.float64]:
    epochs = steps // steps_per_epoch
    if config.schedule == "cosine":
        length = max(1, len(steps) - config.warmup_steps)
        return np.asarray(0.5 * (1 + np.cos(np.pi * np.clip((steps - config.warmup_steps) / length, 0, 1))))
    if config.schedule == "step":
        return np.asarray(config.step_factor ** (epochs // config.step_epochs))
    if config.schedule == "piecewise":
        table = np.array([1.0, *config.piecewise_factors])
        return table[np.searchsorted(config.piecewise_epochs, epochs, side="right")]
    return np.ones(len(steps))


def plateau_factor(config: TrainingConfig, scores: Sequence[float]) -> float:
    """What schedule `plateau` multiplies the rate by after these epochs' validation scores in dB.

    One more `plateau_factor` each time that `plateau_epochs` epochs in a row bring nothing better.
    """
    if config.schedule != "plateau":
        return 1.0
    factor, waited, best = 1.0, 0, -np.inf
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited == config.plateau_epochs:
            factor, waited = factor * config.plateau_factor, 0
    return factor


def epochs_without_improvement(scores: Sequence[float]) -> int:
    """How many epochs ago the best validation score was reached."""
    if not scores:
        return 0
    return len(scores) - 1 - int(np.argmax(scores))


def average_kept(decay: float, updates: int) -> float:
    """Part of the weights' moving average that is kept in the update after `updates` of them.

    Less than `decay` at first, (1 + n) / (10 + n), so that the initial values are soon forgotten, as TensorFlow's
    ExponentialMovingAverage has it (https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage).
    """
    return min(decay, (1 + updates) / (10 + updates))
