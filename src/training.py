"""A training run: epochs of steps, validation after each, checkpoints, a history, and its continuation."""

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn
from tqdm import tqdm

from src import checkpoint
from src.audio import written_aside
from src.config import Config
from src.data.data import Batch, TrainingData, validation_batches
from src.errors import UserError
from src.generatorloss import GeneratorLoss, paper_block_weights
from src.metrics import best_permutation, si_snr
from src.models.initial import start_as_mask
from src.models.swave import Swave
from src.network_define import NetworkWithLoss
from src.optimizer import make_optimizer
from src.runtime import seed_everything
from src.schedule import learning_rates
from src.trainonestep import TrainOneStepCell

LATEST = "latest.ckpt"
BEST = "best.ckpt"
HISTORY = "history.jsonl"
VALIDATION_BATCH = 8  # pieces
PATHS = (("data", "train"), ("data", "valid"))


@dataclass
class Progress:
    """How far a run has come; stored in every checkpoint."""

    epochs_done: int = 0
    steps_done: int = 0
    best_si_snri_db: float | None = None  # on the validation set
    seconds: float = 0.0  # of training and validation, over all sittings
    history: list[dict[str, Any]] = field(default_factory=list)  # one entry an epoch


class Separation(nn.Cell):
    """The network as a graph of its own for validation, beside the graph of the training step."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, mixture: Tensor) -> Tensor:
        """[B, T] -> [B, C, T]."""
        return self.network(mixture)


class Run:
    """A training run in an output folder; continues the one that it finds there.

    Raises `UserError` for data that does not fit the configuration, and if the folder holds a run with
    another configuration.
    """

    def __init__(self, config: Config, output_dir: Path) -> None:
        self.config = config
        self.output_dir = output_dir
        settings = config.training
        _check_data_named(config)
        seed_everything(settings.seed)
        model = config.model
        self.data = TrainingData(
            config.data.train,
            config.data,
            settings.batch_size,
            settings.seed,
            num_epochs=settings.epochs,
            num_speakers=model.num_speakers,
            sample_rate=model.sample_rate,
        )
        self._validation_pieces()  # complains now, and not after the first epoch
        self.network = Swave(config.model)
        if settings.initial_values == "mask":
            start_as_mask(self.network, np.random.default_rng(settings.seed))
        rates = learning_rates(settings, self.data.batches_per_epoch)
        self.optimizer = make_optimizer(settings.optimizer, self.network, rates.tolist())
        self.progress = Progress()
        if (output_dir / LATEST).exists():
            self._continue_from(output_dir / LATEST)
        # Only now, so that the graphs are compiled with the weights that were loaded.
        weights = settings.block_weights or paper_block_weights(config.model.num_pairs)
        loss = GeneratorLoss(config.model.num_speakers, weights)
        self.step = TrainOneStepCell(NetworkWithLoss(self.network, loss), self.optimizer, settings.clip_norm)
        self.separation = Separation(self.network)

    def run(self) -> Progress:
        """Train until the last epoch of the configuration is done."""
        epochs, batches = self.config.training.epochs, self.data.batches_per_epoch
        with tqdm(total=epochs * batches, initial=self.progress.steps_done, unit="step", desc="training") as bar:
            for epoch in range(self.progress.epochs_done, epochs):
                self._run_epoch(epoch, bar)
        return self.progress

    def _run_epoch(self, epoch: int, bar: "tqdm[Any]") -> None:
        started = time.monotonic()
        losses, norms = self._train(epoch, bar)
        si_snri_db = self._validate()
        progress = self.progress
        progress.epochs_done = epoch + 1
        progress.steps_done += len(losses)
        progress.seconds += time.monotonic() - started
        progress.history.append(
            {
                "epoch": epoch + 1,
                "step": progress.steps_done,
                "train_loss_db": round(float(np.mean(losses)), 4),
                "gradient_norm": round(float(np.mean(norms)), 4),
                "valid_si_snri_db": round(si_snri_db, 4),
                "seconds": round(progress.seconds, 1),
            }
        )
        bar.set_postfix(train_loss=f"{np.mean(losses):.2f} dB", valid_si_snri=f"{si_snri_db:.2f} dB")
        self._save(si_snri_db)

    def _train(self, epoch: int, bar: "tqdm[Any]") -> tuple[list[float], list[float]]:
        """One epoch's losses in dB and gradient norms, one a step."""
        self.step.set_train(True)
        losses, norms = [], []
        for mixture, sources, num_samples in self.data.epoch(epoch):
            loss, norm = self.step(Tensor(mixture), Tensor(sources), Tensor(num_samples))
            losses.append(float(loss))
            norms.append(float(norm))
            if not math.isfinite(losses[-1]):
                raise UserError(
                    f"the loss is {losses[-1]} at step {self.progress.steps_done + len(losses)}: "
                    f"a smaller training.learning_rate may help; {self.output_dir / LATEST} is from before"
                )
            bar.update()
        return losses, norms

    def _validate(self) -> float:
        """Mean SI-SNR improvement in dB over one piece of every validation mixture."""
        self.separation.set_train(False)
        improvements: list[float] = []
        for (mixture, sources, num_samples), count in self._validation_pieces():
            tracks = self.separation(Tensor(mixture)).asnumpy()
            for example in range(count):
                true = slice(0, num_samples[example])
                references = sources[example, :, true]
                _, values = best_permutation(references, tracks[example, :, true])
                scores = values - si_snr(references, mixture[example, true])
                improvements += scores[np.isfinite(scores)].tolist()
        return float(np.mean(improvements))

    def _validation_pieces(self) -> Iterator[tuple[Batch, int]]:
        model, data = self.config.model, self.config.data
        return validation_batches(
            data.valid,
            VALIDATION_BATCH,
            data.valid_seconds,
            num_speakers=model.num_speakers,
            sample_rate=model.sample_rate,
        )

    def _save(self, si_snri_db: float) -> None:
        """Write the history, the best and the latest checkpoint; the latest last, since it says what is done."""
        best = self.progress.best_si_snri_db
        is_best = best is None or si_snri_db > best
        if is_best:
            self.progress.best_si_snri_db = si_snri_db
        progress = dataclasses.asdict(self.progress)
        weights = list(self.network.get_parameters())
        _write_history(self.output_dir / HISTORY, self.progress.history)
        if is_best:
            checkpoint.save(self.output_dir / BEST, weights, self.config, progress)
        checkpoint.save(self.output_dir / LATEST, self._state(), self.config, progress)

    def _state(self) -> list[Parameter]:
        """Everything that the next step depends on: weights, the optimizer's moments and counters."""
        weights = list(self.network.get_parameters())
        names = {weight.name for weight in weights}
        return weights + [p for p in self.optimizer.get_parameters() if p.name not in names]

    def _continue_from(self, path: Path) -> None:
        values, config, progress = checkpoint.read(path)
        _check_same_run(self.config, config, path)
        checkpoint.load_into(values, self._state(), path)
        self.progress = Progress(**progress)


def train(config: Config, output_dir: Path) -> Progress:
    """Train, or go on training, and leave `best.ckpt`, `latest.ckpt` and `history.jsonl` in `output_dir`."""
    return Run(config, output_dir).run()


def _check_data_named(config: Config) -> None:
    for split in ("train", "valid"):
        if not getattr(config.data, split):
            raise UserError(f"data.{split}: found none, expected a .mindrecord file (--{split}_dir)")


def _check_same_run(wanted: Config, found: Config, path: Path) -> None:
    """Moved data sets are the same run; anything else that differs is not."""
    for section in ("model", "data", "training"):
        before = dataclasses.asdict(getattr(found, section))
        for name, value in dataclasses.asdict(getattr(wanted, section)).items():
            if before[name] != value and (section, name) not in PATHS:
                raise UserError(
                    f"{path}: a run with {section}.{name} = {before[name]} was begun here, now it is {value}: "
                    f"choose another output folder, or remove this one to begin anew"
                )


def _write_history(path: Path, history: list[dict[str, Any]]) -> None:
    with written_aside(path) as aside:
        aside.write_text("".join(json.dumps(entry) + "\n" for entry in history), encoding="utf-8")
