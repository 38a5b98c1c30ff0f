"""The product's network on the cases, as plain NumPy results."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.generatorloss import GeneratorLoss, paper_block_weights
from src.models.swave import Swave
from tests.twin import cases
from tests.twin.cases import Arrays, Case


class Gradients(nn.Cell):
    """(mixture, sources, true lengths) -> ((loss, tracks), gradients of all parameters)."""

    def __init__(self, network: nn.Cell, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = loss
        self.value_and_gradients = ops.value_and_grad(
            self.loss_and_tracks, None, network.trainable_params(), has_aux=True
        )

    def loss_and_tracks(self, mixture, sources, num_samples):
        tracks = self.network(mixture)
        return self.loss(tracks, sources, num_samples), tracks

    def construct(self, mixture, sources, num_samples):
        return self.value_and_gradients(mixture, sources, num_samples)


def make_network(case: Case) -> Swave:
    """The case's network with the case's weights, in training state."""
    network = Swave(case.model)
    set_weights(network, cases.weights({p.name: p.shape for p in network.trainable_params()}))
    return network.set_train()


def make_loss(case: Case) -> GeneratorLoss:
    """The paper's loss."""
    return GeneratorLoss(case.model.num_speakers, paper_block_weights(case.model.num_pairs))


def tensors(case: Case) -> tuple[Tensor, ...]:
    """The case's batch."""
    return tuple(Tensor(array) for array in cases.batch(case))


def set_weights(network: nn.Cell, values: Arrays) -> None:
    for parameter in network.trainable_params():
        parameter.set_data(Tensor(values[parameter.name], ms.float32))


def get_weights(network: nn.Cell) -> Arrays:
    return {parameter.name: parameter.asnumpy().copy() for parameter in network.trainable_params()}


def forward_and_gradient(gradients: Gradients, batch: tuple[Tensor, ...]) -> Arrays:
    """`loss`, `tracks` [B, R, C, T] and `gradient.<parameter>`."""
    (loss, tracks), values = gradients(*batch)
    names = [parameter.name for parameter in gradients.network.trainable_params()]
    found = {"loss": loss.asnumpy(), "tracks": tracks.asnumpy()}
    return {**found, **{f"gradient.{n}": v.asnumpy() for n, v in zip(names, values, strict=True)}}
