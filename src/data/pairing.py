"""Drawing utterances of different speakers for mixtures, each about equally often."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.data.corpus_folder import Speaker
from src.errors import UserError

MOST_ATTEMPTS = 1000  # draws that may bring a mixture that exists already, before it is called hopeless


@dataclass(frozen=True)
class Candidate:
    """An utterance that may become a source.

    Attributes:
        name: its part of a mixture's ID, unique in its split, without an underscore.
        path: the audio file.
        speaker: the speaker's name.
        sex: F, M or None.
        origin: the corpus or package that it comes from, or None.
    """

    name: str
    path: Path
    speaker: str
    sex: str | None
    origin: str | None = None


class Pool:
    """The utterances of a split, with a count of how often each was drawn.

    Everything that is drawn depends only on the candidates' order and on the generator.
    """

    def __init__(
        self, candidates: Sequence[Candidate], generator: np.random.Generator, is_usable: Callable[[Candidate], bool]
    ) -> None:
        """Start with nothing drawn; `is_usable` is asked once for each candidate that comes up."""
        names = {speaker: number for number, speaker in enumerate(dict.fromkeys(c.speaker for c in candidates))}
        self._candidates = candidates
        self._speakers = np.array([names[candidate.speaker] for candidate in candidates])  # [n]
        self._uses = np.zeros(len(candidates))  # [n], infinite for those that cannot be used
        self._checked = np.zeros(len(candidates), dtype=bool)  # [n]
        self._generator = generator
        self._is_usable = is_usable
        self._drawn: set[frozenset[int]] = set()

    def draw(self, num_speakers: int) -> list[Candidate]:
        """Utterances of `num_speakers` different speakers, together for the first time.

        Raises:
            UserError: too few speakers have usable utterances, or no new combination was found.
        """
        for _ in range(MOST_ATTEMPTS):
            chosen = self._draw_once(num_speakers)
            if frozenset(chosen) not in self._drawn:
                self._drawn.add(frozenset(chosen))
                self._uses[chosen] += 1
                return [self._candidates[index] for index in chosen]
        raise UserError(f"found {len(self._drawn)} different mixtures of {num_speakers} speakers")

    def _draw_once(self, num_speakers: int) -> list[int]:
        """One after another the least used utterance of a speaker not yet chosen, ties broken at random."""
        chosen: list[int] = []
        while len(chosen) < num_speakers:
            order = self._uses + self._generator.random(len(self._uses))
            order[np.isin(self._speakers, self._speakers[chosen])] = np.inf
            index = int(np.argmin(order))
            if np.isinf(order[index]):
                raise UserError(f"found usable utterances of {len(chosen)} speakers only")
            if self._check(index):
                chosen.append(index)
        return chosen

    def _check(self, index: int) -> bool:
        if not self._checked[index]:
            self._checked[index] = True
            if not self._is_usable(self._candidates[index]):
                self._uses[index] = np.inf
        return bool(np.isfinite(self._uses[index]))


def list_candidates(speakers: Sequence[Speaker]) -> list[Candidate]:
    """All utterances, named `<speaker>-<file>`; LibriSpeech's names, which have that form, stay as they are.

    Raises:
        UserError: two utterances would have the same name.
    """
    found: dict[str, Candidate] = {}
    for speaker in speakers:
        stems = [path.stem for path in speaker.utterances]
        for path in speaker.utterances:
            stem = path.stem if stems.count(path.stem) == 1 else "-".join(_below(path, speaker.name))
            name = _with_speaker(stem.replace("_", "-"), speaker.name.replace("_", "-"))
            if name in found:
                raise UserError(f"{path}: found a second utterance {name}, expected different names in a split")
            found[name] = Candidate(name, path, speaker.name, speaker.sex, speaker.origin)
    return list(found.values())


def _below(path: Path, speaker: str) -> tuple[str, ...]:
    """The parts of a path below the speaker's folder, without the ending."""
    parts = path.with_suffix("").parts
    return parts[parts.index(speaker) + 1 :]


def _with_speaker(stem: str, speaker: str) -> str:
    return stem if stem.startswith(f"{speaker}-") else f"{speaker}-{stem}"
