"""One mixture and its sources from audio files, checked, in the form that a record keeps.

Runs in worker processes, so it imports neither MindSpore nor anything that is slow to import.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.audio import read_audio, to_pcm16
from src.data.manifest import Manifest, Utterance
from src.data.voice import GATE_LUFS, SILENT_LUFS, Voice, measure
from src.errors import UserError

PEAK_LIMIT = 0.9  # LibriMix scales what would clip to this peak


class WrongRateError(UserError):
    """A file of another sample rate: the whole set is meant, not one utterance."""


class LeftOutError(Exception):
    """This utterance cannot be used; the message is the reason."""


@dataclass(frozen=True)
class Loaded:
    """A mixture that passed every check."""

    utterance: Utterance  # with its true length
    pcm: NDArray[np.int16]  # [1 + C, T], the mixture first
    voices: tuple[Voice, ...]  # of the sources
    was_scaled: bool  # a float file above full scale: everything scaled to a peak of 0.9


def load_utterance(manifest: Manifest, utterance: Utterance) -> Loaded:
    """Read a mixture and its sources.

    Raises `LeftOutError` for whatever is wrong with this one utterance (a file that is missing, unreadable,
    truncated, has a NaN or several channels, lengths that differ, a silent source), and `WrongRateError`
    where the sample rate is not the manifest's.
    """
    rows = [_read_row(manifest, name) for name in (utterance.mixture, *utterance.sources)]
    _check_lengths(utterance, [row.size for row in rows])
    samples = np.stack(rows)  # [1 + C, T]
    peak = float(np.abs(samples).max())
    if peak > 1.0:
        samples *= PEAK_LIMIT / peak
    voices = tuple(measure(source, manifest.sample_rate) for source in samples[1:])
    for name, voice in zip(utterance.sources, voices, strict=True):
        if voice.loudness_lufs <= SILENT_LUFS:
            raise LeftOutError(f"{name}: silent, nothing is louder than {GATE_LUFS:g} LUFS")
    complete = dataclasses.replace(utterance, num_samples=samples.shape[1])
    return Loaded(complete, to_pcm16(samples), voices, was_scaled=peak > 1.0)


def _read_row(manifest: Manifest, name: str) -> NDArray[np.float64]:
    path = manifest.root / name
    try:
        samples, sample_rate = read_audio(path)  # [channels, T]
    except UserError as error:
        raise LeftOutError(str(error).replace(str(path), name)) from None
    if sample_rate != manifest.sample_rate:
        raise WrongRateError(f"{path}: found {sample_rate} Hz, expected a sample rate of {manifest.sample_rate} Hz")
    if len(samples) != 1:
        raise LeftOutError(f"{name}: found {len(samples)} channels, expected 1")
    return np.asarray(samples[0])


def _check_lengths(utterance: Utterance, lengths: list[int]) -> None:
    expected = utterance.num_samples or lengths[0]
    for name, length in zip((utterance.mixture, *utterance.sources), lengths, strict=True):
        if length != expected:
            whose = "the metadata says" if utterance.num_samples else "the mixture has"
            raise LeftOutError(f"{name}: found {length} samples, {whose} {expected}")
