"""Stand-ins for speech whose makers differ as persons do: harmonics of a wandering pitch under formants."""

from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from src.audio import write_wav

RATE = 8000


def voice(pitch_hz: float, seconds: float, seed: int) -> np.ndarray:
    """A voice of about this pitch, with syllables: float32 [T], RMS about 0.05."""
    rng = np.random.default_rng([seed, int(pitch_hz)])
    time = np.arange(round(seconds * RATE)) / RATE
    wander = 1 + 0.05 * np.sin(2 * np.pi * rng.uniform(0.5, 2.0) * time + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch_hz * wander) / RATE
    harmonics = range(1, int(3500 / pitch_hz))
    sound = np.sum([np.sin(k * phase + rng.uniform(0, 6)) / k for k in harmonics], axis=0)
    for hertz in rng.uniform([300, 900], [800, 2400]):
        sound = lfilter([1], [1, -1.8 * np.cos(2 * np.pi * hertz / RATE), 0.81], sound)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(2, 5) * time + rng.uniform(0, 6))
    sound = sound * syllables
    return np.asarray(0.05 * sound / np.sqrt(np.mean(sound**2)), dtype=np.float32)


def write_corpus(root: Path, seconds: float = 2.0, utterances: int = 4) -> Path:
    """`<root>/<split>/<speaker>/<utterance>.wav` with two persons a split, and a third in train."""
    persons = {"train": (110.0, 170.0, 230.0), "valid": (120.0, 210.0), "test": (100.0, 190.0)}
    for split, pitches in persons.items():
        for pitch in pitches:
            speaker = f"p{split}{int(pitch)}"
            for number in range(utterances):
                path = root / split / speaker / f"{speaker}-{number:04d}.wav"
                write_wav(path, voice(pitch, seconds + 0.1 * number, seed=number), RATE)
    return root
