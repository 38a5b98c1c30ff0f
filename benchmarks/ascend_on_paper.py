"""What a training step should cost on Ascend 910 cards, by arithmetic. Nothing here was run on Ascend.

    python -m benchmarks.ascend_on_paper [--batch 6] [--peak_tflops 256] [--bandwidth_tb 1.2] [--cell_us 10] ...

Every assumption is an option. Printed are tables in Markdown: the work of a step, what it should take, the original
recipe's dense overlap-add, and what is left of the original's time. docs/performance.md tells the reasoning.

Letters of the paper: N channels, L encoder kernel, H LSTM units, R pairs, C speakers, K frames of a chunk, S chunks.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contenders import markdown_table
from benchmarks.scaling import all_reduce_seconds
from benchmarks.sizes import SIZES, step_product
from src.command_line import OptionParser, run
from src.models.costs import BLOCKS, DIRECTIONS, LSTMS, multiply_adds, padded_frames

PAPER = SIZES["paper"]
ORIGINAL_SECONDS = 14.690  # a step on eight cards, as the recipe's own table tells
PASSES = 3  # a step costs as much as three forward passes: each product has two in the backward pass
MICRO = 1e-6
ELEMENT_BYTES = {"float16": 2, "float32": 4}


@dataclass(frozen=True)
class Assumptions:
    """Of the card and of the programs on it."""

    batch: int = 6  # examples of 4 s on a card
    cards: int = 8
    peak_tflops: float = 256.0  # float16, matrix unit
    bandwidth_tb: float = 1.2  # TB/s of the card's memory
    efficiency: float = 0.5  # of the peak that matrix products of these sizes reach
    cell_us: float = 10.0  # a time step inside one kernel: meet, read the state, multiply, write it
    launch_us: float = 30.0  # a small kernel that the host or the card's scheduler starts
    kernels_backward: int = 3  # of one time step, as MindSpore takes the gradient of DynamicRNN apart
    host_gb: float = 12.0  # GB/s from the host to the card, PCIe 3.0 x16
    scalar_gb: float = 1.0  # GB/s that one of the card's processors for odd operators moves, if it is left to that


def step_flops(batch: int) -> int:
    """Floating-point operations of a training step on one card."""
    return batch * PAPER.flops("training")


def elements_per_frame() -> int:
    """Numbers that a forward pass of one MulCat block moves between memory and processor, for a frame of a chunk.

    Nothing stays on the chip from one operator to the next. Of N channels: 4 read by the LSTM directions, 2 written
    and 2 read by projections and gate, 1 written by it, 2 read and 2 written beside the input, 2 read and 1
    written by the output, 2 read and 1 written by the sum, 4 for one transposition there and back. Of H units: each
    of 4 directions writes 7 (input, forget, cell and output gate, tanh of the cell, cell, state) for the gradient,
    and the projections read 4.
    """
    channels, hidden = PAPER.model.num_filters, PAPER.model.hidden_size
    return (4 + 2 + 2 + 1 + 2 + 2 + 2 + 1 + 2 + 1 + 4) * channels + (LSTMS * DIRECTIONS * 7 + 4) * hidden


def step_bytes(batch: int, precision: str) -> int:
    """Bytes that a training step moves, the backward pass twice as many as the forward pass."""
    frames = batch * padded_frames(PAPER.model, PAPER.num_samples)
    blocks = BLOCKS * PAPER.model.num_pairs
    return PASSES * blocks * frames * elements_per_frame() * ELEMENT_BYTES[precision]


def cells_in_sequence(side_by_side: bool) -> int:
    """Time steps of a forward pass that wait for each other: K + S for each pair, for one LSTM direction after another.

    `side_by_side`: the four directions of a block run at the same time.
    """
    at_once = 1 if side_by_side else LSTMS * DIRECTIONS
    return PAPER.model.num_pairs * (PAPER.chunk_frames + PAPER.num_chunks) * at_once


def cell_rows(batch: int) -> int:
    """Sequences that an LSTM runs along the chunks at once."""
    return batch * PAPER.num_chunks


def cell_product_seconds(assumed: Assumptions) -> float:
    """The matrix product of one time step at the assumed part of the peak."""
    flops = step_product(PAPER.model, cell_rows(assumed.batch)).flops
    return flops / (assumed.peak_tflops * 1e12 * assumed.efficiency)


@dataclass(frozen=True)
class Dense:
    """The original's overlap-add: parts of frames [rows x inner] times a matrix of zeros and ones [inner x columns]."""

    rows: int
    inner: int
    columns: int

    @property
    def matrix_bytes(self) -> int:
        """In float32, as it is stored."""
        return 4 * self.inner * self.columns

    @property
    def multiply_adds(self) -> int:
        """Of one use, forward; its gradient towards the frames has as many."""
        return self.rows * self.inner * self.columns

    @property
    def useful(self) -> int:
        """Additions that an overlap-add needs: one for each number of the input."""
        return self.rows * self.inner


def dense_overlap_add(batch: int) -> Dense:
    """For 4 s: F frames of W = N / L samples, cut into pieces of a hop, a row for each sample of a piece.

    F * W / hop pieces of each example and speaker are summed into F + W / hop - 1 places.
    """
    model = PAPER.model
    hop = model.hop_samples
    frames = PAPER.num_samples // hop - 1
    pieces = model.num_filters // model.kernel_size // hop
    return Dense(batch * model.num_speakers * hop, frames * pieces, frames + pieces - 1)


def expected_parts(assumed: Assumptions, side_by_side: bool) -> dict[str, float]:
    """Seconds of a step on one card, by what takes them, if nothing overlaps."""
    flops = step_flops(assumed.batch)
    return {
        "matrix products": flops / (assumed.peak_tflops * 1e12 * assumed.efficiency),
        "memory, float16": step_bytes(assumed.batch, "float16") / (assumed.bandwidth_tb * 1e12),
        "time steps in sequence": PASSES * cells_in_sequence(side_by_side) * assumed.cell_us * MICRO,
    }


def original_parts(assumed: Assumptions) -> dict[str, float]:
    """Seconds of the original's step, for what can be counted."""
    cells = cells_in_sequence(side_by_side=False)
    dense = dense_overlap_add(assumed.batch)
    once = dense.matrix_bytes * (1 + 0.5 + 0.5) / (assumed.bandwidth_tb * 1e12)  # read, written in float16, read
    return {
        "matrix products": expected_parts(assumed, False)["matrix products"],
        "memory, float32": step_bytes(assumed.batch, "float32") / (assumed.bandwidth_tb * 1e12),
        "forward time steps, inside kernels": cells * assumed.cell_us * MICRO,
        "backward time steps, small kernels": cells * assumed.kernels_backward * assumed.launch_us * MICRO,
        "dense overlap-add, forward and backward": 2 * once,
    }


def reversed_bytes(batch: int) -> int:
    """Bytes read and written to turn sequences around for the backward directions, forward and backward, in float16."""
    frames = batch * padded_frames(PAPER.model, PAPER.num_samples)
    channels, hidden = PAPER.model.num_filters, PAPER.model.hidden_size
    return 2 * 2 * 2 * BLOCKS * PAPER.model.num_pairs * LSTMS * frames * (channels + hidden)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms"


def work_table(assumed: Assumptions) -> str:
    """The work of a step on one card."""
    flops = step_flops(assumed.batch)
    adds = multiply_adds(PAPER.model, PAPER.num_samples, training=True)
    peak, bandwidth = assumed.peak_tflops * 1e12, assumed.bandwidth_tb * 1e12
    rows = [
        ["forward multiply-adds of an example", f"{adds / 1e9:.1f} billion", ""],
        [
            f"step of {assumed.batch} examples",
            f"{flops / 1e12:.2f} TFLOP",
            f"{_milliseconds(flops / peak)} at the peak",
        ],
    ]
    for precision in ELEMENT_BYTES:
        moved = step_bytes(assumed.batch, precision)
        rows.append(
            [f"moved, {precision}", f"{moved / 1e9:.0f} GB", f"{_milliseconds(moved / bandwidth)} at full bandwidth"]
        )
    product = step_product(PAPER.model, cell_rows(assumed.batch)).text
    rows.append(
        [f"product of one time step, {product}", "", f"{cell_product_seconds(assumed) / MICRO:.1f} µs at half the peak"]
    )
    for text, together in (("the four directions side by side", True), ("one direction after another", False)):
        rows.append([f"time steps in sequence, forward, {text}", f"{cells_in_sequence(together):,}", ""])
    return markdown_table(["on one card", "work", "time"], rows)


def expected_table(assumed: Assumptions) -> str:
    """What a step should take."""
    one, other = (expected_parts(assumed, together) for together in (True, False))
    rows = [[name, _milliseconds(one[name]), _milliseconds(other[name])] for name in one]
    reduce = all_reduce_seconds(assumed.cards)
    sums = [sum(one.values()), sum(other.values())]
    rows.append(["together, one card", *map(_milliseconds, sums)])
    rows.append([f"all-reduce of {assumed.cards} cards", _milliseconds(reduce), _milliseconds(reduce)])
    rows.append([f"together, {assumed.cards} cards", *(_milliseconds(seconds + reduce) for seconds in sums)])
    ratios = [f"{ORIGINAL_SECONDS / (seconds + reduce):.0f} times that" for seconds in sums]
    rows.append([f"the original's {ORIGINAL_SECONDS * 1000:,.0f} ms", *ratios])
    return markdown_table(["of a step", "directions side by side", "one after another"], rows)


def dense_table(assumed: Assumptions) -> str:
    """The original's overlap-add, once and as often as the paper's loss would need it."""
    dense = dense_overlap_add(assumed.batch)
    peak, bandwidth = assumed.peak_tflops * 1e12, assumed.bandwidth_tb * 1e12
    rows = []
    for text, uses in (
        ("last pair alone, as the original trains", 1),
        ("all pairs, as in the paper", PAPER.model.num_pairs),
    ):
        adds = 2 * uses * dense.multiply_adds
        moved = 2 * uses * 2 * dense.matrix_bytes
        rows.append(
            [
                text,
                f"{adds / 1e9:.1f} billion",
                f"{100 * 2 * adds / step_flops(assumed.batch):.2f} %",
                f"{moved / 1e9:.1f} GB",
                _milliseconds(2 * adds / peak),
                _milliseconds(moved / bandwidth),
            ]
        )
    head = ["forward and backward", "multiply-adds", "of the network's", "moved", "at the peak", "at full bandwidth"]
    shape = f"[{dense.rows} x {dense.inner:,}] x [{dense.inner:,} x {dense.columns:,}]"
    title = (
        f"{shape}: {dense.matrix_bytes / 1e9:.2f} GB of zeros and ones in float32; {dense.multiply_adds / 1e9:.2f} "
        f"billion multiply-adds a use, of which {dense.useful / 1e6:.2f} million are more than adding zero."
    )
    return f"{title}\n\n{markdown_table(head, rows)}"


def original_table(assumed: Assumptions) -> str:
    """Where the original's time can have gone."""
    parts = original_parts(assumed)
    rows = [[name, _milliseconds(seconds)] for name, seconds in parts.items()]
    counted = sum(parts.values())
    rows.append(["together", f"{_milliseconds(counted)}, {100 * counted / ORIGINAL_SECONDS:.0f} %"])
    rows.append(["not explained by counting", _milliseconds(ORIGINAL_SECONDS - counted)])
    kernels = cells_in_sequence(False) * assumed.kernels_backward
    rows.append(
        [
            f"if it all were the {kernels:,} small kernels",
            f"{(ORIGINAL_SECONDS - counted) / kernels / MICRO:.0f} µs more each",
        ]
    )
    turned = reversed_bytes(assumed.batch)
    rows.append(
        [
            f"if sequences were turned around by a card's scalar processor ({turned / 1e9:.1f} GB)",
            _milliseconds(turned / (assumed.scalar_gb * 1e9)),
        ]
    )
    host = dense_overlap_add(assumed.batch).matrix_bytes / (assumed.host_gb * 1e9)
    rows.append(["if the matrix came from the host in every step", _milliseconds(host)])
    return markdown_table(["of the original's step", "time"], rows)


def add_options(parser: argparse.ArgumentParser) -> None:
    """One for every assumption."""
    for each in dataclasses.fields(Assumptions):
        parser.add_argument(f"--{each.name}", type=type(each.default), default=each.default, help="(%(default)s)")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = OptionParser(__doc__ or "")
    add_options(parser)
    assumed = Assumptions(**vars(parser.parse_args(argv)))
    for make in (work_table, expected_table, dense_table, original_table):
        print(f"{make(assumed)}\n")


if __name__ == "__main__":
    run(main)
