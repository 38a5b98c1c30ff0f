"""What a configuration makes of the update; the update itself is test_trainonestep's matter."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from src.config import Config, ModelConfig, TrainingConfig
from src.errors import UserError
from src.kernels.library import find_library
from src.models import fused_block, swave
from src.runtime import seed_everything, start
from src.stepper import Stepper

MODEL = ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, chunk_frames=16, normalize_level=True)
SAMPLES = 800


@pytest.fixture(autouse=True)
def graph_mode():
    start("CPU")


def make(model=MODEL, **settings):
    seed_everything(0)
    stepper = Stepper(Config(model, training=TrainingConfig(**settings)))
    stepper.set_averages()
    stepper.begin_training()
    return stepper


def noise(number, count):
    sources = 0.05 * np.random.default_rng(number).standard_normal((count, 2, SAMPLES)).astype(np.float32)
    return sources.sum(1), sources, np.full(count, SAMPLES, np.int32)


def together(*batches):
    return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))


def steps(stepper, *groups):
    """Losses and norms of an update for each group, and the weights after them."""
    results = [stepper.take(group, 1e-3, 0.5, 1.0) for group in groups]
    return np.array(results), {weight.name: weight.asnumpy().copy() for weight in stepper.weights}


@pytest.fixture(scope="module")
def plain():
    """Three updates with batches of four."""
    start("CPU")
    return steps(make(), *([together(noise(n, 2), noise(n + 9, 2))] for n in range(3)))


def assert_same(found, expected, tolerance):
    np.testing.assert_allclose(found[0], expected[0], rtol=tolerance, atol=tolerance)
    for name, value in expected[1].items():
        assert np.abs(found[1][name] - value).max() <= tolerance, name


def test_recomputed_activations_are_the_same(plain):
    found = steps(make(recompute=True), *([together(noise(n, 2), noise(n + 9, 2))] for n in range(3)))
    assert_same(found, plain, 1e-5)


def test_accumulated_batches_are_one_large_batch(plain):
    found = steps(make(accumulation=2), *([noise(n, 2), noise(n + 9, 2)] for n in range(3)))
    assert_same(found, plain, 1e-4)


def test_averages_begin_with_the_weights_and_follow_them():
    stepper = make(average_decay=0.9)
    before = {weight.name: weight.asnumpy().copy() for weight in stepper.weights}  # asnumpy is a view
    for name, value in before.items():
        if not name.startswith("average."):
            np.testing.assert_array_equal(before[f"average.{name}"], value)
    _, after = steps(stepper, [noise(0, 2)])
    for name, value in before.items():
        if not name.startswith("average."):
            expected = 0.5 * value + 0.5 * after[name]
            np.testing.assert_allclose(after[f"average.{name}"], expected, atol=1e-7)


def test_the_state_is_everything_once():
    names = [parameter.name for parameter in make(average_decay=0.9, optimizer="muon").state]
    assert len(names) == len(set(names))
    weights = [name for name in names if name.startswith(("encoder", "along", "across", "head"))]
    for name in weights:
        assert f"average.{name}" in names
        assert any(f"{state}.{name}" in names for state in ("muon", "adam.first")), name
    assert {"adam.beta1_power", "adam.beta2_power"} <= set(names)


def test_float16_on_a_cpu_is_refused():
    with pytest.raises(UserError, match="amp: found float16 on a CPU, expected bfloat16 or none"):
        make(amp="float16")


def test_bfloat16_without_the_compiled_operators_is_refused(monkeypatch):
    monkeypatch.setattr(swave, "fused_block_library", lambda _: None)
    with pytest.raises(UserError, match="amp: found bfloat16 on a CPU without the compiled operators, expected none"):
        make(amp="bfloat16")


@pytest.mark.skipif(find_library() is None, reason="found no compiled operators")
def test_bfloat16_on_a_processor_without_it_is_refused(monkeypatch):
    stepper = make()
    monkeypatch.setattr(fused_block, "load_library", lambda _: SimpleNamespace(HalfMultiple=lambda: 0))
    with pytest.raises(UserError, match=r"found a processor without products in bfloat16 .* expected float32"):
        stepper.network.compute_in("bfloat16")


@pytest.mark.usefixtures("bfloat16_runs")
def test_bfloat16_for_sizes_that_do_not_fill_its_tiles_is_refused():
    with pytest.raises(UserError, match="found N = 32, H = 4, expected multiples of 32 for bfloat16"):
        make(amp="bfloat16")


@pytest.mark.usefixtures("bfloat16_runs")
@pytest.mark.parametrize("recompute", [False, True])
def test_a_step_in_bfloat16_is_near_one_in_float32(recompute):
    model = dataclasses.replace(MODEL, hidden_size=32)
    found, expected = (
        steps(make(model, amp=amp, recompute=recompute), [noise(0, 2)])[0][0] for amp in ("bfloat16", "none")
    )
    loss_db, gradient_norm = np.abs(found - expected)
    assert 0 < loss_db < 0.1
    assert 0 < gradient_norm < 0.05 * expected[1]


def test_the_weights_of_the_loss_are_those_of_the_configuration(plain):
    model = dataclasses.replace(MODEL, num_pairs=1)
    stepper = Stepper(Config(model, training=TrainingConfig(block_weights=(2.0,))))
    seeded = make()
    for own, same in zip(stepper.network.get_parameters(), seeded.network.get_parameters(), strict=True):
        own.set_data(same)
    stepper.begin_training()
    result = stepper.take([together(noise(0, 2), noise(9, 2))], 1e-3, 0.0, 1.0)
    assert result.loss_db == pytest.approx(2 * plain[0][0, 0], rel=1e-4)
