"""What one can look at while a run goes on: TensorBoard event files and a picture of the history.

Both are an extra: where they cannot be written, training goes on without them.
"""

import functools
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from numbers import Real
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from src.files import written_aside

EVENTS = "events"  # a folder; `tensorboard --logdir` finds it from any folder above
PICTURE = "curves.png"
FLUSH_SECONDS = 30.0  # a flush waits for the disk; what a killed process loses is repeated when it is resumed
PICTURE_PIXELS = 900  # width and height
DOTS_PER_INCH = 100

Entry = Mapping[str, Any]  # one epoch of history.jsonl

LOSS, SCORE, OTHER, SKIPPED = "tab:blue", "tab:orange", "tab:green", "tab:red"


class Curves:
    """Writes `events/` for TensorBoard and `curves.png`; a context manager.

    Of several processes only one may have it. The event file is written in the caller's thread, by
    tensorboardX's record writer: its SummaryWriter leaves that to a thread, where a full disk ends in a traceback
    and then in a queue that nobody empties.

    Args:
        folder: of the run; made if missing.
        first_step: steps done in earlier sittings. TensorBoard drops what a sitting that was killed had written
            about the steps after it, because they are now repeated.
        warn: called with one line when something cannot be written; after that nothing more is tried.
        title: of the picture.
        seconds_between: `step` writes no more often than this.
        clock: seconds from any origin, never running backwards.
    """

    def __init__(
        self,
        folder: Path,
        first_step: int,
        warn: Callable[[str], None],
        *,
        title: str = "",
        seconds_between: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._warn = warn
        self._title = title
        self._seconds_between = seconds_between
        self._clock = clock
        self._next_write = -math.inf
        self._next_flush = clock() + FLUSH_SECONDS
        self._events: _EventFile | None = None
        self._alive = True
        with self._never_fatal():
            _matplotlib()  # here, so that the first epoch does not wait for it, or find that it is missing
            self._events = _EventFile(folder / EVENTS, first_step)

    def step(self, step: int, values: Mapping[str, Any]) -> None:
        """Write what a step has to tell, if the last time was long enough ago.

        Args:
            step: steps done in the whole run, with this one: 1 after the first.
            values: such as {"loss_db": -3.2}, which becomes "train/loss_db"; None, NaN and infinity are left out.
        """
        now = self._clock()
        if self._events is None or now < self._next_write:
            return
        self._next_write = now + self._seconds_between
        with self._never_fatal():
            self._events.write(step, {f"train/{name}": value for name, value in values.items()})
            if now >= self._next_flush:
                self._next_flush = now + FLUSH_SECONDS
                self._events.flush()

    def epoch(self, entry: Entry, history: Sequence[Entry]) -> None:
        """Write the numbers of one epoch at its last step, and draw the picture anew.

        Args:
            entry: of the epoch; "valid_si_snri_db" becomes "valid/si_snri_db", "train_loss_db", a mean over the
                epoch, becomes "epoch/train_loss_db".
            history: all epochs, with this one.
        """
        if not self._alive:
            return
        with self._never_fatal():
            if self._events is not None:
                numbers = {_epoch_tag(name): value for name, value in entry.items() if name not in ("epoch", "step")}
                self._events.write(entry["step"], numbers)
                self._events.flush()
            draw(history, self._folder / PICTURE, self._title)

    def close(self) -> None:
        """Write what is left to write; after that nothing is written any more."""
        if self._events is not None:
            with self._never_fatal():
                self._events.flush()
        self._stop()

    def __enter__(self) -> "Curves":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _never_fatal(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a library finds fault with: it is not worth a run
            self._stop()
            self._warn(f"{self._folder}: no more curves, training goes on without them ({error})")

    def _stop(self) -> None:
        self._alive = False
        events, self._events = self._events, None
        if events is not None:
            events.close()


class _EventFile:
    """One file of TensorBoard's events: length-delimited protocol buffers, each with its check sum."""

    def __init__(self, folder: Path, first_step: int) -> None:
        # Here, because they load PyTorch where that is installed.
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.proto.summary_pb2 import Summary
        from tensorboardX.record_writer import RecordWriter

        self._event, self._summary = Event, Summary
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names. Two sittings of the same second and
        # the same first step are one name, and the second repeats all of the first.
        self._records = RecordWriter(str(folder / f"events.out.tfevents.{int(time.time()):010}.{first_step:09}"))
        try:
            self._add(file_version="brain.Event:2")
            self._add(step=first_step + 1, session_log=SessionLog(status=SessionLog.START))
            self.flush()
        except OSError:
            self.close()
            raise

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Write the finite numbers among `values`, by tag."""
        numbers = {tag: number for tag, value in values.items() if (number := _number(value)) is not None}
        scalars = [self._summary.Value(tag=tag, simple_value=number) for tag, number in numbers.items()]
        if scalars:
            self._add(step=step, summary=self._summary(value=scalars))

    def flush(self) -> None:
        """Write to the disk what was kept back."""
        self._records.flush()

    def close(self) -> None:
        """Close the file; raises nothing."""
        with suppress(OSError):  # of the flush before it the caller knows already
            self._records.close()

    def _add(self, **content: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), **content).SerializeToString())


def draw(history: Sequence[Entry], path: Path, title: str = "") -> None:
    """Draw loss and validation score, gradient norm, and learning rate over the epochs: a PNG of 900 x 900 pixels.

    Args:
        history: one entry an epoch. What an entry lacks, or what is None, NaN or infinite, is a gap in its curve.
        path: the file; its folder is made if missing.
        title: above the picture.

    Raises:
        UserError: the file cannot be written.
    """
    matplotlib, figure_class = _matplotlib()
    inches = PICTURE_PIXELS / DOTS_PER_INCH
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's own style is, such as text set by LaTeX
        figure = figure_class(figsize=(inches, inches), dpi=DOTS_PER_INCH, layout="constrained")
        figure.suptitle(title, parse_math=False)
        scores, norms, rates = figure.subplots(3, 1, sharex=True, height_ratios=[2, 1, 1])
        epochs = [float(_number(entry.get("epoch")) or place) for place, entry in enumerate(history, start=1)]
        _draw_scores(scores, epochs, history)
        _draw_norms(norms, epochs, history)
        _draw_rates(rates, epochs, history)
        with written_aside(path) as aside:
            figure.savefig(aside, format="png")


@functools.cache
def _matplotlib() -> tuple[Any, Any]:
    """The module, and its class Figure, which draws to a file without pyplot and its global state.

    Loaded with a temporary folder for its list of fonts, unless the user names one: it would otherwise warn where
    the home folder cannot be written, and leave a folder behind when the process is killed.
    """
    if "MPLCONFIGDIR" in os.environ:
        return _load_matplotlib()
    with TemporaryDirectory(prefix="matplotlib-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            return _load_matplotlib()
        finally:
            del os.environ["MPLCONFIGDIR"]


def _load_matplotlib() -> tuple[Any, Any]:
    import matplotlib
    import matplotlib.backends.backend_agg  # loads the list of fonts
    from matplotlib.figure import Figure

    return matplotlib, Figure


def _draw_scores(axes: Any, epochs: list[float], history: Sequence[Entry]) -> None:
    """Loss to the left, validation to the right: both in dB, but one falls and the other rises."""
    right = axes.twinx()
    losses, scores = _column(history, "train_loss_db"), _column(history, "valid_si_snri_db")
    _line(axes, epochs, losses, LOSS, "training loss")
    _line(right, epochs, scores, SCORE, "validation SI-SNRi")
    axes.set_ylabel("training loss (dB)", color=LOSS)
    right.set_ylabel("validation SI-SNRi (dB)", color=SCORE)
    axes.grid(alpha=0.3)
    # Unequal, so that the two points of a first epoch do not lie on each other.
    _limit(axes, losses, below=1.0, above=0.3)
    _limit(right, scores, below=0.3, above=1.0)
    known = [place for place, score in enumerate(scores) if not math.isnan(score)]
    if known:
        best = max(known, key=scores.__getitem__)
        label = f"best: {scores[best]:.2f} dB, epoch {epochs[best]:g}"
        right.plot(epochs[best], scores[best], "*", color=SCORE, markeredgecolor="black", markersize=15, label=label)
    _legend(axes, right)


def _draw_norms(axes: Any, epochs: list[float], history: Sequence[Entry]) -> None:
    from matplotlib.ticker import NullLocator

    norms = [norm if norm > 0 else math.nan for norm in _column(history, "gradient_norm")]  # NaN stays NaN
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(_log_ticks([norm for norm in norms if not math.isnan(norm)]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    _line(axes, epochs, norms, OTHER)
    axes.set_ylabel("gradient norm")
    axes.grid(alpha=0.3)
    skipped = {epoch: count for epoch, count in zip(epochs, _column(history, "skipped"), strict=True) if count > 0}
    if skipped:
        label = f"epochs with skipped updates ({sum(skipped.values()):g} in all)"
        foot = axes.get_xaxis_transform()  # epochs along x, 0 to 1 of the panel along y
        heights = [0.04] * len(skipped)
        axes.plot(list(skipped), heights, "|", color=SKIPPED, markersize=12, mew=1.5, transform=foot, label=label)
        _legend(axes)


def _log_ticks(values: list[float]) -> Any:
    """Even steps, or 1, 2, 5, 10, or powers of ten: several of them in any range."""
    from matplotlib.ticker import AutoLocator, LogLocator

    ratio = max(values, default=1.0) / min(values, default=1.0)
    if 1 < ratio < 5:
        return AutoLocator()
    return LogLocator(subs=(1, 2, 5) if ratio <= 1000 else (1,))


def _draw_rates(axes: Any, epochs: list[float], history: Sequence[Entry]) -> None:
    from matplotlib.ticker import MaxNLocator

    _line(axes, epochs, _column(history, "learning_rate"), OTHER)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylabel("learning rate")
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    if epochs:
        margin = max(0.5, 0.02 * (max(epochs) - min(epochs)))
        axes.set_xlim(min(epochs) - margin, max(epochs) + margin)


def _line(axes: Any, epochs: list[float], values: list[float], color: str, label: str | None = None) -> None:
    """With markers, because a value between two gaps has no line."""
    axes.plot(epochs, values, ".-", color=color, linewidth=1.2, markersize=8 if len(epochs) <= 30 else 4, label=label)


def _limit(axes: Any, values: list[float], below: float, above: float) -> None:
    known = [value for value in values if not math.isnan(value)]
    if known:
        axes.set_ylim(min(known) - below, max(known) + above)


def _legend(*panel: Any) -> None:
    """One row above the panel, where no curve can be under it."""
    handles = [handle for axes in panel for handle in axes.get_legend_handles_labels()[0]]
    panel[-1].legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False)


def _column(history: Sequence[Entry], name: str) -> list[float]:
    """One number an epoch, NaN where there is none."""
    return [math.nan if (number := _number(entry.get(name))) is None else number for entry in history]


def _number(value: object) -> float | None:
    """`value` if it is a finite number, of Python or of NumPy."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _epoch_tag(name: str) -> str:
    """What TensorBoard calls an entry of the history; it puts the part before the slash in a box of its own."""
    return f"valid/{name.removeprefix('valid_')}" if name.startswith("valid_") else f"epoch/{name}"
