"""Long recordings of people who take turns, talk at once and fall silent, from a corpus of single utterances.

Letters in shapes: C speakers, T samples.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.audio import read_mono
from src.errors import UserError

Floats = NDArray[np.float32]

SOLO_SECONDS = (2.0, 12.0)
TOGETHER_SECONDS = (2.0, 8.0)
SILENCE_SECONDS = (1.0, 30.0)  # drawn evenly on a logarithmic scale
SHARES = {"solo": 0.4, "together": 0.35, "silence": 0.25}  # of the scenes
LEVELS_DB = (-33.0, -25.0)  # RMS of a person's speech in full scale, one for a recording


def read_voices(persons: Sequence[Path], sample_rate: int, at_most: int = 80) -> list[list[Floats]]:
    """The utterances of each person, from a folder of flac files each. Raises `UserError` where there are none."""
    for person in persons:
        if not any(person.glob("*.flac")):
            raise UserError(f"{person}: found no .flac files, expected the utterances of a person")
    return [[read_mono(path, sample_rate) for path in sorted(person.glob("*.flac"))[:at_most]] for person in persons]


def converse(voices: Sequence[Sequence[Floats]], seconds: float, sample_rate: int, seed: int) -> Floats:
    """Sources [C, T] of a conversation: scenes in which one talks, some talk at once, or nobody does.

    Args:
        voices: of each of the C persons, utterances at the sample rate.
        seconds: length of the recording.
        sample_rate: in Hz.
        seed: from which everything follows.
    """
    rng = np.random.default_rng(seed)
    num_samples = round(seconds * sample_rate)
    talk = [_monologue(utterances, num_samples, rng) for utterances in voices]
    said = [0] * len(voices)  # samples of each monologue that are used up
    sources = np.zeros((len(voices), num_samples), np.float32)
    at = 0
    while at < num_samples:
        scene = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        length = min(round(_duration(scene, rng) * sample_rate), num_samples - at)
        for person in _who_talks(scene, len(voices), rng):
            sources[person, at : at + length] = talk[person][said[person] : said[person] + length]
            said[person] += length
        at += length
    return sources


def _duration(scene: str, rng: np.random.Generator) -> float:
    if scene == "silence":
        return float(np.exp(rng.uniform(*np.log(SILENCE_SECONDS))))
    return float(rng.uniform(*(SOLO_SECONDS if scene == "solo" else TOGETHER_SECONDS)))


def _who_talks(scene: str, num_speakers: int, rng: np.random.Generator) -> NDArray[np.int64]:
    count = {"silence": 0, "solo": 1}.get(scene) if scene != "together" else int(rng.integers(2, num_speakers + 1))
    return rng.permutation(num_speakers)[:count]


def _monologue(utterances: Sequence[Floats], num_samples: int, rng: np.random.Generator) -> Floats:
    """Utterances in random order, again and again, at one level."""
    parts: list[Floats] = []
    while sum(map(len, parts)) < num_samples:
        parts += [utterances[number] for number in rng.permutation(len(utterances))]
    speech = np.concatenate(parts)[:num_samples]
    level = 10 ** (rng.uniform(*LEVELS_DB) / 20)
    return np.asarray(speech * level / np.sqrt(np.mean(np.square(speech))), dtype=np.float32)
