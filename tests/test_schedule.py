import numpy as np
import pytest

from src.config import TrainingConfig
from src.errors import UserError
from src.schedule import learning_rates


def test_step_multiplies_every_so_many_epochs():
    rates = learning_rates(TrainingConfig(epochs=6, learning_rate=1.0, schedule="step"), steps_per_epoch=3)
    np.testing.assert_allclose(rates, np.repeat([1.0, 0.98, 0.98**2], 6), rtol=1e-6)


def test_cosine_falls_from_the_peak_to_nearly_zero():
    rates = learning_rates(TrainingConfig(epochs=1, learning_rate=2.0, schedule="cosine"), steps_per_epoch=1000)
    assert rates[0] == pytest.approx(2.0)
    assert rates[500] == pytest.approx(1.0, abs=0.01)
    assert 0 < rates[-1] < 1e-4
    assert np.all(np.diff(rates) <= 0)


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine"])
def test_warm_up_rises_linearly_to_the_peak(schedule):
    config = TrainingConfig(epochs=2, learning_rate=1.0, schedule=schedule, warmup_steps=4)
    rates = learning_rates(config, steps_per_epoch=500)
    np.testing.assert_allclose(rates[:5], [0.2, 0.4, 0.6, 0.8, 1.0], atol=1e-5)


def test_an_unknown_schedule_is_refused():
    with pytest.raises(UserError, match=r"training\.schedule: found 'sine', expected one of constant, step, cosine"):
        TrainingConfig(schedule="sine")
