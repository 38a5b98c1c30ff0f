"""A training run: updates, validation after every epoch, checkpoints, a history, and its continuation.

Whatever a run will do next follows from its configuration, its data and its last checkpoint alone: every random
choice of the data is a function of seed, epoch and position (src/data/plan.py), and nothing else is drawn once the
weights are. So a run that was killed goes on as though nothing had happened.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, nullcontext
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from src import checkpoint, run_folder
from src.command_line import raise_if_interrupted
from src.config import Config
from src.curves import Curves
from src.data.data import Batch, TrainingData
from src.errors import UserError
from src.files import written_aside
from src.health import Health, watched
from src.initial_weights import set_initial_weights
from src.pace import Pace, progress_bar
from src.progress import Progress, check_same_data, check_same_run
from src.ranks import Ranks
from src.run_folder import HISTORY, LATEST
from src.runtime import interrupts_held_back, processor_name, seed_everything, usable_cores
from src.schedule import average_kept, epochs_without_improvement, learning_rates, plateau_factor
from src.stepper import Stepper, StepResult
from src.validation import Separation, Validation
from src.version import code_version


class Run:
    """A training run in an output folder; continues the one that it finds there.

    Raises `UserError` for data that does not fit the configuration, and if the folder holds a run with
    another configuration, or another number of processes.
    """

    def __init__(self, config: Config, output_dir: Path, ranks: Ranks | None = None, *, restart: bool = False) -> None:
        self.config = config
        self.output_dir = output_dir
        self.ranks = ranks or Ranks()
        settings = config.training
        code_version()  # as it is now; a checkpoint in an hour shall not tell a later one
        seed_everything(settings.seed)
        self.data = self._open_data()
        self.validation = Validation(config, self.ranks)
        self.steps_per_epoch = self.data.batches_per_epoch // settings.accumulation
        if self.steps_per_epoch == 0:
            raise UserError(
                f"training.accumulation: found {settings.accumulation}, expected at most the "
                f"{self.data.batches_per_epoch} batches of an epoch"
            )
        self.rates = learning_rates(settings, self.steps_per_epoch)
        self.stepper = Stepper(config, self.ranks.size)
        if restart or not run_folder.has_checkpoint(output_dir):
            set_initial_weights(self.stepper.network, config)
            self.stepper.set_averages()
        self.progress = Progress(
            num_processes=self.ranks.size,
            batches_per_epoch=self.data.batches_per_epoch,
            train_digest=self.data.records.index.digest,
            valid_digest=self.validation.digest,
            health=Health.of_precision(settings.amp),
        )
        self._begin_or_continue(restart)
        self.separation = Separation(self.stepper.averaged or self.stepper.network)
        self.pace = Pace(settings.batch_size * settings.accumulation * self.ranks.size, config.data.segment_seconds)
        self._counted_until = self._saved_at = time.monotonic()
        self._cpu_counted_until = time.process_time()

    def run(self) -> Progress:
        """Train until the last epoch is done, or early stopping ends the run.

        After Ctrl-C the last update is saved before the program ends.
        """
        total = self.config.training.epochs * self.steps_per_epoch
        first, progress, folder = self.ranks.is_first, self.progress, self.output_dir
        with (
            Curves(folder, progress.steps_done, _warn, title=str(folder)) if first else nullcontext() as curves,
            progress_bar(total, progress.steps_done, disable=not first) as bar,
        ):
            try:
                while progress.epochs_done < self.config.training.epochs and not self._stops_early():
                    self._train_epoch(bar, curves)
                    self._finish_epoch(curves)
            except KeyboardInterrupt:
                self._save()
                raise
        return progress

    def _open_data(self) -> TrainingData:
        settings, model = self.config.training, self.config.model
        return TrainingData(
            self.config.data.train,
            self.config.data,
            settings.batch_size,
            settings.seed,
            (self.ranks.rank, self.ranks.size),
            num_epochs=settings.epochs,
            num_speakers=model.num_speakers,
            sample_rate=model.sample_rate,
        )

    def _train_epoch(self, bar: "tqdm[Any]", curves: Curves | None) -> None:
        """The updates of the epoch that are not done yet."""
        settings, progress = self.config.training, self.progress
        self.stepper.begin_training()
        batches = self.data.epoch(progress.epochs_done, progress.batches_done)
        steps_left = self.steps_per_epoch - progress.batches_done // settings.accumulation
        with closing(watched(batches, settings.data_timeout_seconds, self.config.data.train)) as ahead:
            for group in _groups(ahead, settings.accumulation, steps_left):
                with interrupts_held_back():
                    rate = self._rate(progress.steps_done)
                    kept = average_kept(settings.average_decay, progress.steps_done)
                    result = self.stepper.take(group, rate, kept, progress.health.loss_scale)
                    self._count(result)
                raise_if_interrupted()
                self._show(result, rate, bar, curves)
                progress.health.check(settings.skipped_in_a_row, progress.steps_done, self.output_dir / LATEST)
                self._save_in_time()

    def _rate(self, step: int) -> float:
        """The learning rate of an update of the epoch that is going on; `step` is how many were before it."""
        return float(self.rates[step]) * plateau_factor(self.config.training, self.progress.scores_db)

    def _count(self, result: StepResult) -> None:
        progress = self.progress
        progress.steps_done += 1
        progress.batches_done += self.config.training.accumulation
        if progress.health.observe(*result):
            progress.loss_sum_db += result.loss_db
            progress.norm_sum += result.gradient_norm
            progress.made += 1
        self._count_time()
        self.pace.step()

    def _count_time(self) -> None:
        now, cpu = time.monotonic(), time.process_time()
        self.progress.seconds += now - self._counted_until
        self.progress.cpu_seconds += cpu - self._cpu_counted_until
        self._counted_until, self._cpu_counted_until = now, cpu

    def _show(self, result: StepResult, rate: float, bar: "tqdm[Any]", curves: Curves | None) -> None:
        if curves is None:
            return
        progress = self.progress
        epochs_left = self.config.training.epochs - progress.epochs_done
        steps_left = len(self.rates) - progress.steps_done
        mean = progress.loss_sum_db / max(1, progress.made)
        bar.set_postfix_str(self.pace.postfix(steps_left, epochs_left, mean), refresh=False)
        bar.update()
        values = {"loss_db": result.loss_db, "gradient_norm": result.gradient_norm, "learning_rate": rate}
        curves.step(progress.steps_done, values)
        if progress.health.skipped_in_a_row:
            _warn(
                f"step {progress.steps_done}: loss {result.loss_db}, gradient norm {result.gradient_norm}: "
                f"skipped, {progress.health.skipped} in all"
            )

    def _finish_epoch(self, curves: Curves | None) -> None:
        """Validate, write the history and the checkpoints."""
        with self.pace.pause():
            si_snri_db = self.validation.score(self.separation)
            with interrupts_held_back():
                entry = self._close_epoch(si_snri_db)
                if curves is not None:
                    self._save_epoch(entry["epoch"])
                    curves.epoch(entry, self.progress.history)

    def _close_epoch(self, si_snri_db: float) -> dict[str, Any]:
        progress = self.progress
        self._count_time()
        entry = {
            "epoch": progress.epochs_done + 1,
            "step": progress.steps_done,
            "train_loss_db": _rounded(progress.loss_sum_db, progress.made),
            "gradient_norm": _rounded(progress.norm_sum, progress.made),
            "learning_rate": float(f"{self._rate(progress.steps_done - 1):.4g}"),
            "valid_si_snri_db": round(si_snri_db, 4),
            "skipped": progress.health.skipped - progress.skipped_before,
            "seconds": round(progress.seconds, 1),
            "cpu_seconds": round(progress.cpu_seconds, 1),
            "seconds_per_step": _significant(self.pace.seconds_per_step),
            "examples_per_second": _significant(self.pace.examples_per_second),
            "audio_seconds_per_second": _significant(self.pace.audio_seconds_per_second),
        }
        progress.history.append(entry)
        progress.best_si_snri_db = max(progress.scores_db)
        progress.epochs_done += 1
        progress.batches_done = progress.made = 0
        progress.loss_sum_db = progress.norm_sum = 0.0
        progress.skipped_before = progress.health.skipped
        return entry

    def _stops_early(self) -> bool:
        limit = self.config.training.early_stopping_epochs
        waited = epochs_without_improvement(self.progress.scores_db)
        stops = 0 < limit <= waited
        if stops and self.ranks.is_first:
            tqdm.write(f"stopped early: nothing better on the validation set for {waited} epochs")
        return stops

    def _save_epoch(self, epoch: int) -> None:
        """The history, the weights if they are among the best, and the latest checkpoint last: it says what is done."""
        progress = self.progress
        best = run_folder.best_epochs(progress.scores_db, self.config.training.keep_best)
        _write_history(self.output_dir / HISTORY, progress.history)
        if epoch in best:
            path = run_folder.best_path(self.output_dir, epoch)
            checkpoint.save(path, self.stepper.weights, self.config, progress.to_dict())
        if epoch == best[0]:
            run_folder.name_best(self.output_dir, epoch)
        self._save()
        run_folder.tidy(self.output_dir, best)

    def _save_in_time(self) -> None:
        """Save if it is time; but not between skipped updates, so that the last good checkpoint is from before them."""
        minutes = self.config.training.save_minutes
        is_time = minutes and time.monotonic() - self._saved_at >= 60 * minutes
        if is_time and not self.progress.health.skipped_in_a_row:
            with self.pace.pause(ends_epoch=False):
                self._save()

    def _save(self) -> None:
        """Write the latest checkpoint; the one before keeps the name `previous`."""
        if not self.ranks.is_first:
            return
        with interrupts_held_back():
            self._count_time()
            checkpoint.save(
                self.output_dir / LATEST,
                self.stepper.state,
                self.config,
                self.progress.to_dict(),
                before_rename=lambda: run_folder.keep_previous(self.output_dir),
            )
        self._saved_at = time.monotonic()

    def _begin_or_continue(self, restart: bool) -> None:
        """Load the latest checkpoint, if there is one, in the first process, and give every process the same."""
        if self.ranks.is_first:
            if restart:
                self._put_old_run_aside()
            self._continue()
        self.ranks.share(self.stepper.state)
        text = self.ranks.share_text(json.dumps(self.progress.to_dict()))
        self.progress = Progress.from_dict(json.loads(text), self.output_dir, code_version())

    def _put_old_run_aside(self) -> None:
        moved = run_folder.set_aside(self.output_dir)
        if moved:
            sys.stderr.write(f"the run that was there is now in {moved}\n")

    def _continue(self) -> None:
        found = run_folder.read_latest(self.output_dir, checkpoint.read)
        if found is None:
            return
        stored, path = found
        check_same_run(self.config, stored.config, path)
        progress = Progress.from_dict(stored.progress, path, stored.version)
        check_same_data(self.progress, progress, path)
        checkpoint.load_into(stored.values, self.stepper.state, path)
        run_folder.tidy(self.output_dir, run_folder.best_epochs(progress.scores_db, self.config.training.keep_best))
        if path.name != LATEST and (self.output_dir / LATEST).exists():
            run_folder.put_damaged_aside(self.output_dir)
        self.progress = progress
        if stored.version != code_version():
            _warn(f"{path}: begun with version {stored.version}, going on with {code_version()}")
        sys.stderr.write(f"going on from {path}: epoch {progress.epochs_done + 1}, step {progress.steps_done}\n")


def train(
    config: Config, output_dir: Path, ranks: Ranks | None = None, *, restart: bool = False, command: str = ""
) -> Progress:
    """Train, or go on training, and leave checkpoints, history and curves in `output_dir` (src/run_folder.py).

    `restart` begins anew, and moves what was there into a folder beside. `command` is written down for who asks later.
    """
    for split in ("train", "valid"):
        if not getattr(config.data, split):
            raise UserError(f"data.{split}: found none, expected a .mindrecord file (--{split}_dir)")
    is_first = ranks is None or ranks.is_first
    with run_folder.claimed(output_dir) if is_first else nullcontext():
        run = Run(config, output_dir, ranks, restart=restart)
        if is_first:
            run_folder.add_sitting(output_dir, _sitting(run.progress, command))
        return run.run()


def _sitting(progress: Progress, command: str) -> dict[str, Any]:
    """When, by which command, on what machine and from where a run goes on."""
    return {
        "began": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "version": code_version(),
        "processor": processor_name(),
        "cores": usable_cores(),
        "processes": progress.num_processes,
        "epochs_done": progress.epochs_done,
        "steps_done": progress.steps_done,
    }


def _groups(batches: Iterator[Batch], size: int, count: int) -> Iterable[list[Batch]]:
    """The first `count` groups of `size` batches each."""
    for _ in range(count):
        yield list(islice(batches, size))


def _rounded(total: float, count: int) -> float | None:
    return round(total / count, 4) if count else None


def _significant(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")


def _warn(message: str) -> None:
    tqdm.write(f"warning: {message}", file=sys.stderr)


def _write_history(path: Path, history: list[dict[str, Any]]) -> None:
    with written_aside(path) as aside:
        aside.write_text("".join(json.dumps(entry) + "\n" for entry in history), encoding="utf-8")
