"""One training step: the norm, the clip, Adam's update; and that many of them learn two mixtures by heart."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from src import metrics
from src.config import ModelConfig
from src.generatorloss import GeneratorLoss, paper_block_weights
from src.models.swave import Swave
from src.network_define import NetworkWithLoss
from src.runtime import seed_everything, start
from src.trainonestep import TrainOneStepCell, global_norm
from tests.synthetic import voice

RATE = 1e-2
# MindSpore adds its epsilon of 1e-8 before the bias correction of the second moment, the paper after: as if it
# were 1e-8 / sqrt(1 - beta2**step), which matters only for gradients of about that size.
EPSILON = 1e-8


class Quadratic(nn.Cell):
    """Two parameters whose gradients are the inputs themselves."""

    def __init__(self):
        super().__init__()
        self.first = Parameter(Tensor(np.zeros(3), ms.float32), name="first")
        self.second = Parameter(Tensor(np.zeros((2, 2)), ms.float32), name="second")

    def construct(self, first, second, offset):
        return (self.first * first).sum() + (self.second * second).sum() + offset


def adam(gradients):
    """Weights that start at zero, after Adam's steps on these gradients (Kingma & Ba 2015, algorithm 1)."""
    weights = first = second = np.zeros_like(gradients[0], dtype=float)
    for step, gradient in enumerate(gradients, 1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        correction = np.sqrt(1 - 0.999**step)
        weights = weights - RATE * first / (1 - 0.9**step) / ((np.sqrt(second) + EPSILON) / correction)
    return weights


@pytest.mark.parametrize("graph_mode", [False, True])
def test_steps_are_adams_on_clipped_gradients(graph_mode):
    start("CPU", graph_mode=graph_mode)
    network = Quadratic()
    step = TrainOneStepCell(network, nn.Adam(network.trainable_params(), RATE), clip_norm=5.0).set_train()
    rng = np.random.default_rng(15)
    clipped = []
    for number, size in enumerate([0.1, 40.0, 1.0, 7.0]):
        gradient = size * rng.standard_normal(7)
        loss, norm = step(
            Tensor(gradient[:3], ms.float32), Tensor(gradient[3:].reshape(2, 2), ms.float32), Tensor(float(number))
        )
        length = np.linalg.norm(gradient)
        weights = adam(clipped) if clipped else np.zeros(7)
        assert float(norm.asnumpy()) == pytest.approx(length, rel=1e-5)
        assert float(loss.asnumpy()) == pytest.approx(weights @ gradient + number, abs=1e-5)
        clipped.append(gradient * min(1, 5 / length))
        found = np.concatenate([network.first.asnumpy(), network.second.asnumpy().ravel()])
        np.testing.assert_allclose(found, adam(clipped), atol=1e-6)


def test_a_zero_gradient_moves_nothing():
    start("CPU", graph_mode=False)
    network = Quadratic()
    step = TrainOneStepCell(network, nn.Adam(network.trainable_params(), RATE), clip_norm=5.0)
    loss, norm = step(Tensor(np.zeros(3), ms.float32), Tensor(np.zeros((2, 2)), ms.float32), Tensor(2.0))
    assert (float(loss.asnumpy()), float(norm.asnumpy())) == (2.0, 0.0)
    np.testing.assert_array_equal(network.first.asnumpy(), 0)


def test_the_global_norm_is_that_of_all_elements():
    start("CPU", graph_mode=False)
    gradients = (Tensor([3.0, 0.0], ms.float32), Tensor([[4.0], [12.0]], ms.float32))
    assert float(global_norm(gradients).asnumpy()) == pytest.approx(13.0)


def test_seventy_steps_learn_two_mixtures_by_heart():
    """0.4 s of two pairs of synthetic voices, 0.28 million parameters; seeds 0 to 2 reached 15.5 to 16.2 dB."""
    start("CPU", graph_mode=True)
    seed_everything(0)
    seconds = 0.4
    config = ModelConfig(
        num_filters=64, kernel_size=8, hidden_size=32, num_pairs=2, segment_seconds=seconds, normalize_level=True
    )
    network = Swave(config)
    optimizer = nn.Adam(network.trainable_params(), 3e-3)
    loss = GeneratorLoss(2, paper_block_weights(2))
    step = TrainOneStepCell(NetworkWithLoss(network, loss), optimizer, clip_norm=5.0).set_train()
    pitches = [[110, 230], [170, 125]]
    sources = np.stack([[voice(hertz, seconds, seed=int(hertz)) for hertz in pair] for pair in pitches])
    mixture = sources.sum(1)
    batch = (Tensor(mixture), Tensor(sources), Tensor(np.full(2, mixture.shape[1], np.int32)))
    for _ in range(70):
        step(*batch)

    start("CPU", graph_mode=False)
    tracks = network.set_train(False)(Tensor(mixture)).asnumpy()
    improvements = [improvement(s, t, m) for s, t, m in zip(sources, tracks, mixture, strict=True)]
    assert np.mean(improvements) > 10
    assert min(improvements) > 5


def improvement(sources, tracks, mixture):
    """Mean SI-SNRi in dB of the better order of two tracks [2, T]."""
    before = metrics.si_snr(sources, mixture).mean()
    return max(metrics.si_snr(sources, tracks[order]).mean() for order in ([0, 1], [1, 0])) - before
