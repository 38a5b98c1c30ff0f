"""The same exported network in the C++ program, in MindSpore from Python, and in onnxruntime: time, start-up, memory.

    python -m benchmarks.deployment --work runs/deployment [--sizes demo paper] [--threads 1 2] [--rounds 5]

Networks of three sizes with random weights are exported as MINDIR and ONNX. The runtimes are processes that run the
network whenever they are asked to; they are asked in turn, forwards and backwards, so that a machine that becomes
slower meets all of them, and the figures are ratios of medians. For one thread all are held to one core, as MindSpore
takes more than it is told to. At the end a recording of a minute goes through separate.py and gdprnn_infer, in chunks
of 16 s. Printed are tables in Markdown. Needs onnx and onnxruntime, which requirements-dev.txt names.

"C++" is gdprnn_infer as it is, "C++, MindSpore" its --engine mindspore: with the network from its cache, where it has
been converted at the first start, which is not measured.
"""

import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Contender, Process
from src.command_line import OptionParser, run
from src.runtime import prepare_environment, start, usable_cores

ROOT = Path(__file__).parent.parent
WORKER = ROOT / "benchmarks" / "deployment_worker.py"
APPLICATION = ROOT / "ascend310_infer"
SECONDS = 4.0  # of a chunk
LONG_SECONDS = 16.0  # of a chunk, for the recording
RECORDING_SECONDS = 60


@dataclass(frozen=True)
class Size:
    """A network that is measured."""

    title: str
    model: dict[str, int]
    rounds: int  # timed runs


SIZES = {
    "small": Size(
        "small (N = H = 64, R = 2)", {"num_filters": 64, "hidden_size": 64, "num_pairs": 2, "kernel_size": 8}, 9
    ),
    "demo": Size("demo (N = 128, L = 16, H = 64, R = 1)", {"kernel_size": 16, "hidden_size": 64, "num_pairs": 1}, 15),
    "paper": Size("paper (N = H = 128, L = 8, R = 6)", {"kernel_size": 8, "hidden_size": 128, "num_pairs": 6}, 5),
}
WARM_UP = 2
PAUSE_SECONDS = 0.1  # before a run: threads of the process before may still be looking for work


def export_all(work: Path, names: Sequence[str]) -> None:
    """NAME.mindir, NAME.onnx and NAME.ckpt of each size, and NAME-long.mindir with long chunks."""
    from src.checkpoint import save
    from src.config import Config, ModelConfig
    from src.exporting import Request, export
    from src.models.swave import Swave
    from src.runtime import seed_everything

    for name in names:
        seed_everything(0)
        config = Config(ModelConfig(**SIZES[name].model))
        checkpoint = work / f"{name}.ckpt"
        save(checkpoint, Swave(config.model).get_parameters(), config, {})
        for stem, file_format, seconds in (
            (name, "MINDIR", SECONDS),
            (name, "ONNX", SECONDS),
            (f"{name}-long", "MINDIR", LONG_SECONDS),
        ):
            export(Request(checkpoint, work / stem, file_format, seconds), lambda _line: None)


def build_worker() -> Path:
    """The C++ workers network_worker_ENGINE, built beside the application; gives the folder."""
    build = APPLICATION / "build"
    subprocess.run(["bash", str(APPLICATION / "build.sh")], check=True, stdout=subprocess.DEVNULL)
    configure = ["cmake", "-S", str(APPLICATION), "-B", str(build), "-DGDPRNN_BENCHMARKS=ON"]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(build), "--parallel"], check=True, stdout=subprocess.DEVNULL)
    return build


def contenders_for(mindir: Path, build: Path, num_threads: int) -> list[Contender]:
    """What is compared with so many threads; the C++ program first."""
    held = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))] if num_threads == 1 else []
    fused, mindspore = (
        [*held, str(build / f"network_worker_{engine}"), str(mindir), str(num_threads)]
        for engine in ("fused", "mindspore")
    )
    python = [*held, sys.executable, str(WORKER)]
    found = [Contender("C++", [*fused, "1"])]
    if num_threads > 1:
        found.append(Contender(f"C++, --batch {num_threads}", [*fused, str(num_threads)], chunks_at_once=num_threads))
    if has_bfloat16():
        found.append(Contender("C++, bfloat16", [*fused, "1", "--amp", "bfloat16"]))
    return [
        *found,
        Contender("C++, MindSpore", [*mindspore, "1"]),
        Contender("GraphCell", [*python, "mindspore", str(mindir), str(num_threads)]),
        Contender("onnxruntime", [*python, "onnxruntime", str(mindir.with_suffix(".onnx")), str(num_threads)]),
    ]


def has_bfloat16() -> bool:
    """Whether the processor has products in bfloat16."""
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    return "avx512_bf16" in flags


def measure(contenders: Sequence[Contender], rounds: int) -> None:
    """Run all of them in turn, forwards and backwards, then start each twice more, alone."""
    processes = [Process(contender) for contender in contenders]
    for number in range(WARM_UP + rounds):
        for process in processes[:: -1 if number % 2 else 1]:
            time.sleep(PAUSE_SECONDS)
            seconds = process.run_once()
            if number >= WARM_UP:
                process.contender.seconds.append(seconds)
    for process in processes:
        process.end()
    for contender in contenders:
        for _ in range(2):
            Process(contender).end()


def convert_before(contenders: Sequence[Contender]) -> None:
    """Let the MindSpore engine convert the network into its cache, which the first start does."""
    for contender in contenders:
        if contender.name == "C++, MindSpore":
            Process(contender).end()
            contender.start_seconds.clear()
            contender.peak_kb = 0


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


def write_recording(path: Path) -> None:
    """A minute of the two recordings of tests/speech at once."""
    import numpy as np
    import soundfile

    num_samples = 8000 * RECORDING_SECONDS
    persons = [soundfile.read(ROOT / "tests/speech" / f"{name}.flac")[0] for name in ("carlo", "russian")]
    soundfile.write(path, sum(np.resize(person, num_samples) for person in persons), 8000)


def peak_of(command: Sequence[str | Path]) -> tuple[float, int]:
    """Seconds and the largest resident memory, in kB, of a program."""
    began = time.perf_counter()
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:  # what wait4 tells would count the process that started it
        status = Path(f"/proc/{process.pid}/status").read_text()
        if found := re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
            peak = max(peak, int(found[1]))
        time.sleep(0.01)
    if process.returncode != 0:
        raise RuntimeError(f"Expected {' '.join(map(str, command))} to end well. Found: status {process.returncode}.")
    return time.perf_counter() - began, peak


def recording_table(work: Path, names: Sequence[str], program: Path) -> str:
    """A minute through separate.py and gdprnn_infer: seconds and peak memory of the whole programs, and ratios."""
    talk, out = work / "minute.wav", work / "separated"
    write_recording(talk)
    lines = [
        f"A recording of {RECORDING_SECONDS} s, chunks of {LONG_SECONDS:g} s, whole programs",
        "",
        "| network | separate.py | gdprnn_infer | ratio | peak memory of separate.py | of gdprnn_infer | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        infer = [program, "--model", work / f"{name}-long.mindir", "--input", talk, "--output", out]
        python = [
            sys.executable,
            ROOT / "separate.py",
            talk,
            "--model_path",
            work / f"{name}.ckpt",
            "--output-dir",
            out,
        ]
        (slow, much), (quick, little) = peak_of([*python, "--chunk_seconds", str(LONG_SECONDS)]), peak_of(infer)
        cells = [SIZES[name].title, f"{slow:.1f} s", f"{quick:.1f} s", f"{quick / slow:.2f}"]
        cells += [f"{much / 1000:.0f} MB", f"{little / 1000:.0f} MB", f"{little / much:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    cores = usable_cores()
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--work", type=Path, default=Path("runs/deployment"), help="folder for models (%(default)s)")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES), help="of networks (all)")
    parser.add_argument("--threads", nargs="+", type=int, default=sorted({1, cores}), help="one, and all cores")
    parser.add_argument("--rounds", type=int, help="timed runs of each (5 to 15, by the size)")
    options = parser.parse_args(argv)
    prepare_environment()
    start("CPU")
    options.work.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(options.work.resolve() / "cache")
    export_all(options.work, options.sizes)
    build = build_worker()
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {cores} cores, load before {os.getloadavg()[0]:.1f}")
    for name in options.sizes:
        for num_threads in options.threads:
            contenders = contenders_for(options.work / f"{name}.mindir", build, num_threads)
            convert_before(contenders)
            measure(contenders, options.rounds or SIZES[name].rounds)
            print(f"\n{table(SIZES[name].title, num_threads, contenders)}", flush=True)
    print(f"\n{recording_table(options.work, options.sizes, build / 'gdprnn_infer')}", flush=True)


if __name__ == "__main__":
    run(main)
