"""A contender of benchmarks/performance.py: our network or the PyTorch twin, a training step or an inference a line.

    python -m benchmarks.performance_worker PART KIND SIZE WORK

PART is weights, training, inference, block or sgemm; KIND the name of a contender. Only the libraries
that the contender needs are loaded, because its memory is measured.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import UnavailableError, serve
from benchmarks.sizes import SIZES, Product, Size
from src.runtime import prepare_environment, usable_cores
from tests.twin import mapping
from tests.twin.cases import Arrays, Case, batch

LEARNING_RATE = 5e-4  # that of the defaults
CLIP_NORM = 5.0
MERGE = "mean"  # the twin takes the product's own mean of chunks, so that Adam takes the same steps

Work = Callable[[str], str]


@dataclass(frozen=True)
class Job:
    """What this process is to be."""

    part: str
    kind: str
    size: Size
    weights: Path
    result: Path  # where an inference's tracks go

    @property
    def precision(self) -> str:
        """As `training.amp` has it. THE place where our bfloat16 is switched on; extend it if more is needed."""
        return "bfloat16" if self.kind.endswith("bfloat16") else "none"


def example(size: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mixture [1, T], sources [1, C, T] and true lengths [1], the same for all."""
    return batch(Case("benchmark", size.model, size.num_samples, (size.num_samples,)))


def weights_path(work: Path, size: str) -> Path:
    """Where the weights of a size are kept."""
    return work / f"{size}.npz"


def result_path(work: Path, size: str, kind: str) -> Path:
    """Where a contender leaves the tracks of its first inference."""
    return work / f"{size}-{re.sub('[^A-Za-z0-9]+', '-', kind)}.npy"


def load_weights(path: Path) -> Arrays:
    """By the product's names."""
    with np.load(path) as stored:
        return dict(stored)


# Ours


def start_ours() -> None:
    """MindSpore with the settings of every program."""
    prepare_environment()
    from src.runtime import start

    start("CPU")


def write_weights(job: Job) -> None:
    """The values that a network is drawn with."""
    start_ours()
    from src.models.swave import Swave
    from src.runtime import seed_everything

    seed_everything(0)
    network = Swave(job.size.model)
    np.savez(job.weights, **{parameter.name: parameter.asnumpy() for parameter in network.get_parameters()})


def set_weights(network: Any, path: Path) -> None:
    """Before anything is compiled."""
    import mindspore as ms

    values = load_weights(path)
    for parameter in network.get_parameters():
        parameter.set_data(ms.Tensor(values[parameter.name]))


def note_of(network: Any) -> str:
    """Which operators the gated blocks run on."""
    return "the fused operator" if network.is_fused else "MindSpore's operators"


def our_training(job: Job) -> tuple[Work, str]:
    """One update of a `Stepper`, as train.py makes it."""
    start_ours()
    from src.config import Config, TrainingConfig
    from src.errors import UserError
    from src.stepper import Stepper

    recompute = "recompute" in job.kind
    settings = TrainingConfig(batch_size=1, clip_norm=CLIP_NORM, recompute=recompute, amp=job.precision)
    try:
        stepper = Stepper(Config(job.size.model, training=settings))
    except UserError as error:
        raise UnavailableError(error) from None
    set_weights(stepper.network, job.weights)
    stepper.begin_training()
    one = example(job.size)
    return lambda _: str(stepper.take([one], LEARNING_RATE, 0.0, 1.0).loss_db), note_of(stepper.network)


def our_inference(job: Job) -> tuple[Work, str]:
    """The function on arrays that separate.py and evaluate.py use, which takes any length; or for one length alone."""
    start_ours()
    from src.errors import UserError
    from src.inference import as_separate
    from src.models.swave import Swave

    network = Swave(job.size.model)
    try:
        network.compute_in(job.precision)
    except UserError as error:
        raise UnavailableError(error) from None
    set_weights(network, job.weights)
    network.set_train(False)
    if "one length" in job.kind:
        import mindspore as ms

        return _keeping_first(lambda mixture: network(ms.Tensor(mixture)).asnumpy(), job), note_of(network)
    separate = as_separate(network, job.size.model, "the benchmark")
    return _keeping_first(separate, job), note_of(network)


def _keeping_first(separate: Callable[[np.ndarray], np.ndarray], job: Job) -> Work:
    mixture = example(job.size)[0]

    def work(_: str) -> str:
        tracks = separate(mixture)
        if not job.result.exists():
            np.save(job.result, tracks)
        return ""

    return work


# The twin


def start_torch() -> Any:
    """PyTorch on all cores."""
    prepare_environment()
    import torch

    torch.set_num_threads(usable_cores())
    return torch


def load_twin(job: Job) -> Any:
    """The twin in float32 with the same weights."""
    torch = start_torch()
    from tests.twin.torch_twin import TorchTwin

    model = job.size.model
    twin = TorchTwin(
        num_speakers=model.num_speakers,
        num_filters=model.num_filters,
        kernel_size=model.kernel_size,
        hidden_size=model.hidden_size,
        num_pairs=model.num_pairs,
        chunk_frames=model.resolved_chunk_frames,
        normalize_level=model.normalize_level,
        overlap_weight=0.5,
    )
    state = mapping.to_twin(load_weights(job.weights), MERGE)
    twin.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    return twin


def autocast(job: Job) -> Any:
    """The context in which the twin runs."""
    import torch

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=job.precision == "bfloat16")


def torch_training(job: Job) -> tuple[Work, str]:
    """Forward, backward, clip and Adam, as PyTorch users write them."""
    twin = load_twin(job)
    import torch

    from tests.twin.torch_twin import separation_loss

    optimizer = torch.optim.Adam(twin.parameters(), lr=LEARNING_RATE)
    mixture, sources, num_samples = (torch.from_numpy(array) for array in example(job.size))

    def work(_: str) -> str:
        optimizer.zero_grad()
        with autocast(job):
            tracks = twin(mixture)
        loss = separation_loss(tracks.float(), sources, num_samples)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), CLIP_NORM)
        optimizer.step()
        return str(loss.item())

    return work, f"PyTorch {torch.__version__}"


def torch_inference(job: Job) -> tuple[Work, str]:
    """Forward under inference_mode; the twin gives every pair's tracks, the last pair's are the result."""
    twin = load_twin(job)
    import torch

    twin.eval()

    def separate(mixture: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), autocast(job):
            return last_tracks(twin, torch.from_numpy(mixture)).float().numpy()

    return _keeping_first(separate, job), f"PyTorch {torch.__version__}"


def last_tracks(twin: Any, mixture: Any) -> Any:
    """The tracks after the last pair alone, [B, C, T]: what an inference decodes; the head runs after every pair."""
    from tests.twin.torch_twin import cut_into_chunks

    frames = twin.encoder.conv(mixture[:, None]).relu()
    outputs = twin.separator.rnn_model(cut_into_chunks(frames, twin.chunk_frames))
    return twin.decode(outputs[-1], frames.shape[2], mixture.shape[1])


def sgemm(_job: Job) -> tuple[Work, str]:
    """The matrix product that a line names, over and over for about a tenth of a second; gives its best rate."""
    torch = start_torch()
    import time

    def work(name: str) -> str:
        product = Product.named(name)
        left, right = torch.randn(product.rows, product.inner), torch.randn(product.inner, product.columns)
        result = torch.empty(product.rows, product.columns)
        times, count = [], 1
        end = time.perf_counter() + 0.1
        while len(times) < 3 or time.perf_counter() < end:
            began = time.perf_counter()
            for _ in range(count):
                torch.mm(left, right, out=result)
            took = time.perf_counter() - began
            if took < 0.005:  # too short to be timed
                count *= 2
                continue
            times.append(took / count)
        return str(product.flops / min(times))

    return work, f"PyTorch {torch.__version__}"


def main() -> None:
    """Answer until standard input ends."""
    from benchmarks.block_worker import our_block, torch_block

    part, kind, name, work = sys.argv[1:]
    ours = kind.startswith("ours")
    job = Job(part, kind, SIZES[name], weights_path(Path(work), name), result_path(Path(work), name, kind))
    if part == "weights":
        write_weights(job)
        return
    makers = {
        "training": our_training if ours else torch_training,
        "inference": our_inference if ours else torch_inference,
        "block": our_block if ours else torch_block,
        "sgemm": sgemm,
    }
    serve(lambda: makers[part](job))


if __name__ == "__main__":
    main()
