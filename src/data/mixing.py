"""From whole recordings to one training example: cutting, changing the speed, mixing.

What else is done to a voice is in formants.py and chain.py.

Letters of the shapes: C sources, T samples of a crop, n samples of a whole utterance.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from src.audio import from_pcm16

Pcm = NDArray[np.int16]
Samples = NDArray[np.float32]  # full scale at 1.0
Places = NDArray[np.float64]
Levels = Sequence[float] | NDArray[np.float64]
Example = tuple[Samples, Samples, np.int32]  # mixture [T], sources [C, T], number of true samples

PEAK_LIMIT = 0.9  # LibriMix: a signal that would clip is scaled to this peak
SILENCE_DB = 20.0  # a crop so far below its utterance's loudness has hardly a word in it
LUFS_OFFSET_DB = -0.691  # ITU-R BS.1770-4: loudness of a signal of mean square 1 after the K filter


def cut_mixture(pcm: Pcm, loudness_lufs: Levels, places: Places, num_samples: int) -> Example:
    """Cut one piece out of a recorded mixture.

    Args:
        pcm: [1 + C, n], the mixture first.
        loudness_lufs: [C], of each whole source.
        places: [K] candidate starts between 0 (the utterance's start) and 1 (as late as possible). The first
            one where no source is silent is taken, or else the one whose faintest source is loudest.
        num_samples: T. A shorter utterance is padded with zeros at its end, and the third result tells its
            true length.
    """
    room = pcm.shape[1] - num_samples
    if room <= 0:
        padded = from_pcm16(np.pad(pcm, ((0, 0), (0, -room))))  # [1 + C, T]
        return padded[0], padded[1:], np.int32(num_samples + room)
    pieces = (from_pcm16(pcm[:, start : start + num_samples]) for start in _starts(places, room))
    piece = _first_audible(pieces, loudness_lufs)
    return piece[0], piece[1:], np.int32(num_samples)


def cut_source(source: Pcm, loudness_lufs: float, places: Places, speed: float, num_samples: int) -> Samples:
    """Cut num_samples <T> out of one source [n], at the given speed, pitch and tempo together.

    A source that is too short lies somewhere in T zeros, also by `places`. Speed 1 leaves the samples as
    they are.
    """
    needed = round(num_samples * speed)
    room = source.size - needed
    if room >= 0:
        pieces = (from_pcm16(source[None, start : start + needed]) for start in _starts(places, room))
        return change_length(_first_audible(pieces, [loudness_lufs], first_source=0)[0], num_samples)
    whole = change_length(from_pcm16(source), max(1, round(source.size / speed)))
    offset = int(places[0] * (num_samples - whole.size + 1))
    return np.pad(whole, (offset, num_samples - whole.size - offset))


def change_length(samples: Samples, num_samples: int) -> Samples:
    """Resample [n] to exactly num_samples by Fourier's method, band-limited; the same samples if n fits."""
    if samples.size == num_samples:
        return samples
    return np.asarray(scipy.signal.resample(samples, num_samples), dtype=np.float32)


def mix(sources: Sequence[Samples], gains_db: Levels) -> Example:
    """Scale C sources [T] and add them, as LibriMix does.

    A source whose peak would pass 0.9 is scaled to 0.9; if the sum passes it, sum and sources are scaled
    together.
    """
    scaled = np.stack([_limit_peak(s * _amplitude(gain)) for s, gain in zip(sources, gains_db, strict=True)])
    mixture = scaled.sum(axis=0)  # [T]
    peak = float(np.abs(mixture).max())
    if peak > PEAK_LIMIT:
        mixture, scaled = mixture * np.float32(PEAK_LIMIT / peak), scaled * np.float32(PEAK_LIMIT / peak)
    return mixture, scaled, np.int32(mixture.size)


def _starts(places: Places, room: int) -> list[int]:
    return [min(int(place * (room + 1)), room) for place in places]


def _first_audible(pieces: Iterable[Samples], loudness_lufs: Levels, first_source: int = 1) -> Samples:
    """The first piece [rows, T] with speech in every source, or else the one whose faintest is loudest."""
    best, best_db = None, -np.inf
    for piece in pieces:
        levels_db = _level_db(piece[first_source:]) - np.asarray(loudness_lufs)  # [C]
        faintest_db = float(levels_db.min())
        if faintest_db > -SILENCE_DB:
            return piece
        if best is None or faintest_db > best_db:
            best, best_db = piece, faintest_db
    assert best is not None
    return best


def _level_db(samples: Samples) -> NDArray[np.float64]:
    """Level of each row on the scale of loudness, without its filter: [rows, T] -> [rows]."""
    power = np.mean(np.square(samples, dtype=np.float64), axis=-1)
    return np.asarray(LUFS_OFFSET_DB + 10 * np.log10(power + 1e-20))


def _limit_peak(samples: Samples) -> Samples:
    peak = float(np.abs(samples).max())
    return samples * np.float32(PEAK_LIMIT / peak) if peak > PEAK_LIMIT else samples


def _amplitude(gain_db: float) -> np.float32:
    return np.float32(10 ** (gain_db / 20))
