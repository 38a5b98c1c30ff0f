"""Runs an exported network as often as standard input has lines, for benchmarks/deployment.py.

    python benchmarks/deployment_worker.py mindspore|onnxruntime MODEL THREADS

Speaks as network_worker.cc does: "ready" when it is, then the seconds of each run, and at the end the process's
largest resident memory in kB.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

Run = Callable[[], object]


def load_mindspore(path: Path, num_threads: int) -> Run:
    """A MINDIR as MindSpore's own nn.GraphCell, which is compiled at the first call."""
    os.environ["OMP_NUM_THREADS"] = str(num_threads)
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from src.runtime import prepare_environment, start

    prepare_environment()
    start("CPU")
    import mindspore as ms
    import numpy as np

    ms.set_context(runtime_num_threads=num_threads)
    cell = ms.nn.GraphCell(ms.load(str(path)))
    shape = tuple(json.loads(Path(f"{path}.json").read_text())["inputs"][0]["shape"])
    mixture = ms.Tensor(0.1 * np.random.default_rng(0).standard_normal(shape), ms.float32)
    lengths = ms.Tensor(np.full(shape[0], shape[1]), ms.int32)
    return lambda: cell(mixture, lengths).asnumpy()


def load_onnxruntime(path: Path, num_threads: int) -> Run:
    """An ONNX file in onnxruntime's CPU provider."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    mixture, lengths = session.get_inputs()
    random = np.random.default_rng(0).standard_normal(mixture.shape)
    values = {
        mixture.name: (0.1 * random).astype(np.float32),
        lengths.name: np.full(lengths.shape, mixture.shape[1], np.int32),
    }
    return lambda: session.run(None, values)


def main() -> None:
    """Answer until standard input ends."""
    kind, path, num_threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    run = {"mindspore": load_mindspore, "onnxruntime": load_onnxruntime}[kind](path, num_threads)
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        run()
        print(time.perf_counter() - began, flush=True)
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count the process that started this one
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), flush=True)


if __name__ == "__main__":
    main()
