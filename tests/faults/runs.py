"""What two runs are compared by."""

import json
from pathlib import Path

from src.run_folder import HISTORY, LATEST

TIMES = ("seconds", "cpu_seconds", "seconds_per_step", "examples_per_second", "audio_seconds_per_second")


def contents(folder: Path) -> dict[str, object]:
    """Everything of a run but its times: weights, averages, moments, counters and history, bit for bit."""
    from src import checkpoint

    stored = checkpoint.read(folder / LATEST)
    for name in ("seconds", "cpu_seconds"):
        stored.progress.pop(name)
    history = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    for entry in (*stored.progress["history"], *history):
        for name in TIMES:
            entry.pop(name)
    values = {name: value.asnumpy().tobytes() for name, value in stored.values.items()}
    return {**values, "progress": stored.progress, "history": history}
