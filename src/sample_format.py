"""How samples stand in audio files: rounding to whole steps, their bytes, and the header of a wav file.

Own code instead of libsndfile's, which rounds down (half a step of offset) and puts the time of day into files of
floating point samples. The number of samples is known beforehand, so that a header is final before the first
sample is written, and a file needs no second visit.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BITS = {"PCM_16": 16, "PCM_24": 24, "FLOAT": 32}  # by libsndfile's names
NOT_FINITE = "Expected finite samples. Found: NaN or infinity"

WAVE_FORMAT_PCM, WAVE_FORMAT_IEEE_FLOAT = 1, 3
UNKNOWN = 0xFFFFFFFF  # in an RF64 file, where the chunk ds64 tells the size


def to_steps(samples: ArrayLike, subtype: str) -> NDArray[np.float64]:
    """Floating point samples [...] in whole steps of "PCM_16" or "PCM_24"; may lie beyond full scale.

    Raises:
        ValueError: a sample is NaN or infinite.
    """
    values = np.asarray(samples, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(NOT_FINITE)
    return np.asarray(np.rint(values * _full_scale(subtype)))


def exceeds_full_scale(steps: NDArray[np.float64], subtype: str) -> bool:
    """Whether integers of this subtype would clip such steps."""
    scale = _full_scale(subtype)
    return bool(steps.size and (steps.max() > scale - 1 or steps.min() < -scale))


def to_integers(steps: NDArray[np.float64], subtype: str) -> NDArray[Any]:
    """Steps as int16 or int32, what exceeds full scale clipped."""
    scale = _full_scale(subtype)
    return np.clip(steps, -scale, scale - 1).astype(np.int16 if subtype == "PCM_16" else np.int32)


def _full_scale(subtype: str) -> int:
    return 1 << (BITS[subtype] - 1)


def integers_to_bytes(integers: NDArray[Any], subtype: str) -> bytes:
    """Integers [...] as they stand in a wav file: little endian, 2 bytes each, or the lower 3 of 4."""
    if subtype == "PCM_16":
        return integers.astype("<i2", copy=False).tobytes()
    four = np.ascontiguousarray(integers, dtype="<i4").reshape(-1, 1).view(np.uint8)
    return four[:, :3].tobytes()


def encode(samples: NDArray[Any], subtype: str) -> bytes:
    """Floating point samples [T] or [T, channels] as they stand in a wav file of this subtype.

    Integers clip what exceeds full scale, "FLOAT" keeps it.

    Raises:
        ValueError: a sample is NaN or infinite.
    """
    if subtype != "FLOAT":
        return integers_to_bytes(to_integers(to_steps(samples, subtype), subtype), subtype)
    floats = samples.astype("<f4")
    if not np.isfinite(floats).all():
        raise ValueError(NOT_FINITE)
    return floats.tobytes()


def wav_header(num_samples: int, num_channels: int, sample_rate: int, subtype: str) -> bytes:
    """All that stands before the samples; RF64 (EBU Tech 3306) where the sizes would exceed 32 bits.

    Args:
        num_samples: T, of each channel.
        num_channels: of the file.
        sample_rate: in Hz.
        subtype: "PCM_16", "PCM_24" or "FLOAT".
    """
    frame_bytes = num_channels * BITS[subtype] // 8
    data_bytes = num_samples * frame_bytes
    kind = WAVE_FORMAT_IEEE_FLOAT if subtype == "FLOAT" else WAVE_FORMAT_PCM
    fields = (kind, num_channels, sample_rate, sample_rate * frame_bytes, frame_bytes, BITS[subtype])
    extension = b"\0\0" if subtype == "FLOAT" else b""  # the size of what follows, which floats must tell
    layout = _chunk(b"fmt ", struct.pack("<HHIIHH", *fields) + extension)
    if subtype == "FLOAT":
        layout += _chunk(b"fact", struct.pack("<I", min(num_samples, UNKNOWN)))
    riff_bytes = len(b"WAVE") + len(layout) + 8 + data_bytes + len(wav_padding(num_samples, num_channels, subtype))
    if riff_bytes <= UNKNOWN:
        return b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVE" + layout + b"data" + struct.pack("<I", data_bytes)
    sizes = struct.pack("<QQQI", riff_bytes + 36, data_bytes, num_samples, 0)  # 36: this chunk itself
    unknown = struct.pack("<I", UNKNOWN)
    return b"RF64" + unknown + b"WAVE" + _chunk(b"ds64", sizes) + layout + b"data" + unknown


def wav_padding(num_samples: int, num_channels: int, subtype: str) -> bytes:
    """What stands after the samples: a byte where their number of bytes is odd."""
    return b"\0" * (num_samples * num_channels * BITS[subtype] // 8 % 2)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content
