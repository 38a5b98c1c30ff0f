"""Audio files in and out: reading what libsndfile reads, resampling, writing wav files.

Samples are floating point with full scale at 1.0. What a user can mend (a missing, unreadable, truncated or
empty file, a NaN in it, a folder that cannot be written) raises `UserError` with one line.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import ArrayLike, NDArray

from src.errors import UserError
from src.files import written_aside
from src.sample_format import BITS, encode, to_integers, to_steps, wav_header, wav_padding

PathLike = str | os.PathLike[str]

PCM16_SCALE = 32768  # int16 steps from zero to full scale
BLOCK_SAMPLES = 2**16
# A program that writes wav to a pipe cannot go back to fill in the size: sox leaves 0x7FFFF000, arecord about
# 0x80000000, others the largest number of 32 bits; and a little more in the chunk around it.
UNKNOWN_SIZES = ((0x7FFFF000, 0x80001000), (0xFFFFF000, 0xFFFFFFFF))
UNKNOWN_FRAMES = 2**62  # flac from a pipe; libsndfile tells 2**63 - 1
# libsndfile reads a file that ends early without a complaint, but its log tells both sizes in bytes.
SHORT_CHUNK = re.compile(r"^\s*(?:data|SSND|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
SHORT_OGG = "Junk after the last page"


def _check_is_file(path: Path, name: str) -> None:
    if not os.path.exists(path):  # noqa: PTH110 (`Path.exists` raises where a name is too long)
        raise UserError(f"{name}: no such file, expected an audio file")
    if not path.is_file():
        raise UserError(f"{name}: found a folder or a device, expected an audio file")
    if path.stat().st_size == 0:
        raise UserError(f"{name}: found an empty file of 0 bytes, expected an audio file")


def _is_unknown(declared_bytes: int) -> bool:
    return any(lowest <= declared_bytes <= highest for lowest, highest in UNKNOWN_SIZES)


def _check_whole(name: str, handle: soundfile.SoundFile) -> None:
    """Raise where libsndfile's log says that the file ends before its header's length."""
    log = handle.extra_info
    for match in SHORT_CHUNK.finditer(log):
        declared, found = int(match[1]), int(match[2])
        if found < declared and not _is_unknown(declared):
            raise UserError(f"{name}: truncated, found {found} bytes of audio, expected {declared}")
    if SHORT_OGG in log:
        raise UserError(f"{name}: truncated, found an incomplete last Ogg page, expected a whole one")


def _unreadable(name: str, error: Exception) -> UserError:
    reason = getattr(error, "error_string", "") or "data that cannot be decoded"
    return UserError(f"{name}: unreadable, expected audio that libsndfile reads ({reason})")


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """Read from the start to the end. (Otherwise soundfile seeks after every read, which halves Ogg's speed.)"""

    def seekable(self) -> bool:
        return False


class AudioReader:
    """An open audio file, read block by block; see `open_audio`."""

    def __init__(self, handle: soundfile.SoundFile, name: str) -> None:
        self.name = name  # as errors tell it
        self.sample_rate = int(handle.samplerate)  # Hz
        self.num_channels = int(handle.channels)
        self.num_samples = int(handle.frames) if handle.frames < UNKNOWN_FRAMES else None  # T, where it is known
        self.subtype = str(handle.subtype)  # libsndfile's name of how samples are stored
        self._handle = handle
        self._num_read = self._num_bad = 0

    def read(self, num_samples: int) -> NDArray[np.float64]:
        """The next samples of every channel, float64 [t, channels]; fewer than asked for only at the end.

        Raises:
            UserError: at the end, for a file without samples, a truncated one, or NaN or infinite samples in it;
                anywhere, for data that cannot be decoded.
        """
        try:
            samples = np.asarray(self._handle.read(num_samples, dtype="float64", always_2d=True))
        except soundfile.SoundFileError as error:
            raise _unreadable(self.name, error) from error
        self._num_read += len(samples)
        is_bad = ~np.isfinite(samples)
        if is_bad.any():
            self._num_bad += int(np.count_nonzero(is_bad))
            samples[is_bad] = 0  # until the end, where all of them are told
        if len(samples) < num_samples:
            self._check_all()
        return samples

    def blocks(self, num_samples: int) -> Iterator[NDArray[np.float64]]:
        """All samples in blocks [t, channels] of `num_samples`; raises as `read` does."""
        while len(block := self.read(num_samples)):
            yield block

    def _check_all(self) -> None:
        if self.num_samples is not None and self._num_read < self.num_samples:
            raise UserError(f"{self.name}: truncated, found {self._num_read} samples, expected {self.num_samples}")
        if self._num_read == 0:
            raise UserError(f"{self.name}: found 0 samples, expected at least 1")
        if self._num_bad:
            raise UserError(f"{self.name}: found {self._num_bad} NaN or infinite samples, expected finite samples only")


@contextmanager
def open_audio(path: PathLike, name: str = "") -> Iterator[AudioReader]:
    """Open any file that libsndfile reads, to be read block by block from its start.

    A truncated file is an error where the format lets it be known: wav, aiff, w64, rf64, flac and mp3 always,
    ogg unless it was cut exactly between two pages.

    Args:
        path: the file.
        name: as errors shall tell it; by default the path.

    Raises:
        UserError: the file is missing, unreadable or truncated; more is known only when all of it has been read.
    """
    path, name = Path(path), name or str(path)
    _check_is_file(path, name)
    if path.suffix.lower() == ".raw":
        raise UserError(f"{name}: found a file without a header, expected one that tells its rate and format")
    try:
        handle = _Sequential(os.fsencode(path))  # as bytes, which soundfile takes from names that are no text too
    except (soundfile.SoundFileError, OSError) as error:
        raise _unreadable(name, error) from error
    with handle:
        _check_whole(name, handle)
        yield AudioReader(handle, name)


def read_audio(path: PathLike) -> tuple[NDArray[np.float64], int]:
    """Read any file that libsndfile reads, all of it.

    Returns:
        The samples, float64 [channels, T] with full scale at 1.0, and the sample rate in Hz.

    Raises:
        UserError: the file is missing, unreadable, truncated (see `open_audio`), has no samples, or has NaN or
            infinite samples.
    """
    with open_audio(path) as reader:
        samples = np.concatenate(list(reader.blocks(BLOCK_SAMPLES)))  # [T, channels]
        return np.ascontiguousarray(samples.T), reader.sample_rate


def read_mono(path: PathLike, sample_rate: int | None = None) -> NDArray[np.float32]:
    """Read a file as one channel, the mean of its channels, resampled to `sample_rate` Hz if that differs.

    Returns:
        float32 [T], full scale at 1.0.

    Raises:
        UserError: as `read_audio`.
    """
    samples, file_rate = read_audio(path)
    mono = samples.mean(axis=0)  # [T]
    if sample_rate is not None:
        mono = resample(mono, file_rate, sample_rate)
    return np.asarray(mono, dtype=np.float32)


def resample(samples: NDArray[Any], from_rate: int, to_rate: int, length: int | None = None) -> NDArray[Any]:
    """Change the sample rate with soxr's high-quality band-limited method.

    Args:
        samples: floating point [..., T], left unchanged.
        from_rate: the rate of `samples` in Hz.
        to_rate: the rate of the result in Hz.
        length: samples of the result, cropped or zero-padded at the end;
            by default ceil(T * to_rate / from_rate). (soxr gives that or one less.)

    Returns:
        A new array [..., length] of the same type.
    """
    num_samples = samples.shape[-1]
    if length is None:
        length = resampled_length(num_samples, from_rate, to_rate)
    if from_rate == to_rate:
        resampled = samples
    else:
        rows = np.ascontiguousarray(samples).reshape(-1, num_samples)
        rows = np.stack([soxr.resample(row, from_rate, to_rate, quality="HQ") for row in rows])
        resampled = rows.reshape(*samples.shape[:-1], rows.shape[-1])  # may be empty
    missing = length - resampled.shape[-1]
    padding = [(0, 0)] * (resampled.ndim - 1) + [(0, max(missing, 0))]
    return np.pad(resampled, padding)[..., :length]


def resampled_length(num_samples: int, from_rate: int, to_rate: int) -> int:
    """ceil(T * to_rate / from_rate)."""
    return -(-num_samples * to_rate // from_rate)


def to_pcm16(samples: ArrayLike) -> NDArray[np.int16]:
    """Round floating point samples [...] to 16 bits; what exceeds full scale is clipped.

    Exact inverse of `from_pcm16`. (libsndfile's own conversion rounds down, half a step of offset.)

    Raises:
        ValueError: a sample is NaN or infinite.
    """
    return np.asarray(to_integers(to_steps(samples, "PCM_16"), "PCM_16"), dtype=np.int16)


def from_pcm16(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """16-bit samples [...] as float32 with full scale at 1.0, exactly."""
    return samples.astype(np.float32) / np.float32(PCM16_SCALE)


def write_wav(path: PathLike, samples: NDArray[Any], sample_rate: int, subtype: str = "PCM_16") -> None:
    """Write a wav file, aside first and then renamed; equal samples give equal bytes, on any day.

    Args:
        path: the file; its folder is made if missing.
        samples: floating point [T] or [T, channels], full scale at 1.0; int16 is written as it is.
        sample_rate: in Hz.
        subtype: "PCM_16" or "PCM_24", which clip samples beyond full scale, or "FLOAT" (32 bits), which keeps them.

    Raises:
        UserError: the file cannot be written.
        ValueError: another subtype or shape, or NaN or infinite samples.
    """
    if subtype not in BITS:
        raise ValueError(f"Expected one of the subtypes {', '.join(BITS)}. Found: {subtype}")
    if samples.ndim not in (1, 2):
        raise ValueError(f"Expected samples of shape [T] or [T, channels]. Found: {samples.shape}")
    num_samples, num_channels = samples.shape if samples.ndim == 2 else (samples.size, 1)
    floats = from_pcm16(samples) if samples.dtype == np.int16 else samples  # exact, there and back
    with written_aside(path) as aside, aside.open("wb") as file:
        file.write(wav_header(num_samples, num_channels, sample_rate, subtype))
        file.write(encode(floats, subtype))
        file.write(wav_padding(num_samples, num_channels, subtype))
