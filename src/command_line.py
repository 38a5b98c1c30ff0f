"""What every entry script shares: option spelling, one-line errors, Ctrl-C."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from src.errors import UserError

EXIT_MISTAKE = 2  # a UserError, or wrong options
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

    def error(self, message: str) -> NoReturn:
        """One line and exit status 2, without the usage text that would hide it."""
        sys.stderr.write(f"{self.prog}: error: {message} (see --help)\n")
        raise SystemExit(EXIT_MISTAKE)


def run(main: Callable[[Sequence[str] | None], None]) -> NoReturn:
    """Call an entry script's `main` and turn what it raises into an exit status.

    0: done; 2: a `UserError`, printed as one line; 130: interrupted with Ctrl-C.
    """
    try:
        main(None)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(EXIT_MISTAKE) from None
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted: nothing finished is lost, the same command goes on from there\n")
        raise SystemExit(EXIT_INTERRUPTED) from None
    raise SystemExit(0)
