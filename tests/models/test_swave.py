"""The network: its parts against the long way round in NumPy, and what holds at any length."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.config import ModelConfig
from src.models import chunks, swave
from src.models.chunks import merge, split
from src.models.swave import Encoder, Head, MulCat, Swave, overlap_add
from src.runtime import start
from tests.models import numpy_ops

TINY = ModelConfig(num_filters=12, kernel_size=4, hidden_size=3, num_pairs=2, chunk_frames=6)


@pytest.fixture(autouse=True)
def pynative_mode():
    start("CPU", graph_mode=False)


@pytest.fixture
def in_numpy(monkeypatch):
    monkeypatch.setattr(chunks, "ops", numpy_ops)
    monkeypatch.setattr(swave, "ops", numpy_ops)


def random(*shape):
    return np.random.default_rng([8, *shape]).standard_normal(shape).astype(np.float32)


def naive_overlap_add(frames, hop, num_samples):
    """[F, B, C, W] -> [B, C, num_samples], sample by sample."""
    num_frames, batch, speakers, width = frames.shape
    samples = np.zeros((batch, speakers, max(num_samples, num_frames * hop + width)))
    for frame in range(num_frames):
        for offset in range(width):
            samples[:, :, frame * hop + offset] += frames[frame, :, :, offset]
    return samples[:, :, :num_samples]


# Independent of this repository: 2 R (MulCat) + encoder + head, two bias vectors in each LSTM direction, for
# N = H = 128, L = 8, R = 6. The same counts were found with the public PyTorch implementation (issue 2).
@pytest.mark.parametrize(("speakers", "count"), [(2, 7558913), (3, 7575425), (4, 7591937), (5, 7608449)])
def test_the_number_of_parameters_at_the_papers_size(speakers, count):
    network = Swave(ModelConfig(num_speakers=speakers))
    assert sum(parameter.size for parameter in network.trainable_params()) == count


def test_the_papers_chunks_have_126_frames():
    assert Swave(ModelConfig(num_pairs=1, hidden_size=1)).chunk_frames == 126  # 8 kHz, 4 s, L = 8


def test_parameter_names_are_plain_and_distinct():
    names = [parameter.name for parameter in Swave(TINY).trainable_params()]
    assert len(set(names)) == len(names) == 1 + 4 * 14 + 3
    for name in ("encoder.weight", "along.1.gate_lstm.bias_hh", "across.0.output.weight", "head.slope"):
        assert name in names


def test_overlap_add_equals_a_loop_at_hundreds_of_shapes(in_numpy):
    rng = np.random.default_rng(9)
    for _ in range(400):
        num_frames, batch, speakers, width, hop = rng.integers([1, 1, 1, 1, 1], [20, 3, 4, 20, 10])
        frames = random(num_frames, batch, speakers, width)
        num_samples = int(rng.integers(1, num_frames * hop + 2 * width + 5))
        found = overlap_add(frames, int(hop), num_samples)
        expected = naive_overlap_add(frames, hop, num_samples)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=f"F={num_frames} W={width} hop={hop}")


@pytest.mark.parametrize(
    ("graph_mode", "width", "hop", "num_samples"),
    [(False, 4, 4, 19), (False, 4, 2, 12), (False, 3, 2, 30), (True, 4, 4, 19), (True, 5, 2, 11)],
)
def test_overlap_add_in_mindspore_equals_a_loop(graph_mode, width, hop, num_samples):
    start("CPU", graph_mode=graph_mode)
    frames = random(5, 2, 3, width)
    found = OverlapAdd(hop, num_samples)(Tensor(frames)).asnumpy()
    np.testing.assert_allclose(found, naive_overlap_add(frames, hop, num_samples), rtol=0, atol=1e-6)


class OverlapAdd(nn.Cell):
    def __init__(self, hop, num_samples):
        super().__init__()
        self.hop, self.num_samples = hop, num_samples

    def construct(self, frames):
        return overlap_add(frames, self.hop, self.num_samples)


@pytest.mark.parametrize("num_samples", [12, 30])  # cut and filled
def test_overlap_add_passes_back_the_gradient_at_every_call(num_samples):
    start("CPU", graph_mode=True)
    gradient = ops.grad(OverlapAddSquared(2, num_samples))
    for call in (1, 2, 3):
        frames = call * random(5, 1, 1, 3)
        samples = naive_overlap_add(frames, 2, num_samples)[0, 0]
        samples = np.concatenate([samples, np.zeros(20)])
        expected = np.stack([2 * samples[2 * frame : 2 * frame + 3] for frame in range(5)])
        found = gradient(Tensor(frames)).asnumpy()[:, 0, 0]
        np.testing.assert_allclose(found, expected, atol=1e-5)


class OverlapAddSquared(OverlapAdd):
    def construct(self, frames):
        return ops.square(overlap_add(frames, self.hop, self.num_samples)).sum()


def test_the_encoder_is_a_strided_correlation_and_relu():
    kernel_size, hop = 6, 3
    encoder = Encoder(4, kernel_size)
    for num_samples in (6, 8, 9, 23):
        mixture = random(2, num_samples)
        windows = [mixture[:, i : i + kernel_size] for i in range(0, num_samples - kernel_size + 1, hop)]
        expected = np.maximum(np.stack(windows) @ encoder.weight.asnumpy().T, 0)  # [F, B, N]
        np.testing.assert_allclose(encoder(Tensor(mixture)).asnumpy(), expected, atol=1e-6)


def test_mulcat_multiplies_gates_and_keeps_its_input_beside():
    block = MulCat(4, 3)
    block.projection.weight.set_data(Tensor(np.zeros((4, 6), np.float32)))
    block.projection.bias.set_data(Tensor(np.zeros(4, np.float32)))
    sequence = random(5, 2, 4)  # the product is zero: only the input's half of the last projection is left
    expected = sequence @ block.output.weight.asnumpy()[:, 4:].T + block.output.bias.asnumpy()
    np.testing.assert_allclose(block(Tensor(sequence)).asnumpy(), expected, atol=1e-6)


@pytest.mark.parametrize("kernel_size", [4, 6])
def test_averaging_the_weights_equals_averaging_the_channels(kernel_size):
    """All N*C channels, merged, overlap-added and averaged last, as the paper has it."""
    channels, speakers, num_frames, num_samples = 24, 3, 13, 50
    head = Head(channels, speakers, kernel_size)
    pieces = split(Tensor(random(num_frames, 2, channels)), 6)
    short = merge(head(pieces), num_frames).reshape(num_frames, 2, speakers, channels // kernel_size)
    found = overlap_add(short, kernel_size // 2, num_samples).asnumpy()

    values = pieces.asnumpy()
    active = np.where(values > 0, values, head.slope.asnumpy() * values)
    everything = active @ head.weight.asnumpy().T + head.bias.asnumpy()  # [S, K, B, C * N]
    merged = merge(Tensor(everything.astype(np.float32)), num_frames).asnumpy()
    groups = merged.reshape(num_frames, 2, speakers, channels // kernel_size, kernel_size)
    expected = naive_overlap_add(groups.mean(-1), kernel_size // 2, num_samples)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_length_and_place_are_kept_at_hundreds_of_lengths(in_numpy):
    """Without blocks and with a decoder that undoes the encoder, the mixture itself must come out."""
    rng = np.random.default_rng(10)
    for _ in range(400):
        hop, chunk_frames = int(rng.integers(1, 9)), int(rng.integers(2, 40))
        num_samples = int(rng.integers(2 * hop, 900))
        mixture = np.abs(random(2, num_samples))
        copy = np.hstack([np.eye(hop), np.zeros((hop, hop))]).T  # its transpose copies the first half of a window
        stand_in = SimpleNamespace(hop=hop, weight=copy.T, matmul=lambda rows, weight: rows @ weight.T)
        frames = Encoder.construct(stand_in, mixture)
        merged = merge(split(frames, chunk_frames), len(frames))  # [F, B, hop]
        found = overlap_add(merged[:, :, None], hop, num_samples)[:, 0]
        assert found.shape == mixture.shape
        seen = len(frames) * hop
        np.testing.assert_array_equal(found[:, :seen], mixture[:, :seen])
        assert seen > num_samples - 2 * hop
        assert not found[:, seen:].any()


@pytest.mark.parametrize("num_samples", [1, 2, 4, 5, 7, 13, 57, 101])
def test_the_whole_network_keeps_the_length(num_samples):
    network = Swave(TINY).set_train(False)
    mixture = Tensor(random(1, num_samples))
    tracks = network(mixture).asnumpy()
    assert tracks.shape == (1, 2, num_samples)
    assert np.isfinite(tracks).all()
    np.testing.assert_array_equal(mixture.asnumpy(), random(1, num_samples))


@pytest.mark.parametrize("num_samples", [1, 3])
def test_less_than_a_kernel_is_as_if_zeros_followed(num_samples):
    network = Swave(TINY).set_train(False)
    mixture = random(2, num_samples)
    filled = np.pad(mixture, ((0, 0), (0, TINY.kernel_size - num_samples)))
    found = network(Tensor(mixture)).asnumpy()
    np.testing.assert_allclose(found, network(Tensor(filled)).asnumpy()[:, :, :num_samples], atol=1e-7)


def test_training_gives_all_blocks_and_evaluation_the_last():
    network = Swave(TINY)
    mixture = Tensor(random(2, 60))
    blocks = network.set_train(True)(mixture).asnumpy()
    assert blocks.shape == (2, 2, 2, 60)  # [B, R, C, T]
    assert np.abs(blocks[:, 0] - blocks[:, 1]).max() > 1e-4
    np.testing.assert_allclose(network.set_train(False)(mixture).asnumpy(), blocks[:, -1], atol=1e-7)


def test_graph_mode_follows_set_train_after_it_was_compiled():
    start("CPU", graph_mode=True)
    network = Swave(dataclasses.replace(TINY, num_pairs=1))
    mixture = Tensor(random(1, 60))
    for training, shape in ((True, (1, 1, 2, 60)), (False, (1, 2, 60)), (True, (1, 1, 2, 60))):
        assert network.set_train(training)(mixture).shape == shape


def test_level_normalisation_makes_the_tracks_follow_the_mixtures_level():
    network = Swave(dataclasses.replace(TINY, normalize_level=True)).set_train(False)
    mixture = random(2, 60)
    tracks = network(Tensor(mixture)).asnumpy()
    gains = np.array([1e-3, 50.0], np.float32)
    scaled = network(Tensor(mixture * gains[:, None])).asnumpy()
    np.testing.assert_allclose(scaled, tracks * gains[:, None, None], rtol=1e-3, atol=1e-6 * gains.max())


def test_without_normalisation_the_level_matters():
    network = Swave(TINY).set_train(False)
    mixture = random(1, 60)
    tracks = network(Tensor(mixture)).asnumpy()
    scaled = network(Tensor(3 * mixture)).asnumpy()
    assert np.abs(scaled - 3 * tracks).max() > 1e-3


@pytest.mark.parametrize("normalize_level", [False, True])
def test_silence_separates_into_finite_tracks(normalize_level):
    network = Swave(dataclasses.replace(TINY, normalize_level=normalize_level)).set_train(False)
    assert np.isfinite(network(Tensor(np.zeros((1, 40), np.float32))).asnumpy()).all()
