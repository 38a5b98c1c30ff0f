"""Memory of a training step over its time, both relative to PyTorch: what recomputation and bfloat16 buy."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.performance_tables import Group, paired_ratio
from src.files import written_aside

INCHES = (8.0, 5.5)
DOTS_PER_INCH = 100
DEFAULT = "ours"
SPLIT = 0.8  # labels of points beyond it stand to their left


def frontier(groups: Sequence[Group], baseline: str) -> dict[str, tuple[float, float]]:
    """Ratios of time and of peak memory to the baseline of the same group, by contender."""
    found = {}
    for group in groups:
        other = group.find(baseline)
        for each in group.contenders if other else []:
            ratio = paired_ratio(each.seconds, other.seconds)
            found[each.name] = (ratio, each.peak_kb / other.peak_kb)
    return found


def draw_frontier(title: str, points: dict[str, tuple[float, float]], path: Path) -> None:
    """One point a contender, the default one filled."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    for name, (seconds, memory) in points.items():
        face = "tab:orange" if name == DEFAULT else "white"
        panel.plot([seconds], [memory], "o", markersize=9, markeredgecolor="tab:orange", markerfacecolor=face)
        label = f"{name} (the default)" if name == DEFAULT else name
        is_right = seconds > SPLIT
        panel.annotate(
            label,
            (seconds, memory),
            xytext=(-9 if is_right else 9, 6),
            textcoords="offset points",
            ha="right" if is_right else "left",
        )
    panel.set_xlim(0, 1.1 * max(seconds for seconds, _ in points.values()))
    panel.set_ylim(0, 1.15 * max(memory for _, memory in points.values()))
    panel.set_xlabel("time of a training step, relative to PyTorch")
    panel.set_ylabel("peak memory, relative to PyTorch")
    panel.set_title(title)
    panel.grid(alpha=0.3)
    with written_aside(path) as aside:
        figure.savefig(aside, format="png")
