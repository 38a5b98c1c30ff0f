"""Network and loss as one Cell, which is what a gradient is taken of."""

import mindspore as ms
from mindspore import Tensor, nn


class NetworkWithLoss(nn.Cell):
    """(mixture [B, T], sources [B, C, T], true lengths [B]) -> the training loss, a scalar in dB."""

    def __init__(self, network: nn.Cell, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)  # parameters keep the network's own names
        self.network = network
        self.loss = loss

    def construct(self, mixture: Tensor, sources: Tensor, num_samples: Tensor) -> Tensor:
        """Run the network and compare every block's tracks with the sources, in float32."""
        return self.loss(self.network(mixture).astype(ms.float32), sources, num_samples)
