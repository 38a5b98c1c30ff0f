import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.config import ModelConfig
from src.models.swave import Swave
from src.optimizer import make_optimizer, orthogonalize
from src.runtime import start

SMALL = ModelConfig(num_filters=32, kernel_size=8, hidden_size=12, num_pairs=1, chunk_frames=10)
RATES = [0.01, 0.02, 0.005, 0.01]


@pytest.fixture(scope="module", autouse=True)
def pynative_mode():
    start("CPU", graph_mode=False)


class Orthogonalize(nn.Cell):
    def construct(self, matrices):
        return orthogonalize(matrices)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 32), (2, 32, 12)])
def test_singular_values_come_near_one_and_the_vectors_stay(shape):
    matrices = np.random.default_rng(0).normal(size=shape)
    result = Orthogonalize()(Tensor(matrices.astype(np.float32))).asnumpy()
    for before, after in zip(matrices, result, strict=True):
        u, values, vt = np.linalg.svd(before, full_matrices=False)
        rotated = u.T @ after @ vt.T
        np.testing.assert_allclose(rotated, np.diag(np.diag(rotated)), atol=1e-3)
        large = values > 0.05 * np.linalg.norm(values)  # in five steps the very small ones do not get there
        assert np.diag(rotated)[large].min() > 0.6 and np.diag(rotated).max() < 1.25


def test_a_gradient_of_zeros_is_no_update():
    assert not Orthogonalize()(Tensor(np.zeros((2, 4, 6), np.float32))).asnumpy().any()


def reference_steps(weight, gradients, num_matrices, weight_decay=0.0):
    """Muon in NumPy, float64, each matrix by itself."""
    moment, weight = np.zeros_like(weight, dtype=np.float64), weight.astype(np.float64)
    for rate, gradient in zip(RATES, gradients, strict=True):
        moment = 0.95 * moment + 0.05 * gradient
        ahead = (0.95 * moment + 0.05 * gradient).reshape(num_matrices, -1, weight.shape[-1])
        for row, matrix in enumerate(ahead):
            x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
            x = x / np.linalg.norm(x)
            for _ in range(5):
                square = x @ x.T
                x = 3.4445 * x - 4.7750 * square @ x + 2.0315 * square @ square @ x
            x = x.T if matrix.shape[0] > matrix.shape[1] else x
            part = weight.reshape(ahead.shape)[row]
            part *= 1 - rate * weight_decay
            part -= rate * 0.2 * np.sqrt(max(matrix.shape)) * x
    return weight


def run_steps(name, weight_decay=0.0):
    """Four steps with drawn gradients: (values before, gradients, values after), by parameter name."""
    network = Swave(SMALL)
    optimizer = make_optimizer(name, network, weight_decay)
    before = {p.name: p.asnumpy().copy() for p in optimizer.parameters}
    rng = np.random.default_rng(0)
    gradients = [{name: rng.normal(size=value.shape) for name, value in before.items()} for _ in RATES]
    for rate, step in zip(RATES, gradients, strict=True):
        optimizer(tuple(Tensor(step[p.name], ms.float32) for p in optimizer.parameters), Tensor(rate, ms.float32))
    after = {p.name: p.asnumpy() for p in network.get_parameters()}
    return before, gradients, after


@pytest.mark.parametrize("weight_decay", [0.0, 2.0])
def test_muon_follows_the_formula_over_several_steps(weight_decay):
    before, gradients, after = run_steps("muon", weight_decay)
    for name, num_matrices in (
        ("along.0.lstm.weight_ih", 8),
        ("across.0.gate_lstm.weight_hh", 8),
        ("along.0.projection.weight", 1),
        ("across.0.output.weight", 1),
    ):
        expected = reference_steps(before[name], [step[name] for step in gradients], num_matrices, weight_decay)
        np.testing.assert_allclose(after[name], expected, atol=2e-5)


def reference_adam(weight, gradients, weight_decay=0.0):
    """AdamW in NumPy (arXiv 1711.05101, algorithm 2, with the decay times the rate)."""
    first, second, weight = 0.0, 0.0, weight.astype(np.float64)
    for count, (rate, gradient) in enumerate(zip(RATES, gradients, strict=True), start=1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        update = (first / (1 - 0.9**count)) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
        weight = weight * (1 - rate * weight_decay) - rate * update
    return weight


def assert_adam(run, names, weight_decay=0.0):
    before, gradients, after = run
    for name in names:
        expected = reference_adam(before[name], [step[name] for step in gradients], weight_decay)
        np.testing.assert_allclose(after[name], expected, atol=5e-4, err_msg=name)  # Adam adds its epsilon earlier


def test_what_is_no_matrix_of_a_block_is_left_to_adam():
    names = ("encoder.weight", "head.weight", "head.slope", "along.0.lstm.bias_ih", "across.0.output.bias")
    assert_adam(run_steps("muon"), names)


def test_adamw_decays_matrices_and_nothing_else():
    run = run_steps("adamw", weight_decay=20.0)
    assert_adam(run, ("encoder.weight", "along.0.lstm.weight_ih", "across.0.output.weight", "head.weight"), 20.0)
    assert_adam(run, ("head.slope", "head.bias", "along.0.lstm.bias_ih", "across.0.output.bias"))


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_every_weight_is_updated_and_keeps_its_name(name):
    network_names = {p.name for p in Swave(SMALL).trainable_params()}
    before, _, after = run_steps(name)
    assert set(before) == set(after) == network_names
    assert all(np.abs(after[name] - before[name]).max() > 0 for name in before)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_names_of_the_state_are_unique(name):
    names = [p.name for p in make_optimizer(name, Swave(SMALL)).get_parameters()]
    assert len(names) == len(set(names))
