"""The optimizers of a run: Adam, AdamW, or Muon for the matrices of the gated blocks with Adam for everything else.

Each is a Cell that is called with the gradients of its `parameters`, in their order, and the learning rate.
"""

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

    def construct(self, gradients: tuple[Tensor, ...], rate: Tensor) -> bool:
        """Take one step."""
        beta1_power, beta2_power = self.beta1_power * BETA1, self.beta2_power * BETA2
        ops.assign(self.beta1_power, beta1_power)
        ops.assign(self.beta2_power, beta2_power)
        for i in range(len(self.decays)):
            parameter = self.parameters[i]
            if self.decays[i] > 0:
                ops.assign(parameter, parameter * (1 - rate * self.decays[i]))
            moments = (self.first_moments[i], self.second_moments[i])
            constants = (beta1_power, beta2_power, rate, BETA1, BETA2, EPSILON)
            self.update(parameter, *moments, *constants, gradients[i])
        return True


class Muon(nn.Cell):
    """Nesterov momentum whose update is orthogonalized, matrix by matrix (Jordan et al. 2024).

    The update is scaled by 0.2 sqrt(max(rows, columns)), so that learning rates for Adam fit (Liu et al. 2025,
    arXiv 2502.16982, section 2.2). A weight with a leading axis for directions is an LSTM's: each direction
    and gate is a matrix of its own.
    """

    def __init__(self, parameters: list[Parameter], weight_decay: float = 0.0) -> None:
        super().__init__(auto_prefix=False)
        self.parameters = ParameterTuple(parameters)
        self.moments = self.parameters.clone("muon", init="zeros")
        self.weight_decay = weight_decay
        shapes = [_matrices(parameter) for parameter in parameters]
        self.shapes = tuple(shapes)
        sizes = sorted({shape[1:] for shape in shapes})
        # Matrices of one size are orthogonalized together: many small products are slow.
        self.groups = tuple(tuple(i for i, shape in enumerate(shapes) if shape[1:] == size) for size in sizes)

    def construct(self, gradients: tuple[Tensor, ...], rate: Tensor) -> bool:
        """Take one step."""
        directions: tuple[Tensor, ...] = ()
        for i in range(len(self.shapes)):
            moment = MOMENTUM * self.moments[i] + (1 - MOMENTUM) * gradients[i]
            ops.assign(self.moments[i], moment)
            ahead = MOMENTUM * moment + (1 - MOMENTUM) * gradients[i]
            directions = directions + (ahead.reshape(self.shapes[i]),)
        for group in self.groups:
            self._update(group, directions, rate)
        return True

    def _update(self, group: tuple[int, ...], directions: tuple[Tensor, ...], rate: Tensor) -> None:
        stack: tuple[Tensor, ...] = ()
        for i in group:
            stack = stack + (directions[i],)
        size = self.shapes[group[0]]
        step = rate * (UPDATE_RMS * max(size[1], size[2]) ** 0.5) * orthogonalize(ops.cat(stack))
        start = 0
        for i in group:
            parameter = self.parameters[i]
            kept = parameter if self.weight_decay == 0 else parameter * (1 - rate * self.weight_decay)
            end = start + self.shapes[i][0]
            ops.assign(parameter, kept - step[start:end].reshape(parameter.shape))
            start = end


class MuonAndAdam(nn.Cell):
    """Muon for the matrices of the gated blocks; Adam for vectors, the encoder and the head."""

    def __init__(self, parameters: list[Parameter], weight_decay: float = 0.0) -> None:
        super().__init__(auto_prefix=False)
        matrices = [parameter for parameter in parameters if _is_block_matrix(parameter)]
        others = [parameter for parameter in parameters if not _is_block_matrix(parameter)]
        self.count = len(matrices)
        self.parameters = ParameterTuple(matrices + others)
        self.muon = Muon(matrices, weight_decay)
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
