"""Tables of benchmarks/performance.py from what was measured."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.block_worker import TASKS
from benchmarks.contenders import Contender, markdown_table, spread
from benchmarks.sizes import LARGE_PRODUCT, Product, Size, products, step_product

MILLION = 1e6
BILLION = 1e9


@dataclass
class Group:
    """Contenders that ran in turn, and the machine's rate of matrix products in between."""

    size: Size
    part: str
    contenders: list[Contender]
    rates: dict[str, list[float]]  # floating-point operations a second, by the product's name
    task_seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)  # of part "block"

    def rate(self, product: Product) -> float:
        """The median, floating-point operations a second."""
        return statistics.median(self.rates[product.name])

    def find(self, name: str) -> Contender | None:
        """The contender of that name, if it could be measured."""
        return next((each for each in self.contenders if each.name == name), None)


def paired_ratio(values: Sequence[float], baseline: Sequence[float]) -> float:
    """Median of the rounds' ratios: what both met in the same round is compared."""
    return statistics.median(one / other for one, other in zip(values, baseline, strict=True))


def table(groups: Sequence[Group], baseline: str) -> str:
    """A training step or an inference, a row for each contender and group; ratios to the baseline of the group."""
    size, part = groups[0].size, groups[0].part
    run = "training step" if part == "training" else "inference"
    head = ["contender", f"{run}, s", "ratio", "GFLOP/s", "of sgemm", "peak memory", "ratio", "first run, s", "ratio"]
    head += ["start, s"] if part == "training" else ["start, s", "real-time factor"]
    rows = [_row(each, group, baseline) for group in groups for each in group.contenders]
    adds = size.flops(part) / 2 / BILLION
    title = f"{size.title}: {run}, batch 1, {adds:.1f} billion multiply-adds. Medians (smallest to largest)."
    return f"{title}\n\n{markdown_table(head, rows)}"


def _row(each: Contender, group: Group, baseline: str) -> list[str]:
    seconds = statistics.median(each.seconds)
    rate = group.size.flops(group.part) / seconds
    other = group.find(baseline)
    cells = [
        f"{each.name} ({each.note})",
        spread(each.seconds),
        f"{paired_ratio(each.seconds, other.seconds):.2f}" if other else "",
        f"{rate / BILLION:.0f}",
        f"{100 * rate / group.rate(LARGE_PRODUCT):.0f} %",
        f"{each.peak_kb * 1024 / MILLION:.0f} MB",
        f"{each.peak_kb / other.peak_kb:.2f}" if other else "",
        f"{each.first_seconds[0]:.2f}",
        f"{each.first_seconds[0] / other.first_seconds[0]:.2f}" if other else "",
        f"{each.start_seconds[0]:.1f}",
    ]
    return cells if group.part == "training" else [*cells, f"{seconds / group.size.seconds:.4f}"]


def product_table(groups: Sequence[Group]) -> str:
    """What the machine does at each product's size, all groups together."""
    rows = []
    for product in products(groups[0].size):
        rates = [rate / BILLION for group in groups for rate in group.rates[product.name]]
        rows.append([product.text, spread(rates, 0)])
    return markdown_table(["float32 product (PyTorch's mm, all cores)", "GFLOP/s"], rows)


def block_table(groups: Sequence[Group], baseline: str) -> str:
    """The gated block alone, a row for each contender and task."""
    size = groups[0].size
    head = ["contender", "task", "ms", "ratio", "GFLOP/s", "of sgemm at its peak", "of sgemm at the LSTM's step"]
    rows = [
        _block_row(group, each.name, task, baseline)
        for group in groups
        for each in group.contenders
        for task in TASKS
        if (each.name, task) in group.task_seconds
    ]
    shape = f"S = {size.num_chunks} chunks of K = {size.chunk_frames} frames"
    return f"{size.title}: one MulCat block, {shape}. Medians (smallest to largest).\n\n{markdown_table(head, rows)}"


def own_product(size: Size) -> Product:
    """The product of a time step, with about as many rows as there are sequences."""
    return step_product(size.model, 128 if min(size.num_chunks, size.chunk_frames) > 96 else 64)


def _block_row(group: Group, name: str, task: str, baseline: str) -> list[str]:
    seconds = group.task_seconds[name, task]
    others = group.task_seconds.get((baseline, task))
    rate = group.size.block_flops(task.endswith("both")) / statistics.median(seconds)
    return [
        name,
        task.replace("both", "forward and backward"),
        spread([1000 * one for one in seconds], 1),
        f"{paired_ratio(seconds, others):.2f}" if others else "",
        f"{rate / BILLION:.0f}",
        f"{100 * rate / group.rate(LARGE_PRODUCT):.0f} %",
        f"{100 * rate / group.rate(own_product(group.size)):.0f} %",
    ]
