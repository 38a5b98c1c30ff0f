"""What users call the parts of a data set. For entry scripts, so it loads no library.

(Threads that a library starts before `src.command_line.run` would take Ctrl-C away from it.)
"""

from pathlib import Path

MIXTURE_TYPES = ("mix_clean", "mix_both", "mix_single")  # LibriMix's names


def find_records(given: Path, name: str) -> Path:
    """The record file that a user means: by its own path, or by a folder that holds it under this name."""
    return given / name if given.is_dir() else given
