"""Which track of a chunk continues which of the chunk before."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Alignment:
    """For every chunk: track c of the result is the chunk's track `order[c]`, times `sign[c]`."""

    orders: list[NDArray[np.int64]]  # [C] each
    signs: list[Floats]  # [C] each, 1 or -1


class Aligner:
    """Takes the chunks of a recording one after the other, and then gives their alignment."""

    def __init__(self, sample_rate: int) -> None:
        self._alignment = Alignment([], [])
        self._before: tuple[int, Floats] | None = None

    def add(self, start: int, mixture: Floats, tracks: Floats, used: slice) -> None:
        """Take the next chunk: mixture [M] and tracks [C, M]; `used` is the part that the result is made from."""
        count = len(tracks)
        order, signs = np.arange(count), np.ones(count, np.float32)
        if self._before is not None:
            start_before, before = self._before
            shared = before.shape[1] - (start - start_before)
            products = before[:, before.shape[1] - shared :] @ tracks[:, :shared].T  # [C, C]
            last_order, last_signs = self._alignment.orders[-1], self._alignment.signs[-1]
            products = products[last_order] * last_signs[:, np.newaxis]
            rows, order = linear_sum_assignment(np.abs(products), maximize=True)
            signs = np.where(products[rows, order] < 0, -1, 1).astype(np.float32)
        self._alignment.orders.append(order)
        self._alignment.signs.append(signs)
        self._before = start, np.array(tracks)

    def result(self) -> Alignment:
        """The alignment of all chunks so far."""
        return self._alignment
