"""The optimizers of a run: Adam, or Muon for the matrices of the gated blocks with Adam for everything else."""

from collections.abc import Sequence

from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

GATES = 4  # matrices that lie one upon the other in an LSTM's weight
MOMENTUM = 0.95
UPDATE_RMS = 0.2  # of a matrix's elements at learning rate 1, about what Adam's updates have
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of x, x³ and x⁵
NEWTON_SCHULZ_STEPS = 5
SMALLEST_NORM = 1e-12  # keeps a gradient of zeros from being divided by zero


def make_optimizer(name: str, network: nn.Cell, rates: Sequence[float]) -> nn.Cell:
    """The optimizer called `name` ("adam" or "muon") for a network, with one learning rate a step.

    It is called with the gradients of its `parameters`, in their order.
    """
    parameters = list(network.trainable_params())
    if name == "adam":
        return nn.Adam(parameters, list(rates))
    return MuonAndAdam(parameters, list(rates))


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


class Muon(nn.Optimizer):
    """Nesterov momentum whose update is orthogonalized, matrix by matrix (Jordan et al. 2024).

    The update is scaled by 0.2 sqrt(max(rows, columns)), so that learning rates for Adam fit (Liu et al. 2025,
    arXiv 2502.16982, section 2.2). A weight with a leading axis for directions is an LSTM's: each direction
    and gate is a matrix of its own.
    """

    def __init__(self, parameters: list[Parameter], rates: list[float]) -> None:
        super().__init__(rates, parameters)
        self.moments = self._parameters.clone("muon", init="zeros")
        for own in (self.global_step, self.learning_rate.learning_rate):
            own.name = f"muon.{own.name}"  # Adam has the same names
        shapes = [_matrices(parameter) for parameter in parameters]
        self.shapes = tuple(shapes)
        sizes = sorted({shape[1:] for shape in shapes})
        # Matrices of one size are orthogonalized together: many small products are slow.
        self.groups = tuple(tuple(i for i, shape in enumerate(shapes) if shape[1:] == size) for size in sizes)

    def construct(self, gradients: tuple[Tensor, ...]) -> bool:
        """Take one step."""
        rate = self.get_lr()
        self.assignadd(self.global_step, self.global_step_increase_tensor)
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
            parameter = self._parameters[i]
            end = start + self.shapes[i][0]
            ops.assign(parameter, parameter - step[start:end].reshape(parameter.shape))
            start = end


class MuonAndAdam(nn.Cell):
    """Muon for the matrices of the gated blocks; Adam for vectors, the encoder and the head."""

    def __init__(self, parameters: list[Parameter], rates: list[float]) -> None:
        super().__init__(auto_prefix=False)  # or the network's parameters would change their names
        matrices = [parameter for parameter in parameters if _is_block_matrix(parameter)]
        others = [parameter for parameter in parameters if not _is_block_matrix(parameter)]
        self.count = len(matrices)
        self.parameters = ParameterTuple(matrices + others)
        self.muon = Muon(matrices, rates)
        self.adam = nn.Adam(others, rates)

    def construct(self, gradients: tuple[Tensor, ...]) -> bool:
        """Take one step."""
        self.muon(gradients[: self.count])
        self.adam(gradients[self.count :])
        return True


def _is_block_matrix(parameter: Parameter) -> bool:
    path = parameter.name.split(".")  # across.0.gate_lstm.weight_hh
    return path[0] in ("along", "across") and path[-1].startswith("weight")


def _matrices(parameter: Parameter) -> tuple[int, int, int]:
    """How many matrices a weight is, and their rows and columns."""
    if parameter.ndim == 2:
        return 1, parameter.shape[0], parameter.shape[1]
    directions, rows, columns = parameter.shape
    return directions * GATES, rows // GATES, columns
