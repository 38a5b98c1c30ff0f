"""One step of training as one Cell: gradient, mean over the processes, clip by the global norm, update.

An update is skipped, on all processes alike, where loss or gradient are not finite.
"""

from mindspore import Parameter, ParameterTuple, Tensor, nn, ops


def global_norm(gradients: tuple[Tensor, ...]) -> Tensor:
    """The square root of the sum of the squares of all elements of all gradients."""
    return ops.sqrt(ops.addn(ops.HyperMap()(_sum_of_squares, gradients)))


def _sum_of_squares(values: Tensor) -> Tensor:
    return ops.square(values).sum()


def _in_a_row(values: Tensor) -> Tensor:
    return values.reshape(-1)


def _in_shape(values: Tensor, shaped: Tensor) -> Tensor:
    return values.reshape(shaped.shape)


def _times(factor: Tensor, values: Tensor) -> Tensor:
    return values * factor


def _follow(kept: Tensor, average: Parameter, weight: Parameter) -> bool:
    ops.assign(average, kept * average + (1 - kept) * weight)
    return True


def _add_to(total: Parameter, values: Tensor) -> bool:
    ops.assign_add(total, values)
    return True


def _clear(total: Parameter) -> bool:
    ops.assign(total, ops.zeros_like(total))
    return True


class ScaledLoss(nn.Cell):
    """The loss times a scale, which is what the gradient is taken of."""

    def __init__(self, network_with_loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network_with_loss = network_with_loss

    def construct(self, mixture: Tensor, sources: Tensor, num_samples: Tensor, scale: Tensor) -> Tensor:
        """As the network with its loss, and the scale, a scalar."""
        return self.network_with_loss(mixture, sources, num_samples) * scale


class MeanOverProcesses(nn.Cell):
    """(loss, gradients) -> their means over all processes, by one all-reduce of everything in a row.

    One large all-reduce instead of one for each of some fifty gradients: on CPUs it takes about half the time.
    """

    def __init__(self, parameters: ParameterTuple, num_processes: int) -> None:
        super().__init__(auto_prefix=False)
        self.num_processes = num_processes
        self.sizes = [1, *(parameter.size for parameter in parameters)]
        self.all_reduce = ops.AllReduce()
        self.map = ops.HyperMap()

    def construct(self, loss: Tensor, gradients: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Every process gets the same numbers."""
        rows = (loss.reshape(1),) + self.map(_in_a_row, gradients)
        mean = ops.split(self.all_reduce(ops.cat(rows)) / self.num_processes, self.sizes)
        return mean[0][0], self.map(_in_shape, mean[1:], gradients)


class Update(nn.Cell):
    """(loss, gradients, divisor, controls) -> (loss, norm of the gradient before clipping), both of all processes.

    The gradients are averaged over the processes and divided by `divisor`. If loss and norm are finite, they are
    scaled so that their global norm is at most `clip_norm` (Pascanu, Mikolov, Bengio 2013, arXiv 1211.5063,
    section 3.2), the optimizer updates the weights, and the averages follow them. If not, nothing changes. Every
    process sees the same loss and norm, so all of them decide alike.

    Args:
        optimizer: one of src/optimizer.py.
        clip_norm: largest global norm.
        averages: moving averages of the optimizer's parameters, in their order; None: none are kept.
        num_processes: with more than one, MindSpore's communication must have been started.
    """

    def __init__(
        self, optimizer: nn.Cell, clip_norm: float, averages: ParameterTuple | None = None, num_processes: int = 1
    ) -> None:
        super().__init__(auto_prefix=False)  # or the network's parameters would change their names
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.averages = averages
        self.map = ops.HyperMap()  # loops over some hundred parameters compile many times slower
        self.num_processes = num_processes
        if num_processes > 1:
            self.mean = MeanOverProcesses(optimizer.parameters, num_processes)

    def construct(
        self, loss: Tensor, gradients: tuple[Tensor, ...], divisor: Tensor, controls: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Controls [3]: learning rate, part of the averages that is kept, and the scale, used elsewhere."""
        if self.num_processes > 1:
            loss, gradients = self.mean(loss, gradients)
        loss = loss / divisor
        norm = global_norm(gradients) / divisor
        if ops.isfinite(loss + norm):
            scale = self.clip_norm / (divisor * ops.maximum(norm, Tensor(self.clip_norm)))
            self.optimizer(self.map(ops.partial(_times, scale), gradients), controls[0])
            if self.averages is not None:
                self.map(ops.partial(_follow, controls[1]), self.averages, self.optimizer.parameters)
        return loss, norm


class TrainOneStepCell(nn.Cell):
    """(mixture, sources, true lengths, controls) -> (loss in dB, norm of the gradient before clipping), scalars.

    The loss is multiplied by the scale in `controls` before the gradient is taken, and both are divided by it
    afterwards, which keeps small gradients alive in float16.
    """

    def __init__(self, network_with_loss: nn.Cell, update: Update) -> None:
        super().__init__(auto_prefix=False)
        self.network_with_loss = network_with_loss  # a child, so that set_train reaches the network
        self.update = update
        self.loss_and_gradients = ops.value_and_grad(ScaledLoss(network_with_loss), None, update.optimizer.parameters)

    def construct(
        self, mixture: Tensor, sources: Tensor, num_samples: Tensor, controls: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take one step on a batch; controls [3] as in `Update`."""
        scale = controls[2]
        loss, gradients = self.loss_and_gradients(mixture, sources, num_samples, scale)
        return self.update(loss, gradients, scale, controls)


class GradientSum(nn.Cell):
    """(mixture, sources, true lengths, controls) -> the batch's loss in dB; its gradient is added to `sums`."""

    def __init__(self, network_with_loss: nn.Cell, parameters: ParameterTuple, sums: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.network_with_loss = network_with_loss
        self.sums = sums
        self.map = ops.HyperMap()
        self.loss_and_gradients = ops.value_and_grad(ScaledLoss(network_with_loss), None, parameters)

    def construct(self, mixture: Tensor, sources: Tensor, num_samples: Tensor, controls: Tensor) -> Tensor:
        """Add one batch; controls [3] as in `Update`."""
        loss, gradients = self.loss_and_gradients(mixture, sources, num_samples, controls[2])
        self.map(_add_to, self.sums, gradients)
        return loss


class UpdateFromSums(nn.Cell):
    """(sum of the scaled losses, number of batches, controls) -> as `TrainOneStepCell`; the sums begin anew."""

    def __init__(self, update: Update, sums: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.update = update
        self.sums = sums
        self.map = ops.HyperMap()

    def construct(self, loss_sum: Tensor, count: Tensor, controls: Tensor) -> tuple[Tensor, Tensor]:
        """Update with the mean gradient of `count` batches."""
        gradients = self.map(ops.partial(_times, Tensor(1.0)), self.sums)  # a copy: the sums are cleared below
        loss, norm = self.update(loss_sum, gradients, count * controls[2], controls)
        self.map(_clear, self.sums)
        return loss, norm
