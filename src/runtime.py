"""Device, mode, threads and seed: the only place that touches MindSpore's context."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from src.errors import UserError

DEVICE_TARGETS = ("CPU", "Ascend", "GPU")


def prepare_environment() -> None:
    """Set what MindSpore and OpenMP read once, when they are loaded. Call before importing mindspore.

    One OpenMP thread for each core that this process may use, waiting without spinning: a step takes
    about half the time that it takes with the defaults, which start far more threads than cores.
    LOCAL_RANKS processes on this machine, which the distributed script sets, share the cores.
    Variables that the user has set stand. MindSpore's own log is kept to errors.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GLOG_v", "3")


def load_mindspore() -> None:
    """Import mindspore; Ctrl-C waits until that is done, because half imported it ends the program with a crash."""
    with interrupts_held_back():
        import mindspore  # noqa: F401


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Ctrl-C acts only at the end of the block, and never in the processes that are started in it.

    The signals are blocked, which those processes inherit. Handlers note what comes all the same: through a
    thread of a library that does not block them, or because the block's code let them through again. What Python does
    on SIGTERM is put in place again at the end, because a library in C may have taken it (MindData has a handler).
    """
    if threading.current_thread() is not threading.main_thread():  # the only one that Ctrl-C interrupts
        yield
        return
    pressed: list[int] = []
    numbers = (signal.SIGINT, signal.SIGUSR1)  # SIGUSR1 is how src.command_line passes Ctrl-C on
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # in the try: what was pending may be raised here
        for number in numbers:
            signal.signal(number, lambda number, _: pressed.append(number))
        yield
    finally:
        for number, handler in (*before.items(), (signal.SIGTERM, signal.getsignal(signal.SIGTERM))):
            if handler is not None:  # None: somebody else's, which Python cannot put back
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if pressed:
        raise KeyboardInterrupt


def usable_cores() -> int:
    """Cores that this process may run on, which a container or taskset can make fewer than there are.

    Several processes of one distributed run that may all run on the same cores get an equal part of them each.
    """
    sharing = os.environ.get("LOCAL_RANKS", "1")
    return max(1, len(os.sched_getaffinity(0)) // max(1, int(sharing) if sharing.isdigit() else 1))


def processor_name() -> str:
    """As Linux tells it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.lower().startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def free_memory_bytes() -> int:
    """Memory that programs can still take without swapping, as Linux estimates it."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024  # told in kB
    raise RuntimeError("Expected a line MemAvailable in /proc/meminfo. Found none.")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt in the block, also while MindSpore works in a program of somebody else.

    MindSpore's own handler of SIGINT ends the process by SIGTERM, so that is turned into the exception, unless the
    program does something of its own with it.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    if not on_main_thread or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def stop_when_terminated() -> None:
    """Let SIGTERM, with which job schedulers end a program, do what Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))


def start(device_target: str = "CPU", device_id: int = 0, *, graph_mode: bool = True) -> None:
    """Choose device, execution mode and threads. Raises `UserError` for a device that is not there."""
    if device_target not in DEVICE_TARGETS:
        raise UserError(f"device_target: found '{device_target}', expected one of {', '.join(DEVICE_TARGETS)}")
    load_mindspore()
    import mindspore as ms

    try:
        ms.set_device(device_target, None if device_target == "CPU" else device_id)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"device_target {device_target}, device {device_id} cannot be used: {reason}") from None
    ms.set_context(mode=ms.GRAPH_MODE if graph_mode else ms.PYNATIVE_MODE)
    ms.set_recursion_limit(10_000)  # loops over some hundred parameters nest that deep while a graph is compiled
    if device_target == "CPU":
        with contextlib.suppress(RuntimeError):  # MindSpore takes it once a process; the number never changes
            ms.device_context.cpu.op_tuning.threads_num(usable_cores())


def seed_everything(seed: int) -> None:
    """Fix MindSpore's and NumPy's global generators, from which initial weights are drawn."""
    import mindspore as ms

    ms.set_seed(seed)
