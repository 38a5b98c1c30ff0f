"""From the outputs of the C++ program to scores: the references of the test set, the code of evaluate.py.

Letters in shapes: C speakers, T samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.command_line import raise_if_interrupted
from src.data.record_index import RecordIndex, Records
from src.errors import UserError
from src.files import make_folder
from src.infer310.index import INDEX_NAME, Entry, OutputIndex, read_outputs
from src.scores.scoring import Separated
from src.scores.summary import summarize, to_row, write_results
from src.scores.whole_set import score_all
from src.stitching.chunks import Chunking, plan_chunks


@dataclass(frozen=True)
class Outputs:
    """A folder that the C++ program has written, with a complete index."""

    folder: Path
    index: OutputIndex

    @property
    def path(self) -> Path:
        """Of the index."""
        return self.folder / INDEX_NAME

    @property
    def chunking(self) -> Chunking:
        """How utterances were cut."""
        return Chunking(self.index.chunk_samples, self.index.overlap_samples)


def open_outputs(folder: Path) -> Outputs:
    """Read the index and check the files' sizes. Raises `UserError` if one is missing or has another size."""
    outputs = Outputs(folder, read_outputs(folder / INDEX_NAME))
    for entry in outputs.index.outputs:
        path = folder / entry.file
        if not path.is_file():
            raise UserError(f"{path}: no such file, expected the tracks of {entry.name} as {outputs.path} says")
        if path.stat().st_size != entry.num_bytes:
            found = f"{path.stat().st_size} bytes, expected {entry.num_bytes}"
            raise UserError(f"{path}: found {found} as {outputs.path} says of {entry.name}")
    return outputs


def score_outputs(outputs: Outputs, records: Records, output_dir: Path) -> dict[str, Any]:
    """Score every utterance of a test set; `per_utterance.csv` and `metrics.json` are written when all is done.

    Returns:
        The content of `metrics.json`.

    Raises:
        UserError: the outputs are not those of this test set, have samples that are no numbers, the results cannot
            be written, or no utterance has a score.
    """
    entries = match(outputs, records)
    make_folder(output_dir)
    results = score_all(
        records.index,
        _separated(outputs, entries, records),
        {},
        is_separating=False,
        when_one_dies="a process that scores was killed (is the memory full?), nothing was written",
    )
    summary = {
        "outputs_path": str(outputs.folder),
        "model_sha256": outputs.index.model_sha256,
        "data_path": str(records.path),
        **summarize(records.index, results, outputs.chunking, compare_whole=False),
    }
    write_results(output_dir, [to_row(records.index, result) for result in results], summary)
    return summary


def match(outputs: Outputs, records: Records) -> list[Entry]:
    """The outputs in the records' order. Raises `UserError` unless they belong to them, each once."""
    found, expected = outputs.index, records.index
    for what, one, other in (
        ("the test set", found.data, expected.digest),
        ("the sample rate in Hz", found.sample_rate, expected.sample_rate),
        ("the number of speakers", found.num_speakers, expected.num_speakers),
    ):
        if one != other:
            raise UserError(f"{outputs.path}: {what}: found {one}, expected {other} as {records.path} has")
    by_name = {entry.name: entry for entry in found.outputs}
    _check_names(outputs.path, set(by_name), expected)
    entries = [by_name[name] for name in expected.ids]
    for entry, num_samples in zip(entries, expected.num_samples.tolist(), strict=True):
        if entry.num_samples != num_samples:
            raise UserError(
                f"{outputs.path}: {entry.name}: found {entry.num_samples} samples, "
                f"expected {num_samples} as {records.path} has"
            )
    return entries


def _check_names(path: Path, found: set[str], index: RecordIndex) -> None:
    expected = set(index.ids)
    for names, what in ((expected - found, "found no output of"), (found - expected, "found an output of")):
        if names:
            others = f" and {len(names) - 1} others" if len(names) > 1 else ""
            raise UserError(f"{path}: {what} {min(names)}{others}, expected one of each utterance of the test set")


def _separated(outputs: Outputs, entries: list[Entry], records: Records) -> Iterator[Separated]:
    """Utterances with their tracks, one at a time."""
    order = range(len(entries))
    for record, audio in zip(order, records.read(order), strict=True):
        raise_if_interrupted()
        entry = entries[record]
        tracks = _read_tracks(outputs.folder / entry.file, entry)
        num_chunks = len(plan_chunks(entry.num_samples, outputs.chunking))
        yield Separated(record, audio, tracks, records.index.sample_rate, num_chunks)


def _read_tracks(path: Path, entry: Entry) -> NDArray[np.float32]:
    """Tracks [C, T]. Raises `UserError` for what cannot be read, is too short or has NaN or infinite samples."""
    try:
        samples = np.fromfile(path, "<f4")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}), expected the tracks of {entry.name}") from None
    if samples.nbytes != entry.num_bytes:
        raise UserError(f"{path}: found {samples.nbytes} bytes, expected {entry.num_bytes} for {entry.name}")
    num_bad = int(np.count_nonzero(~np.isfinite(samples)))
    if num_bad:
        raise UserError(f"{path}: found {num_bad} NaN or infinite samples, expected finite tracks of {entry.name}")
    return np.asarray(samples.reshape(entry.shape), dtype=np.float32)
