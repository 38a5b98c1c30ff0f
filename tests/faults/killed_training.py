"""train.py, killed by its own hand: `python -m tests.faults.killed_training STEP [options of train.py]`.

The process gets SIGKILL right after the checkpoint of that update was written, as nothing from outside could time it.
"""

import os
import signal
import sys

import train
from src.command_line import run
from src.runtime import prepare_environment


def main(_argv):
    step = int(sys.argv.pop(1))
    prepare_environment()
    from src.training import Run

    save_in_time = Run._save_in_time

    def save_and_die(self):
        save_in_time(self)
        if self.progress.steps_done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    Run._save_in_time = save_and_die
    train.main()


if __name__ == "__main__":
    run(main)
