"""One point of what FUSED_BYTES_PER_FRAME_AND_… of src/inference.py rest on: peak memory of separating noise.

    python -m tests.models.measure_separation 128 8 128 6 2 16 1 none

Arguments: N, L, H, R, C, seconds, batch and amp. Prints the peak resident memory in MB (10^6 bytes) and the seconds
taken, compilation included. With GDPRNN_KERNELS=off it is that of MindSpore's own operators.
"""

import sys
import time

from src.config import ModelConfig
from src.runtime import prepare_environment, start
from tests.models.measure_memory import peak_megabytes


def main(argv: list[str]) -> None:
    filters, kernel, hidden, pairs, speakers = (int(word) for word in argv[:5])
    seconds, batch, amp = float(argv[5]), int(argv[6]), argv[7]
    prepare_environment()
    start()
    taken = separate_noise(ModelConfig(speakers, filters, kernel, hidden, pairs), seconds, batch, amp)
    print(f"{peak_megabytes():.0f} {taken:.2f}")


def separate_noise(model: ModelConfig, seconds: float, batch: int, amp: str) -> float:
    """Seconds that it takes, twice, as a second chunk finds what the first one left."""
    import numpy as np

    import src.separation  # noqa: F401 (all that separate.py imports is loaded)
    from src.inference import as_separate
    from src.models.swave import Swave

    network = Swave(model).set_train(False)
    network.compute_in(amp)
    separate = as_separate(network, model, "noise")
    shape = (batch, int(seconds * model.sample_rate))
    mixtures = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    began = time.perf_counter()
    for _ in range(2):
        separate(mixtures)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(sys.argv[1:])
