"""The training loss: what it must not depend on, silence, and the weights of the blocks."""

import itertools

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from src import metrics
from src.generatorloss import GeneratorLoss, paper_block_weights
from src.models.loss import MOST_ENUMERATED
from src.network_define import NetworkWithLoss
from src.runtime import start

LENGTH = 300


@pytest.fixture(autouse=True)
def pynative_mode():
    start("CPU", graph_mode=False)


def random(*shape, seed=0):
    return np.random.default_rng([12, seed, *shape]).standard_normal(shape).astype(np.float32)


def example(speakers, pairs=1, batch=2, seed=0):
    """Tracks [B, R, C, T] that resemble the sources, in reverse order, and the sources [B, C, T]."""
    sources = random(batch, speakers, LENGTH, seed=seed)
    noise = random(batch, pairs, speakers, LENGTH, seed=seed + 1)
    return sources[:, None, ::-1] + 0.5 * noise, sources


def tensors(tracks, sources, num_samples=None):
    lengths = np.full(len(sources), sources.shape[-1]) if num_samples is None else np.asarray(num_samples)
    return Tensor(np.ascontiguousarray(tracks)), Tensor(np.ascontiguousarray(sources)), Tensor(lengths.astype(np.int32))


def loss(tracks, sources, num_samples=None, weights=None):
    cell = GeneratorLoss(sources.shape[1], weights or paper_block_weights(tracks.shape[1]))
    return float(cell(*tensors(tracks, sources, num_samples)).asnumpy())


def gradient(tracks, sources, num_samples=None):
    cell = GeneratorLoss(sources.shape[1], paper_block_weights(tracks.shape[1]))
    return ops.grad(cell)(*tensors(tracks, sources, num_samples)).asnumpy()


def best_mean(tracks, sources):
    """The largest mean SI-SNR of any order, by src.metrics in float64: tracks and sources [C, T]."""
    table = metrics.si_snr(sources, tracks[:, None])  # [C tracks, C sources]
    orders = np.array(list(itertools.permutations(range(len(sources)))))
    return table[orders, range(len(sources))].mean(1).max()


@pytest.mark.parametrize("speakers", [2, 3, 4, 5, 6])
def test_it_is_minus_the_best_orders_mean_over_speakers_and_examples(speakers):
    tracks, sources = example(speakers)
    expected = -np.mean([best_mean(t[0], s) for t, s in zip(tracks, sources, strict=True)])
    assert loss(tracks, sources) == pytest.approx(expected, abs=1e-3)


def test_every_block_and_example_chooses_its_own_order():
    tracks, sources = example(3, pairs=2)
    tracks[0, 0] = tracks[0, 0, [2, 0, 1]]
    tracks[1, 1] = tracks[1, 1, [1, 0, 2]]
    of_blocks = [-np.mean([best_mean(tracks[b, r], sources[b]) for b in range(2)]) for r in range(2)]
    assert loss(tracks, sources) == pytest.approx((0.5 * of_blocks[0] + of_blocks[1]) / 2, abs=1e-3)


def test_block_weights_are_data():
    tracks, sources = example(2, pairs=3)
    alone = [loss(tracks[:, [pair]], sources, weights=(1.0,)) for pair in range(3)]
    assert loss(tracks, sources, weights=(0.0, 3.0, 0.0)) == pytest.approx(alone[1], abs=1e-3)
    assert loss(tracks, sources, weights=(1.0, 0.5, 2.0)) == pytest.approx(np.dot(alone, (1, 0.5, 2)) / 3, abs=1e-3)


def test_the_papers_block_weights():
    assert paper_block_weights(4) == (0.25, 0.5, 0.75, 1.0)
    assert paper_block_weights(1) == (1.0,)


@pytest.mark.parametrize("gain", [-1.0, 0.01, -40.0])
def test_scale_and_sign_of_a_track_do_not_matter(gain):
    tracks, sources = example(2)
    changed = tracks * np.array([gain, 1.0], np.float32)[:, None]
    assert loss(changed, sources) == pytest.approx(loss(tracks, sources), abs=2e-3)
    assert loss(tracks, sources * gain) == pytest.approx(loss(tracks, sources), abs=2e-3)


def test_an_offset_does_not_matter():
    tracks, sources = example(2)
    assert loss(tracks + 2, sources) == pytest.approx(loss(tracks, sources), abs=2e-3)
    assert loss(tracks, sources - 3) == pytest.approx(loss(tracks, sources), abs=2e-3)


@pytest.mark.parametrize("speakers", [2, 3, 6])
def test_order_does_not_matter(speakers):
    tracks, sources = example(speakers)
    expected = loss(tracks, sources)
    rng = np.random.default_rng(13)
    for _ in range(4):
        order = rng.permutation(speakers)
        assert loss(tracks[:, :, order], sources) == pytest.approx(expected, abs=1e-4)
        assert loss(tracks, sources[:, order]) == pytest.approx(expected, abs=1e-4)


def test_padding_does_not_matter_and_gets_no_gradient():
    lengths = [LENGTH, 180]
    tracks, sources = example(2, pairs=2)
    expected, expected_gradient = loss(tracks, sources, lengths), gradient(tracks, sources, lengths)
    tracks[1, :, :, 180:] = 1e3
    sources[1, :, 180:] = -7
    assert loss(tracks, sources, lengths) == pytest.approx(expected, abs=1e-5)
    found = gradient(tracks, sources, lengths)
    np.testing.assert_allclose(found, expected_gradient, atol=1e-6)
    assert not found[1, :, :, 180:].any()
    assert found[0, :, :, 180:].all()
    cut = -np.mean([best_mean(tracks[1, 1, :, :180], sources[1, :, :180])])
    assert loss(tracks[1:, 1:], sources[1:], lengths[1:]) == pytest.approx(cut, abs=1e-3)


@pytest.mark.parametrize("speakers", [2, 6])
def test_a_silent_source_draws_no_gradient_and_the_others_do(speakers):
    tracks, sources = example(speakers, batch=1)
    sources[:, 0] = 0
    assert np.isfinite(loss(tracks, sources))
    found = gradient(tracks, sources)
    assert np.isfinite(found).all()
    touched = found[0, 0].any(axis=1)
    assert touched.sum() == speakers - 1
    assert not touched[-1]  # the tracks are in reverse order: the last one resembles the silent source


@pytest.mark.parametrize("speakers", [2, 6])
def test_silence_everywhere_is_finite(speakers):
    tracks, sources = example(speakers)
    for t, s in ((0 * tracks, sources), (tracks, 0 * sources), (0 * tracks, 0 * sources)):
        assert np.isfinite(loss(t, s))
        assert np.isfinite(gradient(t, s)).all()
    assert np.isfinite(loss(tracks, sources, [0, 0]))
    assert np.isfinite(gradient(tracks, sources, [0, 0])).all()


def test_an_estimate_equal_to_its_source_is_finite():
    tracks, sources = example(2)
    tracks[:, 0] = sources
    assert loss(tracks, sources) < -50
    assert np.isfinite(gradient(tracks, sources)).all()


@pytest.mark.parametrize("speakers", [3, MOST_ENUMERATED + 1])
def test_the_gradient_is_that_of_the_chosen_order_at_every_call_in_graph_mode(speakers):
    start("CPU", graph_mode=True)
    cell = ops.grad(GeneratorLoss(speakers, paper_block_weights(2)))
    rng = np.random.default_rng(14)
    for call in range(3):
        tracks, sources = example(speakers, pairs=2, seed=10 * call)
        direction = rng.standard_normal(tracks.shape)
        found = (cell(*tensors(tracks, sources)).asnumpy() * direction).sum()
        assert found == pytest.approx(derivative(tracks, sources, direction), rel=1e-3, abs=1e-3)


def derivative(tracks, sources, direction):
    """Of the loss along a direction, by a difference in float64."""
    small = 1e-5

    def value(sign):
        moved = tracks.astype(float) + sign * small * direction
        return sum(-w * best_mean(moved[b, r], sources[b]) for b in range(2) for r, w in ((0, 0.5), (1, 1.0))) / 4

    return (value(1) - value(-1)) / (2 * small)


class Copies(nn.Cell):
    """A network with one parameter: both tracks are multiples of the mixture."""

    def __init__(self):
        super().__init__()
        self.gain = Parameter(Tensor([2.0]), name="gain")

    def construct(self, mixture):
        return ops.stack((mixture, self.gain * mixture), 1)[:, None]


def test_network_and_loss_as_one_cell():
    _, sources = example(2)
    mixture = sources.sum(1)
    lengths = Tensor(np.array([LENGTH, 180], np.int32))
    cell = NetworkWithLoss(Copies(), GeneratorLoss(2, (1.0,)))
    assert [parameter.name for parameter in cell.trainable_params()] == ["gain"]
    found = float(cell(Tensor(mixture), Tensor(sources), lengths).asnumpy())
    tracks = np.stack([mixture, 2 * mixture], 1)[:, None]
    assert found == pytest.approx(loss(tracks, sources, [LENGTH, 180], weights=(1.0,)), abs=1e-4)
