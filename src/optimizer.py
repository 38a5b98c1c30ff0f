"""The optimizers of a run: Adam, AdamW, or Muon for the matrices of the gated blocks with Adam for everything else.

Each is a Cell that is called with the gradients of its `parameters`, in their order, and the learning rate.
"""

from itertools import groupby
from typing import Any

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's, as its paper has them
GATES = 4  # matrices that lie one upon the other in an LSTM's weight
MOMENTUM = 0.95
UPDATE_RMS = 0.2  # of a matrix's elements at learning rate 1, about what Adam's updates have
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of x, x³ and x⁵
NEWTON_SCHULZ_STEPS = 5
SMALLEST_NORM = 1e-12  # keeps a gradient of zeros from being divided by zero


def make_optimizer(name: str, network: nn.Cell, weight_decay: float = 0.0) -> nn.Cell:
    """The optimizer called `name` ("adam", "adamw" or "muon") for a network.

    Weight decay is decoupled (Loshchilov & Hutter 2019, arXiv 1711.05101): before an update each weight with two
    axes or more is multiplied by 1 - rate * weight_decay; biases and the slope of the PReLU are left alone.
    """
    parameters = list(network.trainable_params())
    if name == "muon":
        return MuonAndAdam(parameters, weight_decay)
    return Adam(parameters, weight_decay)


def orthogonalize(matrices: Tensor) -> Tensor:
    """Bring all singular values of [G, rows, columns] near one, and keep the singular vectors.

    Newton-Schulz iteration of fifth order. With its coefficients the values end between 0.7 and 1.2, which is
    good enough and quick (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).
    """
    a, b, c = NEWTON_SCHULZ
    upright = matrices.shape[1] > matrices.shape[2]
    x = matrices.swapaxes(1, 2) if upright else matrices
    x = x / (ops.sqrt(ops.square(x).sum((1, 2), keepdims=True)) + SMALLEST_NORM)
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = ops.bmm(x, x.swapaxes(1, 2))
        x = a * x + ops.bmm(b * square + c * ops.bmm(square, square), x)
    return x.swapaxes(1, 2) if upright else x


_adam_step = ops.MultitypeFuncGraph("adam_step")


@_adam_step.register("Function", "Tensor", "Tensor", "Tensor", "Number", "Tensor", "Tensor", "Tensor", "Tensor")
def _decay_and_update(  # noqa: PLR0917 (a map's function has no names)
    update: Any,
    beta1_power: Tensor,
    beta2_power: Tensor,
    rate: Tensor,
    decay: float,
    parameter: Parameter,
    first: Parameter,
    second: Parameter,
    gradient: Tensor,
) -> bool:
    if decay > 0:
        ops.assign(parameter, parameter * (1 - rate * decay))
    update(parameter, first, second, beta1_power, beta2_power, rate, BETA1, BETA2, EPSILON, gradient)
    return True


class Adam(nn.Cell):
    """Adam (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1) by MindSpore's fused operator; AdamW with weight decay.

    The operator adds epsilon before the bias correction of the second moment, the paper after it.
    """

    def __init__(self, parameters: list[Parameter], weight_decay: float = 0.0) -> None:
        super().__init__(auto_prefix=False)  # or the network's parameters would change their names
        self.parameters = ParameterTuple(parameters)
        self.first_moments = self.parameters.clone("adam.first", init="zeros")
        self.second_moments = self.parameters.clone("adam.second", init="zeros")
        self.beta1_power = Parameter(Tensor(1.0, ms.float32), name="adam.beta1_power", requires_grad=False)
        self.beta2_power = Parameter(Tensor(1.0, ms.float32), name="adam.beta2_power", requires_grad=False)
        self.decays = _decays(parameters, weight_decay)
        self.update = ops.Adam()
        self.map = ops.HyperMap()  # a loop over some hundred parameters compiles many times slower

    def construct(self, gradients: tuple[Tensor, ...], rate: Tensor) -> bool:
        """Take one step."""
        beta1_power, beta2_power = self.beta1_power * BETA1, self.beta2_power * BETA2
        ops.assign(self.beta1_power, beta1_power)
        ops.assign(self.beta2_power, beta2_power)
        step = ops.partial(_adam_step, self.update, beta1_power, beta2_power, rate)
        moments = (self.first_moments, self.second_moments)
        self.map(step, self.decays, self.parameters, *moments, gradients)
        return True


class Muon(nn.Cell):
    """Nesterov momentum whose update is orthogonalized, matrix by matrix (Jordan et al. 2024).

    The update is scaled by 0.2 sqrt(max(rows, columns)), so that learning rates for Adam fit (Liu et al. 2025,
    arXiv 2502.16982, section 2.2). A weight with a leading axis for directions is an LSTM's: each direction
    and gate is a matrix of its own.
    """

    def __init__(self, parameters: list[Parameter], weight_decay: float = 0.0) -> None:
        super().__init__(auto_prefix=False)
        # By size: matrices of one size are orthogonalized together, because many small products are slow.
        self.parameters = ParameterTuple(sorted(parameters, key=lambda parameter: _matrices(parameter)[1:]))
        self.moments = self.parameters.clone("muon", init="zeros")
        self.weight_decay = weight_decay
        self.groups = _groups([_matrices(parameter) for parameter in self.parameters])
        self.map = ops.HyperMap()

    def construct(self, gradients: tuple[Tensor, ...], rate: Tensor) -> bool:
        """Take one step."""
        directions = self.map(_muon_direction, self.moments, gradients)
        for first, end, rows, columns, counts in self.groups:
            stack = ops.cat(self.map(ops.partial(_as_matrices, rows, columns), directions[first:end]))
            step = rate * (UPDATE_RMS * max(rows, columns) ** 0.5) * orthogonalize(stack)
            pieces = ops.split(step, counts)
            kept = 1 - rate * self.weight_decay
            self.map(ops.partial(_subtract, kept), self.parameters[first:end], pieces)
        return True


def _groups(shapes: list[tuple[int, int, int]]) -> tuple[tuple[int, int, int, int, list[int]], ...]:
    """Of weights in the order of their matrices' sizes: first, end, rows, columns, and matrices of each weight."""
    groups = []
    first = 0
    for size, members in groupby(shapes, key=lambda shape: shape[1:]):
        counts = [shape[0] for shape in members]
        groups.append((first, first + len(counts), *size, counts))
        first += len(counts)
    return tuple(groups)


def _muon_direction(moment: Parameter, gradient: Tensor) -> Tensor:
    now = MOMENTUM * moment + (1 - MOMENTUM) * gradient
    ops.assign(moment, now)
    return MOMENTUM * now + (1 - MOMENTUM) * gradient


def _as_matrices(rows: int, columns: int, weight: Tensor) -> Tensor:
    return weight.reshape(-1, rows, columns)


def _subtract(kept: Tensor, parameter: Parameter, step: Tensor) -> bool:
    ops.assign(parameter, parameter * kept - step.reshape(parameter.shape))
    return True


class MuonAndAdam(nn.Cell):
    """Muon for the matrices of the gated blocks; Adam for vectors, the encoder and the head."""

    def __init__(self, parameters: list[Parameter], weight_decay: float = 0.0) -> None:
        super().__init__(auto_prefix=False)
        matrices = [parameter for parameter in parameters if _is_block_matrix(parameter)]
        others = [parameter for parameter in parameters if not _is_block_matrix(parameter)]
        self.count = len(matrices)
        self.muon = Muon(matrices, weight_decay)
        self.parameters = ParameterTuple([*self.muon.parameters, *others])
        self.adam = Adam(others, weight_decay)

    def construct(self, gradients: tuple[Tensor, ...], rate: Tensor) -> bool:
        """Take one step."""
        self.muon(gradients[: self.count], rate)
        self.adam(gradients[self.count :], rate)
        return True


def _decays(parameters: list[Parameter], weight_decay: float) -> tuple[float, ...]:
    return tuple(
        weight_decay if parameter.ndim >= 2 and "bias" not in parameter.name else 0.0 for parameter in parameters
    )


def _is_block_matrix(parameter: Parameter) -> bool:
    path = parameter.name.split(".")  # across.0.gate_lstm.weight_hh
    return path[0] in ("along", "across") and path[-1].startswith("weight")


def _matrices(parameter: Parameter) -> tuple[int, int, int]:
    """How many matrices a weight is, and their rows and columns."""
    if parameter.ndim == 2:
        return 1, parameter.shape[0], parameter.shape[1]
    directions, rows, columns = parameter.shape
    return directions * GATES, rows // GATES, columns
