"""One process on one core against two processes on two, and what that lets one expect of many cards.

    python -m benchmarks.scaling --work runs/scaling

The runs alternate, so that a machine that becomes slower meets all. Efficiency is examples a second of two processes
over twice those of one: 1.0 would be perfect. Two processes that do not talk to each other tell what the machine alone
takes away: what two cores share. No step is made on data from disk: the update on random batches is
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
WAYS = ("one", "two apart", "two")
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
    record.with_name(f"{record.name}.{os.environ.get('RANK_ID', '0')}").write_text(json.dumps(result))


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def command_of(name: str, record: Path, talking: bool, folder: Path) -> list[str]:
    """One process, or with `talking` two that are started by msrun."""
    task = [str(ROOT / "benchmarks" / "scaling.py"), name, str(record)]
    if not talking:
        return [sys.executable, *task]
    cluster = ["--worker_num=2", "--local_worker_num=2", f"--master_port={free_port()}", "--join=True"]
    return [sys.executable, "-m", "mindspore.parallel.cluster.run", *cluster, f"--log_dir={folder / 'logs'}", *task]


def measure(name: str, way: str, folder: Path) -> tuple[float, int]:
    """Median seconds of an update done in one of the `WAYS`, of the slower process, and bytes of its gradient."""
    record = folder / f"{name}-{way}".replace(" ", "-")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # msrun starts a program called python
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path}
    count = 2 if way == "two apart" else 1
    started = []
    for rank in range(count):
        command = command_of(name, record, way == "two", folder)
        own = environment if way == "two" else {**environment, "RANK_ID": str(rank)}
        started.append(
            subprocess.Popen(command, env=own, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
    statuses = [process.wait() for process in started]
    if any(statuses):
        raise RuntimeError(f"Expected the processes of {record} to succeed. Found: another exit status.")
    results = [json.loads(path.read_text()) for path in folder.glob(f"{record.name}.*")]
    return max(result["seconds"] for result in results), results[0]["gradient_bytes"]


def compare(name: str, rounds: int, folder: Path) -> str:
    """One row of the table."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    gradient_bytes = 0
    for _ in range(rounds):
        for way, own in times.items():
            seconds, gradient_bytes = measure(name, way, folder)
            own.append(seconds)
    medians = [statistics.median(times[way]) for way in WAYS]
    ratios = [
        sorted(one / other for one, other in zip(times["one"], times[way], strict=True)) for way in ("two apart", "two")
    ]
    cells = [name, f"{gradient_bytes / 1e6:.1f} MB", *(f"{seconds:.3f} s" for seconds in medians)]
    cells += [f"{statistics.median(row):.2f} ({row[0]:.2f} to {row[-1]:.2f})" for row in ratios]
    return f"| {' | '.join(cells)} |"


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
    options = parser.parse_args()
    folder = options.work.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print("| network | gradient | update: one | two apart | two together | efficiency: apart | together |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in SIZES:
        print(compare(name, options.rounds, folder), flush=True)
    print()
    project()


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in SIZES:  # one of the processes that are measured
        work(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
