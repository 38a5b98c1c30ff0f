"""Updates of a network: what training and the dry run share. Builds the cells of src/trainonestep.py from a
configuration, with gradient accumulation, moving averages, precision and recomputation as it asks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn

from src.checkpoint import AVERAGE
from src.config import Config
from src.data.data import Batch
from src.generatorloss import GeneratorLoss, paper_block_weights
from src.models.swave import Swave
from src.network_define import NetworkWithLoss
from src.optimizer import make_optimizer
from src.trainonestep import GradientSum, TrainOneStepCell, Update, UpdateFromSums


class StepResult(NamedTuple):
    """Of one update."""

    loss_db: float
    gradient_norm: float  # before clipping


class Stepper:
    """The network, its optimizer, and one update after the other.

    Load values into `state` before the first update: only then is the graph compiled.

    Raises `UserError` for a precision that the device does not have.
    """

    def __init__(self, config: Config, num_processes: int = 1) -> None:
        settings = config.training
        self.config = config
        self.num_processes = num_processes
        self.network = Swave(config.model)
        self.optimizer = make_optimizer(settings.optimizer, self.network, settings.weight_decay)
        self.averaged = _averaged_copy(self.network, config) if settings.average_decay else None
        for network in (self.network, self.averaged):
            if network is not None:
                network.compute_in(settings.amp)
        if settings.recompute:
            self.network.recompute_blocks()
        self._cells: tuple[nn.Cell, nn.Cell | None] | None = None

    @property
    def weights(self) -> list[Parameter]:
        """The network's own, and their averages where there are any: what a checkpoint for use needs."""
        averages = self.averaged.get_parameters() if self.averaged else ()
        return [*self.network.get_parameters(), *averages]

    @property
    def state(self) -> list[Parameter]:
        """Everything that the next update depends on: weights, averages, the optimizer's moments and powers."""
        weights = self.weights
        names = {weight.name for weight in weights}
        return weights + [p for p in self.optimizer.get_parameters() if p.name not in names]

    def set_averages(self) -> None:
        """Let the averages begin with the network's values, after those were chosen."""
        if self.averaged:
            for average, weight in zip(self.averaged.get_parameters(), self.network.get_parameters(), strict=True):
                average.set_data(Tensor(weight.asnumpy()))

    def begin_training(self) -> None:
        """Let the network give every block's output again, after a validation."""
        self.network.set_train(True)

    def take(self, batches: Sequence[Batch], rate: float, kept: float, scale: float) -> StepResult:
        """Make one update from `accumulation` batches.

        Args:
            batches: as many as the configuration's `accumulation`.
            rate: learning rate.
            kept: part of the averages that is kept.
            scale: of the loss while its gradient is taken.
        """
        step, update = self._cells = self._cells or self._make_cells()
        controls = Tensor(np.array([rate, kept, scale], np.float32))
        if update is None:
            loss, norm = step(*map(Tensor, batches[0]), controls)
        else:
            loss_sum = sum(step(*map(Tensor, batch), controls) for batch in batches)
            loss, norm = update(loss_sum, Tensor(float(len(batches)), ms.float32), controls)
        return StepResult(float(loss.asnumpy()), float(norm.asnumpy()))

    def _make_cells(self) -> tuple[nn.Cell, nn.Cell | None]:
        settings, model = self.config.training, self.config.model
        loss = GeneratorLoss(model.num_speakers, settings.block_weights or paper_block_weights(model.num_pairs))
        with_loss = NetworkWithLoss(self.network, loss)
        update = Update(self.optimizer, settings.clip_norm, self._averages(), self.num_processes)
        if settings.accumulation == 1:
            return TrainOneStepCell(with_loss, update).set_train(), None
        sums = self.optimizer.parameters.clone("sum", init="zeros")
        gradient_sum = GradientSum(with_loss, self.optimizer.parameters, sums)
        return gradient_sum.set_train(), UpdateFromSums(update, sums)

    def _averages(self) -> ParameterTuple | None:
        """In the order of the optimizer's parameters."""
        if self.averaged is None:
            return None
        by_name = {average.name: average for average in self.averaged.get_parameters()}
        return ParameterTuple([by_name[AVERAGE + parameter.name] for parameter in self.optimizer.parameters])


def _averaged_copy(network: Swave, config: Config) -> Swave:
    averaged = Swave(config.model)
    for average, weight in zip(averaged.get_parameters(), network.get_parameters(), strict=True):
        average.name = AVERAGE + weight.name
        average.requires_grad = False
    return averaged
