"""MindRecord files of whole mixtures: writing them, and reading them in any order.

One record is one mixture with its sources, as 16-bit samples, and the fields of `record_index`.

A data set is the pair of files `X` and `X.db`. MindRecord writes the file's name into the second one, so the
pair can be moved to any folder, but not renamed.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mindspore.dataset as ds
import numpy as np
from mindspore.mindrecord import FileWriter
from mindspore.mindrecord.common.exceptions import MindRecordException
from numpy.typing import NDArray

from src.audio import from_pcm16
from src.data.loading import Loaded, index_fields
from src.data.manifest import Manifest
from src.data.record_index import INDEX_SCHEMA, index_path, read_index
from src.errors import UserError

SCHEMA = {
    **INDEX_SCHEMA,
    "audio": {"type": "bytes"},  # int16, little endian, [1 + C, T] in C order, the mixture first
}
MIN_PAGE_BYTES, MAX_PAGE_BYTES = 2**25, 2**28  # MindRecord's default and limit; a record must fit into a page
READING_WORKERS = min(2, os.cpu_count() or 1)  # MindDataset refuses more workers than cores


@contextmanager
def record_writer(path: Path | str, manifest: Manifest, largest_bytes: int = 0) -> Iterator["RecordWriter"]:
    """Write a new MindRecord pair in a folder aside, and move it to its place when the block ends well.

    `largest_bytes` is the size of the largest record to come, at least about; records below 30 MB need none.

    MindRecord needs the final file name while it writes, so only the folder can be another. If the block
    raises or is interrupted, nothing remains of it and an older pair at `path` is untouched.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{path.parent}: cannot write there: {error.strerror}") from None
    try:
        writer = RecordWriter(aside / path.name, manifest, _page_bytes(largest_bytes))
        yield writer
        writer.commit()
        for name in (path.name, index_path(path).name):
            (aside / name).chmod(0o644)  # MindRecord leaves 0600
            (aside / name).replace(path.with_name(name))
    finally:
        shutil.rmtree(aside, ignore_errors=True)


class RecordWriter:
    """Appends loaded mixtures to one MindRecord file; use it through `record_writer`."""

    def __init__(self, path: Path, manifest: Manifest, page_bytes: int) -> None:
        self._path = path
        self._page_bytes = page_bytes
        self._manifest = manifest
        self._writer: Any = None

    def write(self, loaded: Loaded) -> None:
        """Append one mixture. Raises `UserError` if the file cannot be written."""
        record = {**index_fields(loaded, self._manifest), "audio": loaded.pcm.astype("<i2").tobytes()}
        try:
            self._open().write_raw_data([record])
        except (RuntimeError, MindRecordException) as error:
            raise UserError(
                f"{self._path}: MindRecord cannot write {loaded.utterance.id}: {_first_line(error)}"
            ) from None

    def commit(self) -> None:
        """Finish the file and its index."""
        try:
            self._writer.commit()
        except (RuntimeError, MindRecordException) as error:
            raise UserError(f"{self._path}: MindRecord cannot write: {_first_line(error)}") from None

    def _open(self) -> Any:
        if self._writer is None:
            self._writer = FileWriter(str(self._path), shard_num=1, overwrite=True)
            self._writer.add_schema(SCHEMA, "whole mixtures with their sources")
            self._writer.add_index(list(INDEX_SCHEMA))
            self._writer.set_page_size(self._page_bytes)
        return self._writer


def _page_bytes(largest_bytes: int) -> int:
    page_bytes = MIN_PAGE_BYTES
    while page_bytes < min(1.1 * largest_bytes, MAX_PAGE_BYTES):
        page_bytes *= 2
    return page_bytes


class RecordFile:
    """A MindRecord file of mixtures, read in any order without ever holding it in memory.

    Raises `UserError` if the file or its index is missing, was renamed, is damaged, or was not written by
    this program.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        _check_pair(self.path)
        self.index = read_index(self.path)
        _check_readable(self)

    def __len__(self) -> int:
        return len(self.index.ids)

    @property
    def hours(self) -> float:
        """Length of all mixtures together."""
        return float(self.index.num_samples.sum()) / self.index.sample_rate / 3600

    def dataset(self, order: Sequence[int] | NDArray[np.int64], column: str = "audio") -> Any:
        """A MindDataset with one column of raw audio bytes, the records in this order.

        The order may name a record several times, but holds at most as many entries as there are records:
        MindDataset refuses more. Use `unpack` on what it yields.
        """
        sampler = ds.SubsetSampler([int(record) for record in order])
        records = ds.MindDataset(
            str(self.path), columns_list=["audio"], sampler=sampler, num_parallel_workers=READING_WORKERS
        )
        return records if column == "audio" else records.rename("audio", column)

    def unpack(self, audio: NDArray[np.bytes_]) -> NDArray[np.int16]:
        """Raw audio bytes -> int16 [1 + C, T], the mixture first."""
        # A view, because an element of a bytes array loses the zero bytes at its end.
        return audio.view("<i2").reshape(1 + self.index.num_speakers, -1)

    def read(self, order: Sequence[int] | NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
        """Whole mixtures in this order, each float32 [1 + C, T], the mixture first, full scale at 1.0.

        Raises `UserError` where the file turns out to be damaged.
        """
        try:
            for start in range(0, len(order), len(self)):
                rows = self.dataset(order[start : start + len(self)])
                for (audio,) in rows.create_tuple_iterator(num_epochs=1, output_numpy=True):
                    yield from_pcm16(self.unpack(audio))
        except (RuntimeError, MindRecordException, ValueError) as error:
            raise UserError(f"{self.path}: damaged or incomplete: {_first_line(error)}") from None


def _check_pair(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected a .mindrecord file (preprocess.py writes it)")
    if not index_path(path).is_file():
        raise UserError(f"{path}: its index {index_path(path).name} is missing, they belong together")


def _check_readable(records: RecordFile) -> None:
    """Read the last record, so that a file that was cut off fails now and not in training."""
    rows = next(records.read([len(records) - 1]))
    if rows.shape[1] != records.index.num_samples[-1]:
        raise UserError(f"{records.path}: does not fit its index {index_path(records.path).name}")


def _first_line(error: Exception) -> str:
    """MindSpore's messages are many lines; the one marked [ERROR] tells what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    marked = [line for line in lines if "[ERROR]" in line]
    return (marked or lines)[0].replace("[ERROR]", "").strip()
