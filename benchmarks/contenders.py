"""Programs that are measured side by side: each is a process that does its work whenever it is asked to.

The process writes "ready" when it is, then for every line on its standard input the seconds of a run and, if it has
one, what the run gave; at the end of its input its largest resident memory in kB. Asked in turn, all of them meet a
machine that becomes slower. `serve` is the other side of this talk for workers in Python.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

READY = "ready"
UNAVAILABLE = "unavailable"
LEFT_OUT = " is left out: "  # of a contender in a list of problems: no failure
IDLE_SECONDS = 1.0  # over which the processor time of processes that wait is read
SETTLE_SECONDS = 0.5  # threads may go on a moment after the answer


class UnavailableError(RuntimeError):
    """This contender cannot be measured here; the message is the reason."""


class DiedError(RuntimeError):
    """A contender's process ended without an answer."""


@dataclass
class Contender:
    """A runtime that is measured."""

    name: str
    command: list[str]
    start_seconds: list[float] = field(default_factory=list)  # until its first answer
    seconds: list[float] = field(default_factory=list)  # of a run, per chunk
    peak_kb: int = 0
    chunks_at_once: int = 1
    environment: dict[str, str] = field(default_factory=dict)  # beside the one of this process
    first_task: str = ""  # what it is asked at the start
    first_seconds: list[float] = field(default_factory=list)  # of its first run, with what is compiled then
    values: list[str] = field(default_factory=list)  # what its runs gave
    note: str = ""  # what it told of itself when it was ready
    log: Path | None = None  # where its standard error goes


class Process:
    """A contender's process, which answers a line with a line."""

    def __init__(self, contender: Contender) -> None:
        """Start it and let it run once. Raises `UnavailableError` if it says that it cannot, `DiedError` if it dies."""
        self.contender = contender
        began = time.perf_counter()
        with _error_file(contender.log) as errors:
            self._process = subprocess.Popen(
                contender.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **contender.environment},
            )
        state, _, contender.note = self._answer().strip().partition(" ")
        if state == UNAVAILABLE:
            self._process.wait()
            raise UnavailableError(contender.note)
        contender.first_seconds.append(self.run_once(contender.first_task))
        contender.start_seconds.append(time.perf_counter() - began)

    def run_once(self, task: str = "") -> float:
        """Seconds of one run, per chunk; `task` is what the line says."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{task}\n")
        self._process.stdin.flush()
        seconds, _, value = self._answer().strip().partition(" ")
        if value:
            self.contender.values.append(value)
        return float(seconds) / self.contender.chunks_at_once

    def processor_seconds(self) -> float:
        """What all its threads have used until now."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Close it and keep its largest memory."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.contender.peak_kb = int(self._answer())
        self._process.wait()

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            where = f", see {self.contender.log.name}" if self.contender.log else ""
            raise DiedError(f"expected an answer, found none: its exit status is {status}{where}")
        return line


@contextmanager
def _error_file(log: Path | None) -> Iterator[object]:
    if log is None:
        yield subprocess.DEVNULL
        return
    with log.open("a", encoding="utf-8") as file:
        yield file


@contextmanager
def started(contenders: Sequence[Contender], problems: list[str]) -> Iterator[list[Process]]:
    """Processes of those that can be measured; the others are left out, with a line in `problems`."""
    processes: list[Process] = []
    try:
        for contender in contenders:
            try:
                processes.append(Process(contender))
            except UnavailableError as error:
                problems.append(f"{contender.name}{LEFT_OUT}{error}")
            except DiedError as error:
                problems.append(f"{contender.name} failed: {error}")
        yield processes
        for process in processes:
            process.end()
        processes = []
    finally:
        for process in processes:
            process.stop()


def idle_shares(processes: Sequence[Process]) -> dict[str, float]:
    """By name, how much of a core each process takes while none of them is asked anything."""
    time.sleep(SETTLE_SECONDS)
    before = [process.processor_seconds() for process in processes]
    time.sleep(IDLE_SECONDS)
    return {
        process.contender.name: (process.processor_seconds() - used) / IDLE_SECONDS
        for process, used in zip(processes, before, strict=True)
    }


def in_turn(round_number: int, processes: Sequence[Process]) -> list[Process]:
    """The order of a round: forwards, then backwards, so that none always comes after the same other one."""
    return list(processes if round_number % 2 == 0 else reversed(processes))


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Median with the smallest and the largest, such as `1.20 (1.10 to 1.50)`."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown. Every row has as many cells as the head."""
    lines = [head, ["---"] * len(head), *rows]
    for line in lines:
        if len(line) != len(head):
            raise ValueError(f"Expected {len(head)} cells. Found: {len(line)}: {line}")
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def peak_memory_kb() -> int:
    """The largest resident memory of this process; ru_maxrss would count the process that started this one."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("Expected a line VmHWM in /proc/self/status. Found none.")


def serve(prepare: Callable[[], tuple[Callable[[str], str], str]]) -> None:
    """Be a contender: answer until standard input ends.

    Args:
        prepare: gives the work, which takes the line's text and gives a text, and a note. Where it raises
            `UnavailableError`, that is told.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")  # if memory ends, this process goes first
    try:
        work, note = prepare()
    except UnavailableError as error:
        print(UNAVAILABLE, error, file=answers, flush=True)
        return
    print(READY, note, file=answers, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        value = work(line.strip())
        print(time.perf_counter() - began, value, file=answers, flush=True)
    print(peak_memory_kb(), file=answers, flush=True)
