"""English sentences to be read aloud, composed at random of the words in words.yaml: nobody's text is needed."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import yaml

WORDS_FILE = Path(__file__).with_name("words.yaml")
MOST_DRAWS = 40  # before a sentence of another length is taken
LITTLE_WORDS = ["the", "a", "an", "and", "of", "to"]
Choice = TypeVar("Choice")


@lru_cache
def words() -> dict[str, list[str]]:
    """The words and phrases by kind."""
    return cast(dict[str, list[str]], yaml.safe_load(WORDS_FILE.read_text(encoding="utf-8")))


def vocabulary() -> list[str]:
    """Every word that a sentence may have, each once."""
    phrases = [phrase for kind in words().values() for phrase in kind]
    return list(dict.fromkeys(LITTLE_WORDS + [word for phrase in phrases for word in phrase.split()]))


def sentence(generator: np.random.Generator, fits: Callable[[str], bool]) -> str:
    """A sentence such as "The old captain found a lantern near the bridge."

    Args:
        generator: decides.
        fits: whether a sentence may be taken, by its length for example; if `MOST_DRAWS` in a row are refused, the
            last of them is taken.
    """
    composer = _Composer(generator)
    for _ in range(MOST_DRAWS):
        text = composer.sentence()
        if fits(text):
            break
    return text


class _Composer:
    """Puts sentences together."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def sentence(self) -> str:
        shapes: list[Callable[[], str]] = [
            lambda: f"{self._one('times')}, {self._clause()}.",
            lambda: f"{self._clause()} {self._one('times')}.",
            lambda: f"{self._clause()} {self._one('reasons')}.",
            lambda: f"{self._clause()}, {self._one('joints')} {self._clause()}.",
            lambda: f"{self._one('reports')} {self._clause()}.",
            lambda: f"{self._one('questions')} {self._clause()}?",
        ]
        text = self._of(shapes)()
        return text[0].upper() + text[1:]

    def _clause(self) -> str:
        who = self._noun("persons", "persons", "animals")
        shapes: list[Callable[[], str]] = [
            lambda: f"{self._one('deeds')} {self._noun('things')} {self._one('ways')} {self._noun('places')}",
            lambda: f"{self._one('moves')} {self._one('manners')} {self._one('ways')} {self._noun('places')}",
            lambda: f"{self._one('manners')} {self._one('deeds')} {self._noun('things')} of {self._noun('persons')}",
            lambda: f"and {self._noun('persons', 'animals')} {self._journey()} to {self._noun('places')}",
        ]
        return f"{who} {self._of(shapes)()}"

    def _journey(self) -> str:
        return f"{self._one('moves')} {self._one('numbers')} {self._one('measures')}"

    def _noun(self, *kinds: str) -> str:
        """A noun of one of the kinds with its article, half of the time with an adjective."""
        noun = self._one(self._of(kinds))
        if self._generator.random() < 0.5:
            noun = f"{self._one('qualities')} {noun}"
        if self._generator.random() < 0.6:
            return f"the {noun}"
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"

    def _one(self, kind: str) -> str:
        return self._of(words()[kind])

    def _of(self, choices: Sequence[Choice]) -> Choice:
        return choices[int(self._generator.integers(len(choices)))]
