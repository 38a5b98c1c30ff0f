"""Sound as it lies inside a page: wav files, waveforms and spectrograms, without another file.

Letters in shapes: T samples, W columns of pixels, F frequencies.
"""

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from src.audio import to_pcm16

Floats = NDArray[np.float64]

MOST_COLUMNS = 720  # a page is about 1200 pixels wide; more would only be larger
FLOOR_DB = -75.0  # below the loudest point; the noise of a quiet room lies about there
WINDOW_SECONDS = 0.032  # shows the harmonics of most voices, and syllables too
LEVELS = 64  # steps of colour: about 1.2 dB, which the eye does not see, and a picture a third smaller

# matplotlib's colour map magma at 17 even places: perceptually uniform, dark to light (S. van der Walt, N. Smith,
# CC0, https://bids.github.io/colormap/). The map itself is not asked, because matplotlib takes a second to load.
MAGMA = (
    "000004", "0a0822", "1d1147", "36106b", "51127c", "6a1c81", "832681", "9c2e7f", "b73779",
    "d0416f", "e75263", "f56b5c", "fc8961", "fea772", "fec488", "fde2a3", "fcfdbf",
)  # fmt: skip


def wav_uri(samples: NDArray[np.floating[Any]], sample_rate: int) -> str:
    """A wav file of 16 bits as a data URI, from samples [T] within full scale."""
    file = io.BytesIO()
    wavfile.write(file, sample_rate, to_pcm16(samples))
    return _data_uri("audio/wav", file.getvalue())


def waveform_path(samples: NDArray[np.floating[Any]], full_scale: float) -> str:
    """An SVG path that encloses samples [T]; x from 0 to 1000, y from -100 (up) to 100 for `full_scale`."""
    edges = _edges(samples.size)
    highs = np.maximum.reduceat(samples, edges[:-1]) / full_scale * 100
    lows = np.minimum.reduceat(samples, edges[:-1]) / full_scale * 100
    middle, thinnest = (highs + lows) / 2, 0.6  # silence is a line, not nothing
    highs, lows = np.maximum(highs, middle + thinnest), np.minimum(lows, middle - thinnest)
    places = (edges[:-1] + edges[1:]) * (500 / samples.size)
    if places.size == 1:
        places, highs, lows = np.array([0.0, 1000.0]), np.repeat(highs, 2), np.repeat(lows, 2)
    corners = zip(np.append(places, places[::-1]), np.append(highs, lows[::-1]), strict=True)
    return f"M{'L'.join(f'{x:.0f} {-y:.1f}' for x, y in corners)}Z"


def spectrum(samples: NDArray[np.floating[Any]], sample_rate: int) -> Floats:
    """Magnitudes [F, W] of a short-time Fourier transform; row 0 is 0 Hz, the last half the sample rate.

    Column w looks at a Hann window around the middle of the w-th of W even parts of the samples [T].
    """
    size = 2 ** round(np.log2(WINDOW_SECONDS * sample_rate))
    edges = _edges(samples.size)
    starts = (edges[:-1] + edges[1:]) // 2  # where windows begin in the padded samples: their middles in the samples
    padded = np.pad(samples.astype(np.float64), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[starts]  # [W, size]
    return np.asarray(np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)).T, dtype=np.float64)


def spectrogram_uri(magnitudes: Floats, loudest: float) -> str:
    """A PNG of magnitudes [F, W] as a data URI, 0 Hz at the bottom, in dB below `loudest`."""
    with np.errstate(divide="ignore"):  # silence is as dark as it gets
        level_db = 20 * np.log10(magnitudes / (loudest or 1.0))
    steps = np.rint((1 - np.clip(level_db / FLOOR_DB, 0, 1)) * (LEVELS - 1)).astype(np.uint8)
    return _data_uri("image/png", png(steps[::-1], palette(LEVELS)))


def palette(count: int) -> NDArray[np.uint8]:
    """`count` colours of magma, dark to light: [count, 3], red, green and blue."""
    anchors = np.array([[int(color[i : i + 2], 16) for i in (0, 2, 4)] for color in MAGMA])
    at, known = np.linspace(0, 1, count), np.linspace(0, 1, len(MAGMA))
    channels = [np.interp(at, known, channel) for channel in anchors.T]
    return np.asarray(np.rint(np.stack(channels, axis=1)), dtype=np.uint8)


def png(pixels: NDArray[np.uint8], colors: NDArray[np.uint8]) -> bytes:
    """A picture of palette colours as a PNG file (https://www.w3.org/TR/png/), the same bytes every time.

    Args:
        pixels: [height, width], numbers of colours.
        colors: [at most 256, 3].
    """
    height, width = pixels.shape
    rows = np.pad(pixels, ((0, 0), (1, 0)))  # each row begins with its filter: 0, none
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits, palette
    parts = (
        (b"IHDR", header),
        (b"PLTE", colors.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*part) for part in parts)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _edges(num_samples: int) -> NDArray[np.int64]:
    """Where W even parts of the samples begin and end: [W + 1], W at most MOST_COLUMNS and num_samples."""
    return np.linspace(0, num_samples, min(MOST_COLUMNS, num_samples) + 1).astype(np.int64)


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
