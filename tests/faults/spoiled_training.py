"""train.py with faults: `python tests/faults/spoiled_training.py [options of train.py]`, in one process or several.

From the environment: FAULT_NAN_STEP, the update in which the last example of the whole batch is NaN; FAULT_DIE_STEP
and FAULT_DIE_RANK, the update before which a process gets SIGKILL; FAULT_HANG_STEP, the batch of an epoch or of its
rest that never comes. Every update's loss and gradient norm go to `losses-RANK.jsonl` in the folder FAULT_RECORD.
"""

import json
import os
import signal
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import train  # noqa: E402
from src.command_line import run  # noqa: E402
from src.runtime import prepare_environment  # noqa: E402


def comes(name, step):
    """Whether the fault called so is for this step; "always": for every one."""
    wanted = os.environ.get(name, "never")
    return wanted == "always" or wanted == str(step)


def spoil(batch):
    mixture, sources, num_samples = batch
    spoiled = mixture.copy()
    spoiled[-1, 0] = np.nan
    return spoiled, sources, num_samples


def main(_argv):
    prepare_environment()
    from src.data.data import TrainingData
    from src.training import Run

    make, examples = Run.__init__, TrainingData.epoch

    def init(self, *arguments, **options):
        make(self, *arguments, **options)
        take, ranks = self.stepper.take, self.ranks
        record = Path(os.environ["FAULT_RECORD"], f"losses-{ranks.rank}.jsonl")

        def take_with_faults(batches, *controls):
            step = self.progress.steps_done + 1
            if comes("FAULT_DIE_STEP", step) and comes("FAULT_DIE_RANK", ranks.rank):
                record.with_name("died").write_text(str(time.time()))
                os.kill(os.getpid(), signal.SIGKILL)
            if comes("FAULT_NAN_STEP", step) and ranks.rank == ranks.size - 1:
                batches = [*batches[:-1], spoil(batches[-1])]
            result = take(batches, *controls)
            with record.open("a") as file:
                file.write(json.dumps([step, *map(float, result)]) + "\n")
            return result

        self.stepper.take = take_with_faults

    def epoch(self, *arguments):
        for number, batch in zip(count(1), examples(self, *arguments), strict=False):
            if comes("FAULT_HANG_STEP", number):
                time.sleep(600)
            yield batch

    Run.__init__, TrainingData.epoch = init, epoch
    train.main()


if __name__ == "__main__":
    run(main)
