"""The MulCat block alone, with its residual connection, as our network and the PyTorch twin run it.

A line names the task, "along" or "across" the chunks, "forward" or "both" (forward and backward, with the gradients of
input and weights).

Letters of the shapes: S chunks, K frames of a chunk, B batch (1), N channels.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.contenders import UnavailableError

if TYPE_CHECKING:
    from benchmarks.performance_worker import Job, Work

DIRECTIONS = ("along", "across")
PASSES = ("forward", "both")
TASKS = tuple(f"{direction} {passes}" for direction in DIRECTIONS for passes in PASSES)


def chunks_of(job: "Job") -> tuple[np.ndarray, np.ndarray]:
    """An input and the gradient of an output, both [S, K, 1, N]."""
    shape = (job.size.num_chunks, job.size.chunk_frames, 1, job.size.model.num_filters)
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape).astype(np.float32), rng.standard_normal(shape).astype(np.float32)


def our_block(job: "Job") -> "tuple[Work, str]":
    """The first block of each direction, whichever operators it runs on."""
    from benchmarks.performance_worker import note_of, set_weights, start_ours

    start_ours()
    import mindspore as ms

    from src.errors import UserError
    from src.models.swave import Swave

    network = Swave(job.size.model)
    try:
        network.compute_in(job.precision)
    except UserError as error:
        raise UnavailableError(error) from None
    set_weights(network, job.weights)
    chunks, gradient = map(ms.Tensor, chunks_of(job))
    cells = {f"{direction} forward": _one_pass(network, direction).set_train(False) for direction in DIRECTIONS}
    for direction in DIRECTIONS:
        cells[f"{direction} both"] = _with_gradient(_one_pass(network, direction).set_train(), gradient)

    def work(task: str) -> str:
        is_training = task.endswith("both")
        network.set_train(is_training)
        result = cells[task](chunks)
        (result[0] if is_training else result).asnumpy()
        return ""

    return work, note_of(network)


def _one_pass(network: Any, direction: str) -> Any:
    from mindspore import Tensor, nn

    class Along(nn.Cell):
        """The first block along the chunks."""

        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.network = network

        def construct(self, chunks: Tensor) -> Tensor:
            return self.network._pass_along(self.network.along[0], chunks)

    class Across(nn.Cell):
        """The first block across the chunks."""

        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.network = network

        def construct(self, chunks: Tensor) -> Tensor:
            return self.network._pass_across(self.network.across[0], chunks)

    return Along() if direction == "along" else Across()


def _with_gradient(one_pass: Any, gradient: Any) -> Any:
    """A Cell that gives the gradients of the input and of the block's own weights."""
    from mindspore import ParameterTuple, Tensor, nn, ops

    network = one_pass.network
    block = network.along[0] if type(one_pass).__name__ == "Along" else network.across[0]

    class WithGradient(nn.Cell):
        """Forward and backward."""

        def __init__(self) -> None:
            super().__init__(auto_prefix=False)
            self.one_pass = one_pass
            self.weights = ParameterTuple(block.weights())
            self.gradient_of = ops.GradOperation(get_all=True, get_by_list=True, sens_param=True)
            self.gradient = gradient

        def construct(self, chunks: Tensor) -> tuple[Tensor, ...]:
            inputs, weights = self.gradient_of(self.one_pass, self.weights)(chunks, self.gradient)
            return inputs[0], *weights

    return WithGradient().set_train()


def torch_block(job: "Job") -> "tuple[Work, str]":
    """The twin's first block of each direction, as its separator calls them: [B, N, K, S] permuted and back."""
    from benchmarks.performance_worker import autocast, load_twin

    model = load_twin(job).separator.rnn_model
    import torch

    arrays = [torch.from_numpy(array).permute(2, 3, 1, 0).contiguous() for array in chunks_of(job)]
    chunks, gradient = arrays[0].requires_grad_(), arrays[1]
    passes: dict[str, Callable[[Any], Any]] = {
        "along": lambda inputs: _torch_along(model.rows_grnn[0], inputs),
        "across": lambda inputs: _torch_across(model.cols_grnn[0], inputs),
    }

    def work(task: str) -> str:
        direction, wanted = task.split()
        if wanted == "forward":
            with torch.inference_mode(), autocast(job):
                passes[direction](chunks.detach())
            return ""
        model.zero_grad()
        chunks.grad = None
        with autocast(job):
            output = passes[direction](chunks)
        output.backward(gradient.to(output.dtype))
        return ""

    return work, f"PyTorch {torch.__version__}"


def _torch_along(block: Any, chunks: Any) -> Any:
    batch, channels, frames, count = chunks.shape
    rows = block(chunks.permute(0, 3, 2, 1).reshape(batch * count, frames, channels))
    return chunks + rows.view(batch, count, frames, channels).permute(0, 3, 2, 1)


def _torch_across(block: Any, chunks: Any) -> Any:
    batch, channels, frames, count = chunks.shape
    columns = block(chunks.permute(0, 2, 3, 1).reshape(batch * frames, count, channels))
    return chunks + columns.view(batch, frames, count, channels).permute(0, 3, 1, 2)
