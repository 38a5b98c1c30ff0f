"""Our training step, inference and gated block beside the PyTorch twin's, in one run, in turn.

    python -m benchmarks.performance --work runs/performance [--sizes small demo paper] [--rounds N] \\
        [--part training inference block] [--contenders "ours" "ours, recompute"]

Same weights and example for all; that outputs and first losses agree is checked, too. Every contender is a process of
its own. Where they do not fit into the memory together, they run in groups, each with PyTorch in it, because a ratio is
only told between contenders that ran in turn. Tables in Markdown are printed and added to performance.md in the work
folder, where pictures of training lie too, frontier-SIZE.png. Needs PyTorch (requirements-torch.txt).
docs/performance.md tells what each number means.
"""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.agreement import check_losses, check_tracks
from benchmarks.block_worker import TASKS
from benchmarks.contenders import LEFT_OUT, Contender, Process, idle_shares, in_turn, started
from benchmarks.frontier_picture import draw_frontier, frontier
from benchmarks.performance_tables import Group, block_table, product_table, table
from benchmarks.performance_worker import result_path, weights_path
from benchmarks.sizes import MEASURED, SIZES, Size, products
from src.command_line import OptionParser, run
from src.config import TrainingConfig
from src.errors import UserError
from src.inference import BYTES_PER_FRAME_AND_UNIT
from src.models.costs import padded_frames, training_bytes
from src.runtime import free_memory_bytes, processor_name, usable_cores

TORCH = "PyTorch"
OURS = "ours"
OFF = "ours, MindSpore's operators"
KINDS = {  # by part; PyTorch first: what all others are compared with
    "training": (
        TORCH,
        OURS,
        "ours, recompute",
        OFF,
        "ours, bfloat16",
        "ours, recompute, bfloat16",
        "PyTorch, bfloat16",
    ),
    "inference": (TORCH, OURS, "ours, one length", OFF, "ours, bfloat16", "PyTorch, bfloat16"),
    "block": (TORCH, OURS, OFF, "ours, bfloat16", "PyTorch, bfloat16"),
}
ENVIRONMENT = {OFF: {"GDPRNN_KERNELS": "off"}}  # of single contenders
WAITING = {"OMP_WAIT_POLICY": "passive"}  # of all: one that waits for its turn must not take the others' cores
WARM_UP = 2  # rounds, of which the first one is each process's start
BLOCK_ROUNDS = 15
MOST_IDLE = 0.05  # of a core
BASE_BYTES = 1.0e9  # of a process, at most
TORCH_SHARE = 0.7  # of what our estimate for MindSpore's operators says; measured was 0.5
MEMORY_SHARE = 0.9  # of the free memory that contenders may fill


@dataclass
class Report:
    """What is printed, and kept in a file as well."""

    path: Path
    problems: list[str] = field(default_factory=list)

    def write(self, text: str) -> None:
        """Print, and add to the file."""
        print(f"{text}\n", flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n\n")


def needed_bytes(size: Size, part: str, kind: str) -> float:
    """A careful estimate of what a contender takes at its peak."""
    if part == "training":
        is_torch = kind.startswith(TORCH)
        amp = "bfloat16" if kind.endswith("bfloat16") and not is_torch else "none"
        settings = TrainingConfig(batch_size=1, recompute="recompute" in kind, amp=amp)
        fused = not is_torch and kind != OFF
        bytes_ = training_bytes(size.model, settings, size.num_samples, fused=fused, num_cores=usable_cores())
        return TORCH_SHARE * bytes_ if is_torch else bytes_
    frames = padded_frames(size.model, size.num_samples) // 2
    return BASE_BYTES + frames * size.model.hidden_size * BYTES_PER_FRAME_AND_UNIT


def plan_groups(needs: dict[str, float], free_bytes: float) -> list[list[str]]:
    """Contenders that fit into the memory at once; the first one of `needs` is in every group.

    One that fits into no group still gets one of its own.
    """
    baseline, *others = needs
    groups: list[list[str]] = []
    used = float("inf")
    for name in others:
        if used + needs[name] > free_bytes:
            groups.append([baseline])
            used = needs[baseline]
        groups[-1].append(name)
        used += needs[name]
    return groups or [[baseline]]


def make_contender(part: str, kind: str, name: str, work: Path) -> Contender:
    """A process of benchmarks/performance_worker.py."""
    command = [sys.executable, "-m", "benchmarks.performance_worker", part, kind, name, str(work)]
    environment = {**WAITING, "OMP_NUM_THREADS": str(usable_cores()), **ENVIRONMENT.get(kind, {})}
    first = TASKS[0] if part == "block" else products(SIZES[name])[0].name if part == "sgemm" else ""
    return Contender(kind, command, environment=environment, first_task=first, log=work / "errors.log")


def measure(part: str, name: str, kinds: Sequence[str], *, rounds: int, work: Path, report: Report) -> Group:
    """Run one group in turn, with the machine's own rate in between."""
    contenders = [make_contender(part, kind, name, work) for kind in kinds]
    machine = make_contender("sgemm", "sgemm", name, work)
    group = Group(SIZES[name], part, [], {product.name: [] for product in products(SIZES[name])})
    with started([machine, *contenders], report.problems) as (sgemm, *processes):
        group.contenders = [process.contender for process in processes]
        _check_idle([sgemm, *processes], report)
        for round_number in range(WARM_UP - 1 + rounds):
            is_timed = round_number >= WARM_UP - 1
            for process in in_turn(round_number, processes):
                if part == "block":
                    _run_tasks(process, group, is_timed)
                elif (seconds := process.run_once()) and is_timed:
                    process.contender.seconds.append(seconds)
            for product, rates in group.rates.items():
                sgemm.run_once(product)
                rates.append(float(sgemm.contender.values[-1]))
    return group


def _run_tasks(process: Process, group: Group, is_timed: bool) -> None:
    for task in TASKS:
        seconds = process.run_once(task)
        if is_timed:
            group.task_seconds.setdefault((process.contender.name, task), []).append(seconds)


def _check_idle(processes: Sequence[Process], report: Report) -> None:
    shares = idle_shares(processes)
    name = max(shares, key=lambda one: shares[one])
    report.write(f"While nobody is asked, {name} takes the most: {100 * shares[name]:.0f} % of a core.")
    if shares[name] > MOST_IDLE:
        report.problems.append(f"{name} takes {100 * shares[name]:.0f} % of a core while it waits, expected none")


def run_part(part: str, name: str, kinds: Sequence[str], *, rounds: int | None, work: Path, report: Report) -> None:
    """All groups of one part of one size, its table, and whether the results agree."""
    size = SIZES[name]
    usual = {"training": size.training_rounds, "inference": size.inference_rounds, "block": BLOCK_ROUNDS}[part]
    needs = {kind: needed_bytes(size, part, kind) for kind in kinds}
    plan = plan_groups(needs, MEMORY_SHARE * free_memory_bytes() - BASE_BYTES)
    groups = []
    for members in plan:
        for kind in members:
            result_path(work, name, kind).unlink(missing_ok=True)
        groups.append(measure(part, name, members, rounds=rounds or usual, work=work, report=report))
        if part == "training":
            losses = {each.name: each.values for each in groups[-1].contenders}
            report.write(check_losses(losses, TORCH, report.problems))
        if part == "inference":
            tracks = {each.name: np.load(result_path(work, name, each.name)) for each in groups[-1].contenders}
            report.write(check_tracks(tracks, TORCH, report.problems))
    report.write((block_table if part == "block" else table)(groups, TORCH))
    if part == "training":
        draw_frontier(size.title, frontier(groups, TORCH), work / f"frontier-{name}.png")
    report.write(product_table(groups))


def header() -> str:
    """Machine, date and versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("mindspore", "torch", "numpy"))
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {processor_name()}, {usable_cores()} cores, "
        f"{free_memory_bytes() / 1e9:.1f} GB free, load before {os.getloadavg()[0]:.2f}; Python "
        f"{sys.version.split()[0]}, {versions}; version {revision.stdout.strip() or 'unknown'}"
    )


def choose_kinds(part: str, wanted: Sequence[str] | None) -> list[str]:
    """PyTorch, and those of the part's contenders that are wanted."""
    return [kind for kind in KINDS[part] if wanted is None or kind == TORCH or kind in wanted]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--work", type=Path, default=Path("runs/performance"), help="folder for results (%(default)s)")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(MEASURED))
    parser.add_argument("--part", nargs="+", choices=list(KINDS), default=list(KINDS))
    every = sorted({kind for kinds in KINDS.values() for kind in kinds})
    parser.add_argument("--contenders", nargs="+", choices=every, help="beside PyTorch (all)")
    parser.add_argument("--rounds", type=int, help="timed runs of each contender (by size)")
    options = parser.parse_args(argv)
    if options.rounds is not None and options.rounds < 1:
        raise UserError(f"--rounds: found {options.rounds}, expected at least 1")
    if importlib.util.find_spec("torch") is None:
        raise UserError("found no PyTorch, expected the version of requirements-torch.txt (a CPU build will do)")
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    report = Report(work / "performance.md")
    report.write(header())
    for name in options.sizes:
        if not weights_path(work, name).exists():
            subprocess.run(make_contender("weights", OURS, name, work).command, check=True, stderr=subprocess.DEVNULL)
        for part in options.part:
            kinds = choose_kinds(part, options.contenders)
            run_part(part, name, kinds, rounds=options.rounds, work=work, report=report)
    if report.problems:
        report.write("\n".join(f"- {problem}" for problem in report.problems))
    if any(LEFT_OUT not in problem for problem in report.problems):
        raise UserError(f"something failed or does not agree, see {report.path}")


if __name__ == "__main__":
    run(main)
