"""What a listener should know of a recording before trusting its tracks: level, clipping, rate, channels, length."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.config import ModelConfig

Floats = NDArray[np.float64]

QUIET_DBFS = -60.0  # RMS; speech is recorded at about -35 to -15
LOUD_DBFS = 0.1  # RMS; a square wave at full scale has 0: beyond that the samples have another scale
LARGEST_SAMPLE = 1e10  # the network's squares of larger ones would leave 32-bit floating point
CLIPPED_LEVEL = 0.25  # of full scale: flat tops below are more likely coarse steps of a quiet recording
CLIPPED_SAMPLES = 3  # in a row at the extreme value are a run …
CLIPPED_RUNS = 3  # … and so many runs are clipping: the top of one slow swing may be flat by chance


class Meter:
    """Measures a recording block by block."""

    def __init__(self, num_channels: int) -> None:
        sides = 2 * num_channels  # each channel upwards and downwards
        self.num_samples = 0
        self._energy = 0.0
        self._extremes = np.full(sides, CLIPPED_LEVEL)
        self._runs = np.zeros(sides, np.int64)  # that reached CLIPPED_SAMPLES, at that extreme
        self._before = np.zeros((sides, CLIPPED_SAMPLES), bool)  # which of the last samples were at the extreme

    def add(self, channels: Floats, mono: Floats) -> None:
        """Take the next samples: of all channels [channels, t], and their mean [t]."""
        self.num_samples += len(mono)
        self._energy += float(mono @ mono)
        extremes = np.concatenate((channels.max(axis=1), -channels.min(axis=1)))
        higher = extremes > self._extremes
        self._extremes[higher] = extremes[higher]
        self._runs[higher] = 0
        self._before[higher] = False
        if (extremes < self._extremes).all():
            self._before = np.zeros_like(self._before)
            return
        at_extreme = np.concatenate((channels, -channels)) == self._extremes[:, np.newaxis]
        at = np.concatenate((self._before, at_extreme), axis=1)  # [sides, CLIPPED_SAMPLES + t]
        begins = ~at[:, :-CLIPPED_SAMPLES]  # the sample before a run; then all that it takes to be one
        for place in range(1, CLIPPED_SAMPLES + 1):
            begins &= at[:, place : len(mono) + place]
        self._runs += begins.sum(axis=1)
        self._before = at[:, -CLIPPED_SAMPLES:]

    @property
    def rms(self) -> float:
        """Of the mean of the channels, full scale at 1.0."""
        return math.sqrt(self._energy / self.num_samples)

    @property
    def clipped_runs(self) -> int:
        """Runs of `CLIPPED_SAMPLES` or more samples at the highest or lowest value of their channel."""
        return int(self._runs.sum())


@dataclass(frozen=True)
class InputReport:
    """What is known of an input once it has been read."""

    num_samples: int  # T
    sample_rate: int  # Hz
    num_channels: int
    subtype: str  # libsndfile's name of how samples are stored
    rms: float  # of the mean of the channels
    clipped_runs: int

    @property
    def seconds(self) -> float:
        """The recording's length."""
        return self.num_samples / self.sample_rate


def find_warnings(report: InputReport, model: ModelConfig) -> list[str]:
    """What speaks against good tracks, one line each, without the input's name."""
    lines = []
    if report.sample_rate < model.sample_rate:
        lines.append(
            f"found a sample rate of {report.sample_rate} Hz, so there is nothing above {report.sample_rate / 2:g} Hz; "
            f"expected {model.sample_rate} Hz or more, as the network was trained on"
        )
    if report.num_samples * model.sample_rate < model.kernel_size * report.sample_rate:
        lines.append(
            f"found a length of {report.num_samples} at {report.sample_rate} Hz, expected at least one window of "
            f"the network, {model.kernel_size} samples at {model.sample_rate} Hz"
        )
    lines += _level_warnings(report)
    if report.clipped_runs >= CLIPPED_RUNS:
        lines.append(
            f"clipped: found {report.clipped_runs} runs of {CLIPPED_SAMPLES} or more samples at the extreme value"
        )
    return lines


def find_notes(report: InputReport, model: ModelConfig) -> list[str]:
    """What is done to an input that a user may not expect, one line each, without the input's name."""
    lines = []
    if report.num_channels > 1:
        lines.append(f"its {report.num_channels} channels are averaged")
    if report.sample_rate > model.sample_rate:
        lines.append(
            f"the network hears up to {model.sample_rate / 2:g} Hz: its tracks, at {report.sample_rate} Hz as the "
            f"input, have nothing above that"
        )
    return lines


def _level_warnings(report: InputReport) -> list[str]:
    if report.rms == 0:
        what = "silent" if report.num_channels == 1 else "silent once its channels are averaged"
        return [f"{what}, and so are its tracks"]
    level_dbfs = 20 * math.log10(report.rms)
    if level_dbfs < QUIET_DBFS:
        return [f"very quiet: found a level of {level_dbfs:.0f} dBFS (RMS), expected {QUIET_DBFS:.0f} or more"]
    if level_dbfs > LOUD_DBFS:
        return [f"very loud: found a level of {level_dbfs:.0f} dBFS (RMS), expected samples between -1 and 1"]
    return []
