"""Bidirectional LSTMs for export: weights folded beforehand, in the three forms that the readers of a file accept.

`for_lite` one `ops.LSTM` for both directions: MindSpore on a CPU, and MindSpore Lite.
`for_onnx` one for each direction, because MindSpore cannot write a bidirectional one to ONNX.
`for_ascend` `ops.DynamicRNN` in float16, one for each direction, which no CPU can run.

Each takes [T, B, N] to [T, B, 2H], zero initial state, gates of the weights in the order input, forget, cell, output.
One that is closable takes [T, B, N + 1]: where the last channel is 1, both of its gates that let something into the
state or keep it there are closed, so its state and output are zero.
"""

from collections.abc import Callable
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from numpy.typing import ArrayLike, NDArray

from src.models.lstm import BidirectionalLSTM

Floats = NDArray[np.float32]

CLOSED = -1e4  # added to a gate before its sigmoid, which is then zero, in float16 too


class Weights(NamedTuple):
    """Of both directions, forward first."""

    inputs: Floats  # [2, 4H, N], or N + 1
    recurrent: Floats  # [2, 4H, H]
    bias: Floats  # [2, 4H]


MakeLSTM = Callable[[Weights, int], nn.Cell]  # weights and B


def weights_of(lstm: BidirectionalLSTM, closable: bool) -> Weights:
    """Weights of a network's LSTM, its two biases summed, for one input channel more if it is to be closable."""
    inputs: Floats = lstm.weight_ih.asnumpy()
    if closable:
        column = np.zeros((*inputs.shape[:2], 1), np.float32)
        column[:, : 2 * lstm.hidden_size] = CLOSED  # input and forget gate
        inputs = np.concatenate([inputs, column], axis=2)
    return Weights(inputs, lstm.weight_hh.asnumpy(), lstm.bias_ih.asnumpy() + lstm.bias_hh.asnumpy())


def constant(values: ArrayLike, dtype: type = np.float32) -> Parameter:
    """A weight that stays as it is."""
    return Parameter(Tensor(np.ascontiguousarray(values, dtype)), requires_grad=False)


class BothDirections(nn.Cell):
    """The form for MindSpore on a CPU and for MindSpore Lite."""

    def __init__(self, weights: Weights, batch: int) -> None:
        super().__init__()
        hidden, inputs = weights.recurrent.shape[2], weights.inputs.shape[2]
        self.weight = constant(np.concatenate([part.ravel() for part in weights]).reshape(-1, 1, 1))
        self.state = Tensor(np.zeros((2, batch, hidden), np.float32))
        self.lstm = ops.LSTM(inputs, hidden, 1, True, True, 0.0)

    def construct(self, sequence: Tensor) -> Tensor:
        """[T, B, N] -> [T, B, 2H]."""
        return self.lstm(sequence, self.state, self.state, self.weight)[0]


class OneWayLSTM(nn.Cell):
    """The forward direction: [T, B, N] -> [T, B, H]."""

    def __init__(self, weights: list[Floats], batch: int) -> None:
        super().__init__()
        (_, inputs), (_, hidden), _ = (part.shape for part in weights)
        self.weight = constant(np.concatenate([part.ravel() for part in weights]).reshape(-1, 1, 1))
        self.state = Tensor(np.zeros((1, batch, hidden), np.float32))
        self.lstm = ops.LSTM(inputs, hidden, 1, True, False, 0.0)

    def construct(self, sequence: Tensor) -> Tensor:
        """Run over [T, B, N]."""
        return self.lstm(sequence, self.state, self.state, self.weight)[0]


class OneWayDynamicRNN(nn.Cell):
    """The forward direction on Ascend: [T, B, N] float32 -> [T, B, H] float32, in float16 inside."""

    def __init__(self, weights: list[Floats], batch: int) -> None:
        super().__init__()
        inputs, recurrent, bias = (_reordered(part) for part in weights)
        self.kernel = constant(np.concatenate([inputs, recurrent], axis=1).T, np.float16)  # [N + H, 4H]
        self.bias = constant(bias, np.float16)
        self.state = Tensor(np.zeros((1, batch, recurrent.shape[1]), np.float16))
        self.lstm = ops.DynamicRNN(forget_bias=0.0)

    def construct(self, sequence: Tensor) -> Tensor:
        """Run over [T, B, N]."""
        half = sequence.astype(ms.float16)
        return self.lstm(half, self.kernel, self.bias, None, self.state, self.state)[0].astype(ms.float32)


def _reordered(gates: Floats) -> Floats:
    """DynamicRNN takes the gates in the order input, cell, forget, output."""
    entry, forget, cell, output = np.split(gates, 4)
    return np.concatenate([entry, cell, forget, output])


class TwoWays(nn.Cell):
    """A cell for each direction; the backward one sees its sequence reversed."""

    def __init__(self, forward: nn.Cell, backward: nn.Cell) -> None:
        super().__init__()
        self.one, self.other = forward, backward
        self.reverse = ops.ReverseV2(axis=[0])

    def construct(self, sequence: Tensor) -> Tensor:
        """[T, B, N] -> [T, B, 2H]."""
        return ops.cat((self.one(sequence), self.reverse(self.other(self.reverse(sequence)))), 2)


def for_lite(weights: Weights, batch: int) -> nn.Cell:
    """See the head of this file."""
    return BothDirections(weights, batch)


def for_onnx(weights: Weights, batch: int) -> nn.Cell:
    """See the head of this file."""
    return TwoWays(*(OneWayLSTM([part[way] for part in weights], batch) for way in (0, 1)))


def for_ascend(weights: Weights, batch: int) -> nn.Cell:
    """See the head of this file."""
    return TwoWays(*(OneWayDynamicRNN([part[way] for part in weights], batch) for way in (0, 1)))
