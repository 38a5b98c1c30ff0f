"""Audio of any length in a fixed amount of memory: sources read in blocks, resampling, samples kept in a file.

Letters in shapes: T samples, t samples of a block, C channels or tracks.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from src.audio import AudioReader, open_audio
from src.errors import UserError

Floats = NDArray[np.float64]

BLOCK_VALUES = 2**17  # numbers in a block, of all channels together


class Reader(Protocol):
    """What is open for reading from its start; `AudioReader` is one."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        ...

    @property
    def num_channels(self) -> int:
        """Of the audio."""
        ...

    @property
    def num_samples(self) -> int | None:
        """T, where it is known beforehand."""
        ...

    @property
    def subtype(self) -> str:
        """libsndfile's name of how samples are stored."""
        ...

    def read(self, num_samples: int) -> Floats:
        """The next samples, float64 [t, channels]; fewer than asked for only at the end."""
        ...


class Source(Protocol):
    """Audio that can be read from its start any number of times."""

    name: str  # as errors tell it

    def open(self) -> AbstractContextManager[Reader]:
        """Open for reading. Raises `UserError` where that cannot be done."""
        ...


class FileSource:
    """A file that libsndfile reads."""

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = path
        self.name = name or str(path)

    def open(self) -> AbstractContextManager[AudioReader]:
        """Open for reading; raises as `open_audio` does."""
        return open_audio(self.path, self.name)


class ArraySource:
    """Samples in memory, floating point [channels, T], which stay as they are."""

    name = "the array"

    def __init__(self, samples: NDArray[Any], sample_rate: int) -> None:
        self.samples, self.sample_rate = samples, sample_rate

    @contextmanager
    def open(self) -> Iterator["ArrayReader"]:
        """Open for reading."""
        yield ArrayReader(self)


class ArrayReader:
    """Reads an `ArraySource` from its start."""

    subtype = "FLOAT"

    def __init__(self, source: ArraySource) -> None:
        self.sample_rate = source.sample_rate
        self.num_channels, self.num_samples = source.samples.shape
        self._samples = source.samples
        self._place = 0

    def read(self, num_samples: int) -> Floats:
        """The next samples, float64 [t, channels]; fewer than asked for only at the end."""
        part = self._samples[:, self._place : self._place + num_samples]
        self._place += part.shape[1]
        return np.ascontiguousarray(part.T, dtype=np.float64)


def block_length(num_channels: int, growth: float = 1.0) -> int:
    """Samples of a block of so many channels, which will be `growth` times as many after resampling."""
    return max(1, int(BLOCK_VALUES / (num_channels * max(1.0, growth))))


def resampled(blocks: Iterable[Floats], from_rate: int, to_rate: int) -> Iterator[Floats]:
    """Blocks [t, C] at another rate, by the method and with the numbers of `soxr.resample` on the whole (HQ).

    Together they are round(T * to_rate / from_rate) samples long, or one less.
    """
    if from_rate == to_rate:
        yield from blocks
        return
    stream, num_channels = None, 0
    for block in blocks:
        if stream is None:
            num_channels = block.shape[1]
            stream = soxr.ResampleStream(from_rate, to_rate, num_channels, dtype="float64", quality="HQ")
        yield stream.resample_chunk(np.ascontiguousarray(block))
    if stream is not None:
        yield stream.resample_chunk(np.empty((0, num_channels)), last=True)


def fitted(blocks: Iterable[Floats], num_samples: int) -> Iterator[Floats]:
    """Blocks [t, C], cropped or zero-padded at the end so that together they are `num_samples` long."""
    missing, num_channels = num_samples, 0
    for block in blocks:
        part = block[:missing]
        missing, num_channels = missing - len(part), block.shape[1]
        if len(part):
            yield part
    if missing and num_channels:
        yield np.zeros((missing, num_channels))


class SampleFile:
    """Samples in a temporary file, float32 [T] or [T, C], written in turn and read by slices.

    By plain reads and not as a memory map, whose pages would count as the program's memory. The file has no name:
    it is gone when the program is, whatever ended that.
    """

    def __init__(self, folder: Path | str | None, num_channels: int | None = None) -> None:
        """Make the file in `folder`, [T, num_channels], or [T] for None. Raises `UserError` where it cannot be."""
        self._shape = () if num_channels is None else (num_channels,)
        self._sample_bytes = 4 * (num_channels or 1)
        self._num_samples = 0
        with _told_as_user_error():
            self._file = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115  (closed in __exit__)

    def __enter__(self) -> "SampleFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._num_samples

    def append(self, samples: NDArray[Any]) -> None:
        """Write [t] or [t, C] after what is there. Raises `UserError` where there is no more room."""
        content = np.ascontiguousarray(samples, dtype=np.float32)
        if not content.size:
            return
        with _told_as_user_error():
            write_all(self._file.fileno(), content.data.cast("B"))
        self._num_samples += len(content)

    def set_length(self, num_samples: int) -> None:
        """Crop or zero-pad at the end; nothing can be appended afterwards."""
        with _told_as_user_error():
            os.ftruncate(self._file.fileno(), num_samples * self._sample_bytes)
        self._num_samples = num_samples

    def __getitem__(self, part: slice) -> NDArray[np.float32]:
        """A copy of the samples start:stop."""
        start, stop, step = part.indices(self._num_samples)
        assert step == 1
        samples = np.empty((max(0, stop - start), *self._shape), np.float32)
        rest = samples.data.cast("B") if samples.size else memoryview(b"")
        place = start * self._sample_bytes
        while rest:
            num_bytes = os.preadv(self._file.fileno(), [rest], place)
            assert num_bytes > 0
            rest, place = rest[num_bytes:], place + num_bytes
        return samples

    def blocks(self, num_samples: int) -> Iterator[NDArray[np.float32]]:
        """All samples in turn, in blocks of `num_samples`."""
        for start in range(0, self._num_samples, num_samples):
            yield self[start : start + num_samples]


def write_all(descriptor: int, content: memoryview | bytes) -> None:
    """Write all of it; a single `os.write` may take only a part, the last one before the disk is full."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextmanager
def _told_as_user_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"the temporary file cannot be written ({error.strerror})") from error
