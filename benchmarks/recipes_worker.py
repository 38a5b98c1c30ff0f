"""Trains one recipe of benchmarks/recipes.py in this process, on one thread, and scores it on the way.

    python -m benchmarks.recipes_worker NAME DATA WORK MINUTES EVERY

Time is this process's CPU time while it updates, mixing on the fly included, so that it may be paused from outside.
The state after every point is kept in WORK/NAME; a run that was stopped goes on from there.
"""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.recipes_pieces import Floats, Pieces, like_training, of_validation
from benchmarks.recipes_points import PLATEAU_DB, Point, read_points, times, write_points
from benchmarks.recipes_table import RECIPES
from src.config import Config
from src.runtime import prepare_environment, start

STATE = "state.ckpt"
PROBE_SECONDS = 30.0  # between looks at the training-like pieces until the plateau is left


def on_one_thread() -> None:
    """Keep this process to one core; call before MindSpore is loaded."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    prepare_environment()
    start("CPU")


@dataclass
class Done:
    """What a course has behind it."""

    cpu_seconds: float = 0.0
    updates: int = 0
    epoch: int = 0
    batches: int = 0  # of that epoch
    plateau_minutes: float = float("nan")


class Course:
    """The training of one recipe, in pieces of CPU time."""

    def __init__(self, config: Config, folder: Path) -> None:
        from src import checkpoint
        from src.data.data import TrainingData
        from src.initial_weights import set_initial_weights
        from src.runtime import seed_everything
        from src.stepper import Stepper
        from src.validation import Separation

        settings, model = config.training, config.model
        seed_everything(settings.seed)
        self.config, self.path, self.done = config, folder / STATE, Done()
        self.is_compiled = False
        self.data = TrainingData(
            config.data.train,
            config.data,
            settings.batch_size,
            settings.seed,
            num_epochs=settings.epochs,
            num_speakers=model.num_speakers,
            sample_rate=model.sample_rate,
        )
        self.stepper = Stepper(config)
        set_initial_weights(self.stepper.network, config)
        self.stepper.set_averages()
        if self.path.exists():
            stored = checkpoint.read(self.path)
            checkpoint.load_into(stored.values, self.stepper.state, self.path)
            self.done = Done(**stored.progress)
        self.separation = Separation(self.stepper.averaged or self.stepper.network)
        self.batches = self._batches()

    def advance(self, cpu_seconds: float) -> float:
        """Update until so many seconds are behind; mean loss of these updates in dB."""
        self.stepper.begin_training()
        losses = []
        if not self.is_compiled:
            losses.append(self.step())  # its time does not count
            self.is_compiled = True
        before = time.process_time()
        while self.done.cpu_seconds < cpu_seconds:
            losses.append(self.step())
            now = time.process_time()
            self.done.cpu_seconds += now - before
            before = now
        return sum(losses) / max(1, len(losses))

    def separate(self, mixtures: Floats) -> Floats:
        """[B, T] -> [B, C, T], by the averaged weights."""
        from mindspore import Tensor

        self.separation.set_train(False)
        tracks: Floats = self.separation(Tensor(mixtures)).asnumpy()
        return tracks

    def save(self) -> None:
        """Keep everything that the next update depends on."""
        from src import checkpoint

        checkpoint.save(self.path, self.stepper.state, self.config, asdict(self.done))

    def step(self) -> float:
        """One update; its loss in dB."""
        from src.schedule import average_kept

        settings, done = self.config.training, self.done
        rate = settings.learning_rate * min(1.0, (done.updates + 1) / (settings.warmup_steps + 1))
        kept = average_kept(settings.average_decay, done.updates)
        loss_db = self.stepper.take([next(self.batches)], rate, kept, 1.0).loss_db
        done.updates += 1
        done.batches += 1
        if done.batches == self.data.batches_per_epoch:
            done.epoch, done.batches = done.epoch + 1, 0
        return loss_db

    def _batches(self) -> Iterator[tuple[Floats, Floats, Floats]]:
        epoch, first = self.done.epoch, self.done.batches
        while True:
            yield from self.data.epoch(epoch, first)
            epoch, first = epoch + 1, 0


def pieces_of(work: Path, config: Config) -> tuple[Pieces, Pieces]:
    """Those of the validation persons and the training-like ones, the same for every recipe; made by the first."""
    found = []
    for name, make in (("valid", of_validation), ("like", like_training)):
        path = work / f"{name}.npz"
        if not path.exists():
            make(RECIPES["base"].config(config.data.train, config.data.valid)).save(path)
        found.append(Pieces.load(path))
    return found[0], found[1]


def train_to(course: Course, minutes: float, like: Pieces) -> tuple[float, float]:
    """Go on to so many minutes, and look now and then whether the plateau is left: mean loss, SI-SNRi at the end."""
    losses = []
    while True:
        done = course.done
        target = 60 * minutes
        if not done.plateau_minutes >= 0:
            target = min(target, done.cpu_seconds + PROBE_SECONDS)
        losses.append(course.advance(target))
        like_db = float(like.improvements(like.separated(course.separate)).mean())
        if like_db >= PLATEAU_DB and not done.plateau_minutes >= 0:
            done.plateau_minutes = done.cpu_seconds / 60
        if done.cpu_seconds >= 60 * minutes:
            return sum(losses) / len(losses), like_db


def score(course: Course, name: str, loss_db: float, like_db: float, valid: Pieces) -> Point:
    """The course as it stands."""
    course.separate(valid.mixtures[:8])  # compiled, if it was not
    began = time.process_time()
    tracks = valid.separated(course.separate)
    seconds = time.process_time() - began
    means = valid.by_pair(valid.improvements(tracks))
    done = course.done
    return Point(
        recipe=name,
        cpu_minutes=round(done.cpu_seconds / 60, 3),
        updates=done.updates,
        loss_db=round(loss_db, 3),
        like_db=round(like_db, 3),
        valid_db=round(sum(means.values()) / len(means), 3),
        across_db=round(valid.mean_of_pairs(means, within=False), 3),
        within_db=round(valid.mean_of_pairs(means, within=True), 3),
        plateau_minutes=round(done.plateau_minutes, 2),
        real_time_factor=round(seconds / (valid.mixtures.size / course.config.model.sample_rate), 4),
        pairs=", ".join(f"{pair} {value:.2f}" for pair, value in means.items()),
    )


def main() -> None:
    """Train, score and write points."""
    name, data, work, minutes, every = sys.argv[1:]
    on_one_thread()
    config = RECIPES[name].config(Path(data, "train.mindrecord"), Path(data, "valid.mindrecord"))
    folder = Path(work, name)
    folder.mkdir(parents=True, exist_ok=True)
    valid, like = pieces_of(Path(work), config)
    points = read_points(folder / "points.csv")
    course = Course(config, folder)
    for end in times(float(minutes), float(every)):
        if course.done.cpu_seconds >= 60 * end - 1:
            continue
        loss_db, like_db = train_to(course, end, like)
        points.append(score(course, name, loss_db, like_db, valid))
        course.save()
        write_points(folder / "points.csv", points)
        print(points[-1], flush=True)


if __name__ == "__main__":
    main()
