"""The score of a network during training: SI-SNR improvement on one piece of every validation mixture."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from src.config import Config
from src.data.data import Batch, validation_batches
from src.data.records import RecordFile
from src.errors import UserError
from src.health import watched
from src.metrics import best_permutation, si_snr
from src.ranks import Ranks
from src.runtime import interrupts_held_back

BATCH = 8  # pieces


class Separation(nn.Cell):
    """The network as a graph of its own for validation, beside the graph of the training step."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, mixture: Tensor) -> Tensor:
        """[B, T] -> [B, C, T]."""
        return self.network(mixture)


class Validation:
    """The validation set, shared out among the processes.

    Raises `UserError` for data that does not fit the configuration.
    """

    def __init__(self, config: Config, ranks: Ranks) -> None:
        self.config = config
        self.ranks = ranks
        self.digest = RecordFile(config.data.valid).index.digest
        self._pieces()  # complains now, and not after the first epoch

    def score(self, separation: nn.Cell) -> float:
        """Mean SI-SNR improvement in dB over one piece of every validation mixture, the same for every process.

        A source that is silent in its piece has no score and is left out. Raises `UserError` if none has one.
        """
        separation.set_train(False)
        timeout = self.config.training.data_timeout_seconds
        with closing(watched(self._pieces(), timeout, self.config.data.valid)) as ahead:
            improvements = [self._scores(separation, number, *piece) for number, piece in enumerate(ahead)]
        every = self.ranks.sum(np.concatenate(improvements))  # zero but for the process whose turn it was
        known = every[np.isfinite(every)]
        if known.size == 0:
            raise UserError(f"{self.config.data.valid}: found no piece with a finite score, expected speech in all")
        return float(np.mean(known, dtype=np.float64))

    def _scores(self, separation: nn.Cell, number: int, batch: Batch, count: int) -> NDArray[np.float32]:
        """Of the `count` pieces of a batch, [count, C]; zeros if it is another process's turn."""
        mixture, sources, num_samples = batch
        scores = np.zeros((count, self.config.model.num_speakers), np.float32)
        if number % self.ranks.size == self.ranks.rank:
            with interrupts_held_back():
                tracks = separation(Tensor(mixture)).asnumpy()
            for example in range(count):
                scores[example] = _improvement(
                    mixture[example], sources[example], tracks[example], num_samples[example]
                )
        return scores

    def _pieces(self) -> Iterator[tuple[Batch, int]]:
        model, data = self.config.model, self.config.data
        return validation_batches(
            data.valid,
            BATCH,
            data.valid_seconds,
            num_speakers=model.num_speakers,
            sample_rate=model.sample_rate,
        )


def _improvement(mixture: Any, sources: Any, tracks: Any, num_samples: int) -> Any:
    """SI-SNR improvement of every source in dB, [C], over the true samples."""
    references, true = sources[:, :num_samples], slice(0, num_samples)
    _, values = best_permutation(references, tracks[:, true])
    return values - si_snr(references, mixture[true])
