"""From a sentence to an utterance: the network that speaks, and the readers who use it."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.audio import resample
from src.data.clips import (
    LONGEST_UTTERANCE,
    SAMPLE_RATE,
    SHORTEST_UTTERANCE,
    THRESHOLD_RANGE_DB,
    Samples,
    joined,
    speech_pieces,
)
from src.data.synthetic.material import MOST_TOKENS, Material
from src.data.synthetic.persons import SyntheticPerson
from src.data.synthetic.pronunciation import tokens
from src.data.synthetic.sentences import sentence
from src.errors import UserError

MODEL_RATE = 24000  # Hz
EDGE_TOKEN = 0  # before and after a text
USUAL_TOKENS_PER_SECOND = 18.0  # at speed 1, pauses left out
AIM_SECONDS = (3.5, 5.4)  # so that a sentence spoken a little faster or slower than expected still has 3 to 6 s
SPEED_CHANGES = (0.95, 1.05)  # from utterance to utterance
MOST_ATTEMPTS = 12

Speak = Callable[[Sequence[int], NDArray[np.float32], float], Samples]
"""Tokens, style vector [STYLE_SIZE] and speed -> float64 [T] at MODEL_RATE, full scale at 1.0."""


@dataclass(frozen=True)
class Utterance:
    """One sentence, spoken."""

    text: str
    speed: float
    tokens_per_second: float  # at speed 1
    samples: Samples  # float64 [T] at SAMPLE_RATE


def load_speaker(model: bytes, num_threads: int) -> Speak:
    """The network, ready to speak.

    Args:
        model: an ONNX file's bytes.
        num_threads: of a sentence.

    Raises:
        UserError: onnxruntime is missing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"onnxruntime is missing ({error}), expected it for synthetic voices: "
            "pip install -r requirements-voices.txt"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = num_threads, 1
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def speak(text: Sequence[int], style: NDArray[np.float32], speed: float) -> Samples:
        feed: dict[str, NDArray[Any]] = {
            "tokens": np.array([[EDGE_TOKEN, *text, EDGE_TOKEN]], dtype=np.int64),
            "style": style[None].astype(np.float32),
            "speed": np.array([speed], dtype=np.float32),
        }
        return np.asarray(session.run(None, feed)[0], dtype=np.float64).ravel()

    return speak


class Reader:
    """A person who reads sentences aloud."""

    def __init__(self, person: SyntheticPerson, seed: int, material: Material, speak: Speak) -> None:
        """Everything that is read follows from the seed and the person's name."""
        self._person = person
        self._seed = [seed, 3, zlib.crc32(person.speaker.encode())]
        self._styles = person.styles(material.voices)
        self._dictionary = material.dictionaries[person.accent]
        self._vocabulary = material.vocabulary
        self._speak = speak

    def read(self, number: int, tokens_per_second: float = USUAL_TOKENS_PER_SECOND) -> Utterance:
        """The utterance of a number: a sentence of the right length, levelled, without silence at its ends.

        Args:
            number: from 1; what is read depends on it.
            tokens_per_second: how fast this person speaks at speed 1, as an utterance before has shown.

        Raises:
            UserError: no sentence came out at 3 to 6 s.
        """
        generator = np.random.default_rng([*self._seed, number])
        speed = round(self._person.speed * float(generator.uniform(*SPEED_CHANGES)), 3)
        for _ in range(MOST_ATTEMPTS):
            shortest, longest = (seconds * tokens_per_second * speed for seconds in AIM_SECONDS)
            text = sentence(generator, lambda text: shortest <= len(self._tokens(text)) <= longest)  # noqa: B023
            numbers = self._tokens(text)
            samples = as_utterance(self._speak(numbers, self._styles[len(numbers)], speed))
            if len(samples):
                tokens_per_second = len(numbers) / (len(samples) / SAMPLE_RATE) / speed
            if SHORTEST_UTTERANCE <= len(samples) <= LONGEST_UTTERANCE:
                return Utterance(text, speed, tokens_per_second, samples)
        raise UserError(f"{self._person.speaker}: found no sentence of 3 to 6 s in {MOST_ATTEMPTS} attempts")

    def _tokens(self, text: str) -> list[int]:
        return tokens(self._dictionary.phonemes(text), self._vocabulary)[: MOST_TOKENS - 1]


def as_utterance(clip: Samples) -> Samples:
    """What the network spoke, [T] at MODEL_RATE, as the demo corpus has it: 8 kHz, its level, no long pauses.

    Returns:
        float64 [t]; empty where there is no speech, or samples that are no numbers.
    """
    if not np.isfinite(clip).all() or not clip.any():
        return np.empty(0)
    pieces = speech_pieces(np.asarray(resample(clip, MODEL_RATE, SAMPLE_RATE)), None, THRESHOLD_RANGE_DB[0])
    return joined(pieces) if pieces else np.empty(0)
