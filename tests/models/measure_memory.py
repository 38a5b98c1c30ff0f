"""One point of memory_measured.csv: two training steps in this process, then its peak memory.

    python -m tests.models.measure_memory 64 8 64 1 2 1.0 1 adam 0

Arguments are the columns of the table but the last: N, L, H, R, C, seconds, batch, optimizer, recompute (0 or 1).
Prints the peak resident memory in MB (10^6 bytes) and the seconds of the second step.
"""

import sys
import time
from pathlib import Path

from src.config import ModelConfig
from src.runtime import prepare_environment, start


def main(argv: list[str]) -> None:
    filters, kernel, hidden, pairs, speakers = (int(word) for word in argv[:5])
    seconds, batch, optimizer, recompute = float(argv[5]), int(argv[6]), argv[7], argv[8] == "1"
    model = ModelConfig(speakers, filters, kernel, hidden, pairs, segment_seconds=seconds)
    prepare_environment()
    start()
    step_seconds = train_two_steps(model, batch, optimizer, recompute)
    print(f"{peak_megabytes():.0f} {step_seconds:.2f}")


def train_two_steps(model: ModelConfig, batch: int, optimizer: str, recompute: bool) -> float:
    """Seconds of the second step; the first one compiles."""
    import numpy as np
    from mindspore import Tensor

    from src.generatorloss import GeneratorLoss, paper_block_weights
    from src.models.swave import Swave
    from src.network_define import NetworkWithLoss
    from src.optimizer import make_optimizer
    from src.training import TrainOneStepCell  # from there, so that all that a training run imports is loaded

    network = Swave(model)
    if recompute:
        for block in (*network.along, *network.across):
            block.recompute()
    loss = GeneratorLoss(model.num_speakers, paper_block_weights(model.num_pairs))
    cell = TrainOneStepCell(NetworkWithLoss(network, loss), make_optimizer(optimizer, network, [1e-3, 1e-3]), 5.0)
    cell.set_train()
    rng = np.random.default_rng(0)
    num_samples = int(model.sample_rate * model.segment_seconds)
    sources = rng.standard_normal((batch, model.num_speakers, num_samples)).astype(np.float32)
    inputs = (Tensor(sources.sum(1)), Tensor(sources), Tensor(np.full(batch, num_samples, np.int32)))
    for _ in range(2):
        began = time.perf_counter()
        assert np.isfinite(cell(*inputs)[0].asnumpy())
    return time.perf_counter() - began


def peak_megabytes() -> float:
    """Of this process alone: what getrusage tells begins with the parent's memory at the time of the fork."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6  # told in kB
    raise RuntimeError("Expected a line VmHWM in /proc/self/status. Found none.")


if __name__ == "__main__":
    main(sys.argv[1:])
