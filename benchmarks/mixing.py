"""What mixing on the fly costs, and each change of the sources: CPU milliseconds of an example of two sources.

    python -m benchmarks.mixing --data runs/demo/data [--examples 300]

DATA holds train.mindrecord. The changes are those of configs/demo_2spk_8k.yaml and then more, one added in every row.
The last row takes the examples through MindSpore's data set as training does, with its threads and the reading of the
records.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.contenders import markdown_table
from benchmarks.recipes_table import BASE, NO_CHANGES
from src.command_line import OptionParser, run
from src.config import DataConfig, from_dict
from src.runtime import prepare_environment, start

ADDED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("cutting and adding", {}),
    ("+ speed", {name: BASE["data"][name] for name in ("speed_min", "speed_max")}),
    ("+ formants", {name: BASE["data"][name] for name in ("formant_share", "formant_spread")}),
    ("+ equalizer, flat spectrum", {"equalizer_db": 6.0, "flatten_spectrum": True}),
    ("+ noise floor: the demo's", {"noise_floor_db": -18.0}),
    ("+ narrow bands, every source", {"narrow_probability": 1.0}),
    ("+ rooms, every source", {"reverberation_probability": 1.0}),
    ("+ coders, every source", {"coding_probability": 1.0}),
)


def cpu_milliseconds(work: Callable[[], object], runs: int) -> float:
    """Of one run, all threads of this process together."""
    began = time.process_time()
    for _ in range(runs):
        work()
    return 1000 * (time.process_time() - began) / runs


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.mindrecord")
    parser.add_argument("--examples", type=int, default=300, help="of each row (%(default)s)")
    options = parser.parse_args(argv)
    prepare_environment()
    start("CPU")
    from src.data.data import TrainingData

    def training_data(config: DataConfig) -> Any:
        return TrainingData(options.data / "train.mindrecord", config, 1, 0)

    config = from_dict(DataConfig, {**BASE["data"], **NO_CHANGES, "dynamic_examples": options.examples + 1})
    rows, before = [], 0.0
    for name, values in ADDED:
        config = replace(config, **values)
        data = training_data(config)
        milliseconds = _mixing_alone(data, options.examples)
        rows.append([name, f"{milliseconds:.2f}", f"{milliseconds - before:+.2f}"])
        before = milliseconds
    batches = data.epoch(1)
    next(batches)
    milliseconds = cpu_milliseconds(lambda: next(batches), options.examples)
    rows.append(
        ["all of it, read from the records by the data set", f"{milliseconds:.2f}", f"{milliseconds - before:+.2f}"]
    )
    print(markdown_table(["changes", "CPU ms an example", "more than above"], rows))


def _mixing_alone(data: Any, examples: int) -> float:
    """Without reading: the recordings are in memory."""
    plan = data.plan(0)
    from src.audio import to_pcm16

    kept = {int(record): None for record in plan.records[:examples].ravel()}
    recordings = {
        record: to_pcm16(samples) for record, samples in zip(kept, data.records.read(list(kept)), strict=True)
    }
    numbers = iter(range(examples))

    def mix_next() -> None:
        row = next(numbers)
        data._mix_example(plan, row, [recordings[int(record)] for record in plan.records[row]])

    return cpu_milliseconds(mix_next, examples)


if __name__ == "__main__":
    run(main)
