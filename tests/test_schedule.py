import numpy as np
import pytest

from src.config import TrainingConfig
from src.errors import UserError
from src.schedule import average_kept, epochs_without_improvement, learning_rates, plateau_factor


def test_step_multiplies_every_so_many_epochs():
    rates = learning_rates(TrainingConfig(epochs=6, learning_rate=1.0, schedule="step"), steps_per_epoch=3)
    np.testing.assert_allclose(rates, np.repeat([1.0, 0.98, 0.98**2], 6), rtol=1e-6)


def test_cosine_falls_from_the_peak_to_nearly_zero():
    rates = learning_rates(TrainingConfig(epochs=1, learning_rate=2.0, schedule="cosine"), steps_per_epoch=1000)
    assert rates[0] == pytest.approx(2.0)
    assert rates[500] == pytest.approx(1.0, abs=0.01)
    assert 0 < rates[-1] < 1e-4
    assert np.all(np.diff(rates) <= 0)


@pytest.mark.parametrize("schedule", ["constant", "step", "piecewise", "plateau", "cosine"])
def test_warm_up_rises_linearly_to_the_peak(schedule):
    config = TrainingConfig(epochs=2, learning_rate=1.0, schedule=schedule, warmup_steps=4)
    rates = learning_rates(config, steps_per_epoch=500)
    np.testing.assert_allclose(rates[:5], [0.2, 0.4, 0.6, 0.8, 1.0], atol=1e-5)


def test_an_unknown_schedule_is_refused():
    with pytest.raises(
        UserError, match=r"training\.schedule: found 'sine', expected one of constant, step, .*, cosine"
    ):
        TrainingConfig(schedule="sine")


def test_piecewise_is_the_model_zoo_recipes():
    config = TrainingConfig(epochs=120, learning_rate=1e-3, schedule="piecewise")
    rates = learning_rates(config, steps_per_epoch=2)
    assert rates.shape == (240,)
    expected = np.concatenate([np.full(90, 1e-3), np.full(66, 5e-4), np.full(84, 2e-4)])
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("epochs", "factors", "message"),
    [
        ((45, 78), (0.5,), r"found 2 and 1 values"),
        ((78, 45), (0.5, 0.2), r"piecewise_epochs: found \[78, 45\], expected rising numbers from 1"),
        ((45,), (-1.0,), r"piecewise_factors: found -1.0, expected a number above 0"),
    ],
)
def test_pieces_must_fit(epochs, factors, message):
    with pytest.raises(UserError, match=message):
        TrainingConfig(piecewise_epochs=epochs, piecewise_factors=factors)


PLATEAU = TrainingConfig(schedule="plateau", plateau_factor=0.5, plateau_epochs=2)


@pytest.mark.parametrize(
    ("scores", "factor"),
    [
        ([], 1.0),
        ([1.0, 0.9], 1.0),
        ([1.0, 0.9, 1.0], 0.5),  # an equal score is no improvement
        ([1.0, 0.9, 1.1, 1.0], 1.0),
        ([1.0, 0.9, 0.8, 0.7, 0.6], 0.25),
        ([1.0, 0.9, 0.8, 1.2, 0.6], 0.5),
    ],
)
def test_a_plateau_lowers_the_rate(scores, factor):
    assert plateau_factor(PLATEAU, scores) == factor


def test_other_schedules_have_no_plateau():
    assert plateau_factor(TrainingConfig(schedule="step"), [1.0] * 10) == 1.0


@pytest.mark.parametrize(("scores", "waited"), [([], 0), ([1.0], 0), ([1.0, 2.0, 1.5, 2.0], 2), ([3.0, 1.0], 1)])
def test_epochs_without_improvement_are_counted_from_the_best(scores, waited):
    assert epochs_without_improvement(scores) == waited


def test_the_average_forgets_its_beginning_and_then_keeps_what_it_should():
    assert average_kept(0.999, 0) == 0.1
    assert average_kept(0.999, 90) == 0.91
    assert average_kept(0.999, 100_000) == 0.999
    assert average_kept(0.0, 100_000) == 0.0
