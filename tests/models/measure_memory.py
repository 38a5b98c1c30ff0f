"""One point of memory_measured.csv: two training steps in this process, then its peak memory.

    python -m tests.models.measure_memory 64 8 64 1 2 1.0 1 adam 0 none

Arguments are the columns of the table but the last two: N, L, H, R, C, seconds, batch, optimizer, recompute (0 or 1)
and amp. Prints the peak resident memory in MB (10^6 bytes) and the seconds of the second step. With GDPRNN_KERNELS=off
it is that of MindSpore's own operators.
"""

import sys
import time
from pathlib import Path

from src.config import Config, ModelConfig, TrainingConfig
from src.runtime import prepare_environment, start


def main(argv: list[str]) -> None:
    filters, kernel, hidden, pairs, speakers = (int(word) for word in argv[:5])
    model = ModelConfig(speakers, filters, kernel, hidden, pairs, segment_seconds=float(argv[5]))
    batch, optimizer, recompute, amp = int(argv[6]), argv[7], argv[8] == "1", argv[9]
    settings = TrainingConfig(optimizer=optimizer, recompute=recompute, batch_size=batch, amp=amp)
    prepare_environment()
    start()
    step_seconds = train_two_steps(model, settings)
    print(f"{peak_megabytes():.0f} {step_seconds:.2f}")


def train_two_steps(model: ModelConfig, settings: TrainingConfig) -> float:
    """Seconds of the second step; the first one compiles."""
    import numpy as np

    import src.training  # noqa: F401 (all that a training run imports is loaded)
    from src.runtime import seed_everything
    from src.stepper import Stepper

    seed_everything(0)
    stepper = Stepper(Config(model, training=settings))
    stepper.begin_training()
    rng = np.random.default_rng(0)
    batch, num_samples = settings.batch_size, int(model.sample_rate * model.segment_seconds)
    sources = rng.standard_normal((batch, model.num_speakers, num_samples)).astype(np.float32)
    examples = (sources.sum(1), sources, np.full(batch, num_samples, np.int32))
    for _ in range(2):
        began = time.perf_counter()
        assert np.isfinite(stepper.take([examples], 1e-3, 0.0, 1.0).loss_db)
    return time.perf_counter() - began


def peak_megabytes() -> float:
    """Of this process alone: what getrusage tells begins with the parent's memory at the time of the fork."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6  # told in kB
    raise RuntimeError("Expected a line VmHWM in /proc/self/status. Found none.")


if __name__ == "__main__":
    main(sys.argv[1:])
