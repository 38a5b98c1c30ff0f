"""From recorded clips of one person to utterances of 3 to 6 s: trimming, level, cutting and joining.

Everything works on float arrays [T] at `SAMPLE_RATE` with full scale at 1.0, and on nothing random:
the same clips give the same utterances.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

SAMPLE_RATE = 8000  # Hz
FRAME = 160  # samples: 20 ms, the step in which speech is told from silence
MARGIN = 400  # samples: 50 ms kept before and after speech, for soft beginnings and endings
FADE = 64  # samples: 8 ms, so that no edge clicks
GAP = 1200  # samples: 0.15 s of silence between two pieces of an utterance
LONGEST_PAUSE = 3200  # samples: a pause of 0.4 s or more inside a clip is replaced by a gap
SHORTEST_PIECE = 1200  # samples: below 0.15 s, margins included, it is a click and no word
SHORTEST_UTTERANCE = 3 * SAMPLE_RATE
LONGEST_UTTERANCE = 6 * SAMPLE_RATE

SPEECH_RMS = 0.06  # -24.4 dB of full scale, over the frames with speech
PEAK_LIMIT = 0.9
SILENT_DB = -100.0
NOISE_MARGIN_DB = 6.0  # speech is what stands this much above a person's noise floor...
THRESHOLD_RANGE_DB = (-40.0, -22.0)  # ...and never less nor more than this, relative to loud speech


@dataclass(frozen=True)
class Piece:
    """A stretch of speech without a long pause.

    Attributes:
        origin: what the caller tells clips apart by.
        samples: float64 [T], faded in and out.
    """

    origin: Any
    samples: Samples


def frame_levels_db(samples: Samples) -> Samples:
    """Level of each whole frame [T] -> [T // FRAME], in dB relative to the clip's loud frames.

    Loud is the 95th percentile, which a click does not reach; or, where speech fills less of the clip, 20 dB
    below its loudest frame.
    """
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)  # [frames, FRAME]
    if not len(frames):
        return np.empty(0)
    power = np.mean(frames**2, axis=1)
    loud = max(float(np.percentile(power, 95)), 0.01 * float(power.max()))
    if loud <= 10 ** (SILENT_DB / 10):
        return np.full(len(frames), SILENT_DB)
    return np.asarray(10 * np.log10(np.maximum(power / loud, 10 ** (SILENT_DB / 10))))


def speech_threshold_db(clips: Sequence[Samples]) -> float:
    """The level, relative to a clip's loud frames, above which a frame is taken for speech.

    One value a person: the recordings of one person share their noise, and a short clip alone does not show it.
    """
    floors = [float(np.percentile(frame_levels_db(clip), 5)) for clip in clips if len(clip) >= FRAME]
    if not floors:
        return THRESHOLD_RANGE_DB[0]
    return float(np.clip(np.median(floors) + NOISE_MARGIN_DB, *THRESHOLD_RANGE_DB))


def set_level(samples: Samples, threshold_db: float) -> Samples:
    """Scale a clip so that its speech has an RMS of `SPEECH_RMS`, or less where its peak would pass the limit."""
    is_speech = frame_levels_db(samples) > threshold_db
    if not is_speech.any():
        return samples
    speech = samples[: len(is_speech) * FRAME].reshape(-1, FRAME)[is_speech]
    gain = SPEECH_RMS / np.sqrt(np.mean(speech**2))
    return np.asarray(samples * min(gain, PEAK_LIMIT / np.abs(samples).max()))


def speech_stretches(samples: Samples, threshold_db: float) -> list[tuple[int, int]]:
    """Where a clip's speech lies: (start, end) in samples, margins included, parted by long pauses only."""
    frames = np.flatnonzero(frame_levels_db(samples) > threshold_db)
    if not len(frames):
        return []
    pauses = np.flatnonzero(np.diff(frames) * FRAME - FRAME >= LONGEST_PAUSE)
    firsts = frames[np.concatenate(([0], pauses + 1))]
    lasts = frames[np.concatenate((pauses, [len(frames) - 1]))]
    return [
        (max(first * FRAME - MARGIN, 0), min((last + 1) * FRAME + MARGIN, len(samples)))
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
    ]


def cut_long(samples: Samples, longest: int = LONGEST_UTTERANCE) -> Iterator[Samples]:
    """Cut speech longer than `longest` samples at its quietest points, between half of `longest` and all of it."""
    while len(samples) > longest:
        first = longest // 2 // FRAME
        last = min(longest, len(samples) - SAMPLE_RATE // 2) // FRAME
        cut = (first + int(np.argmin(_smoothed_power(samples)[first:last]))) * FRAME + FRAME // 2
        yield samples[:cut]
        samples = samples[cut:]
    yield samples


def _smoothed_power(samples: Samples) -> Samples:
    """Mean power over three frames around each frame, [T // FRAME]."""
    power = np.mean(samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME) ** 2, axis=1)
    return np.asarray(np.convolve(power, np.ones(3) / 3, mode="same"))


def speech_pieces(clip: Samples, origin: Any, threshold_db: float) -> list[Piece]:
    """Level a clip and take it apart into pieces of speech of 0.15 to 6 s.

    Silence at the ends and pauses of 0.4 s or more fall away; so do sounds too short to be a word.
    """
    levelled = set_level(clip - clip.mean(), threshold_db)
    stretches = [levelled[start:end] for start, end in speech_stretches(levelled, threshold_db)]
    whole = [stretch for stretch in stretches if len(stretch) >= SHORTEST_PIECE]
    return [Piece(origin, faded(part)) for stretch in whole for part in cut_long(stretch)]


def faded(samples: Samples) -> Samples:
    """A copy with a raised-cosine fade of `FADE` samples at both ends."""
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE)
    result = samples.copy()
    result[:FADE] *= ramp
    result[-FADE:] *= ramp[::-1]
    return result


def group_pieces(pieces: Sequence[Piece]) -> tuple[list[list[Piece]], list[Piece]]:
    """Share the pieces out into utterances of 3 to 6 s, gaps included.

    Each piece goes to the first utterance that has room for it, so neighbours mostly stay together, and at
    most about one utterance remains below 3 s.

    Returns:
        The pieces of each utterance, and the pieces that found no company.
    """
    groups: list[list[Piece]] = []
    lengths: list[int] = []
    for piece in pieces:
        length = len(piece.samples)
        fits = (index for index, used in enumerate(lengths) if used + GAP + length <= LONGEST_UTTERANCE)
        index = next(fits, None)
        if index is None:
            groups.append([piece])
            lengths.append(length)
        else:
            groups[index].append(piece)
            lengths[index] += GAP + length
    done = [group for group, used in zip(groups, lengths, strict=True) if used >= SHORTEST_UTTERANCE]
    short = [group for group, used in zip(groups, lengths, strict=True) if used < SHORTEST_UTTERANCE]
    return done, [piece for group in short for piece in group]


def piece_starts(pieces: Sequence[Piece]) -> list[int]:
    """Where each piece of an utterance starts, in samples."""
    lengths = [0] + [len(piece.samples) + GAP for piece in pieces[:-1]]
    return [int(start) for start in np.cumsum(lengths)]


def joined(pieces: Sequence[Piece]) -> Samples:
    """The utterance: the pieces one after another, with gaps between them, float64 [T]."""
    starts = piece_starts(pieces)
    utterance = np.zeros(starts[-1] + len(pieces[-1].samples))
    for start, piece in zip(starts, pieces, strict=True):
        utterance[start : start + len(piece.samples)] = piece.samples
    return utterance
