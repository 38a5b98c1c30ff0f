"""What every entry script shares: option spelling, one-line errors, Ctrl-C."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from src.errors import UserError

EXIT_MISTAKE = 2  # a UserError, or wrong options
INTERRUPTED = threading.Event()  # Ctrl-C was pressed
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class OptionParser(argparse.ArgumentParser):
    """An argparse parser whose options take a hyphen or an underscore alike.

    `--data-dir` and `--data_dir` are the same option, whichever of the two `add_argument`
    was given; the value is found under the name with underscores.
    """

    def __init__(self, description: str) -> None:
        super().__init__(
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """As argparse's own, with the other spelling of every long option added."""
        spellings: list[str] = []
        for name in names:
            stem = name.removeprefix("--")
            spellings.append(name)
            if name.startswith("--"):
                spellings += ["--" + stem.replace("_", "-"), "--" + stem.replace("-", "_")]
        return super().add_argument(*dict.fromkeys(spellings), **options)

    def knows(self, word: str) -> bool:
        """Whether a word of the command line is one of the options, with or without a value."""
        return word.partition("=")[0] in self._option_string_actions

    def error(self, message: str) -> NoReturn:
        """One line and exit status 2, without the usage text that would hide it."""
        sys.stderr.write(f"{self.prog}: error: {message} (see --help)\n")
        raise SystemExit(EXIT_MISTAKE)


def run(
    main: Callable[[Sequence[str] | None], None],
    after_interrupt: str = "nothing finished is lost, the same command goes on from there",
) -> NoReturn:
    """Call an entry script's `main` and turn what it raises into an exit status.

    0: done; 2: a `UserError`, printed as one line; 130: interrupted with Ctrl-C.
    """
    _open_missing_streams()
    _forward_interrupts()
    try:
        main(None)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(EXIT_MISTAKE) from None
    except KeyboardInterrupt:
        sys.stderr.write(f"\ninterrupted: {after_interrupt}\n")
        raise SystemExit(EXIT_INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # Ctrl-C has nothing left to stop while the program ends
    raise SystemExit(0)


def _open_missing_streams() -> None:
    """Where the shell closed them (`>&-`) Python has None, which few programs expect."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 (open to the end)


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed before.

    It may have been raised where Python drops exceptions, such as in a finalizer; so long work asks once a step.
    """
    if INTERRUPTED.is_set():
        raise KeyboardInterrupt


def _forward_interrupts() -> None:
    """Turn Ctrl-C into a KeyboardInterrupt of the main thread, whatever handlers libraries install for it.

    MindData's own handler kills the process group without a word. Here no thread takes SIGINT but one that waits
    for it and passes it on as SIGUSR1. Called before mindspore is loaded, so that its threads inherit the mask.
    """

    def forward() -> None:
        main_thread = threading.main_thread().ident
        assert main_thread is not None
        while True:
            signal.sigwait({signal.SIGINT})
            INTERRUPTED.set()
            signal.pthread_kill(main_thread, signal.SIGUSR1)

    signal.signal(signal.SIGUSR1, signal.default_int_handler)
    # A shell may let what it starts in the background ignore SIGINT. Whenever that is put back, one that still waits
    # for the thread is thrown away.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=forward, daemon=True).start()
