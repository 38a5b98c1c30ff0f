"""Work for other processes. In a module of its own, because they import it: MindSpore takes long."""

import os
import signal
import sys
import time

from src.errors import UserError


def double(number):
    return 2 * number


def slow_first(number):
    time.sleep(0.3 if number == 0 else 0.0)
    return number


def tell_process(_):
    """Of this process: its number, whether it has MindSpore, and how many threads a library may start."""
    return os.getpid(), "mindspore" in sys.modules, os.environ.get("OPENBLAS_NUM_THREADS")


def die_at_two(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(*_):
    os._exit(1)


def fail_at_two(number):
    if number == 2:
        raise UserError("2: found two, expected another number")
    return 1 // (number - 3)


def sleep(seconds):
    time.sleep(seconds)
    return seconds
