"""Output files of one channel, written block by block: wav or flac, of whole steps or floating point.

Letters in shapes: T samples, t samples of a block, C files.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from src.audio_stream import write_all
from src.errors import UserError
from src.sample_format import (
    BITS,
    encode,
    exceeds_full_scale,
    integers_to_bytes,
    to_integers,
    to_steps,
    wav_header,
    wav_padding,
)

Floats = NDArray[np.float64]

FORMATS = ("wav", "flac")
KEPT_SUBTYPES = {  # what an input's samples are stored as -> what its tracks are; anything else: 16 bits
    "PCM_24": "PCM_24",
    "PCM_32": "FLOAT",
    "FLOAT": "FLOAT",
    "DOUBLE": "FLOAT",
    "DWVW_24": "PCM_24",
    "ALAC_20": "PCM_24",
    "ALAC_24": "PCM_24",
    "ALAC_32": "FLOAT",
}
FLAC_HIGHEST_RATE = 655_350  # Hz
FLAC_ANY_RATE = 65_535  # Hz; above only multiples of 10 can be stored


@dataclass(frozen=True)
class TrackFormat:
    """How one output file is stored."""

    extension: str  # "wav" or "flac"
    subtype: str  # "PCM_16", "PCM_24" or "FLOAT"


FLOAT_WAV = TrackFormat("wav", "FLOAT")


def choose_format(input_subtype: str, extension: str) -> TrackFormat:
    """The format that keeps an input's bit depth: 16 bits from 8 bits and from lossy codecs too, 24 at most in flac."""
    subtype = KEPT_SUBTYPES.get(input_subtype, "PCM_16")
    return TrackFormat(extension, "PCM_24" if (extension, subtype) == ("flac", "FLOAT") else subtype)


def check_rate(sample_rate: int, extension: str) -> None:
    """Raise `UserError` for a rate that flac cannot store."""
    fits = sample_rate <= FLAC_ANY_RATE or (sample_rate <= FLAC_HIGHEST_RATE and sample_rate % 10 == 0)
    if extension == "flac" and not fits:
        raise UserError(f"found a sample rate of {sample_rate} Hz, which flac cannot store, expected --format wav")


@dataclass(frozen=True)
class Track:
    """One output file: where it will be, the folder where it is written, and how."""

    final_stem: Path  # without the extension
    folder: Path
    form: TrackFormat

    @property
    def final(self) -> Path:
        """Its path in the end."""
        return self.final_stem.with_name(f"{self.final_stem.name}.{self.form.extension}")

    @property
    def path(self) -> Path:
        """Its path until then."""
        return self.folder / self.final.name


class _WavSink:
    """A wav file of known length."""

    def __init__(self, path: Path, num_samples: int, sample_rate: int, subtype: str) -> None:
        self._end = wav_padding(num_samples, 1, subtype)
        self._subtype = subtype
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        write_all(self._descriptor, wav_header(num_samples, 1, sample_rate, subtype))

    def write(self, samples: NDArray[Any]) -> None:
        if self._subtype == "FLOAT":
            write_all(self._descriptor, encode(samples, self._subtype))
        else:
            write_all(self._descriptor, integers_to_bytes(samples, self._subtype))

    def finish(self) -> None:
        write_all(self._descriptor, self._end)

    def close(self) -> None:
        os.close(self._descriptor)


class _FlacSink:
    """A flac file."""

    def __init__(self, path: Path, num_samples: int, sample_rate: int, subtype: str) -> None:
        self._name, self._num_samples = os.fsencode(path), num_samples  # as bytes: it need not be text
        self._shift = 32 - BITS[subtype] if subtype == "PCM_24" else 0  # libsndfile takes the upper bits of 32
        self._handle = soundfile.SoundFile(self._name, "w", sample_rate, 1, subtype, format="FLAC")

    def write(self, samples: NDArray[Any]) -> None:
        self._handle.write(samples << self._shift)

    def finish(self) -> None:
        """Close and look for the last sample: when the disk is full while closing, libsndfile does not tell."""
        self._handle.close()
        with soundfile.SoundFile(self._name) as handle:
            if handle.frames == self._num_samples:
                handle.seek(self._num_samples - 1)
                if len(handle.read(1)) == 1:
                    return
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        self._handle.close()  # may be closed already


class TrackFile:
    """A `Track` that is open for writing. `exceeded` tells whether it was given what its format had to clip."""

    def __init__(self, track: Track, num_samples: int, sample_rate: int) -> None:
        self.exceeded = False
        self._final, self._subtype = track.final, track.form.subtype
        make_sink = _FlacSink if track.form.extension == "flac" else _WavSink
        with self._told_as_user_error():
            self._sink = make_sink(track.path, num_samples, sample_rate, self._subtype)

    def __enter__(self) -> "TrackFile":
        return self

    def write(self, samples: Floats) -> None:
        """Write the next samples [t]. Raises `UserError` where there is no more room."""
        content: NDArray[Any] = samples
        if self._subtype != "FLOAT":
            steps = to_steps(samples, self._subtype)
            self.exceeded = self.exceeded or exceeds_full_scale(steps, self._subtype)
            content = to_integers(steps, self._subtype)
        with self._told_as_user_error():
            self._sink.write(content)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                with self._told_as_user_error():
                    self._sink.finish()
        finally:
            with suppress(OSError, soundfile.SoundFileError):  # it has been told, or is thrown away
                self._sink.close()

    @contextmanager
    def _told_as_user_error(self) -> Iterator[None]:
        try:
            yield
        except (OSError, soundfile.SoundFileError) as error:
            reason = getattr(error, "strerror", "") or getattr(error, "error_string", "") or error
            raise UserError(f"{self._final}: cannot be written ({reason})") from error


def write_tracks(
    tracks: Sequence[Track], make_blocks: Callable[[], Iterable[Floats]], num_samples: int, sample_rate: int
) -> list[Track]:
    """Write C files from blocks [t, C]; a file whose format would clip is written again as 32-bit float wav.

    Args:
        tracks: the files, one a column of the blocks.
        make_blocks: gives the blocks, in total `num_samples` long; called again for what is written again.
        num_samples: T.
        sample_rate: in Hz.

    Returns:
        The files as they were written in the end, at their `path`.

    Raises:
        UserError: a file cannot be written.
    """
    columns = dict(enumerate(tracks))
    exceeded = _write_columns(columns, make_blocks(), num_samples, sample_rate)
    for column in exceeded:
        columns[column].path.unlink()
        columns[column] = replace(columns[column], form=FLOAT_WAV)
    if exceeded:
        _write_columns({column: columns[column] for column in exceeded}, make_blocks(), num_samples, sample_rate)
    return list(columns.values())


def _write_columns(
    columns: dict[int, Track], blocks: Iterable[Floats], num_samples: int, sample_rate: int
) -> list[int]:
    """Write some columns of the blocks, and give those that their format had to clip."""
    with ExitStack() as stack:
        files = {
            column: stack.enter_context(TrackFile(track, num_samples, sample_rate)) for column, track in columns.items()
        }
        for block in blocks:
            for column, file in files.items():
                file.write(block[:, column])
    return [column for column, file in files.items() if file.exceeded]
