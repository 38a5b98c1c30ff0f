"""The processes of a distributed run: which one this is, and what they tell each other.

They are started by scripts/run_distribute_train.sh, which sets the environment that MindSpore reads: MS_ROLE and
MS_WORKER_NUM for its dynamic cluster, or RANK_TABLE_FILE, RANK_ID and RANK_SIZE.
"""

import os
from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.communication import get_group_size, get_rank, init
from numpy.typing import NDArray

from src.errors import UserError

BACKENDS = {"CPU": "mccl", "Ascend": "hccl", "GPU": "nccl"}


class Ranks:
    """One process among `size`; alone with the defaults, when nothing is communicated."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and the screen."""
        return self.rank == 0

    def sum(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The sum of all processes' arrays, for each of them."""
        if self.size == 1:
            return values
        total: NDArray[np.float32] = _Sum()(Tensor(values)).asnumpy()
        return total

    def share(self, parameters: Sequence[Parameter]) -> None:
        """Give every process the first one's values, float32, in one broadcast."""
        if self.size == 1:
            return
        values = [parameter.asnumpy() for parameter in parameters]
        flat = self._from_first(np.concatenate([value.reshape(-1) for value in values]))
        start = 0
        for parameter, value in zip(parameters, values, strict=True):
            parameter.set_data(Tensor(flat[start : start + value.size].reshape(value.shape), parameter.dtype))
            start += value.size

    def share_text(self, text: str) -> str:
        """The first process's text, for every process."""
        if self.size == 1:
            return text
        own = np.frombuffer(text.encode(), np.uint8)
        length = int(self._from_first(np.array([own.size], np.float32))[0])  # exact up to 16 million
        padded = np.zeros(length, np.float32)
        padded[: min(length, own.size)] = own[:length]
        return self._from_first(padded).astype(np.uint8).tobytes().decode()

    def _from_first(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        received: NDArray[np.float32] = _FromFirst()(Tensor(values)).asnumpy()
        return received


class _Sum(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.reduce = ops.AllReduce()

    def construct(self, values: Tensor) -> Tensor:
        return self.reduce(values)


class _FromFirst(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.broadcast = ops.Broadcast(0)

    def construct(self, values: Tensor) -> Tensor:
        return self.broadcast((values,))[0]


def join_ranks(device_target: str) -> Ranks:
    """Take part in the distributed run that the environment names, or stay alone where it names none.

    MindSpore's data parallelism is switched on for several processes. The scheduler of a dynamic cluster runs the
    same program and stays in here until the cluster ends.

    Raises `UserError` if the other processes cannot be reached.
    """
    if not _is_started_with_others():
        return Ranks()
    try:
        init(BACKENDS[device_target])
        ranks = Ranks(get_rank(), get_group_size())
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"the distributed run's processes do not find each other: {reason}") from None
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, device_num=ranks.size)
    return ranks


def _is_started_with_others() -> bool:
    if os.environ.get("MS_ROLE"):
        return os.environ["MS_ROLE"] == "MS_SCHED" or _number("MS_WORKER_NUM") > 1
    return bool(os.environ.get("RANK_TABLE_FILE")) and _number("RANK_SIZE") > 1


def _number(name: str) -> int:
    text = os.environ.get(name, "1")
    if not (text.isascii() and text.isdecimal()):
        raise UserError(f"{name}: found '{text}', expected the number of processes (run_distribute_train.sh sets it)")
    return int(text)
