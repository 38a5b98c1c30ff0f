"""Level and clipping in closed form, in blocks of any size; which lines are told about which input."""

import dataclasses
import itertools

import numpy as np
import pytest

from src.config import ModelConfig
from src.recordings.remarks import InputReport, Meter, find_notes, find_warnings

MODEL = ModelConfig(sample_rate=8000, kernel_size=8)
FINE = InputReport(80000, 8000, 1, "PCM_16", 0.05, 0)


def measure(samples: np.ndarray, length: int) -> Meter:
    """Samples [T] or [T, channels]."""
    columns = samples.reshape(len(samples), -1)
    meter = Meter(columns.shape[1])
    for start in range(0, len(columns), length):
        channels = columns[start : start + length].T
        meter.add(channels, channels.mean(axis=0))
    return meter


def runs(samples: np.ndarray) -> int:
    """Runs of 3 or more at the highest or lowest value, one sample after the other."""
    total = 0
    for side in (samples, -samples):
        if side.max() >= 0.25:
            total += sum(at and len(list(run)) >= 3 for at, run in itertools.groupby(side == side.max()))
    return total


@pytest.mark.parametrize("length", [1, 2, 3, 7, 10**6])
def test_runs_at_the_extremes_are_counted_across_blocks(length):
    rng = np.random.default_rng(0)
    for limit in (0.3, 0.9, 1.5):
        samples = np.clip(np.cumsum(rng.standard_normal(3000)) * 0.1, -limit, limit)
        assert runs(samples) > 5
        assert measure(samples, length).clipped_runs == runs(samples)


def test_a_higher_extreme_starts_the_count_anew():
    low = [0.3] * 5 + [0.0]
    assert measure(np.array(low * 4), 3).clipped_runs == 4
    assert measure(np.array(low * 4 + [0.4]), 3).clipped_runs == 0
    assert measure(np.array([0.4] + low * 4), 3).clipped_runs == 0


def test_both_sides_of_all_channels_count():
    samples = np.zeros((20, 2))
    samples[2:5, 0] = 0.5
    samples[7:10, 0] = -0.5
    samples[12:15, 1] = -0.9
    samples[16:18, 1] = 0.9  # too short
    assert measure(samples, 6).clipped_runs == 3


def test_flat_tops_of_a_quiet_recording_are_no_clipping():
    assert measure(0.24 * np.sign(np.sin(np.arange(100))), 10).clipped_runs == 0


def test_the_level_is_that_of_the_mean_of_the_channels():
    samples = np.stack([np.full(100, 0.5), np.full(100, -0.1)], axis=1)
    meter = measure(samples, 7)
    assert meter.rms == pytest.approx(0.2)
    assert meter.num_samples == 100


def changed(**values: float) -> list[str]:
    return find_warnings(dataclasses.replace(FINE, **values), MODEL)


def test_a_good_recording_gives_no_line():
    assert changed() == []
    assert find_notes(FINE, MODEL) == []
    assert changed(clipped_runs=2, rms=0.0011) == []


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"sample_rate": 4000},
            "found a sample rate of 4000 Hz, so there is nothing above 2000 Hz; expected 8000 Hz or more, "
            "as the network was trained on",
        ),
        (
            {"num_samples": 7},
            "found a length of 7 at 8000 Hz, expected at least one window of the network, 8 samples at 8000 Hz",
        ),
        (
            {"num_samples": 44, "sample_rate": 44100},
            "found a length of 44 at 44100 Hz, expected at least one window of the network, 8 samples at 8000 Hz",
        ),
        ({"rms": 0.0}, "silent, and so are its tracks"),
        ({"rms": 0.0, "num_channels": 2}, "silent once its channels are averaged, and so are its tracks"),
        ({"rms": 0.0005}, "very quiet: found a level of -66 dBFS (RMS), expected -60 or more"),
        ({"rms": 3000.0}, "very loud: found a level of 70 dBFS (RMS), expected samples between -1 and 1"),
        ({"clipped_runs": 12}, "clipped: found 12 runs of 3 or more samples at the extreme value"),
    ],
)
def test_what_speaks_against_good_tracks_is_one_line(values, line):
    assert changed(**values) == [line]


def test_what_is_done_to_an_input_is_noted():
    notes = find_notes(dataclasses.replace(FINE, num_channels=2, sample_rate=44100), MODEL)
    assert notes == [
        "its 2 channels are averaged",
        "the network hears up to 4000 Hz: its tracks, at 44100 Hz as the input, have nothing above that",
    ]
