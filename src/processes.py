"""One function over many items by several processes: results in order, memory bounded, nobody left behind.

A process forked from one that has MindSpore's threads may hang: all are forked from a clean one instead, which loads
once what they need. Each has a pipe of its own, so that either side notices when the other one is gone.
"""

import multiprocessing
import os
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from src.errors import UserError
from src.runtime import interrupts_held_back

Item = TypeVar("Item")
Result = TypeVar("Result")

WAITING_PER_PROCESS = 4  # items that are in work or whose results nobody has taken yet, so that memory stays small
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def map_in_processes(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    num_processes: int,
    *,
    preload: Sequence[str] = (),
    when_one_dies: str,
) -> Generator[Result, None, None]:
    """`map(work, items)` by several processes; with one, it is done in this process.

    Items are taken in this process, some ahead of the results. However the iteration ends, by Ctrl-C too, the
    processes end with it at once. They also end when this process is killed.

    Args:
        work: can be pickled, as can items and results.
        items: taken as there is work to do.
        num_processes: each computes with one thread.
        preload: modules that `work` needs, to be loaded once for all.
        when_one_dies: what a user is told then.

    Yields:
        The results in the items' order.

    Raises:
        UserError: as `work` raises it, or a process has died.
        RuntimeError: `work` has raised anything else; its traceback is the message.
    """
    if num_processes == 1:
        yield from map(work, items)
        return
    threads = ThreadPoolExecutor(num_processes)  # one waits at each pipe
    with threads, _crew(work, num_processes, preload) as crew:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(threads.submit(_hand_over, crew, item, when_one_dies))
                while waiting and (waiting[0].done() or len(waiting) >= WAITING_PER_PROCESS * num_processes):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


class _Worker(Generic[Item, Result]):
    """A process that applies `work` to what comes through its pipe."""

    def __init__(self, context: ForkServerContext, work: Callable[[Item], Result]) -> None:
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self._process.start()
        theirs.close()

    def __call__(self, item: Item) -> Result:
        """Raises EOFError or OSError if the process is dead."""
        self._pipe.send(item)
        result, error = self._pipe.recv()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]  # what comes through a pipe has no type

    def end(self) -> None:
        """At once, whatever it is doing: it holds nothing that could be lost."""
        self._process.kill()
        self._process.join()


@contextmanager
def _crew(
    work: Callable[[Item], Result], size: int, preload: Sequence[str]
) -> Iterator["SimpleQueue[_Worker[Item, Result]]"]:
    """Processes that wait for work. They are ended with the block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    workers: list[_Worker[Item, Result]] = []
    crew: SimpleQueue[_Worker[Item, Result]] = SimpleQueue()
    try:
        with interrupts_held_back():
            resource_tracker.ensure_running()  # before the others: it lets SIGINT through to this thread again
        with interrupts_held_back(), _environment(ONE_THREAD):
            for _ in range(size):
                workers.append(_Worker(context, work))
                crew.put(workers[-1])
        yield crew
    finally:
        for worker in workers:
            worker.end()


def _hand_over(crew: "SimpleQueue[_Worker[Item, Result]]", item: Item, when_one_dies: str) -> Result:
    worker = crew.get()
    try:
        return worker(item)
    except (EOFError, OSError):
        raise UserError(when_one_dies) from None
    finally:
        crew.put(worker)


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """Answer each item with (result, None) or (None, error) until the other side is gone."""
    with suppress(EOFError, ConnectionError):
        while True:
            pipe.send(_answer(work, pipe.recv()))


def _answer(work: Callable[[Any], Any], item: Any) -> tuple[Any, Exception | None]:
    try:
        return work(item), None
    except UserError as error:
        return None, error
    except Exception:
        return None, RuntimeError(f"in another process:\n{traceback.format_exc()}")


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables for processes that are started in the block; numerical libraries read them once."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
