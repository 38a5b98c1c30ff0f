"""The gated block as one operator on a CPU (src/kernels), with its gradient.

Letters: S chunks, K frames of a chunk, B batch, N channels, H LSTM units of a direction.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops
from mindspore.ops import CustomRegOp, DataType

from src.config import ModelConfig
from src.errors import UserError
from src.kernels.library import find_library, load_library
from src.runtime import usable_cores

NUM_WEIGHTS = 14


def fused_block_library(config: ModelConfig) -> Path | None:
    """The library of the operators, ready for this many cores.

    None where the device is no CPU, the library could not be compiled, or N or H is odd.
    """
    if ms.get_context("device_target") != "CPU" or config.num_filters % 2 or config.hidden_size % 2:
        return None
    path = find_library()
    if path is not None:
        load_library(path).SetNumThreads(usable_cores())
    return path


class FusedBlock(nn.Cell):
    """(chunks [S, K, B, N], the block's 14 weights) -> chunks plus the block's output, [S, K, B, N].

    The weights in order: of the values' LSTM `weight_ih` [2, 4H, N], `weight_hh` [2, 4H, H], `bias_ih` and
    `bias_hh` [2, 4H]; the same of the gates' LSTM; weight [N, 2H] and bias [N] of the values' projection and of
    the gates'; weight [N, 2N] and bias [N] of the output.

    Args:
        path: the library.
        config: of the network.
        along: run along the chunks, the second axis; else across them, the first.
    """

    def __init__(self, path: Path, config: ModelConfig, along: bool) -> None:
        super().__init__()
        self.path, self.config, self.along = path, config, along
        self.keeping, self.recomputing = _operators(path, config.hidden_size, along, half=False)
        self.keeps = True

    def round_to_bfloat16(self) -> None:
        """Round what goes into products; sums, the LSTMs' cells and what stands between blocks stay float32.

        Raises `UserError` where the processor cannot, or N or H does not fit its tiles.
        """
        multiple = load_library(self.path).HalfMultiple()
        if multiple == 0:
            raise UserError(
                "found a processor without products in bfloat16 (avx512_bf16 or amx_bf16), expected float32"
            )
        channels, hidden = self.config.num_filters, self.config.hidden_size
        if channels % multiple or hidden % multiple:
            raise UserError(f"found N = {channels}, H = {hidden}, expected multiples of {multiple} for bfloat16")
        self.keeping, self.recomputing = _operators(self.path, hidden, self.along, half=True)

    def construct(self, chunks: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """Where `keeps`, what the gradient needs is kept in training; else it is computed again."""
        if self.training and self.keeps:
            return self.keeping(chunks, *weights)[0]
        return self.recomputing(chunks, *weights)


@functools.cache
def _operators(path: Path, hidden_size: int, along: bool, half: bool) -> tuple[ops.Custom, ops.Custom]:
    """The operator that saves what its gradient needs, and the one that does not."""
    name = "GatedBlockAlong" if along else "GatedBlockAcross"
    suffix = "Half" if half else ""

    def saved_shape(shape: Sequence[int], *_weights: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        sizes = (ctypes.c_int64 * len(shape))(*shape)
        return shape, [load_library(path).CountSaved(sizes, hidden_size, along, half)]

    def gradient_shapes(_gradient: Sequence[int], _saved: Sequence[int], *arrays: Sequence[int]) -> tuple[Any, ...]:
        return arrays

    gradient = _custom(path, f"{name}Gradient{suffix}", gradient_shapes, 3 + NUM_WEIGHTS, 1 + NUM_WEIGHTS)

    def keeping_bprop(x, w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, out, dout):  # type: ignore[no-untyped-def]  # noqa: PLR0917
        return gradient(dout[0], out[1], x, w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13)

    keeping = _custom(path, f"{name}Training{suffix}", saved_shape, 1 + NUM_WEIGHTS, 2, bprop=keeping_bprop)

    def recomputing_bprop(x, w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, out, dout):  # type: ignore[no-untyped-def]  # noqa: PLR0917
        x = ops.depend(x, dout)  # or the graph does this right after the forward pass, and all of it is kept
        saved = keeping(x, w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13)[1]
        return gradient(dout, saved, x, w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13)

    # No function for the shapes: the library has one, which MindSpore can ask while a graph of any length runs.
    recomputing = _custom(path, name + suffix, None, 1 + NUM_WEIGHTS, 1, bprop=recomputing_bprop)
    return keeping, recomputing


def _custom(
    path: Path,
    name: str,
    shapes: Callable[..., Any] | None,
    num_inputs: int,
    num_outputs: int,
    *,
    bprop: Callable[..., Any] | None = None,
) -> ops.Custom:
    registration = CustomRegOp(name)
    for place in range(num_inputs):
        registration = registration.input(place, f"input{place}")
    for place in range(num_outputs):
        registration = registration.output(place, f"output{place}")
    types = [DataType.F32_Default] * (num_inputs + num_outputs)
    registration = registration.dtype_format(*types).target("CPU").get_op_info()
    dtypes = (ms.float32,) * num_outputs if num_outputs > 1 else ms.float32
    return ops.Custom(f"{path}:{name}", shapes, dtypes, "aot", bprop=bprop, reg_info=registration)
