"""Stand-ins for what synthetic voices are made of: no network, no model, but what comes out has the form of speech."""

from collections.abc import Sequence

import numpy as np

from src.audio import resample
from src.data.synthetic.material import MOST_TOKENS, STYLE_SIZE, Material
from src.data.synthetic.persons import TEST_VOICES, TRAIN_VOICES, VALID_VOICES
from src.data.synthetic.pronunciation import MARKS, Dictionary
from src.data.synthetic.sentences import vocabulary
from src.data.synthetic.speech import MODEL_RATE
from tests.synthetic import RATE, voice

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PHONEMES = f" {MARKS}{LETTERS}ðəɐʊ"


def material() -> Material:
    """Voices whose first style value is their pitch in Hz; words are spoken as they are written."""
    generator = np.random.default_rng(0)
    voices = {}
    for name in (*TRAIN_VOICES, *VALID_VOICES, *TEST_VOICES):
        row = generator.normal(size=STYLE_SIZE).astype(np.float32) * 0.18
        row[0] = generator.uniform(170, 240) if name[1] == "f" else generator.uniform(90, 130)
        voices[name] = np.broadcast_to(row, (MOST_TOKENS, STYLE_SIZE))
    words = {word.lower(): word.lower() for word in vocabulary()}
    dictionaries = {accent: Dictionary(accent, words) for accent in ("us", "gb")}
    numbers = {phoneme: number for number, phoneme in enumerate(PHONEMES, start=1)}
    return Material(b"no network", voices, dictionaries, numbers, {"all.LICENSE.txt": b"free"})


class Speaking:
    """Hums at the style's pitch, so many tokens a second; counts its calls, and may fail at one of them."""

    def __init__(
        self, fail_at: int | None = None, failure: BaseException | None = None, *, tokens_per_second: float = 15.0
    ) -> None:
        self.calls = 0
        self._fail_at, self._failure = fail_at, failure
        self._tokens_per_second = tokens_per_second

    def __call__(self, text: Sequence[int], style: np.ndarray, speed: float) -> np.ndarray:
        self.calls += 1
        if self.calls == self._fail_at and self._failure is not None:
            raise self._failure
        seconds = len(text) / self._tokens_per_second / speed
        sound = resample(voice(float(style[0]), seconds, seed=sum(text)), RATE, MODEL_RATE)
        silence = np.zeros(MODEL_RATE // 4)
        return np.concatenate([silence, sound, silence])
