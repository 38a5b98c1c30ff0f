"""The exported form against the checkpoint's network on the true samples alone, at many true lengths."""

import dataclasses

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.config import ModelConfig
from src.errors import UserError
from src.models import exported_lstm
from src.models.chunks import count_chunks
from src.models.exported import MOST_SAMPLES, ExportedSwave
from src.models.exported_lstm import for_ascend, for_lite, for_onnx, weights_of
from src.models.lstm import BidirectionalLSTM
from src.models.swave import Swave
from src.runtime import start
from tests.models.dynamic_rnn import DynamicRNNStandIn

TINY = ModelConfig(num_filters=12, kernel_size=4, hidden_size=3, num_pairs=1, chunk_frames=6)
SAMPLES = 97
ROUNDING = 1e-5  # of the peak


@pytest.fixture(autouse=True)
def graph_mode():
    start("CPU")


def make_network(config, slope=0.25):
    """With weights large enough that every state matters; compiled once for all lengths."""
    network = Swave(config).set_train(False)
    rng = np.random.default_rng(11)
    for parameter in network.get_parameters():
        parameter.set_data(Tensor(rng.uniform(-0.7, 0.7, parameter.shape), ms.float32))
    network.head.slope.set_data(Tensor([slope], ms.float32))
    network.set_inputs(Tensor(shape=[None, None], dtype=ms.float32))
    return network


def frames_of(num_samples, config):
    return max(1, num_samples // config.hop_samples - 1)


def telling_lengths(config, most=SAMPLES):
    """Less than a kernel, all, and around every change of the number of chunks."""
    chunks = [count_chunks(frames_of(n, config), config.resolved_chunk_frames) for n in range(most + 1)]
    changes = [n for n in range(2, most + 1) if chunks[n] != chunks[n - 1]]
    assert changes
    near = {n + step for n in changes for step in (-1, 0, 1)}
    return sorted(n for n in near | {1, 3, 4, 5, 6, most // 2, most - 1, most} if 1 <= n <= most)


def mixtures(batch, num_samples=SAMPLES):
    return np.random.default_rng(12).standard_normal((batch, num_samples)).astype(np.float32)


def largest_difference(network, exported, batch, mixture, lengths):
    """Relative to the peak; what should be silent counts too."""
    tracks = exported(Tensor(mixture), Tensor(lengths, ms.int32)).asnumpy()
    assert tracks.shape == (batch, network.num_speakers, mixture.shape[1])
    largest = 0.0
    for row, length in enumerate(lengths):
        expected = np.zeros_like(tracks[row])
        expected[:, :length] = network(Tensor(mixture[row : row + 1, :length])).asnumpy()[0]
        largest = max(largest, np.abs(tracks[row] - expected).max() / np.abs(expected).max())
    return largest


@pytest.mark.parametrize(
    ("changes", "make_lstm"),
    [
        ({"num_pairs": 2, "chunk_frames": 7, "num_speakers": 3}, for_lite),
        ({"normalize_level": True, "num_filters": 16}, for_lite),  # frames of 4 samples, 2 apart
        ({"normalize_level": True, "chunk_frames": 2}, for_onnx),
    ],
    ids=["two pairs", "levels", "onnx"],
)
def test_true_samples_give_what_they_give_alone(changes, make_lstm):
    config = dataclasses.replace(TINY, **changes)
    network = make_network(config)
    exported = ExportedSwave(network, 2, SAMPLES, make_lstm)
    lengths = telling_lengths(config)
    for first, second in zip(lengths, reversed(lengths), strict=True):  # rows of different lengths
        difference = largest_difference(network, exported, 2, mixtures(2), [first, second])
        assert difference < ROUNDING, (first, second)


@pytest.mark.parametrize("slope", [-0.5, 3.0])  # of the head
def test_one_row_and_any_slope(slope):
    network = make_network(TINY, slope)
    exported = ExportedSwave(network, 1, SAMPLES)
    for length in (2, 40, 64, SAMPLES):
        assert largest_difference(network, exported, 1, mixtures(1), [length]) < ROUNDING


def test_samples_after_the_true_ones_do_not_matter_and_silence_is_finite():
    exported = ExportedSwave(make_network(dataclasses.replace(TINY, normalize_level=True)), 1, SAMPLES)
    silence = exported(Tensor(np.zeros((1, SAMPLES), np.float32)), Tensor([SAMPLES], ms.int32)).asnumpy()
    assert np.isfinite(silence).all()
    mixture, length = mixtures(1), Tensor([41], ms.int32)
    tracks = exported(Tensor(mixture), length).asnumpy()
    mixture[:, 41:] = 1e3
    np.testing.assert_array_equal(exported(Tensor(mixture), length).asnumpy(), tracks)


def test_the_form_for_ascend_computes_the_same_in_half_precision(monkeypatch):
    start("CPU", graph_mode=False)  # for the stand-in
    monkeypatch.setattr(exported_lstm.ops, "DynamicRNN", lambda forget_bias: {0.0: DynamicRNNStandIn()}[forget_bias])
    network = make_network(TINY)
    exported = ExportedSwave(network, 2, SAMPLES, for_ascend)
    for lengths in ([30, SAMPLES], [61, 3]):
        assert largest_difference(network, exported, 2, mixtures(2), lengths) < 1e-2


@pytest.mark.parametrize("make_lstm", [for_lite, for_onnx])
def test_a_closed_lstm_stands_still_at_zero_and_starts_after_that(make_lstm):
    network_lstm = BidirectionalLSTM(4, 3)
    lstm = make_lstm(weights_of(network_lstm, closable=True), 2)
    sequence = np.random.default_rng(13).standard_normal((9, 2, 4)).astype(np.float32)
    closed = np.zeros((9, 2, 1), np.float32)
    closed[5:, 0] = 1  # the first row has 5 steps, the second all
    found = lstm(Tensor(np.concatenate([sequence, closed], 2))).asnumpy()
    alone = network_lstm(Tensor(sequence[:5, :1])).asnumpy()
    np.testing.assert_allclose(found[:5, :1], alone, atol=1e-6)
    np.testing.assert_array_equal(found[5:, 0, 3:], 0)  # the backward direction, before it gets to a true step
    np.testing.assert_allclose(found[:, 1:], network_lstm(Tensor(sequence[:, 1:])).asnumpy(), atol=1e-6)


@pytest.mark.parametrize("num_samples", [3, MOST_SAMPLES + 1])
def test_lengths_that_have_no_frame_or_cannot_be_counted(num_samples):
    with pytest.raises(UserError, match=f"found {num_samples} samples at once, expected 4, the encoder's L, to "):
        ExportedSwave(Swave(TINY), 1, num_samples)
