"""Ascend's LSTM in NumPy."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn


def sigmoid(x):
    with np.errstate(over="ignore"):  # of a closed gate
        return 1 / (1 + np.exp(-x))


class DynamicRNNStandIn(nn.Cell):
    """What `ops.DynamicRNN` does, which only Ascend runs, with arguments as `nn.LSTM` of MindSpore 2.10 gives it there.

    Kernel [N + H, 4H]; gates in the order input, cell, forget, output.
    """

    def construct(self, sequence, kernel, bias, *state):
        lengths, hidden, cell = state
        assert lengths is None
        assert {value.dtype for value in (sequence, kernel, bias, hidden, cell)} == {ms.float16}
        hidden, cell = hidden[0].asnumpy().astype(float), cell[0].asnumpy().astype(float)
        outputs = []
        for step in sequence.asnumpy().astype(float):
            gates = np.concatenate([step, hidden], axis=1) @ kernel.asnumpy().astype(float) + bias.asnumpy()
            entry, candidate, forget, out = np.split(gates, 4, axis=1)
            cell = sigmoid(forget) * cell + sigmoid(entry) * np.tanh(candidate)
            hidden = sigmoid(out) * np.tanh(cell)
            outputs.append(hidden)
        return (Tensor(np.stack(outputs), ms.float16),)
