"""The formulas of costs against the network itself: its parameters, and the shapes its operators were called with."""

import csv
import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor

from src.config import ModelConfig, TrainingConfig
from src.kernels.library import SWITCH, find_library, load_library
from src.models import swave
from src.models.costs import _groups_of_wave, multiply_adds, num_parameters, saved_bytes, training_bytes
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
def test_the_formula_counts_the_multiply_adds_of_the_calls(shape, num_samples, training, monkeypatch):
    # The compiled operator does the same products, but where nothing can count them.
    monkeypatch.setattr(swave, "fused_block_library", lambda _: None)
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


def has_avx512():
    return " avx512f " in Path("/proc/cpuinfo").read_text(encoding="ascii")


@pytest.mark.skipif(find_library() is None or not has_avx512(), reason="found no compiled operators for AVX-512")
@pytest.mark.parametrize("amp", ["none", "bfloat16"])
@pytest.mark.parametrize(("filters", "hidden"), [(64, 32), (32, 128)])
def test_the_formula_counts_what_a_block_keeps(filters, hidden, amp, request):
    if amp == "bfloat16":
        request.getfixturevalue("bfloat16_runs")
    model = ModelConfig(num_filters=filters, hidden_size=hidden)
    shape = (ctypes.c_int64 * 4)(9, 50, 3, filters)  # S, K, B, N
    library = load_library(find_library())
    for along, steps, sequences in ((True, 50, 27), (False, 9, 150)):
        count = library.CountSaved(shape, hidden, along, amp == "bfloat16")
        assert saved_bytes(model, steps, sequences, amp) == 4 * count


# Measured with tests/models/measure_memory.py, MindSpore 2.10. fused = 1, with the operators of src/kernels:
# 2026-11-30, Intel Xeon with AMX, 2 cores; fused = 0, with MindSpore's own: 2026-11-22, AMD EPYC, 2 cores.
TABLE = Path(__file__).with_name("memory_measured.csv")
REPOSITORY = Path(__file__).parents[2]


def measured():
    with TABLE.open(encoding="ascii") as lines:
        return list(csv.DictReader(lines))


def estimate_mb(row):
    seconds = float(row["seconds"])
    model = config([int(row[letter]) for letter in "CNLHR"], segment_seconds=seconds)
    settings = TrainingConfig(
        batch_size=int(row["batch"]), optimizer=row["optimizer"], recompute=row["recompute"] == "1", amp=row["amp"]
    )
    fused = row["fused"] == "1"
    return training_bytes(model, settings, int(8000 * seconds), fused=fused, num_cores=2) / 1e6


def test_the_table_holds_the_papers_size_in_all_ways():
    names = ("N", "L", "H", "R", "seconds", "batch")
    rows = [row for row in measured() if [row[name] for name in names] == ["128", "8", "128", "6", "4", "1"]]
    ways = {(row["fused"], row["amp"], row["recompute"]) for row in rows}
    fused = {("1", amp, recompute) for amp in ("none", "bfloat16") for recompute in "01"}
    assert ways == fused | {("0", "none", "0"), ("0", "none", "1")}


@pytest.mark.parametrize("row", measured(), ids=lambda row: " ".join(row.values()))
def test_the_estimate_is_within_an_eighth_of_every_measured_peak(row):
    assert estimate_mb(row) == pytest.approx(float(row["peak_mb"]), rel=0.12)


def test_more_cores_take_more_memory():
    two, many = (training_bytes(ModelConfig(), TrainingConfig(), 32000, fused=True, num_cores=n) for n in (2, 64))
    assert two < many


def test_groups_that_are_worked_on_together_keep_many_cores_busy_in_little_memory():
    found = {cores: _groups_of_wave(313, cores) for cores in (1, 2, 4, 5, 7, 13, 64)}
    assert found == {1: 1, 2: 1, 4: 1, 5: 5, 7: 3, 13: 3, 64: 14}
    assert _groups_of_wave(2, 64) == 2


def of_a_small_network(row):
    """Where keeping what the blocks' gradients need makes a difference all the same."""
    return (row["N"], row["H"], row["R"], row["optimizer"]) == ("32", "64", "5", "adam")


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", [row for row in measured() if of_a_small_network(row)], ids=lambda row: " ".join(row.values())
)
def test_the_estimate_is_near_a_peak_measured_now(row, request):
    if row["amp"] == "bfloat16":
        request.getfixturevalue("bfloat16_runs")
    arguments = list(row.values())[:-2]  # all but the operators and the peak
    command = [sys.executable, "-m", "tests.models.measure_memory", *arguments]
    environment = {**os.environ, SWITCH: "" if row["fused"] == "1" else "off"}
    output = subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True).stdout
    peak_mb = float(output.split()[-2])
    assert estimate_mb(row) == pytest.approx(peak_mb, rel=0.2)
