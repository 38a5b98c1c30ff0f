"""What separation tells on the screen: remarks about an input, and how far it is."""

import sys
import time
from typing import Any

from tqdm import tqdm

from src.command_line import raise_if_interrupted
from src.config import ModelConfig
from src.recordings.remarks import InputReport, find_notes, find_warnings


class Remarks:
    """Tells on standard error what a listener should know of an input; a note of the same words only once."""

    def __init__(self, model: ModelConfig) -> None:
        self._model = model
        self._noted: set[str] = set()

    def about(self, name: str, report: InputReport) -> None:
        """Tell about an input."""
        for line in find_warnings(report, self._model):
            tell(f"warning: {name}: {line}")
        for line in find_notes(report, self._model):
            if line not in self._noted:
                self._noted.add(line)
                tell(f"note: {name}: {line}")


def tell(line: str) -> None:
    """A line on standard error, above a progress bar."""
    tqdm.write(line, file=sys.stderr)


class ProgressBar:
    """Seconds of audio that one stage is through with, and how its time compares with theirs."""

    def __init__(self, name: str) -> None:
        self._name, self._stage = name, ""
        self._bar: Any = None
        self._began = 0.0

    def __call__(self, stage: str, seconds: float, total: float | None) -> None:
        """Seconds of audio since the last call; see `OnProgress`. Raises KeyboardInterrupt after a Ctrl-C."""
        raise_if_interrupted()
        if stage != self._stage:
            self.close()
            self._stage, self._began = stage, time.perf_counter() - 1e-9
            length = "{n:.0f} s" if total is None else "{percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s"
            form = "{desc}: " + length + " of audio [{elapsed}<{remaining}{postfix}]"
            self._bar = tqdm(total=total, desc=f"{self._name}: {stage}", leave=False, bar_format=form)
        factor = (time.perf_counter() - self._began) / (self._bar.n + seconds)
        self._bar.set_postfix_str(f"{factor:.2f} x real time", refresh=False)
        self._bar.update(seconds if total is None else min(seconds, total - self._bar.n))

    def close(self) -> None:
        """Take the bar from the screen."""
        if self._bar is not None:
            self._bar.close()
