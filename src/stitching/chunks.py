"""Recordings of any length from chunks: where they are cut, and how the separated chunks become tracks again.

Each chunk goes through the network alone, with its neighbours' samples on both sides as context. In the middle of
what two chunks share, one fades into the other; the rest of the shared part only serves to see which track of the
one continues which of the other (src/stitching/alignment.py).

Letters in shapes: B chunks, C speakers, T samples, M samples of a chunk, V samples that neighbours share.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from src.audio_stream import SampleFile
from src.config import OVERLAP_SECONDS
from src.errors import UserError
from src.stitching.alignment import Aligner, Alignment

Floats = NDArray[np.float32]
Separate = Callable[[Floats], Floats]  # mixtures [B, T] -> tracks [B, C, T], any order, gain and sign

LEAST_CHUNK_SECONDS = 0.1  # below, not even a vowel is whole
FADE_SHARE = 0.5  # of the shared part; the outer quarters are where a chunk lacks context


class Recording(Protocol):
    """Samples at the network's rate, one channel: an array, or a file that is read slice by slice."""

    def __len__(self) -> int:
        """T."""
        ...

    def __getitem__(self, part: slice, /) -> Floats:
        """float32 [t] for a slice start:stop."""
        ...


@dataclass(frozen=True)
class Chunking:
    """How recordings are cut: chunks of M samples of which neighbours share at least V; M = 0: not at all."""

    chunk_samples: int = 0
    overlap_samples: int = 0

    @classmethod
    def from_seconds(cls, chunk_seconds: float, overlap_seconds: float | None, sample_rate: int) -> "Chunking":
        """Check and convert what a user gave; without an overlap OVERLAP_SECONDS, or a quarter of shorter chunks.

        Raises `UserError` unless 0 <= overlap <= chunk / 2, and a chunk is at least LEAST_CHUNK_SECONDS or 0.
        """
        if overlap_seconds is None:
            overlap_seconds = min(OVERLAP_SECONDS, chunk_seconds / 4) if chunk_seconds else 0.0
        for name, seconds in (("chunk_seconds", chunk_seconds), ("overlap_seconds", overlap_seconds)):
            if not (math.isfinite(seconds * sample_rate) and seconds >= 0):
                raise UserError(f"{name}: found {seconds}, expected seconds, or 0")
        if chunk_seconds and overlap_seconds > chunk_seconds / 2:
            raise UserError(
                f"overlap_seconds: found {overlap_seconds}, expected at most half of chunk_seconds, "
                f"{chunk_seconds / 2:g}"
            )
        samples = round(chunk_seconds * sample_rate)
        if 0 < chunk_seconds < LEAST_CHUNK_SECONDS:
            raise UserError(f"chunk_seconds: found {chunk_seconds}, expected at least {LEAST_CHUNK_SECONDS}, or 0")
        return cls(samples, min(round(overlap_seconds * sample_rate), samples // 2))


@dataclass(frozen=True)
class Chunk:
    """A piece of a recording. All numbers are samples from the recording's start."""

    start: int
    stop: int
    use_start: int  # what it gives to the result, its fades included, is [use_start, use_stop)
    use_stop: int
    fade: int  # length of the fade with its neighbours


def plan_chunks(num_samples: int, chunking: Chunking) -> list[Chunk]:
    """As few chunks as have the length M and share V, spread evenly; one chunk where that covers all.

    Spreading makes neighbours share some more than V, and no chunk is shorter than the others.
    """
    length, overlap = chunking.chunk_samples, chunking.overlap_samples
    if not length or num_samples <= length:
        return [Chunk(0, num_samples, 0, num_samples, 0)]
    count = -(-(num_samples - overlap) // (length - overlap))
    starts = [index * (num_samples - length) // (count - 1) for index in range(count)]
    half = round(overlap * FADE_SHARE) // 2
    cuts = [(left + length + right) // 2 for left, right in itertools.pairwise(starts)]
    begins = [0] + [cut - half for cut in cuts]
    ends = [cut + half for cut in cuts] + [num_samples]
    return [
        Chunk(start, start + length, begin, end, 2 * half)
        for start, begin, end in zip(starts, begins, ends, strict=True)
    ]


def separate_in_chunks(
    recording: Recording,
    separate: Separate,
    chunking: Chunking,
    sample_rate: int,
    *,
    batch_size: int = 1,
    scratch_dir: str | None = None,
    on_progress: Callable[[int], None] = lambda num_samples: None,
) -> Iterator[Floats]:
    """Separate a recording of any length; the memory taken does not grow with it.

    All chunks are separated before the first piece comes, because what is heard late can tell who was who early.
    Until then the used parts of the chunks wait in a temporary file.

    Args:
        recording: [T], at the network's rate.
        separate: the network, on chunks [B, M] of equal length.
        chunking: M and V.
        sample_rate: of the recording, in Hz.
        batch_size: chunks that go through the network together.
        scratch_dir: where the temporary file is made, T * C * 4 bytes and some; by default the system's place.
        on_progress: called with the number of samples that were finished since the last call.

    Yields:
        The tracks in consecutive pieces [C, t] which together are [C, T]; the order of the tracks is the same in
        all. Where one chunk covers the recording the only piece is the network's own output.

    Raises:
        UserError: the temporary file cannot be written.
    """
    chunks = plan_chunks(len(recording), chunking)
    if len(chunks) == 1:
        tracks = separate(recording[0 : len(recording)][np.newaxis])[0]
        on_progress(len(recording))
        yield tracks
        return
    with SampleFile(scratch_dir) as scratch:
        aligner = Aligner(sample_rate, _mean_power(recording))
        num_tracks = 0
        for chunk, mixture, tracks in _separated(recording, separate, chunks, batch_size):
            num_tracks = len(tracks)
            aligner.add(
                chunk.start, mixture, tracks, slice(chunk.use_start - chunk.start, chunk.use_stop - chunk.start)
            )
            used = tracks[:, chunk.use_start - chunk.start : chunk.use_stop - chunk.start]
            scratch.append(used.reshape(-1))
            on_progress(chunk.use_stop - chunk.use_start - (chunk.fade if chunk.use_stop < len(recording) else 0))
        yield from _stitch(chunks, scratch, num_tracks, aligner.result())


def _mean_power(recording: Recording) -> float:
    """Mean square of the samples."""
    block = 2**20
    energy = sum(
        float(np.square(recording[at : at + block], dtype=np.float64).sum()) for at in range(0, len(recording), block)
    )
    return energy / len(recording)


def _separated(
    recording: Recording, separate: Separate, chunks: Sequence[Chunk], batch_size: int
) -> Iterator[tuple[Chunk, Floats, Floats]]:
    """Each chunk with its mixture [M] and its tracks [C, M] as they come from the network."""
    for first in range(0, len(chunks), batch_size):
        batch = chunks[first : first + batch_size]
        mixtures = np.stack([recording[chunk.start : chunk.stop] for chunk in batch])  # [B, M]
        yield from zip(batch, mixtures, separate(mixtures), strict=True)


def _stitch(chunks: Sequence[Chunk], scratch: SampleFile, num_tracks: int, alignment: Alignment) -> Iterator[Floats]:
    """Consecutive pieces [C, t] of the tracks, from the chunks' used parts one after the other in `scratch`."""
    last = len(chunks) - 1
    place = 0
    tail: Floats = np.zeros((num_tracks, 0), np.float32)  # the end of the chunk before, which fades out
    for index, (chunk, order, signs) in enumerate(zip(chunks, alignment.orders, alignment.signs, strict=True)):
        num_used = chunk.use_stop - chunk.use_start
        raw = scratch[place : place + num_tracks * num_used].reshape(num_tracks, num_used)
        place += raw.size
        tracks = raw[order] * signs[:, np.newaxis]
        num_faded = tail.shape[1]
        rise = fade_in(num_faded)
        tracks[:, :num_faded] = rise * tracks[:, :num_faded] + (1 - rise) * tail
        keep = num_used if index == last else num_used - chunk.fade
        tail = tracks[:, keep:]
        yield tracks[:, :keep]


def fade_in(num_samples: int) -> Floats:
    """Weights [T] from near 0 to near 1, half a period of a raised cosine; with their mirror image they sum to 1."""
    phase = (np.arange(num_samples) + 0.5) / max(num_samples, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * phase), dtype=np.float32)
