"""Measures one point of benchmarks/growth.py in this process and prints it as JSON.

    python -m benchmarks.growth_worker NETWORK/AXIS/WORK/VALUE RUNS

It ends with status 3 where the memory does not suffice.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.contenders import peak_memory_kb
from benchmarks.growth_points import CHUNKS, TRAINING, Point
from src.config import CHUNK_SECONDS, Config, ModelConfig, TrainingConfig
from src.errors import UserError
from src.runtime import prepare_environment, start

OUT_OF_MEMORY = 3
LONG_SECONDS = 20.0  # a run that takes so long is not repeated


def examples(model: ModelConfig, batch_size: int, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise: mixture [B, T], sources [B, C, T], true lengths [B]."""
    num_samples = round(seconds * model.sample_rate)
    shape = (batch_size, model.num_speakers, num_samples)
    sources = (0.05 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    return sources.sum(1), sources, np.full(batch_size, num_samples, np.int32)


def training(point: Point) -> Callable[[], object]:
    """An update, as train.py makes it."""
    from src.stepper import Stepper

    stepper = Stepper(Config(point.model, training=TrainingConfig(batch_size=point.batch_size)))
    stepper.begin_training()
    batch = examples(point.model, point.batch_size, point.seconds_of_audio)
    return lambda: stepper.take([batch], 5e-4, 0.0, 1.0)


def inference(point: Point) -> Callable[[], object]:
    """The function on arrays of separate.py, on everything at once or chunk by chunk."""
    from src.inference import as_separate
    from src.models.swave import Swave
    from src.stitching.chunks import Chunking, separate_in_chunks

    network = Swave(point.model)
    network.set_train(False)
    separate = as_separate(network, point.model, "the benchmark")
    mixture = examples(point.model, point.batch_size, point.seconds_of_audio)[0]
    if point.work != CHUNKS:
        return lambda: separate(mixture)
    rate = point.model.sample_rate
    chunking = Chunking.from_seconds(CHUNK_SECONDS, None, rate)
    return lambda: sum(piece.shape[1] for piece in separate_in_chunks(mixture[0], separate, chunking, rate))


def measure(run: Callable[[], object], runs: int) -> dict[str, float]:
    """Seconds of the first run, and the median of those after it; a long one stands for itself."""
    times = []
    for _ in range(1 + runs):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
        if times[-1] > LONG_SECONDS:
            break
    return {
        "first_seconds": times[0],
        "seconds": statistics.median(times[1:] or times),
        "peak_mb": peak_memory_kb() * 1024 / 1e6,
    }


def main() -> None:
    """Measure and print."""
    point, runs = Point.from_text(sys.argv[1]), int(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    prepare_environment()
    start("CPU")
    from src.runtime import seed_everything

    seed_everything(0)
    try:
        found = measure((training if point.work == TRAINING else inference)(point), runs)
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(OUT_OF_MEMORY) from None
    print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
