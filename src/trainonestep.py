"""One step of training as one Cell: gradient, clip by the global norm, update."""

from mindspore import Tensor, nn, ops


def global_norm(gradients: tuple[Tensor, ...]) -> Tensor:
    """The square root of the sum of the squares of all elements of all gradients."""
    total = ops.square(gradients[0]).sum()
    for gradient in gradients[1:]:
        total = total + ops.square(gradient).sum()
    return ops.sqrt(total)


class TrainOneStepCell(nn.Cell):
    """(mixture, sources, true lengths) -> (loss, norm of the gradient before clipping), both scalars.

    The gradient is scaled so that its global norm is at most `clip_norm` (Pascanu, Mikolov, Bengio 2013,
    arXiv 1211.5063, section 3.2), then the optimizer updates the weights.
    """

    def __init__(self, network_with_loss: nn.Cell, optimizer: nn.Cell, clip_norm: float) -> None:
        super().__init__(auto_prefix=False)
        self.network_with_loss = network_with_loss  # a child, so that set_train reaches the network
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.loss_and_gradients = ops.value_and_grad(network_with_loss, None, optimizer.parameters)

    def construct(self, mixture: Tensor, sources: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step on a batch."""
        loss, gradients = self.loss_and_gradients(mixture, sources, num_samples)
        norm = global_norm(gradients)
        scale = self.clip_norm / ops.maximum(norm, Tensor(self.clip_norm))
        self.optimizer(tuple(gradient * scale for gradient in gradients))
        return loss, norm
