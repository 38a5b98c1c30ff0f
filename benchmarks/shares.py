"""What a training run does beside its updates, each as a part of the updates' time.

    python -m benchmarks.shares --work runs/growth [--data runs/demo/data] [--quick]

By the demo recipe: the loader with its mixing on the fly, the checkpoints of an epoch, the validation. Without --data,
which names a folder with train.mindrecord and valid.mindrecord, records are made of synthetic voices. And for C
speakers at the size `small`: the search for the best permutation, as a part of an update.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import markdown_table
from benchmarks.growth_worker import examples
from benchmarks.sizes import SIZES
from src.command_line import OptionParser, run
from src.config import Config, DataConfig, load_config, override
from src.runtime import prepare_environment, start

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "configs" / "demo_2spk_8k.yaml"
AIM = 0.05
SPEAKERS = (2, 5, 6, 10)
ROUNDS = 3  # of the loader
CHECKPOINTS = 2  # of an epoch: the latest, and its weights if they are among the best
UTTERANCES = 14  # of each synthetic voice
VALIDATION_MIXTURES = 40  # of the demo's set
Row = tuple[str, str, float, float]  # what, how it was found, seconds of it, seconds of the updates beside it


def shares_table(rows: Sequence[Row]) -> str:
    """Each part's time beside the updates', and whether it is below the aim."""
    cells = []
    for name, how, seconds, updates in rows:
        share = seconds / updates
        verdict = f"{100 * share:.2f} %" + ("" if share < AIM else f", above {100 * AIM:.0f} %")
        cells.append([name, how, f"{seconds:.4f}", f"{updates:.4f}", verdict])
    return markdown_table(["part", "of", "its time, s", "updates' time, s", "share"], cells)


def median_seconds(work: Callable[[], object], runs: int, warm_up: int = 1) -> float:
    """Of single runs, after some that do not count."""
    times = []
    for _ in range(warm_up + runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times[warm_up:])


def make_records(folder: Path) -> Path:
    """train.mindrecord and valid.mindrecord of synthetic voices, as the tests make them."""
    import preprocess
    from src.data.librimix import generate
    from tests.synthetic import write_corpus

    records = folder / "records"
    if not (records / "valid.mindrecord").exists():
        corpus = write_corpus(folder / "corpus", seconds=4.0, utterances=UTTERANCES)
        generate(corpus, folder / "librimix", 2, {"train": 40, "valid": VALIDATION_MIXTURES, "test": 2}, seed=0)
        preprocess.main(
            ["--in-dir", str(folder / "librimix" / "Libri2Mix"), "--out-dir", str(records), "--sample-rate", "8000"]
        )
    return records


def permutation_row(num_speakers: int, runs: int) -> Row:
    """The search alone, beside an update of a network with so many speakers."""
    import mindspore as ms

    from src.config import TrainingConfig
    from src.models.loss import BestAssignment
    from src.stepper import Stepper

    size = SIZES["small"]
    model = replace(size.model, num_speakers=num_speakers)
    stepper = Stepper(Config(model, training=TrainingConfig(batch_size=1)))
    stepper.begin_training()
    batch = examples(model, 1, size.seconds)
    update = median_seconds(lambda: stepper.take([batch], 5e-4, 0.0, 1.0), runs)
    scores = np.random.default_rng(0).standard_normal((model.num_pairs, num_speakers, num_speakers))
    tensor, search = ms.Tensor(scores.astype(np.float32)), BestAssignment(num_speakers)
    seconds = median_seconds(lambda: search(tensor).asnumpy(), 10 * runs, warm_up=5)
    return f"permutation search, C = {num_speakers}", f"an update, {size.title}", seconds, update


class Timed:
    """A network for `Validation.score` that adds up its own time."""

    def __init__(self, separation: Any) -> None:
        self.separation, self.seconds = separation, 0.0

    def set_train(self, mode: bool) -> None:
        """As the Cell's own."""
        self.separation.set_train(mode)

    def __call__(self, mixture: Any) -> Any:
        """Waits for the result: a graph may go on after its call."""
        began = time.perf_counter()
        tracks = self.separation(mixture)
        tracks.asnumpy()
        self.seconds += time.perf_counter() - began
        return tracks


def loader_rows(config: Config, stepper: Any, steps: int) -> list[Row]:
    """The loader alone, and what it adds to updates that take its batches; beside updates on one batch.

    In turn over some rounds, because the machine may change.
    """
    from src.data.data import TrainingData

    data = TrainingData(config.data.train, config.data, 1, 0, num_epochs=config.training.epochs)
    first = next(data.epoch(0))
    median_seconds(lambda: stepper.take([first], 1e-3, 0.0, 1.0), 1, warm_up=3)
    alone, fixed, fed = [], [], []
    for number in range(ROUNDS):
        alone.append(_mean_seconds(data.epoch(3 * number), lambda _: None, steps))
        fixed.append(_mean_seconds(itertools.repeat(first), lambda one: stepper.take([one], 1e-3, 0.0, 1.0), steps))
        fed.append(_mean_seconds(data.epoch(3 * number + 1), lambda one: stepper.take([one], 1e-3, 0.0, 1.0), steps))
    update, batch = statistics.median(fixed), statistics.median(alone)
    added = statistics.median(one - other for one, other in zip(fed, fixed, strict=True))
    return [
        (f"loader alone, {1 / batch:.0f} batches a second", "an update, demo", batch, update),
        ("what the loader adds to an update", "an update, demo", max(0.0, added), update),
    ]


def _mean_seconds(batches: Iterator[Any], work: Callable[[Any], object], steps: int) -> float:
    """Of taking a batch and working on it; the first batch does not count, it starts the pipeline."""
    work(next(batches))
    began = time.perf_counter()
    for _ in range(steps):
        work(next(batches))
    return (time.perf_counter() - began) / steps


def epoch_rows(config: Config, stepper: Any, update: float, work: Path) -> list[Row]:
    """Checkpoints and validation beside the updates of an epoch of the recipe."""
    from src import checkpoint
    from src.ranks import Ranks
    from src.validation import Separation, Validation

    updates = update * config.data.dynamic_examples
    path = work / "shares.ckpt"
    saving = median_seconds(lambda: checkpoint.save(path, stepper.state, config, {}), 5)
    size = path.stat().st_size / 1e6
    path.unlink()
    validation, separation = Validation(config, Ranks()), Timed(Separation(stepper.network))
    validation.score(separation)  # compiles
    separation.seconds = 0.0
    began = time.perf_counter()
    validation.score(separation)
    whole = time.perf_counter() - began
    epoch = f"an epoch of {config.data.dynamic_examples} updates, demo"
    return [
        (f"{CHECKPOINTS} checkpoints of {size:.1f} MB", epoch, CHECKPOINTS * saving, updates),
        ("validation: the network", epoch, separation.seconds, updates),
        ("validation: reading and metrics", epoch, whole - separation.seconds, updates),
        ("validation: both", epoch, whole, updates),
    ]


def recipe(records: Path) -> Config:
    """The demo's, on these records."""
    config = load_config(RECIPE)
    assert isinstance(config.data, DataConfig)
    return override(config, "data", train=str(records / "train.mindrecord"), valid=str(records / "valid.mindrecord"))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, and keep in shares.md."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--work", type=Path, default=Path("runs/growth"))
    parser.add_argument("--data", type=Path, help="folder with train.mindrecord and valid.mindrecord")
    parser.add_argument("--quick", action="store_true", help="few runs, and C = 10 alone")
    options = parser.parse_args(argv)
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    prepare_environment()
    start("CPU")
    from src.runtime import seed_everything
    from src.stepper import Stepper

    seed_everything(0)
    config = recipe(options.data.resolve() if options.data else make_records(work))
    stepper = Stepper(config)
    stepper.begin_training()
    rows = loader_rows(config, stepper, 5 if options.quick else 60)
    rows += epoch_rows(config, stepper, rows[0][3], work)
    for num_speakers in SPEAKERS[-1:] if options.quick else SPEAKERS:
        rows.append(permutation_row(num_speakers, 1 if options.quick else 5))
    text = shares_table(rows)
    (work / "shares.md").write_text(f"{text}\n", encoding="utf-8")
    print(f"\n{text}")


if __name__ == "__main__":
    run(main)
