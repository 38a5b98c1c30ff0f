"""The fault campaign: real training runs, stopped in every way there is, against a run that nobody disturbed.

    python -m tests.faults.campaign --work runs/faults --kills 50 --output docs/faults.md

Takes about half an hour on two cores. Needs nothing but the repository: the data is made of synthetic voices. Writes a
table of what was done and what happened; ends with status 1 if anything was lost or became different.
"""

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from tqdm import tqdm

from src import run_folder
from src.run_folder import HISTORY, LATEST, PREVIOUS
from src.runtime import prepare_environment, start
from tests.faults.runs import contents

ROOT = Path(__file__).parent.parent.parent
SPOILED = ROOT / "tests" / "faults" / "spoiled_training.py"
STEPS_IN_EPOCH, EPOCHS = 60, 4
RECIPE = {
    "model": {
        "num_filters": 32,
        "kernel_size": 8,
        "hidden_size": 4,
        "num_pairs": 1,
        "chunk_frames": 16,
        "normalize_level": True,
    },
    "data": {
        "segment_seconds": 0.25,
        "valid_seconds": 0.5,
        "dynamic_mixing": True,
        "dynamic_examples": 2 * STEPS_IN_EPOCH,
        "speed_min": 0.8,
        "speed_max": 1.2,
        "equalizer_db": 3.0,
    },
    # A checkpoint about every third update, so that many faults fall into the writing of one.
    "training": {"epochs": EPOCHS, "batch_size": 2, "average_decay": 0.9, "save_minutes": 0.001},
}


@dataclass
class Row:
    """One kind of fault."""

    fault: str
    trials: int
    happened: str
    good: bool


class Campaign:
    """The straight run, and what compares others with it."""

    def __init__(self, work: Path, seed: int) -> None:
        self.work = work
        self.random = random.Random(seed)
        self.data = make_data(work)
        self.recipe = work / "recipe.yaml"
        self.recipe.write_text(yaml.safe_dump(RECIPE))
        self.straight = work / "straight"
        self.finish(self.straight)

    def command(self, folder: Path, *options: str, program: Path = ROOT / "train.py") -> list[str]:
        data = str(self.data)
        given = ["--config", str(self.recipe), "--train_dir", data, "--valid_dir", data, "--output_dir", str(folder)]
        return [sys.executable, str(program), *given, *options]

    def run(
        self, folder: Path, *options: str, program: Path = ROOT / "train.py", **more
    ) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(folder, *options, program=program), capture_output=True, text=True, check=False, **more
        )

    def finish(self, folder: Path) -> str:
        """Run to the end. Returns what was said on stderr."""
        result = self.run(folder)
        if result.returncode != 0:
            raise RuntimeError(f"Expected the run in {folder} to finish. Found: {result.stderr}")
        return result.stderr

    def same(self, folder: Path) -> bool:
        """Whether weights, averages, moments, counters and history equal the straight run's, bit for bit."""
        return contents(folder) == contents(self.straight)

    def fresh(self, name: str) -> Path:
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def begun(self, name: str) -> Path:
        """A folder with a run that was stopped somewhere in the middle, with two checkpoints."""
        folder, source = self.fresh(name), self.work / "begun"
        if not source.exists():
            dying = {"FAULT_RECORD": str(self.work), "FAULT_DIE_STEP": "100", "FAULT_DIE_RANK": "0"}
            self.run(source, program=SPOILED, env={**os.environ, **dying})
        shutil.copytree(source, folder)
        return folder


def make_data(work: Path) -> Path:
    """Records of synthetic voices: `train.mindrecord` and `valid.mindrecord`."""
    import preprocess
    from src.data.librimix import generate
    from tests.synthetic import write_corpus

    data = work / "data"
    if not (data / "valid.mindrecord").exists():
        generate(write_corpus(work / "corpus"), work / "librimix", 2, {"train": 12, "valid": 4, "test": 1}, seed=0)
        preprocess.main(["--in-dir", str(work / "librimix" / "Libri2Mix"), "--out-dir", str(data)])
    return data


def loses_nothing(folder: Path, steps_before: int) -> int:
    """The update that the run would go on from; raises if the folder fell back behind `steps_before`, or is broken."""
    from src import checkpoint

    found = run_folder.read_latest(folder, checkpoint.read)
    steps = found[0].progress["steps_done"] if found else 0
    if steps < steps_before:
        raise RuntimeError(f"Expected at least step {steps_before} in {folder}. Found: {steps}")
    return steps


def kills(campaign: Campaign, count: int, number: int, name: str) -> Row:
    """Stop runs `count` times at random moments from the start of the process on, and let each go on to its end."""
    done = different = finished = traces = 0
    screen = campaign.work / "screen"
    reached: list[int] = []
    statuses: Counter[int] = Counter()
    with tqdm(total=count, desc=name) as bar:
        while done < count:
            folder = campaign.fresh(name)
            steps = 0
            while done < count:
                with screen.open("w") as file:
                    process = subprocess.Popen(campaign.command(folder), stdout=file, stderr=file)
                    try:
                        process.wait(campaign.random.uniform(0.2, 22.0))
                        break  # finished before the moment came
                    except subprocess.TimeoutExpired:
                        process.send_signal(number)
                        statuses[process.wait()] += 1
                traces += "Traceback" in screen.read_text()
                steps = loses_nothing(folder, steps)
                reached.append(steps)
                done += 1
                bar.update()
            campaign.finish(folder)
            finished += 1
            different += not campaign.same(folder)
    inside = sum(0 < steps < STEPS_IN_EPOCH * EPOCHS for steps in reached)
    happened = (
        f"{inside} of them after the first update; {finished} runs went on to their end, "
        f"{finished - different} equal to the straight run bit for bit; {traces} tracebacks; "
        f"exit statuses {dict(statuses)}"
    )
    # The first tenths of a second belong to Python itself; and a run that has just finished ends as finished.
    expected = {-number, 130, 0}
    good = not different and not traces and set(statuses) <= expected
    return Row(f"{signal.Signals(number).name} at a random moment", count, happened, good)


def flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def cut_checksum(data: bytearray, rng: random.Random) -> None:
    del data[-17:]  # MindSpore's own check does not miss it
    flip(data, rng)


def zero(data: bytearray, rng: random.Random) -> None:
    begin = rng.randrange(len(data) // 2)
    data[begin : begin + 4096] = bytes(min(4096, len(data) - begin))


def damages(campaign: Campaign, count: int) -> list[Row]:
    """Damage the latest checkpoint in several ways."""
    rows = []
    ways: dict[str, Callable[[bytearray, random.Random], None]] = {
        "a bit of latest.ckpt flipped": flip,
        "latest.ckpt cut off": cut,
        "4 kB of latest.ckpt zeroed": zero,
        "the checksum of latest.ckpt cut off, a bit flipped": cut_checksum,
    }
    for words, damage in ways.items():
        told = same = 0
        for _ in tqdm(range(count), desc=words):
            folder = campaign.begun("damaged")
            data = bytearray((folder / LATEST).read_bytes())
            damage(data, campaign.random)
            (folder / LATEST).write_bytes(data)
            told += f"going on from {PREVIOUS}" in campaign.finish(folder)
            same += campaign.same(folder)
        happened = f"{told} recognised, told, and the one before used; {same} equal to the straight run in the end"
        rows.append(Row(words, count, happened, told == same == count))
    folder = campaign.begun("damaged")
    for name in (LATEST, PREVIOUS):
        data = bytearray((folder / name).read_bytes())
        cut(data, campaign.random)
        (folder / name).write_bytes(data)
    result = campaign.run(folder)
    rows.append(refusal("both checkpoints cut off", result, "nor is the one before"))
    return rows


def refusal(fault: str, result: subprocess.CompletedProcess, words: str, more: str = "", good: bool = True) -> Row:
    """A row for a run that must end with status 2 and one clear line."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    clear = result.returncode == 2 and len(lines) == 1 and words in lines[0] and "Traceback" not in result.stderr
    said = re.sub(r"/[^ :]*/", "", " ".join(lines))[:160]  # without folders, which are this machine's
    return Row(fault, 1, f"status {result.returncode}: `{said} …`{more}", clear and good)


def full_disk(campaign: Campaign) -> Row:
    """Go on with a run where no file may become as large as a checkpoint, then where it may."""
    folder = campaign.begun("full")
    before = (folder / LATEST).read_bytes()
    limit = len(before) // 2

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    result = campaign.run(folder, preexec_fn=limited)
    intact = (folder / LATEST).read_bytes() == before
    campaign.finish(folder)
    more = f"; last checkpoint {'intact' if intact else 'DAMAGED'}, the run goes on from it to an equal end"
    fault = "no more room for a checkpoint (file size limit)"
    return refusal(fault, result, "cannot write the checkpoint", more, intact and campaign.same(folder))


def full_file_system(campaign: Campaign, mount: Path) -> Row:
    """The same on a real file system that is full: `mount`, of about 1 MB."""
    folder = mount / "run"
    shutil.copytree(campaign.work / "begun", folder)
    before = (folder / LATEST).read_bytes()
    filler = mount / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    result = campaign.run(folder)
    intact = (folder / LATEST).read_bytes() == before
    filler.unlink()
    campaign.finish(folder)
    more = f"; last checkpoint {'intact' if intact else 'DAMAGED'}, with room again the run goes on to an equal end"
    return refusal("a full file system", result, "cannot write", more, intact and campaign.same(folder))


def spoiled(campaign: Campaign) -> list[Row]:
    """Batches with NaN, and a batch that never comes."""
    folder = campaign.fresh("nan")
    folder.mkdir()
    environment = {**os.environ, "FAULT_RECORD": str(folder)}
    result = campaign.run(folder, program=SPOILED, env={**environment, "FAULT_NAN_STEP": "7"})
    history = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    skipped = sum(entry["skipped"] for entry in history)
    values = [value for value in contents(folder).values() if isinstance(value, bytes)]
    finite = all(np.isfinite(np.frombuffer(value, np.float32)).all() for value in values)
    happened = f"status {result.returncode}; {skipped} update skipped and told, all weights finite"
    rows = [Row("a NaN in a batch", 1, happened, result.returncode == 0 and skipped == 1 and finite)]

    folder = campaign.begun("nan")
    before = (folder / LATEST).read_bytes()
    always = {**environment, "FAULT_NAN_STEP": "always"}
    result = campaign.run(folder, program=SPOILED, env=always)
    intact = (folder / LATEST).read_bytes() == before
    more = f"; last checkpoint {'intact' if intact else 'CHANGED'}"
    rows.append(refusal("NaN in every batch", result, "10 times in a row", more, intact))

    folder = campaign.begun("hang")
    began = time.monotonic()
    hanging = {**environment, "FAULT_HANG_STEP": "5"}
    timeout = campaign.work / "timeout.yaml"
    timeout.write_text(yaml.safe_dump({**RECIPE, "training": {**RECIPE["training"], "data_timeout_seconds": 3.0}}))
    result = campaign.run(folder, "--config", str(timeout), program=SPOILED, env=hanging)
    more = f"; {time.monotonic() - began:.0f} s after the start"
    campaign.finish(folder)
    rows.append(refusal("a data pipeline that hangs", result, "found no batch for 3 s", more, campaign.same(folder)))
    return rows


def two_processes(campaign: Campaign, count: int) -> Row:
    """Kill one of two processes at a random moment of the training, and go on."""
    launch = ["bash", str(ROOT / "scripts" / "run_distribute_train.sh"), "2", "True", "--foreground"]
    environment = {**os.environ, "PYTHON": sys.executable}

    def command(folder: Path) -> list[str]:
        return [*launch, *campaign.command(folder)[2:]]

    straight = campaign.fresh("two-straight")
    subprocess.run(command(straight), env=environment, check=True, capture_output=True)
    seconds, clear, same = [], 0, 0
    for trial in tqdm(range(count), desc="a dying process"):
        folder = campaign.fresh("two")
        process = subprocess.Popen(
            command(folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        while not (folder / LATEST).exists():
            time.sleep(0.1)
        time.sleep(campaign.random.uniform(0, 1.0))
        (worker,) = [pid for pid in pids_of(folder) if rank_of(pid) == trial % 2]
        began = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        said = process.communicate()[0]
        seconds.append(time.monotonic() - began)
        clear += process.returncode not in (0, None) and "error:" in said and "Traceback" not in said
        result = subprocess.run(command(folder), env=environment, capture_output=True, check=False)
        same += result.returncode == 0 and contents(folder) == contents(straight)
    happened = (
        f"all stopped within {max(seconds):.0f} s, {clear} with a clear line and a non-zero status; "
        f"{same} went on to an end equal to two undisturbed processes, bit for bit"
    )
    return Row("SIGKILL of one of two processes", count, happened, clear == same == count and max(seconds) < 60)


def pids_of(folder: Path) -> list[int]:
    """Python processes of train.py that write into this folder; not the shells that wait for them."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            is_python = "python" in (path / "exe").resolve().name
        except OSError:
            continue
        if is_python and str(folder).encode() in words and words[1].endswith(b"train.py"):
            found.append(int(path.name))
    return found


def rank_of(pid: int) -> int | None:
    """RANK_ID of a worker; None for the launcher and the scheduler."""
    variables = dict(
        item.split(b"=", 1) for item in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if b"=" in item
    )
    return int(variables[b"RANK_ID"]) if variables.get(b"MS_ROLE") == b"MS_WORKER" and b"RANK_ID" in variables else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/faults"))
    parser.add_argument("--output", type=Path, help="write the table into this Markdown file, below its marker line")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--only", choices=["kills", "others"], help="a part, so that two can run side by side")
    parser.add_argument("--mount", type=Path, help="an empty file system of some MB, for a disk that is really full")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    start("CPU")
    campaign = Campaign(options.work.resolve(), options.seed)
    table = ["| fault | trials | what happened | as it should be |", "| --- | --- | --- | --- |"]
    good = True
    for row in rows_of(campaign, options):
        good = good and row.good
        table.append(f"| {row.fault} | {row.trials} | {row.happened} | {'yes' if row.good else '**NO**'} |")
        print(table[-1], flush=True)
        if options.output:
            above = options.output.read_text(encoding="utf-8").split(MARKER)[0]
            options.output.write_text(above + MARKER + "\n\n" + "\n".join(table) + "\n", encoding="utf-8")
    sys.exit(not good)


def rows_of(campaign: Campaign, options: argparse.Namespace) -> Iterator[Row]:
    if options.only != "others":
        again = campaign.fresh("again")
        campaign.finish(again)
        yield Row("none: the same run twice", 1, "equal bit for bit", campaign.same(again))
        yield kills(campaign, options.kills, signal.SIGKILL, "killed")
    if options.only != "kills":
        yield kills(campaign, 6, signal.SIGINT, "interrupted")
        yield kills(campaign, 6, signal.SIGTERM, "terminated")
        yield from damages(campaign, 3)
        yield full_disk(campaign)
        if options.mount:
            yield full_file_system(campaign, options.mount)
        yield from spoiled(campaign)
        yield two_processes(campaign, 4)


MARKER = "<!-- written by tests/faults/campaign.py -->"

if __name__ == "__main__":
    prepare_environment()
    main()
