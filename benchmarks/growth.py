"""How time and memory grow with length, batch, speakers and pairs, and what a training run does beside its updates.

    python -m benchmarks.growth --work runs/growth [--network small] [--minutes 9] [--part curves shares] [--quick]

Every point is a process of its own, ended when it takes too much memory or time. growth.csv in the work folder holds
the points; those in it are not measured again, so a run that was stopped, or that ended after --minutes, goes on with
the same command. growth.png and growth.md are drawn from it. --part shares measures permutation search, loader,
checkpoints and validation (benchmarks/shares.py).
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from benchmarks.growth_picture import draw, growth_table
from benchmarks.growth_points import (
    FAILED,
    MEASURED,
    MEMORY,
    TIME,
    Point,
    Result,
    all_points,
    points_left,
    read_results,
    write_results,
)
from benchmarks.growth_worker import OUT_OF_MEMORY
from benchmarks.performance import header
from benchmarks.sizes import SIZES
from src.command_line import OptionParser, run
from src.files import make_folder, written_aside
from src.runtime import free_memory_bytes

RUNS = 3
MEMORY_SHARE = 0.85  # of what is free when a process starts
POLL_SECONDS = 0.05
KILLED = -9


def resident_bytes(pid: int) -> int:
    """Of a process; 0 once it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * 4096


def watch(process: "subprocess.Popen[str]", most_bytes: float, most_seconds: float) -> str:
    """Wait for a process; end it when it takes more than it may, and tell what that was. An empty text: it ended."""
    began = time.monotonic()
    while process.poll() is None:
        reason = ""
        if resident_bytes(process.pid) > most_bytes:
            reason = MEMORY
        elif time.monotonic() - began > most_seconds:
            reason = TIME
        if reason:
            process.kill()
            process.wait()
            return reason
        time.sleep(POLL_SECONDS)
    return ""


def measure(point: Point, runs: int, most_seconds: float, log: Path) -> Result:
    """One point, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth_worker", point.text, str(runs)]
    where = (point.network, point.axis, point.work, point.value)
    with log.open("a", encoding="utf-8") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        reason = watch(process, MEMORY_SHARE * free_memory_bytes(), most_seconds)
    if reason or process.returncode in {OUT_OF_MEMORY, KILLED}:
        return Result(*where, reason or MEMORY)
    assert process.stdout is not None
    text = process.stdout.read()
    if process.returncode != 0 or not text:
        return Result(*where, FAILED)
    return Result(*where, MEASURED, **json.loads(text))


def measure_all(points: Sequence[Point], work: Path, *, runs: int, most_seconds: float, minutes: float) -> list[Result]:
    """Those points that the CSV file lacks, until the time is over; each is written down as it is found."""
    path, end = work / "growth.csv", time.monotonic() + 60 * minutes
    results = read_results(path)
    bar = tqdm(points_left(points, results), unit="point")
    for point in bar:
        bar.set_postfix_str(point.text)
        if time.monotonic() > end:
            break
        if point not in points_left(points, results):  # a smaller one of its curve did not fit
            continue
        results = [one for one in results if one.point != point]
        results.append(measure(point, runs, most_seconds, work / "errors.log"))
        write_results(path, results)
    return results


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, draw and print."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--work", type=Path, default=Path("runs/growth"), help="folder for results (%(default)s)")
    parser.add_argument("--network", choices=list(SIZES), default="small", help="(%(default)s)")
    parser.add_argument("--part", nargs="+", choices=("curves", "shares"), default=["curves", "shares"])
    parser.add_argument("--minutes", type=float, default=9.0, help="no point begins after so many (%(default)s)")
    parser.add_argument("--most_seconds", type=float, default=180.0, help="of a point's process (%(default)s)")
    parser.add_argument("--data", type=Path, help="shares: folder of run_demo.sh's records; else synthetic voices")
    parser.add_argument("--quick", action="store_true", help="two small points of each curve, one run, short shares")
    options = parser.parse_args(argv)
    work = options.work.resolve()
    make_folder(work)
    print(header())
    if "curves" in options.part:
        points = all_points(options.network, options.quick)
        runs = 1 if options.quick else RUNS
        results = measure_all(points, work, runs=runs, most_seconds=options.most_seconds, minutes=options.minutes)
        text = growth_table([one for one in results if one.network == options.network])
        with written_aside(work / f"growth-{options.network}.md") as aside:
            aside.write_text(f"{header()}\n\n{text}\n", encoding="utf-8")
        draw([one for one in results if one.network == options.network], work / f"growth-{options.network}.png")
        print(f"\n{text}")
        left = len(points_left(points, results))
        if left:
            print(f"\n{left} points are left: the same command goes on with them")
    if "shares" in options.part:
        command = [sys.executable, "-m", "benchmarks.shares", "--work", str(work)]
        command += ["--data", str(options.data)] if options.data else []
        subprocess.run([*command, *(["--quick"] if options.quick else [])], check=True)


if __name__ == "__main__":
    run(main)
