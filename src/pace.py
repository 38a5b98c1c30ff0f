"""How fast a run goes, what is left of it, and the bar that shows both."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

# Without tqdm's own rate and time left: they count validation and compilation as steps.
BAR_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
RECENT_STEPS = 50


class Pace:
    """Step time and time left of one sitting, apart from what is not a step.

    The rate is the mean of the last 50 steps: a slow-down shows within 50 steps, and one slow step in 50 counts
    with its share. The first step of a sitting waits for graph compilation and is left out.

    Args:
        batch_examples: examples in one update, of all processes together.
        seconds_per_example: seconds of audio in one example.
        clock: seconds from any origin, never running backwards.
    """

    def __init__(
        self, batch_examples: int, seconds_per_example: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.batch_examples = batch_examples
        self.seconds_per_example = seconds_per_example
        self._clock = clock
        self._last: float | None = None  # when the last step ended, moved on by what was left out since
        self._recent: deque[float] = deque(maxlen=RECENT_STEPS)  # seconds
        self._epoch_ends: list[float] = []  # seconds of validation and checkpoint, one an epoch

    def step(self, now: float | None = None) -> None:
        """Note that an update is finished, at `now` on the clock if that was read already."""
        now = self._clock() if now is None else now
        if self._last is not None:
            self._recent.append(now - self._last)
        self._last = now

    @contextmanager
    def pause(self, ends_epoch: bool = True) -> Iterator[None]:
        """Leave the time of the block out of the steps.

        Args:
            ends_epoch: the block is all that follows an epoch's steps (validation, curves, checkpoint), so that
                every epoch left will need that long again. False for what comes at any other time.
        """
        begun = self._clock()
        try:
            yield
        finally:
            self.left_out(self._clock() - begun, ends_epoch)

    def left_out(self, seconds: float, ends_epoch: bool = True) -> None:
        """Leave `seconds` that have passed since the last step out of the next; else as `pause`."""
        if self._last is not None:
            self._last += seconds
        if ends_epoch:
            self._epoch_ends.append(seconds)

    @property
    def seconds_per_step(self) -> float | None:
        """Mean of the recent steps; None until two steps are done."""
        return math.fsum(self._recent) / len(self._recent) if self._recent else None

    @property
    def examples_per_second(self) -> float | None:
        """Examples of all processes; None until two steps are done."""
        seconds = self.seconds_per_step
        return self.batch_examples / seconds if seconds else None

    @property
    def audio_seconds_per_second(self) -> float | None:
        """Seconds of audio that one second of training takes in; None until two steps are done."""
        rate = self.examples_per_second
        return None if rate is None else rate * self.seconds_per_example

    @property
    def seconds_per_validation(self) -> float:
        """Mean time at the end of an epoch; 0 while none was seen.

        The first of a sitting compiles a graph, as the first step does: it counts only until there is another.
        """
        known = self._epoch_ends[1:] or self._epoch_ends
        return math.fsum(known) / len(known) if known else 0.0

    def remaining(self, steps_left: int, epochs_left: int) -> float | None:
        """Seconds until the run is done; None until two steps are done.

        Args:
            steps_left: of the whole run.
            epochs_left: validations still to come, with the one that ends the present epoch.
        """
        seconds = self.seconds_per_step
        return None if seconds is None else steps_left * seconds + epochs_left * self.seconds_per_validation

    def postfix(self, steps_left: int, epochs_left: int, loss: float | None) -> str:
        """What the bar says at its end, most important first, because a narrow terminal cuts it off.

        Args:
            steps_left: as in `remaining`.
            epochs_left: as in `remaining`.
            loss: in dB; None while there is none.

        Returns:
            Such as "left 1:23:45, loss -3.21 dB, 0.112 s/step, 8.93 examples/s, 17.9 s audio/s"; before the second
            step the loss alone.
        """
        left = self.remaining(steps_left, epochs_left)
        parts = [
            None if left is None else f"left {duration(left)}",
            None if loss is None else f"loss {loss:.2f} dB",
            _with_unit(self.seconds_per_step, "s/step"),
            _with_unit(self.examples_per_second, "examples/s"),
            _with_unit(self.audio_seconds_per_second, "s audio/s"),
        ]
        return ", ".join(part for part in parts if part is not None)


def progress_bar(total: int, initial: int, disable: bool | None = False) -> "tqdm[Any]":
    """A bar over the steps of a run, for `set_postfix_str(pace.postfix(...))`.

    Args:
        total: steps of the whole run.
        initial: steps that earlier sittings have done.
        disable: show nothing (on all processes but one); None shows it on a terminal only.
    """
    return tqdm(
        total=total,
        initial=initial,
        disable=disable,
        desc="training",
        unit="step",
        bar_format=BAR_FORMAT,
        dynamic_ncols=True,
    )


def duration(seconds: float) -> str:
    """As a clock shows it: 05:09, 1:23:45, and from a day on 2d 3h, where minutes are no longer known."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour}h"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute:02}:{second:02}"


def _with_unit(value: float | None, unit: str) -> str | None:
    """Three significant figures without an exponent, so that fast and slow machines are both told apart."""
    if value is None:
        return None
    decimals = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{min(max(decimals, 0), 6)}f} {unit}"
