"""From a test set to the inputs of the C++ program: one .bin an utterance and their index.json.

The index is written last. Until then a journal says of which test set the files are and which are whole, so that the
same command goes on after an interruption and never mixes two sets.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from src.command_line import raise_if_interrupted
from src.data.record_index import RecordIndex, Records
from src.errors import UserError
from src.files import make_folder, written_aside
from src.infer310.index import INDEX_NAME, Entry, InputIndex, read_inputs, write_index

JOURNAL = "unfinished.txt"  # the digest of the test set, then a line for each file that is whole
FEWEST_DIGITS = 5  # of a file's number


def write_inputs(records: Records, folder: Path) -> InputIndex:
    """Write all mixtures of a test set, one at a time, with a progress bar.

    A file that is there already is kept, if it belongs to this test set and has the right size.

    Raises:
        UserError: the test set cannot be read, or the folder not be written.
    """
    index = plan_inputs(records.index)
    make_folder(folder)
    whole = _whole_files(folder, index)
    missing = [record for record, entry in enumerate(index.inputs) if entry.file not in whole]
    if not missing and (folder / INDEX_NAME).is_file():
        print(f"{folder}: unchanged, used again")
        return index
    if whole:
        print(f"going on: {len(whole)} of {len(index.inputs)} inputs are there already")
    with _journal(folder, index, whole) as journal:
        audio = records.read(missing)
        for record in tqdm(missing, desc="inputs", unit="mixture", dynamic_ncols=True):
            raise_if_interrupted()
            _write(folder, index.inputs[record], next(audio)[0])
            _note(journal, index.inputs[record].file)
    write_index(folder / INDEX_NAME, index)
    (folder / JOURNAL).unlink(missing_ok=True)
    return index


def plan_inputs(index: RecordIndex) -> InputIndex:
    """The index of a test set's inputs, in the records' order."""
    num_digits = max(FEWEST_DIGITS, len(str(len(index.ids))))
    return InputIndex(
        sample_rate=index.sample_rate,
        num_speakers=index.num_speakers,
        data=index.digest,
        inputs=tuple(
            Entry(name, f"{record:0{num_digits}}.bin", (1, num_samples), num_samples)
            for record, (name, num_samples) in enumerate(zip(index.ids, index.num_samples.tolist(), strict=True))
        ),
    )


def check_inputs(records: Records, folder: Path) -> InputIndex:
    """The index of a folder that `write_inputs` has filled from this test set.

    Raises:
        UserError: the folder has no index, or its inputs are of another test set.
    """
    index = read_inputs(folder / INDEX_NAME)
    if index != plan_inputs(records.index):
        raise UserError(f"{folder / INDEX_NAME}: found the inputs of another test set, expected those of this one")
    return index


def _whole_files(folder: Path, index: InputIndex) -> set[str]:
    """Files of this test set that an earlier run has finished."""
    data, files = _earlier(folder)
    if data != index.data:
        return set()
    return {entry.file for entry in index.inputs if entry.file in files and _size(folder, entry) == entry.num_bytes}


def _earlier(folder: Path) -> tuple[str, set[str]]:
    """What an earlier run has left: the digest of its test set and its finished files; an index comes first."""
    try:
        index = read_inputs(folder / INDEX_NAME)
        return index.data, {entry.file for entry in index.inputs}
    except UserError:
        pass
    try:
        data, *files = (folder / JOURNAL).read_text(encoding="utf-8").splitlines()
        return data, set(files)
    except (OSError, ValueError):
        return "", set()


def _size(folder: Path, entry: Entry) -> int:
    path = folder / entry.file
    return path.stat().st_size if path.is_file() else -1


@contextmanager
def _journal(folder: Path, index: InputIndex, whole: Iterable[str]) -> Iterator[IO[bytes]]:
    """The journal, open to be gone on with; the folder has no index any more, nor files of another test set.

    Raises `UserError` if that cannot be done.
    """
    data, files = _earlier(folder)
    with written_aside(folder / JOURNAL) as aside:
        aside.write_text("".join(f"{line}\n" for line in (index.data, *sorted(whole))), encoding="utf-8")
    try:
        (folder / INDEX_NAME).unlink(missing_ok=True)
        for name in files if data != index.data else ():
            (folder / name).unlink(missing_ok=True)
        journal = (folder / JOURNAL).open("ab", buffering=0)  # what cannot be written is known at once
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror})") from error
    with journal:
        yield journal


def _note(journal: IO[bytes], file: str) -> None:
    try:
        journal.write(f"{file}\n".encode())
    except OSError as error:
        raise UserError(f"{journal.name}: cannot be written ({error.strerror})") from error


def _write(folder: Path, entry: Entry, mixture: NDArray[np.float32]) -> None:
    if mixture.size != entry.num_samples:
        expected = f"{entry.num_samples} as the test set's index says"
        raise UserError(f"{entry.name}: found {mixture.size} samples, expected {expected}")
    with written_aside(folder / entry.file) as aside:
        aside.write_bytes(mixture.astype("<f4").tobytes())
