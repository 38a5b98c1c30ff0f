"""Mixtures and their sources from audio files, checked, in the form that a record keeps.

Runs in worker processes, so it imports neither MindSpore nor anything that is slow to import.
"""

import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.audio import read_audio, to_pcm16
from src.data.manifest import LeftOut, Manifest, Utterance
from src.data.voice import GATE_LUFS, SILENT_LUFS, Voice, measure
from src.errors import UserError
from src.processes import map_in_processes

FEWEST_FOR_PROCESSES = 200  # below, starting processes takes longer than the work

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


def load_all(manifest: Manifest) -> Iterator[Loaded | LeftOut]:
    """Load every utterance, in order; with several processes where that pays. Raises `WrongRateError`."""
    return map_in_processes(
        partial(_load, dataclasses.replace(manifest, utterances=(), left_out=())),
        manifest.utterances,
        1 if len(manifest.utterances) < FEWEST_FOR_PROCESSES else len(os.sched_getaffinity(0)),
        preload=("src.data.loading", "librosa.core.pitch"),
        when_one_dies="a process that reads audio was killed (is the memory full?), nothing was written",
    )


def _load(manifest: Manifest, utterance: Utterance) -> Loaded | LeftOut:
    try:
        return load_utterance(manifest, utterance)
    except LeftOutError as error:
        return LeftOut(utterance.id, str(error))


def load_utterance(manifest: Manifest, utterance: Utterance) -> Loaded:
    """Read a mixture and its sources, and measure the voices; raises as `read_utterance` does, and for silence."""
    samples, was_scaled = read_utterance(manifest, utterance)
    voices = tuple(measure(source, manifest.sample_rate) for source in samples[1:])
    for name, voice in zip(utterance.sources, voices, strict=True):
        if voice.loudness_lufs <= SILENT_LUFS:
            raise LeftOutError(f"{name}: silent, nothing is louder than {GATE_LUFS:g} LUFS")
    complete = dataclasses.replace(utterance, num_samples=samples.shape[1])
    return Loaded(complete, to_pcm16(samples), voices, was_scaled)


def read_utterance(manifest: Manifest, utterance: Utterance) -> tuple[NDArray[np.float64], bool]:
    """A mixture and its sources, float64 [1 + C, T], and whether they were scaled to a peak of 0.9.

    Raises `LeftOutError` for whatever is wrong with this one utterance (a file that is missing, unreadable,
    truncated, has a NaN or several channels, lengths that differ), and `WrongRateError`
    where the sample rate is not the manifest's.
    """
    rows = [_read_row(manifest, name) for name in (utterance.mixture, *utterance.sources)]
    _check_lengths(utterance, [row.size for row in rows])
    samples = np.stack(rows)  # [1 + C, T]
    peak = float(np.abs(samples).max())
    if peak > 1.0:
        samples *= PEAK_LIMIT / peak
    return samples, peak > 1.0


def index_fields(loaded: Loaded, manifest: Manifest) -> dict[str, Any]:
    """What the index of a record says of it, by the names of `record_index.INDEX_SCHEMA`."""
    utterance, voices = loaded.utterance, loaded.voices
    return {
        "id": utterance.id,
        "speakers": json.dumps(utterance.speakers),
        "sexes": json.dumps(utterance.sexes),
        "origins": json.dumps(utterance.origins),
        "num_samples": utterance.num_samples,
        "loudness_lufs": json.dumps([round(voice.loudness_lufs, 4) for voice in voices]),
        "pitch_hz": json.dumps([round(voice.pitch_hz, 1) for voice in voices]),
        "spectrum_db": json.dumps([[round(level, 1) for level in voice.spectrum_db] for voice in voices]),
        "sample_rate": manifest.sample_rate,
        "num_speakers": manifest.num_speakers,
        "mixture_type": manifest.mixture_type,
    }


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
