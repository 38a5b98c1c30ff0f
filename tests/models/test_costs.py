"""The formulas of costs against the network itself: its parameters, and the shapes its operators were called with."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from src.config import ModelConfig
from src.models.costs import multiply_adds, num_parameters, training_bytes
from src.models.lstm import BidirectionalLSTM
from src.models.swave import Encoder, Head, Linear, Swave
from src.runtime import start

# C, N, L, H, R: every letter differs from every other somewhere.
SHAPES = [(2, 12, 4, 3, 2), (3, 12, 4, 5, 1), (4, 32, 8, 7, 3), (2, 64, 8, 32, 1), (5, 18, 6, 1, 2)]


def config(shape, **others):
    speakers, filters, kernel, hidden, pairs = shape
    return ModelConfig(speakers, filters, kernel, hidden, pairs, **others)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_formula_counts_the_networks_parameters(shape):
    network = Swave(config(shape))
    assert num_parameters(config(shape)) == sum(parameter.size for parameter in network.trainable_params())


@pytest.mark.parametrize(("speakers", "count"), [(2, 7558913), (3, 7575425), (4, 7591937), (5, 7608449)])
def test_the_number_of_parameters_at_the_papers_size(speakers, count):
    assert num_parameters(ModelConfig(num_speakers=speakers)) == count


class CountedProduct:
    """Stands in for a MatMul with transpose_b: [m, k] and [n, k] are m n k multiply-adds."""

    def __init__(self, product, counts):
        self.product, self.counts = product, counts

    def __call__(self, left, right):
        assert left.shape[1] == right.shape[1]
        self.counts.append(left.shape[0] * right.size)
        return self.product(left, right)


class CountedLSTM:
    """Stands in for the LSTM of both directions: every weight but the bias is used once a step and example."""

    def __init__(self, product, counts):
        self.product, self.counts = product, counts

    def __call__(self, sequence, state, cell, weights):
        steps, batch, _ = sequence.shape
        biases = 4 * state.size // batch  # state [2, B, H]: one bias for each gate of both directions
        self.counts.append(steps * batch * (weights.size - biases))
        return self.product(sequence, state, cell, weights)


def counted(network):
    """Record the multiply-adds of every operator with weights, as it is called: one entry a call."""
    counts = []
    for _, cell in network.cells_and_names():
        if isinstance(cell, BidirectionalLSTM):
            object.__setattr__(cell, "both_directions", CountedLSTM(cell.both_directions, counts))
        elif isinstance(cell, Encoder | Head | Linear):
            object.__setattr__(cell, "matmul", CountedProduct(cell.matmul, counts))
    return counts


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("num_samples", [1, 30, 61, 203])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_formula_counts_the_multiply_adds_of_the_calls(shape, num_samples, training):
    start("CPU", graph_mode=False)
    model = config(shape, chunk_frames=7)
    network = Swave(model).set_train(training)
    counts = counted(network)
    network(Tensor(np.ones((3, num_samples), np.float32)))
    heads = model.num_pairs if training else 1
    assert len(counts) == 1 + 2 * model.num_pairs * (2 + 3) + heads  # no operator was missed
    assert sum(counts) == 3 * multiply_adds(model, num_samples, training=training)


def test_the_products_of_four_seconds_at_the_papers_size():
    """F = 7999, K = 126, P = 128 * 126, and 622,592 for a frame and block, by hand."""
    block = 2 * (8 * 128 * 256 + 256 * 128) + 256 * 128
    expected = 7999 * 8 * 128 + 128 * 126 * (12 * block + 128 * 32)
    assert multiply_adds(ModelConfig(), 32000) == expected
    assert 2 * expected / 1e9 == pytest.approx(241.1, abs=0.1)


# Measured on 2026-11-22 with tests/models/measure_memory.py: AMD EPYC, 2 cores, MindSpore 2.10.
TABLE = Path(__file__).with_name("memory_measured.csv")
REPOSITORY = Path(__file__).parents[2]


def measured():
    with TABLE.open(encoding="ascii") as lines:
        return list(csv.DictReader(lines))


def estimate_mb(row):
    seconds, batch = float(row["seconds"]), int(row["batch"])
    model = config([int(row[letter]) for letter in "CNLHR"], segment_seconds=seconds)
    recompute, optimizer = row["recompute"] == "1", row["optimizer"]
    return training_bytes(model, batch, int(8000 * seconds), recompute=recompute, optimizer=optimizer) / 1e6


def test_the_table_holds_the_papers_size_with_and_without_recomputation():
    points = [tuple(row[name] for name in ("N", "L", "H", "R", "seconds", "batch")) for row in measured()]
    assert len(points) == 34
    assert points.count(("128", "8", "128", "6", "4", "1")) == 2


@pytest.mark.parametrize("row", measured(), ids=lambda row: " ".join(row.values()))
def test_the_estimate_is_within_a_tenth_of_every_measured_peak(row):
    assert estimate_mb(row) == pytest.approx(float(row["peak_mb"]), rel=0.12)


@pytest.mark.slow
@pytest.mark.parametrize("recompute", ["0", "1"])
def test_the_estimate_is_near_a_peak_measured_now(recompute):
    row = next(row for row in measured() if row["recompute"] == recompute and row["R"] == "1" and row["N"] == "64")
    arguments = list(row.values())[:-1]  # all but the peak
    command = [sys.executable, "-m", "tests.models.measure_memory", *arguments]
    output = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    peak_mb = float(output.split()[-2])
    assert estimate_mb(row) == pytest.approx(peak_mb, rel=0.2)
