"""Tables and curves of what benchmarks/growth.py found."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import markdown_table
from benchmarks.growth_points import AXES, CHUNKS, MEASURED, TRAINING, WHOLE, Result
from src.files import written_aside

COLOURS = {WHOLE: "tab:blue", CHUNKS: "tab:green", TRAINING: "tab:orange"}
INCHES = (16.0, 7.0)
DOTS_PER_INCH = 100


def growth_table(results: Sequence[Result]) -> str:
    """A table for each axis; what could not be measured says why."""
    parts = []
    for axis, label in AXES.items():
        rows = [_row(one) for one in _in_order(results) if one.axis == axis]
        if rows:
            head = [label, "work", "time, s", "a second of audio or an example, s", "first run, s", "peak memory, MB"]
            parts.append(markdown_table(head, rows))
    return "\n\n".join(parts)


def _in_order(results: Sequence[Result]) -> list[Result]:
    return sorted(results, key=lambda one: (one.axis, one.work, one.value))


def _row(one: Result) -> list[str]:
    if one.state != MEASURED:
        reason = {"memory": "too little memory", "time": "takes too long"}.get(one.state, one.state)
        return [f"{one.value:g}", one.work, reason, "", "", ""]
    share = one.seconds / one.value if one.axis in {"length", "batch"} else one.seconds
    numbers = [f"{one.seconds:.3f}", f"{share:.3f}", f"{one.first_seconds:.1f}", f"{one.peak_mb:.0f}"]
    return [f"{one.value:g}", one.work, *numbers]


def draw(results: Sequence[Result], path: Path) -> None:
    """Time above memory, a column for each axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(AXES), squeeze=False)
    for column, (axis, label) in enumerate(AXES.items()):
        for work, colour in COLOURS.items():
            found = [one for one in _in_order(results) if (one.axis, one.work, one.state) == (axis, work, MEASURED)]
            values = [one.value for one in found]
            panels[0][column].plot(values, [one.seconds for one in found], "o-", color=colour, label=work)
            panels[1][column].plot(values, [one.peak_mb / 1000 for one in found], "o-", color=colour)
        for panel in panels[:, column]:
            panel.set_xlabel(label)
            panel.grid(alpha=0.3)
            if axis == "length":
                panel.set_xscale("log")
                panel.set_yscale("log")
            else:
                panel.set_ylim(bottom=0)
    panels[0][0].legend()
    panels[0][0].set_ylabel("time of a run, s")
    panels[1][0].set_ylabel("peak memory, GB")
    with written_aside(path) as aside:
        figure.savefig(aside, format="png")
