"""The index of a record file: everything about its mixtures except their audio.

MindRecord keeps the simple fields of every record in an SQLite file `<name>.db` beside the data. It is read
directly here, because asking MindDataset for the same fields reads every byte of audio too (seen in 2.10:
240 MB for the names of 400 utterances). No MindSpore is needed.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from src.errors import UserError

INDEX_SCHEMA = {
    "id": {"type": "string"},
    "speakers": {"type": "string"},  # JSON list
    "sexes": {"type": "string"},  # JSON list
    "origins": {"type": "string"},  # JSON list; missing in older files
    "num_samples": {"type": "int32"},
    "loudness_lufs": {"type": "string"},  # JSON list, a number a source: MindRecord indexes no arrays
    "pitch_hz": {"type": "string"},  # likewise
    "spectrum_db": {"type": "string"},  # JSON list of lists, the bands of a source
    "sample_rate": {"type": "int32"},
    "num_speakers": {"type": "int32"},
    "mixture_type": {"type": "string"},
}


@dataclass(frozen=True)
class RecordIndex:
    """What the index of a record file says, in the records' order."""

    ids: tuple[str, ...]
    speakers: tuple[tuple[str, ...], ...]  # one tuple a record; () where unknown
    sexes: tuple[tuple[str, ...], ...]
    num_samples: NDArray[np.int64]  # [records]
    loudness_lufs: NDArray[np.float64]  # [records, C]
    pitch_hz: NDArray[np.float64]  # [records, C]
    spectrum_db: NDArray[np.float64]  # [records, C, bands], see src/data/voice.py
    sample_rate: int
    num_speakers: int
    mixture_type: str
    origins: tuple[tuple[str, ...], ...] = ()  # the corpus or package of each source; one tuple a record, () unknown

    @property
    def digest(self) -> str:
        """Tells this data set from others, wherever it lies: a hash of what its index says of names and sound."""
        texts = json.dumps([self.ids, self.speakers, self.sample_rate, self.num_speakers, self.mixture_type])
        measured = (self.num_samples, self.loudness_lufs, self.pitch_hz, self.spectrum_db)
        parts = [texts.encode(), *(values.tobytes() for values in measured)]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


class Records(Protocol):
    """Whole mixtures with their sources, wherever they lie: a record file, or a folder of audio files."""

    path: Path

    @property
    def index(self) -> RecordIndex:
        """Everything about them except their audio."""
        ...

    def read(self, order: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        """Whole mixtures in this order, each float32 [1 + C, T], the mixture first, full scale at 1.0."""
        ...


def index_path(path: Path | str) -> Path:
    """MindRecord's index file of a record file."""
    return Path(f"{path}.db")


def read_index(path: Path) -> RecordIndex:
    """Read `path`.db. Raises `UserError` if it is no such index, is empty, or has another file's name in it."""
    uri = f"{index_path(path).resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            name = connection.execute("SELECT NAME FROM SHARD_NAME").fetchone()[0]
            rows = connection.execute(f"SELECT {_fields(connection)} FROM INDEXES ORDER BY ROW_ID").fetchall()
    except (sqlite3.Error, TypeError) as error:
        raise UserError(f"{path}: not a data set that preprocess.py wrote: {error}") from None
    if name != path.name:
        raise UserError(f"{path}: was renamed: found {path.name}, expected {name} as when it was written")
    if not rows:
        raise UserError(f"{path}: found no mixtures, expected at least one")
    return to_index(rows)


def _fields(connection: sqlite3.Connection) -> str:
    """The columns in the schema's order; an empty list stands for origins that an older file does not have."""
    names = [f"{field}_0" for field in INDEX_SCHEMA]  # 0: the number of the schema
    present = {row[1] for row in connection.execute("PRAGMA table_info(INDEXES)")}
    return ", ".join("'[]'" if name == "origins_0" and name not in present else name for name in names)


def to_index(rows: Sequence[tuple[Any, ...]]) -> RecordIndex:
    """The index of records whose fields stand in the order of INDEX_SCHEMA; at least one."""
    columns = dict(zip(INDEX_SCHEMA, zip(*rows, strict=True), strict=True))
    return RecordIndex(
        ids=columns["id"],
        speakers=tuple(tuple(json.loads(text)) for text in columns["speakers"]),
        sexes=tuple(tuple(json.loads(text)) for text in columns["sexes"]),
        num_samples=np.array(columns["num_samples"], dtype=np.int64),
        loudness_lufs=_numbers(columns["loudness_lufs"]),
        pitch_hz=_numbers(columns["pitch_hz"]),
        spectrum_db=_numbers(columns["spectrum_db"]),
        sample_rate=columns["sample_rate"][0],
        num_speakers=columns["num_speakers"][0],
        mixture_type=columns["mixture_type"][0],
        origins=tuple(tuple(json.loads(text)) for text in columns["origins"]),
    )


def _numbers(texts: tuple[str, ...]) -> NDArray[np.float64]:
    return np.array([json.loads(text) for text in texts], dtype=np.float64)
