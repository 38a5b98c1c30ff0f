from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from src.data.corpus_folder import Speaker
from src.data.pairing import Candidate, Pool, list_candidates
from src.errors import UserError


def candidates(**counts: int) -> list[Candidate]:
    return [
        Candidate(f"{name}-{number}", Path(name, str(number)), name, None)
        for name, count in counts.items()
        for number in range(count)
    ]


def pool(found: list[Candidate], seed: int = 0, unusable: frozenset[str] = frozenset()) -> Pool:
    return Pool(found, np.random.default_rng(seed), lambda candidate: candidate.name not in unusable)


@pytest.mark.parametrize("num_speakers", [2, 3])
def test_speakers_differ_and_no_combination_comes_twice(num_speakers: int) -> None:
    drawing = pool(candidates(a=5, b=4, c=3, d=6))
    seen = []
    for _ in range(40):
        drawn = drawing.draw(num_speakers)
        assert len({candidate.speaker for candidate in drawn}) == num_speakers
        seen.append(frozenset(candidate.name for candidate in drawn))
    assert len(set(seen)) == 40


def test_each_utterance_is_drawn_about_equally_often() -> None:
    found = candidates(a=40, b=30, c=20, d=30)
    drawing = pool(found)
    uses = Counter(candidate.name for _ in range(150) for candidate in drawing.draw(2))
    assert len(uses) == len(found)
    assert set(uses.values()) <= {2, 3}  # 300 draws of 120


def test_the_seed_alone_decides() -> None:
    drawn = [
        [[c.name for c in drawing.draw(2)] for _ in range(10)]
        for drawing in (pool(candidates(a=9, b=9), s) for s in (1, 1, 2))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_unusable_utterances_never_come() -> None:
    drawing = pool(candidates(a=4, b=4), unusable=frozenset({"a-0", "b-3"}))
    names = {candidate.name for _ in range(9) for candidate in drawing.draw(2)}
    assert names == {"a-1", "a-2", "a-3", "b-0", "b-1", "b-2"}


def test_more_mixtures_than_there_are_combinations() -> None:
    drawing = pool(candidates(a=2, b=2))
    for _ in range(4):
        drawing.draw(2)
    with pytest.raises(UserError, match=r"found 4 different mixtures of 2 speakers$"):
        drawing.draw(2)


def test_too_few_speakers_with_usable_utterances() -> None:
    drawing = pool(candidates(a=2, b=1), unusable=frozenset({"b-0"}))
    with pytest.raises(UserError, match=r"found usable utterances of 1 speakers only"):
        drawing.draw(2)


def names(*files: str, speaker: str = "p1") -> list[str]:
    return [candidate.name for candidate in list_candidates([Speaker(speaker, None, tuple(map(Path, files)))])]


def test_names_keep_librispeech_form() -> None:
    assert names("r/dev/84/121123/84-121123-0000.flac", speaker="84") == ["84-121123-0000"]


def test_names_get_the_speaker_and_no_underscore() -> None:
    assert names("r/train/p1/p1_001.wav", "r/train/p1/002.wav") == ["p1-001", "p1-002"]


def test_same_file_names_below_one_speaker_are_told_apart_by_folder() -> None:
    assert names("r/train/p1/x/1.wav", "r/train/p1/y/1.wav") == ["p1-x-1", "p1-y-1"]


def test_names_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(UserError, match=r"a-b\.wav: found a second utterance p1-a-b"):
        names("r/p1/a_b.wav", "r/p1/a-b.wav")
