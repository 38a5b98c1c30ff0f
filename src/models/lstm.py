"""A time-major bidirectional LSTM whose operator fits the device."""

import math

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import Uniform, initializer


class BidirectionalLSTM(nn.Cell):
    """One layer, both directions: [T, B, N] -> [T, B, 2H], zero initial state.

    Parameters, direction first (forward, backward), gates in the order input, forget, cell, output:
    `weight_ih` [2, 4H, N], `weight_hh` [2, 4H, H], `bias_ih` [2, 4H], `bias_hh` [2, 4H]. Two bias
    vectors, as in PyTorch and in the paper's parameter count, though only their sum matters.

    On CPU and GPU `ops.LSTM` runs both directions in one call. It has no kernel on Ascend, where
    `ops.DynamicRNN` runs each direction in float16.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        bound = 1 / math.sqrt(hidden_size)
        gates = 4 * hidden_size
        self.weight_ih = Parameter(initializer(Uniform(bound), (2, gates, input_size), ms.float32))
        self.weight_hh = Parameter(initializer(Uniform(bound), (2, gates, hidden_size), ms.float32))
        self.bias_ih = Parameter(initializer(Uniform(bound), (2, gates), ms.float32))
        self.bias_hh = Parameter(initializer(Uniform(bound), (2, gates), ms.float32))
        self.on_ascend = ms.get_context("device_target") == "Ascend"
        if self.on_ascend:
            self.one_direction = ops.DynamicRNN(forget_bias=0.0)
        else:
            self.both_directions = ops.LSTM(input_size, hidden_size, 1, True, True, 0.0)

    def construct(self, sequence: Tensor) -> Tensor:
        """Run both directions over [T, B, N] and put their outputs side by side: [T, B, 2H]."""
        if self.on_ascend:
            return self._run_on_ascend(sequence)
        state = ops.zeros((2, sequence.shape[1], self.hidden_size), sequence.dtype)
        bias = self.bias_ih + self.bias_hh
        # The order that oneDNN expects: input weights of both directions, recurrent weights, biases.
        flat = ops.cat((self.weight_ih.reshape(-1), self.weight_hh.reshape(-1), bias.reshape(-1)))
        return self.both_directions(sequence, state, state, flat.reshape(-1, 1, 1))[0]

    def _run_on_ascend(self, sequence: Tensor) -> Tensor:
        forward = self._direction(sequence, 0)
        backward = self._direction(ops.flip(sequence, (0,)), 1)
        return ops.cat((forward, ops.flip(backward, (0,))), 2)

    def _direction(self, sequence: Tensor, direction: int) -> Tensor:
        weight = ops.cat((self.weight_ih[direction], self.weight_hh[direction]), 1)  # [4H, N + H]
        kernel = self._reorder(weight).swapaxes(0, 1).astype(ms.float16)  # [N + H, 4H]
        bias = self._reorder(self.bias_ih[direction] + self.bias_hh[direction]).astype(ms.float16)
        state = ops.zeros((1, sequence.shape[1], self.hidden_size), ms.float16)
        output = self.one_direction(sequence.astype(ms.float16), kernel, bias, None, state, state)[0]
        return output.astype(sequence.dtype)

    def _reorder(self, gates: Tensor) -> Tensor:
        """DynamicRNN takes the gates in the order input, cell, forget, output."""
        entry, forget, cell, out = ops.split(gates, self.hidden_size)
        return ops.cat((entry, cell, forget, out))
