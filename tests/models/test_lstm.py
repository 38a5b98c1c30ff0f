"""The bidirectional LSTM against the textbook's equations in NumPy."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.models import lstm
from src.models.lstm import BidirectionalLSTM
from src.runtime import start
from tests.models.dynamic_rnn import DynamicRNNStandIn, sigmoid

STEPS, BATCH, INPUTS, HIDDEN = 7, 3, 5, 4
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def textbook_lstm(sequence, weights, direction):
    """[T, B, N] -> [T, B, H]; gates in the order input, forget, cell, output."""
    weight_ih, weight_hh, bias_ih, bias_hh = (weights[name][direction] for name in NAMES)
    hidden = cell = np.zeros((sequence.shape[1], weight_hh.shape[1]))
    outputs = []
    for step in sequence:
        gates = step @ weight_ih.T + hidden @ weight_hh.T + bias_ih + bias_hh
        entry, forget, candidate, out = np.split(gates, 4, axis=1)
        cell = sigmoid(forget) * cell + sigmoid(entry) * np.tanh(candidate)
        hidden = sigmoid(out) * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs)


def both_directions(sequence, weights):
    backward = textbook_lstm(sequence[::-1], weights, 1)[::-1]
    return np.concatenate([textbook_lstm(sequence, weights, 0), backward], axis=2)


def random(*shape):
    return np.random.default_rng([3, *shape]).uniform(-1, 1, shape)


def make_layer():
    layer = BidirectionalLSTM(INPUTS, HIDDEN)
    weights = {name: random(*getattr(layer, name).shape) for name in NAMES}
    set_weights(layer, weights)
    return layer, weights


def set_weights(layer, weights):
    for name in NAMES:  # `set_data` is not seen by a graph that `ops.grad` compiled earlier (MindSpore 2.10)
        ops.assign(getattr(layer, name), Tensor(weights[name], ms.float32))


@pytest.fixture(params=[False, True], ids=["pynative", "graph"])
def mode(request):
    start("CPU", graph_mode=request.param)


def test_initial_weights_and_shapes():
    layer = BidirectionalLSTM(INPUTS, HIDDEN)
    shapes = {name: getattr(layer, name).shape for name in NAMES}
    assert shapes == {"weight_ih": (2, 16, 5), "weight_hh": (2, 16, 4), "bias_ih": (2, 16), "bias_hh": (2, 16)}
    for name in NAMES:
        values = getattr(layer, name).asnumpy()
        assert 0.4 < np.abs(values).max() <= 0.5  # uniform within 1 / sqrt(H)


def test_outputs_equal_the_textbook(mode):
    layer, weights = make_layer()
    sequence = random(STEPS, BATCH, INPUTS)
    found = layer(Tensor(sequence, ms.float32)).asnumpy()
    np.testing.assert_allclose(found, both_directions(sequence, weights), atol=1e-6)


class Projected(nn.Cell):
    """The layer's output against a fixed array: a scalar."""

    def __init__(self, layer, against):
        super().__init__(auto_prefix=False)
        self.layer, self.against = layer, Tensor(against, ms.float32)

    def construct(self, sequence):
        return (self.layer(sequence) * self.against).sum()


def textbook_derivative(sequence, weights, against, direction):
    """Of the projected output, along a direction in the space of sequence and weights, by a difference."""
    small = 1e-5

    def value(sign):
        moved = {name: weights[name] + sign * small * direction[name] for name in NAMES}
        return (both_directions(sequence + sign * small * direction["sequence"], moved) * against).sum()

    return (value(1) - value(-1)) / (2 * small)


def test_gradients_equal_the_textbook_at_every_call_and_weight(mode):
    layer, weights = make_layer()
    against = random(STEPS, BATCH, 2 * HIDDEN)
    gradients = ops.grad(Projected(layer, against), 0, layer.trainable_params())
    rng = np.random.default_rng(4)
    for call in range(3):
        weights = {name: value * (1 - 0.1 * call) for name, value in weights.items()}
        set_weights(layer, weights)
        sequence = random(STEPS, BATCH, INPUTS) + 0.1 * call
        of_sequence, of_weights = gradients(Tensor(sequence, ms.float32))
        found = {"sequence": of_sequence.asnumpy(), **{n: g.asnumpy() for n, g in zip(NAMES, of_weights, strict=True)}}
        for name, gradient in found.items():
            direction = {key: np.zeros_like(value) for key, value in [("sequence", sequence), *weights.items()]}
            direction[name] = rng.standard_normal(gradient.shape)
            expected = textbook_derivative(sequence, weights, against, direction)
            assert (gradient * direction[name]).sum() == pytest.approx(expected, rel=1e-4, abs=1e-4), (call, name)


def test_what_ascend_is_given_equals_the_textbook(monkeypatch):
    start("CPU", graph_mode=False)
    monkeypatch.setattr(lstm.ms, "get_context", lambda name: {"device_target": "Ascend"}[name])
    monkeypatch.setattr(lstm.ops, "DynamicRNN", lambda forget_bias: {0.0: DynamicRNNStandIn()}[forget_bias])
    layer, weights = make_layer()
    sequence = random(STEPS, BATCH, INPUTS)
    found = layer(Tensor(sequence, ms.float32))
    assert found.dtype == ms.float32
    np.testing.assert_allclose(found.asnumpy(), both_directions(sequence, weights), atol=5e-3)  # float16
