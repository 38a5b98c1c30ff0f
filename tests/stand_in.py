"""What tests/test_train_scripts.py gives the shell scripts as their interpreter: it trains nothing.

It writes down how it was called, into $STAND_IN/<name>.json: `msrun`, `rank_N` or `program`. What a program does then
is told by the environment: STAND_IN_SAY (text to print), STAND_IN_LOCK (the file into which rank 0 writes its pid),
STAND_IN_SLEEP (seconds), STAND_IN_FAIL (RANK:STATUS), STAND_IN_DEAF (a rank that ignores SIGTERM) and STAND_IN_IGNORE
(Ctrl-C is ignored).
As msrun it starts the workers as MindSpore 2.10 does, kills them when one fails, and its scheduler outlives them.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["STAND_IN"])
KEPT = ("RANK_", "DEVICE_", "MS_", "MASTER_", "PYTHON")


def record(name, arguments):
    environment = {key: value for key, value in os.environ.items() if key.startswith(KEPT)}
    text = json.dumps({"arguments": arguments, "environment": environment, "cwd": str(Path.cwd()), "pid": os.getpid()})
    part = FOLDER / f"{name}.part"
    part.write_text(text)
    part.rename(FOLDER / f"{name}.json")


def play_program(arguments):
    rank = os.environ.get("RANK_ID", "0")
    if rank == os.environ.get("STAND_IN_DEAF"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "STAND_IN_IGNORE" in os.environ:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if rank == "0" and "STAND_IN_LOCK" in os.environ:
        Path(os.environ["STAND_IN_LOCK"]).write_text(f"{os.getpid()}\n")
    sys.stdout.write(os.environ.get("STAND_IN_SAY", ""))
    sys.stdout.flush()
    try:
        record(f"rank_{rank}" if "RANK_ID" in os.environ else "program", arguments)
        failing, _, status = os.environ.get("STAND_IN_FAIL", "").partition(":")
        if rank == failing:
            while len(list(FOLDER.glob("rank_*.json"))) < int(os.environ.get("RANK_SIZE", "0")):
                time.sleep(0.01)
            print(f"\r50 %\rerror: found a mistake in rank {rank}")
            return int(status)
        time.sleep(float(os.environ.get("STAND_IN_SLEEP", "0")))
    except KeyboardInterrupt:
        (FOLDER / "saved").write_text(rank)
        print("saved")
        return 130
    return 0


def play_msrun(arguments):
    script = next(place for place, word in enumerate(arguments) if not word.startswith("--"))
    options = dict(word.removeprefix("--").split("=", 1) for word in arguments[:script])
    record("msrun", arguments)
    command = ["python", *arguments[script:]]
    count = int(options["local_worker_num"])
    os.environ["RANK_SIZE"] = options["worker_num"]
    scheduler = subprocess.Popen(["sleep", "30"])
    workers = []
    for local_rank in range(count):
        rank = str(int(options["node_rank"]) * count + local_rank)
        environment = {**os.environ, "MS_ROLE": "MS_WORKER", "RANK_ID": rank, "DEVICE_ID": str(local_rank)}
        with Path(options["log_dir"], f"{options['worker_log_name']}_{rank}.log").open("w") as log:
            workers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))
    while any(worker.poll() is None for worker in workers) and not any(worker.poll() for worker in workers):
        time.sleep(0.05)
    if not any(worker.poll() for worker in workers):
        scheduler.kill()
        return 0
    for worker in workers:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
    scheduler.wait()
    raise RuntimeError("Distributed job exited with exception.")


def main(arguments):
    if arguments[0] == "-c" and "find_spec" in arguments[1]:
        return int(os.environ.get("STAND_IN_WITHOUT_MINDSPORE", "0"))
    if arguments[0] == "-c" or arguments[0].endswith("check_rank_table.py"):
        os.execv(sys.executable, [sys.executable, *arguments])
    if arguments[:2] == ["-m", "mindspore.parallel.cluster.run"]:
        return play_msrun(arguments[2:])
    return play_program(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
