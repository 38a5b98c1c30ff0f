"""Whether a run is well: updates that had to be skipped, the scale of a float16 loss, a data pipeline that hangs."""

import math
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from src.errors import UserError

T = TypeVar("T")

FIRST_SCALE = 2.0**16  # of a float16 loss
LARGEST_SCALE = 2.0**24
SCALE_PERIOD = 1000  # updates in a row without an overflow, after which the scale is doubled
QUEUED_BATCHES = 2
PATIENCE_SECONDS = 0.2  # between looks at whether anybody still waits
LEAVING_SECONDS = 10.0  # for the item that is being read when nobody wants more


@dataclass
class Health:
    """What is counted over all sittings of a run; part of every checkpoint."""

    skipped: int = 0  # updates that were not made
    skipped_in_a_row: int = 0
    loss_scale: float = 1.0  # stays 1 unless the network computes in float16
    good_in_a_row: int = 0  # since the scale last changed
    scales: bool = False  # whether the scale moves

    @classmethod
    def of_precision(cls, amp: str) -> "Health":
        """A run's beginning: float16 needs its loss scaled (Micikevicius et al. 2018, arXiv 1710.03740)."""
        return cls(loss_scale=FIRST_SCALE, scales=True) if amp == "float16" else cls()

    def observe(self, loss: float, norm: float) -> bool:
        """Count one update; returns whether it was made, that is, whether both numbers are finite.

        The rule is the same as the training step's own. A scale is halved after an overflow, and doubled after
        `SCALE_PERIOD` updates without one.
        """
        if math.isfinite(loss) and math.isfinite(norm):
            self.skipped_in_a_row = 0
            self.good_in_a_row += 1
            if self.scales and self.good_in_a_row >= SCALE_PERIOD:
                self.loss_scale, self.good_in_a_row = min(LARGEST_SCALE, 2 * self.loss_scale), 0
            return True
        self.skipped += 1
        self.good_in_a_row = 0
        if self.scales and self.loss_scale > 1:  # found its way down; nothing is wrong yet
            self.loss_scale = max(1.0, self.loss_scale / 2)
        else:
            self.skipped_in_a_row += 1
        return False

    def check(self, limit: int, step: int, kept: Path) -> None:
        """Raise `UserError` with advice where `limit` updates in a row were skipped.

        Args:
            limit: of the configuration.
            step: number of the update, for the message.
            kept: the checkpoint that is still good, if there is one yet.
        """
        if self.skipped_in_a_row >= limit:
            before = f": {kept} is from before" if kept.exists() else ""
            raise UserError(
                f"step {step}: found a loss or gradient that is not finite {self.skipped_in_a_row} times in a row, "
                f"expected finite ones{before}. A smaller --lr or a longer training.warmup_steps "
                f"may help (then with --restart); else look for damaged examples in the training set"
            )


def watched(items: Iterator[T], timeout_seconds: float, what: str) -> Generator[T, None, None]:
    """The same items, read ahead by a thread, so that a source that hangs is noticed.

    Close it (`contextlib.closing`) before the program ends: a thread that reads with MindData while Python shuts
    down crashes the process.

    Args:
        items: read in the thread, up to two ahead.
        timeout_seconds: longest wait for one item; 0: for ever.
        what: for the message.

    Raises `UserError` when the time is over, and whatever `items` raises.
    """
    ready: queue.Queue[Callable[[], T]] = queue.Queue(QUEUED_BATCHES)
    wanted = threading.Event()
    wanted.set()

    def put(result: Callable[[], T]) -> None:
        while wanted.is_set():
            try:
                ready.put(result, timeout=PATIENCE_SECONDS)
                return
            except queue.Full:
                pass

    def read() -> None:
        try:
            for item in items:
                put(lambda item=item: item)  # type: ignore[misc]
                if not wanted.is_set():
                    return
            put(_end)
        except BaseException as error:  # the reader of the queue shall have it
            put(lambda error=error: _throw(error))  # type: ignore[misc]

    thread = threading.Thread(target=read, name="reading ahead", daemon=True)
    thread.start()
    leaving_seconds = LEAVING_SECONDS
    try:
        while True:
            try:
                result = ready.get(timeout=timeout_seconds or None)
            except queue.Empty:
                leaving_seconds = 0.0
                raise UserError(
                    f"{what}: found no batch for {timeout_seconds:g} s, expected one sooner: the data pipeline hangs, "
                    f"or the disk is very slow (training.data_timeout_seconds)"
                ) from None
            try:
                yield result()
            except _EndError:
                return
    finally:
        wanted.clear()
        thread.join(leaving_seconds)


class _EndError(Exception):
    """There are no more items."""


def _end() -> T:  # type: ignore[type-var]
    raise _EndError


def _throw(error: BaseException) -> T:  # type: ignore[type-var]
    raise error
