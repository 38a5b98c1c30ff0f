"""One training step: the norm, the clip, Adam's update; and that many of them learn two mixtures by heart."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, ParameterTuple, Tensor, nn

from src import metrics
from src.config import ModelConfig
from src.generatorloss import GeneratorLoss, paper_block_weights
from src.models.swave import Swave
from src.network_define import NetworkWithLoss
from src.optimizer import Adam
from src.runtime import seed_everything, start
from src.trainonestep import GradientSum, TrainOneStepCell, Update, UpdateFromSums, global_norm
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


def make_step(network, averages=None):
    update = Update(Adam(network.trainable_params()), 5.0, averages)
    return TrainOneStepCell(network, update).set_train()


def averages_of(network):
    return ParameterTuple(network.trainable_params()).clone("average", init="same")


def controls(rate=RATE, kept=0.0, scale=1.0):
    return Tensor([rate, kept, scale], ms.float32)


def batch(gradient, loss=0.0):
    """Inputs whose gradient is this, [7], and whose loss at weights of zero is this."""
    first, second = np.split(np.asarray(gradient, np.float32), [3])
    return Tensor(first), Tensor(second.reshape(2, 2)), Tensor(loss, ms.float32)


def weights_of(network):
    return np.concatenate([network.first.asnumpy(), network.second.asnumpy().ravel()])


def clip(gradient):
    return gradient * min(1, 5 / np.linalg.norm(gradient))


@pytest.fixture(params=[False, True], ids=["pynative", "graph"])
def graph_mode(request):
    start("CPU", graph_mode=request.param)


@pytest.mark.usefixtures("graph_mode")
@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_steps_are_adams_on_clipped_gradients_whatever_the_loss_scale(scale):
    network = Quadratic()
    step = make_step(network)
    rng = np.random.default_rng(15)
    clipped = []
    for number, size in enumerate([0.1, 40.0, 1.0, 7.0]):
        gradient = size * rng.standard_normal(7)
        loss, norm = step(*batch(gradient, float(number)), controls(scale=scale))
        weights = adam(clipped) if clipped else np.zeros(7)
        assert float(norm.asnumpy()) == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
        assert float(loss.asnumpy()) == pytest.approx(weights @ gradient + number, abs=1e-5)
        clipped.append(clip(gradient))
        np.testing.assert_allclose(weights_of(network), adam(clipped), atol=1e-6)


@pytest.mark.usefixtures("graph_mode")
def test_the_rate_is_that_of_the_call():
    network = Quadratic()
    step = make_step(network)
    for rate in (1e-2, 0.0, 3e-3):  # Adam on an unchanging gradient moves every weight by the rate
        before = weights_of(network)
        step(*batch(np.ones(7)), controls(rate=rate))
        np.testing.assert_allclose(before - weights_of(network), rate, rtol=1e-4)


@pytest.mark.usefixtures("graph_mode")
@pytest.mark.parametrize("bad", ["loss", "gradient", "norm"])
def test_an_update_that_is_not_finite_changes_nothing_and_the_next_is_as_if_it_had_not_been(bad):
    network = Quadratic()
    averages = averages_of(network)
    step = make_step(network, averages)
    good = [np.full(7, 0.5), np.arange(7.0)]
    step(*batch(good[0]), controls())
    spoiled = np.ones(7)
    spoiled[4] = {"loss": 1.0, "gradient": np.nan, "norm": 1e30}[bad]
    kept = [p.asnumpy().copy() for p in (*network.trainable_params(), *averages)]
    loss, norm = step(*batch(spoiled, np.inf if bad == "loss" else 0.0), controls())
    assert not np.isfinite(float(loss.asnumpy()) + float(norm.asnumpy()))
    for before, now in zip(kept, (*network.trainable_params(), *averages), strict=True):
        np.testing.assert_array_equal(now.asnumpy(), before)
    step(*batch(good[1]), controls())
    np.testing.assert_allclose(weights_of(network), adam([clip(gradient) for gradient in good]), atol=1e-6)


@pytest.mark.usefixtures("graph_mode")
def test_averages_follow_the_weights():
    network = Quadratic()
    averages = averages_of(network)
    step = make_step(network, averages)
    expected = np.zeros(7)
    for kept in (0.1, 0.5, 0.9):
        step(*batch(np.arange(7.0) + 1), controls(kept=kept))
        expected = kept * expected + (1 - kept) * weights_of(network)
        found = np.concatenate([average.asnumpy().ravel() for average in averages])
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.usefixtures("graph_mode")
@pytest.mark.parametrize("scale", [1.0, 64.0])
def test_summed_gradients_make_the_update_of_their_mean(scale):
    network, together = Quadratic(), Quadratic()
    update = Update(Adam(network.trainable_params()), 5.0)
    sums = update.optimizer.parameters.clone("sum", init="zeros")
    add, finish = GradientSum(network, update.optimizer.parameters, sums), UpdateFromSums(update, sums)
    step = make_step(together)
    rng = np.random.default_rng(3)
    for _ in range(3):
        gradients, losses = 4 * rng.standard_normal((3, 7)), rng.standard_normal(3)
        total = sum(add(*batch(g, loss), controls(scale=scale)) for g, loss in zip(gradients, losses, strict=True))
        found = finish(total, Tensor(3.0, ms.float32), controls(scale=scale))
        expected = step(*batch(gradients.mean(0), losses.mean()), controls())
        for ours, one in zip(found, expected, strict=True):
            assert float(ours.asnumpy()) == pytest.approx(float(one.asnumpy()), rel=1e-4, abs=1e-5)
        np.testing.assert_allclose(weights_of(network), weights_of(together), atol=1e-6)


def test_a_zero_gradient_moves_nothing():
    start("CPU", graph_mode=False)
    network = Quadratic()
    loss, norm = make_step(network)(*batch(np.zeros(7), 2.0), controls())
    assert (float(loss.asnumpy()), float(norm.asnumpy())) == (2.0, 0.0)
    np.testing.assert_array_equal(weights_of(network), 0)


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
    loss = GeneratorLoss(2, paper_block_weights(2))
    update = Update(Adam(network.trainable_params()), clip_norm=5.0)
    step = TrainOneStepCell(NetworkWithLoss(network, loss), update).set_train()
    pitches = [[110, 230], [170, 125]]
    sources = np.stack([[voice(hertz, seconds, seed=int(hertz)) for hertz in pair] for pair in pitches])
    mixture = sources.sum(1)
    examples = (Tensor(mixture), Tensor(sources), Tensor(np.full(2, mixture.shape[1], np.int32)))
    for _ in range(70):
        step(*examples, controls(rate=3e-3))

    start("CPU", graph_mode=False)
    tracks = network.set_train(False)(Tensor(mixture)).asnumpy()
    improvements = [improvement(s, t, m) for s, t, m in zip(sources, tracks, mixture, strict=True)]
    assert np.mean(improvements) > 10
    assert min(improvements) > 5


def improvement(sources, tracks, mixture):
    """Mean SI-SNRi in dB of the better order of two tracks [2, T]."""
    before = metrics.si_snr(sources, mixture).mean()
    return max(metrics.si_snr(sources, tracks[order]).mean() for order in ([0, 1], [1, 0])) - before
