"""How fast a checkpoint separates on this machine, into a JSON file that benchmarks/model_card.py reads.

usage: taskset -c 0 python -m benchmarks.separation_speed [--model_path CKPT] --output speed.json

A minute of two people is separated as separate.py does it, in chunks, on as many cores as the process may use:
`taskset -c 0` makes it one. The first time, which compiles, does not count; then --repeats times do.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import peak_memory_kb
from src.audio import read_mono
from src.command_line import OptionParser, run
from src.files import sha256, written_aside
from src.infer310.comparison import TWO_PEOPLE
from src.pretrained import OF_THE_PROGRAM, PRETRAINED
from src.runtime import prepare_environment, processor_name, usable_cores


def measure(model_path: Path, seconds: float, repeats: int) -> dict[str, Any]:
    """Separate so many seconds of two people, again and again."""
    prepare_environment()
    from src.separation import Separator

    separator = Separator(model_path)
    rate = separator.network.model.sample_rate
    recording = np.resize(read_mono(TWO_PEOPLE, rate), round(seconds * rate))
    separator(recording, rate)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        separator(recording, rate)
        times.append(round(time.perf_counter() - began, 3))
    return {
        "model_sha256": sha256(model_path),
        "processor": processor_name(),
        "cores": usable_cores(),
        "measured": time.strftime("%Y-%m-%d"),
        "audio_seconds": seconds,
        "separation_seconds": times,
        "peak_memory_mb": round(peak_memory_kb() * 1024 / 1e6),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options, measure, write the file."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--model_path", type=Path, default=PRETRAINED, help=f"checkpoint ({OF_THE_PROGRAM})")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the recording (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="times that count (%(default)s)")
    options = parser.parse_args(argv)
    values = measure(options.model_path, options.seconds, options.repeats)
    with written_aside(options.output) as aside:
        aside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(values))


if __name__ == "__main__":
    run(main, "nothing is written")
