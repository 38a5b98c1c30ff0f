"""The same exported network in the C++ program, in MindSpore from Python, and in onnxruntime: time, start-up, memory.

    python -m benchmarks.deployment --work runs/deployment

Networks of three sizes with random weights are exported as MINDIR and ONNX. The runtimes are processes that run the
network whenever they are asked to; they are asked in turn, so that a machine that becomes slower meets all of them,
and the figures are ratios of medians. Printed are tables in Markdown. Needs onnx and onnxruntime, which
requirements-dev.txt names.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import Contender, Process
from src.command_line import OptionParser, run
from src.runtime import prepare_environment, start, usable_cores

ROOT = Path(__file__).parent.parent
WORKER = ROOT / "benchmarks" / "deployment_worker.py"
APPLICATION = ROOT / "ascend310_infer"
SECONDS = 4.0  # of a chunk
SIZES = {  # name: (model, timed runs)
    "small (N = H = 64, R = 2)": ({"num_filters": 64, "hidden_size": 64, "num_pairs": 2, "kernel_size": 8}, 9),
    "demo (N = 128, L = 16, H = 64, R = 1)": ({"kernel_size": 16, "hidden_size": 64, "num_pairs": 1}, 15),
    "paper (N = H = 128, L = 8, R = 6)": ({"kernel_size": 8, "hidden_size": 128, "num_pairs": 6}, 5),
}
WARM_UP = 2


def export_all(work: Path) -> dict[str, Path]:
    """A MINDIR of each size, and beside it the ONNX file."""
    from src.checkpoint import save
    from src.config import Config, ModelConfig
    from src.exporting import Request, export
    from src.models.swave import Swave
    from src.runtime import seed_everything

    paths = {}
    for place, (name, (model, _)) in enumerate(SIZES.items()):
        seed_everything(0)
        config = Config(ModelConfig(**model))
        checkpoint = work / f"size{place}.ckpt"
        save(checkpoint, Swave(config.model).get_parameters(), config, {})
        for file_format in ("MINDIR", "ONNX"):
            export(Request(checkpoint, work / f"size{place}", file_format, SECONDS), lambda _line: None)
        paths[name] = work / f"size{place}.mindir"
    return paths


def build_worker() -> Path:
    """The C++ worker, built beside the application."""
    build = APPLICATION / "build"
    subprocess.run(["bash", str(APPLICATION / "build.sh")], check=True, stdout=subprocess.DEVNULL)
    configure = ["cmake", "-S", str(APPLICATION), "-B", str(build), "-DGDPRNN_BENCHMARKS=ON"]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(build), "--parallel"], check=True, stdout=subprocess.DEVNULL)
    return build / "network_worker"


def contenders_for(mindir: Path, worker: Path, num_threads: int) -> list[Contender]:
    """What is compared with so many threads; the C++ program first."""
    onnx = mindir.with_suffix(".onnx")
    python = [sys.executable, str(WORKER)]
    converted = mindir.with_suffix(".ms")
    found = [
        Contender("C++", [str(worker), str(mindir), str(num_threads), "1"]),
        Contender("C++, converted", [str(worker), str(converted), str(num_threads), "1"]),
    ]
    if num_threads > 1:
        command = [str(worker), str(converted), "1", str(num_threads)]
        found.append(Contender(f"C++, converted, --batch {num_threads}", command, chunks_at_once=num_threads))
    return [
        *found,
        Contender("GraphCell", [*python, "mindspore", str(mindir), str(num_threads)]),
        Contender("onnxruntime", [*python, "onnxruntime", str(onnx), str(num_threads)]),
    ]


def measure(contenders: Sequence[Contender], rounds: int) -> None:
    """Run all of them in turn, then start each twice more, alone."""
    processes = [Process(contender) for contender in contenders]
    for number in range(WARM_UP + rounds):
        for process in processes:
            seconds = process.run_once()
            if number >= WARM_UP:
                process.contender.seconds.append(seconds)
    for process in processes:
        process.end()
    for contender in contenders:
        for _ in range(2):
            Process(contender).end()


def table(name: str, num_threads: int, contenders: Sequence[Contender]) -> str:
    """One table in Markdown; ratios are to the C++ program."""
    lines = [
        f"{name}, {num_threads} thread{'s' * (num_threads > 1)}",
        "",
        f"| runtime | a chunk of {SECONDS:g} s | real-time factor | ratio | start | ratio | peak memory | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    first = contenders[0]
    for each in contenders:
        seconds, began = statistics.median(each.seconds), statistics.median(each.start_seconds)
        cells = [
            each.name,
            f"{seconds:.3f} s ({min(each.seconds):.3f} to {max(each.seconds):.3f})",
            f"{seconds / SECONDS:.3f}",
            f"{seconds / statistics.median(first.seconds):.2f}",
            f"{began:.2f} s",
            f"{began / statistics.median(first.start_seconds):.2f}",
            f"{each.peak_kb / 1000:.0f} MB",
            f"{each.peak_kb / first.peak_kb:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--work", type=Path, default=Path("runs/deployment"), help="folder for models (%(default)s)")
    options = parser.parse_args(argv)
    prepare_environment()
    start("CPU")
    options.work.mkdir(parents=True, exist_ok=True)
    paths = export_all(options.work)
    worker = build_worker()
    for path in paths.values():
        convert = [worker.with_name("gdprnn_convert"), path, path.with_suffix(".ms")]
        subprocess.run(convert, check=True, stdout=subprocess.DEVNULL)
    cores = usable_cores()
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {cores} cores, load before {os.getloadavg()[0]:.1f}")
    for name, (_, rounds) in SIZES.items():
        for num_threads in sorted({1, cores}):
            contenders = contenders_for(paths[name], worker, num_threads)
            measure(contenders, rounds)
            print(f"\n{table(name, num_threads, contenders)}", flush=True)


if __name__ == "__main__":
    run(main)
