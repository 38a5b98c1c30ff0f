"""The learning rate of every step of a run."""

import numpy as np
from numpy.typing import NDArray

from src.config import TrainingConfig


def learning_rates(config: TrainingConfig, steps_per_epoch: int) -> NDArray[np.float32]:
    """One rate a step, [epochs * steps_per_epoch].

    `constant` stays at the peak; `step` multiplies by `step_factor` every `step_epochs` epochs;
    `cosine` falls from the peak to zero along half a cosine (Loshchilov & Hutter 2017,
    arXiv 1608.03983, equation 5, one cycle). Each begins with `warmup_steps` of linear rise.
    """
    steps = np.arange(config.epochs * steps_per_epoch)
    if config.schedule == "cosine":
        length = max(1, len(steps) - config.warmup_steps)
        factor = 0.5 * (1 + np.cos(np.pi * np.clip((steps - config.warmup_steps) / length, 0, 1)))
    elif config.schedule == "step":
        factor = config.step_factor ** (steps // steps_per_epoch // config.step_epochs)
    else:
        factor = np.ones(len(steps))
    rise = np.minimum(1.0, (steps + 1) / (config.warmup_steps + 1))
    return np.asarray(config.learning_rate * factor * rise, dtype=np.float32)
