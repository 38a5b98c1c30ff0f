"""Audio files in and out: reading what libsndfile reads, resampling, writing wav files.

Samples are floating point with full scale at 1.0. What a user can mend (a missing, unreadable, truncated or
empty file, a NaN in it, a folder that cannot be written) raises `UserError` with one line.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import ArrayLike, NDArray
from scipy.io import wavfile

from src.errors import UserError

PathLike = str | os.PathLike[str]

PCM16_SCALE = 32768  # int16 steps from zero to full scale
SUBTYPES = ("PCM_16", "FLOAT")
NOT_FINITE = "Expected finite samples. Found: NaN or infinity"

# A program that writes wav to a pipe cannot go back to fill in the size: sox leaves 0x7FFFF000, others the
# largest number of 32 bits.
UNKNOWN_SIZE = 0x7FFFF000
# libsndfile reads a file that ends early without a complaint, but its log tells both sizes in bytes.
SHORT_CHUNK = re.compile(r"^\s*(?:data|SSND|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
SHORT_OGG = "Junk after the last page"


@contextmanager
def written_aside(path: PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it to `path` when the block ends well.

    When the block raises, or is interrupted, the temporary file goes and `path` stays as it was.
    The folder is made if it is missing.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    final = Path(path)
    aside = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(final)
    except OSError as error:
        raise UserError(f"{final}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # gone after the rename, or its folder could not be made
            aside.unlink()


def make_folder(path: PathLike) -> None:
    """Make a folder for outputs if it is missing, before the work that fills it.

    Raises:
        UserError: it cannot be made, or files cannot be written there.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be made ({error.strerror}), expected a folder") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"{path}: found a folder without the right to write, expected one with it")


def _check_is_file(path: Path) -> None:
    if not path.exists():
        raise UserError(f"{path}: no such file, expected an audio file")
    if not path.is_file():
        raise UserError(f"{path}: found a folder or a device, expected an audio file")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: found an empty file of 0 bytes, expected an audio file")


def _check_whole(path: Path, handle: soundfile.SoundFile) -> None:
    """Raise where libsndfile's log says that the file ends before its header's length."""
    log = handle.extra_info
    for match in SHORT_CHUNK.finditer(log):
        declared, found = int(match[1]), int(match[2])
        if found < declared < UNKNOWN_SIZE:
            raise UserError(f"{path}: truncated, found {found} bytes of audio, expected {declared}")
    if SHORT_OGG in log:
        raise UserError(f"{path}: truncated, found an incomplete last Ogg page, expected a whole one")


def _check_samples(path: Path, samples: NDArray[np.float64], num_expected: int) -> None:
    num_samples = samples.shape[0]
    if num_samples < num_expected:
        raise UserError(f"{path}: truncated, found {num_samples} samples, expected {num_expected}")
    if num_samples == 0:
        raise UserError(f"{path}: found 0 samples, expected at least 1")
    num_bad = int(np.count_nonzero(~np.isfinite(samples)))
    if num_bad:
        raise UserError(f"{path}: found {num_bad} NaN or infinite samples, expected finite samples only")


def read_audio(path: PathLike) -> tuple[NDArray[np.float64], int]:
    """Read any file that libsndfile reads, all of it.

    A truncated file is an error where the format lets it be known: wav, aiff, w64, rf64, flac and mp3 always,
    ogg unless it was cut exactly between two pages.

    Returns:
        The samples, float64 [channels, T] with full scale at 1.0, and the sample rate in Hz.

    Raises:
        UserError: the file is missing, unreadable, truncated, has no samples, or has NaN or infinite samples.
    """
    path = Path(path)
    _check_is_file(path)
    try:
        with soundfile.SoundFile(path) as handle:
            _check_whole(path, handle)
            samples = handle.read(dtype="float64", always_2d=True)  # [T, channels]
            num_expected, sample_rate = handle.frames, handle.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        reason = getattr(error, "error_string", "") or "data that cannot be decoded"
        raise UserError(f"{path}: unreadable, expected audio that libsndfile reads ({reason})") from error
    _check_samples(path, samples, num_expected)
    return np.ascontiguousarray(samples.T), int(sample_rate)


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
    """Change the sample rate with soxr's high-quality band-limited method, through librosa.

    Args:
        samples: floating point [..., T], left unchanged.
        from_rate: the rate of `samples` in Hz.
        to_rate: the rate of the result in Hz.
        length: samples of the result, cropped or zero-padded at the end;
            by default ceil(T * to_rate / from_rate).

    Returns:
        A new array [..., length] of the same type.
    """
    if from_rate == to_rate:
        resampled = np.array(samples)
    else:
        import librosa  # here, because it takes seconds to load and most callers do without

        resampled = librosa.resample(samples, orig_sr=from_rate, target_sr=to_rate, res_type="soxr_hq")
    if length is None:
        return resampled
    missing = length - resampled.shape[-1]
    padding = [(0, 0)] * (resampled.ndim - 1) + [(0, max(missing, 0))]
    return np.pad(resampled, padding)[..., :length]


def to_pcm16(samples: ArrayLike) -> NDArray[np.int16]:
    """Round floating point samples [...] to 16 bits; what exceeds full scale is clipped.

    Exact inverse of `from_pcm16`. (libsndfile's own conversion rounds down, half a step of offset.)

    Raises:
        ValueError: a sample is NaN or infinite.
    """
    values = np.asarray(samples, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(NOT_FINITE)
    steps = np.clip(np.rint(values * PCM16_SCALE), -PCM16_SCALE, PCM16_SCALE - 1)
    return np.asarray(steps, dtype=np.int16)


def from_pcm16(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """16-bit samples [...] as float32 with full scale at 1.0, exactly."""
    return samples.astype(np.float32) / np.float32(PCM16_SCALE)


def write_wav(path: PathLike, samples: NDArray[Any], sample_rate: int, subtype: str = "PCM_16") -> None:
    """Write a wav file, aside first and then renamed; equal samples give equal bytes, on any day.

    (libsndfile would put the time of day into every file of floating point samples.)

    Args:
        path: the file; its folder is made if missing.
        samples: floating point [T] or [T, channels], full scale at 1.0; int16 is written as it is.
        sample_rate: in Hz.
        subtype: "PCM_16", which clips samples beyond full scale, or "FLOAT" (32 bits), which keeps them.

    Raises:
        UserError: the file cannot be written.
        ValueError: another subtype or shape, or NaN or infinite samples.
    """
    if subtype not in SUBTYPES:
        raise ValueError(f"Expected one of the subtypes {', '.join(SUBTYPES)}. Found: {subtype}")
    if samples.ndim not in (1, 2):
        raise ValueError(f"Expected samples of shape [T] or [T, channels]. Found: {samples.shape}")
    with written_aside(path) as aside:
        wavfile.write(aside, sample_rate, _in_file_format(samples, subtype))


def _in_file_format(samples: NDArray[Any], subtype: str) -> NDArray[Any]:
    is_pcm16 = samples.dtype == np.int16
    if subtype == "PCM_16":
        return samples if is_pcm16 else to_pcm16(samples)
    floats = from_pcm16(samples) if is_pcm16 else samples.astype(np.float32)
    if not np.isfinite(floats).all():
        raise ValueError(NOT_FINITE)
    return floats
