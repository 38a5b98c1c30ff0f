"""How words are spoken: from English text to the phonemes that the voice synthesis reads.

The words are looked up in the dictionaries of the package misaki, in the notation that Kokoro was trained on; a word
that is in none of them is an error, for all words that are read here are known before.
"""

import json
import re
from collections.abc import Mapping, Sequence

from src.errors import UserError

ACCENTS = ("us", "gb")
MARKS = ",.?!;:"
WORD_OR_MARK = re.compile(rf"[A-Za-z']+|[{MARKS}]")
VOWELS = frozenset("AIOQWYaeiouæɐɑɒɔəɛɜɪʊʌᵊᵻ")
STRESSES = "ˈˌ"
# Little words that are spoken without stress, before a consonant and before a vowel.
WEAK: dict[str, tuple[str, str]] = {"a": ("ɐ", "ɐ"), "an": ("ɐn", "ɐn"), "the": ("ðə", "ði"), "to": ("tə", "tʊ")}
AMERICAN = str.maketrans({"ɾ": "T", "ʔ": "t"})  # the flap of "letter", and its relative, have letters of their own

Entry = str | Mapping[str, str | None]


class Dictionary:
    """The pronunciation of words with one accent."""

    def __init__(self, accent: str, entries: Mapping[str, Entry]) -> None:
        """Take over entries: phonemes, or phonemes by part of speech with one for DEFAULT."""
        self.accent = accent
        self._entries = entries

    def __contains__(self, word: str) -> bool:
        return self._find(word) is not None

    def phonemes(self, text: str) -> str:
        """The phonemes of a text, words parted by spaces, with its punctuation.

        Raises:
            UserError: a word is not in the dictionary.
        """
        parts = WORD_OR_MARK.findall(text)
        spoken: list[str] = []
        following = ""
        for part in reversed(parts):  # what "the" sounds like depends on what comes after it
            sound = part if part in MARKS else self._word(part, following)
            spoken.append(sound)
            following = sound
        return "".join(sound if sound in MARKS else f" {sound}" for sound in reversed(spoken)).strip()

    def _word(self, word: str, following: str) -> str:
        if word.lower() in WEAK:
            before_consonant, before_vowel = WEAK[word.lower()]
            return before_vowel if following.lstrip(STRESSES)[:1] in VOWELS and following else before_consonant
        found = self._find(word)
        if found is None:
            raise UserError(f"found the word {word!r}, expected one of the pronouncing dictionary ({self.accent})")
        return found.translate(AMERICAN) if self.accent == "us" else found

    def _find(self, word: str) -> str | None:
        for spelling in dict.fromkeys((word.lower(), word, word.capitalize())):
            entry = self._entries.get(spelling)
            if entry is not None:
                return entry if isinstance(entry, str) else entry.get("DEFAULT")
        return None


def read_dictionary(accent: str, files: Sequence[bytes]) -> Dictionary:
    """A dictionary from misaki's JSON files; earlier files take precedence."""
    entries: dict[str, Entry] = {}
    for file in reversed(files):
        entries |= json.loads(file)
    return Dictionary(accent, entries)


def tokens(phonemes: str, vocabulary: Mapping[str, int]) -> list[int]:
    """The numbers of the phonemes.

    Raises:
        UserError: a phoneme is not in the vocabulary.
    """
    unknown = sorted(set(phonemes) - set(vocabulary))
    if unknown:
        raise UserError(f"found the phonemes {' '.join(unknown)}, expected those of the synthesis' vocabulary")
    return [vocabulary[phoneme] for phoneme in phonemes]
