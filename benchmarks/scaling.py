"""One process on one core against two processes on two, and what that lets one expect of many cards.

    python -m benchmarks.scaling --work runs/scaling

The runs alternate, so that a machine that becomes slower meets both. Efficiency is examples a second of two processes
over twice those of one: 1.0 would be perfect. No step is made on data from disk: the update on random batches is
what is measured, that is gradient, all-reduce and optimizer.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SIZES = {  # name: (model, seconds of an example, examples a process, timed updates)
    "demo": ({"kernel_size": 16, "hidden_size": 64, "num_pairs": 1}, 2.0, 1, 60),
    "medium": ({"kernel_size": 16, "hidden_size": 128, "num_pairs": 3}, 2.0, 1, 12),
}
WARM_UP = 3  # updates
# For the projection; docs/scaling.md tells where they come from.
PAPER_GRADIENT_BYTES = 4 * 7_558_913
CARDS_OF_SERVER = 8
SERVER_BYTES_PER_SECOND = 0.5 * 240e9 / 8  # half of HCCS
NETWORK_BYTES_PER_SECOND = 0.5 * 100e9 / 8  # half of RoCE, each card its own
HOP_SECONDS = 20e-6


def work(name: str, record: Path) -> None:
    """Be one process: bind to a core, make the updates, write down their times."""
    os.sched_setaffinity(
        0, {int(os.environ.get("RANK_ID", "0"))} if os.environ.get("MS_ROLE") != "MS_SCHED" else {0, 1}
    )
    from src.runtime import prepare_environment, seed_everything, start

    os.environ["OMP_NUM_THREADS"] = "1"
    prepare_environment()
    start("CPU")
    import numpy as np

    from src.config import Config, ModelConfig, TrainingConfig
    from src.ranks import join_ranks
    from src.stepper import Stepper

    model, seconds, batch_size, updates = SIZES[name]
    ranks = join_ranks("CPU")
    config = Config(ModelConfig(**model), training=TrainingConfig(optimizer="adam", batch_size=batch_size))
    seed_everything(0)
    stepper = Stepper(config, ranks.size)
    stepper.begin_training()
    rng = np.random.default_rng(ranks.rank)
    sources = (0.05 * rng.standard_normal((batch_size, 2, round(8000 * seconds)))).astype(np.float32)
    batch = (sources.sum(1), sources, np.full(batch_size, sources.shape[2], np.int32))
    times = []
    for _ in range(WARM_UP + updates):
        began = time.perf_counter()
        stepper.take([batch], 1e-4, 0.0, 1.0)
        times.append(time.perf_counter() - began)
    gradient_bytes = sum(4 * parameter.size for parameter in stepper.optimizer.parameters)
    result = {"seconds": statistics.median(times[WARM_UP:]), "gradient_bytes": gradient_bytes}
    record.with_suffix(f".{ranks.rank}").write_text(json.dumps(result))


def measure(name: str, processes: int, folder: Path) -> tuple[float, int]:
    """Median seconds of an update of `processes` processes, and bytes of its gradient."""
    record = folder / f"{name}-{processes}"
    task = [str(ROOT / "benchmarks" / "scaling.py"), "--be", name, "--work", str(record)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, *task]
    if processes > 1:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        cluster = [f"--worker_num={processes}", f"--local_worker_num={processes}", f"--master_port={port}"]
        launcher = [sys.executable, "-m", "mindspore.parallel.cluster.run", *cluster, "--join=True"]
        command = [*launcher, f"--log_dir={folder / 'logs'}", *task]
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
    results = [json.loads(record.with_suffix(f".{rank}").read_text()) for rank in range(processes)]
    return max(result["seconds"] for result in results), results[0]["gradient_bytes"]


def compare(name: str, rounds: int, folder: Path) -> str:
    """One row of the table."""
    times: dict[int, list[float]] = {1: [], 2: []}
    gradient_bytes = 0
    for _ in range(rounds):
        for processes, own in times.items():
            seconds, gradient_bytes = measure(name, processes, folder)
            own.append(seconds)
    one, two = (statistics.median(times[processes]) for processes in (1, 2))
    ratios = sorted(first / second for first, second in zip(times[1], times[2], strict=True))
    megabytes = gradient_bytes / 1e6
    efficiency = f"{one / two:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return f"| {name} | {megabytes:.1f} MB | {one:.3f} s | {two:.3f} s | {2 * one / two:.2f} | {efficiency} |"


def ring_seconds(num_bytes: float, members: int, bytes_per_second: float) -> float:
    """All-reduce in a ring: 2 (n - 1) hops, each of an n-th of the data (Patarasuk & Yuan 2009)."""
    hops = 2 * (members - 1)
    return hops * (num_bytes / members / bytes_per_second + HOP_SECONDS)


def all_reduce_seconds(cards: int) -> float:
    """Inside the servers first, then between them, where every card has an eighth of the gradient, then back."""
    inside = ring_seconds(PAPER_GRADIENT_BYTES, min(cards, CARDS_OF_SERVER), SERVER_BYTES_PER_SECOND)
    servers = cards // CARDS_OF_SERVER
    share = PAPER_GRADIENT_BYTES / CARDS_OF_SERVER
    return inside + (ring_seconds(share, servers, NETWORK_BYTES_PER_SECOND) if servers > 1 else 0.0)


def project() -> None:
    """Print the table for many cards, on paper."""
    print("| cards | all-reduce | efficiency, step of 14.69 s | efficiency, step of 1 s |")
    print("| --- | --- | --- | --- |")
    for cards in (8, 64, 512):
        seconds = all_reduce_seconds(cards)
        efficiencies = [100 * step / (step + seconds) for step in (14.69, 1.0)]
        print(f"| {cards} | {1000 * seconds:.1f} ms | {efficiencies[0]:.2f} % | {efficiencies[1]:.1f} % |")


def main() -> None:
    """Measure all sizes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/scaling"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--be", help=argparse.SUPPRESS)  # one of the processes that are measured
    options = parser.parse_args()
    if options.be:
        work(options.be, options.work)
        return
    folder = options.work.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print("| network | gradient | update, one process | update, two processes | speed-up | efficiency |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in SIZES:
        print(compare(name, options.rounds, folder), flush=True)
    print()
    project()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
