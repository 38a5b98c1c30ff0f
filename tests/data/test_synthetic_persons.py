import numpy as np
import pytest
from stand_in_voices import material

from src.data.synthetic import persons as module
from src.data.synthetic.persons import (
    LEAST_DISTANCE,
    NUM_HELD_OUT,
    REFERENCE_ROW,
    TEST_VOICES,
    TRAIN_VOICES,
    VALID_VOICES,
    SyntheticPerson,
    plan_persons,
)
from src.errors import UserError

VOICES = material().voices
PERSONS = plan_persons(100, 0, VOICES)


def of(split: str) -> list[SyntheticPerson]:
    return [person for person in PERSONS if person.split == split]


def test_every_voice_is_in_one_split_and_no_name_is_used_twice() -> None:
    assert not set(TRAIN_VOICES) & {*VALID_VOICES, *TEST_VOICES}
    assert len({person.speaker for person in PERSONS}) == len(PERSONS) == 100 + NUM_HELD_OUT
    assert all(person.speaker.isalnum() for person in PERSONS)


def test_no_held_out_voice_is_part_of_a_training_person() -> None:
    for seed in (0, 1, 2):
        for person in plan_persons(150, seed, VOICES):
            used = {voice for voice, _ in person.ingredients}
            allowed = {"train": TRAIN_VOICES, "valid": VALID_VOICES, "test": TEST_VOICES}[person.split]
            assert used <= set(allowed), person


def test_the_first_training_persons_are_the_voices_and_the_others_mixtures() -> None:
    train = of("train")
    assert {person.voices for person in train[: len(TRAIN_VOICES)]} == {f"{voice} 1.00" for voice in TRAIN_VOICES}
    mixtures = train[len(TRAIN_VOICES) :]
    assert {len(person.ingredients) for person in mixtures} == {2, 3}
    for person in mixtures:
        weights = [weight for _, weight in person.ingredients]
        assert sum(weights) == pytest.approx(1)
        assert min(weights) >= 0.24
        assert len({voice for voice, _ in person.ingredients}) == len(weights)
        sexes = {voice[1].upper() for voice, _ in person.ingredients}
        assert person.sex == (sexes.pop() if len(sexes) == 1 else "U")
    assert {person.sex for person in mixtures} == {"F", "M", "U"}


def test_both_sexes_from_the_start() -> None:
    assert [person.sex for person in plan_persons(8, 3, VOICES) if person.split == "train"] == ["F", "M"] * 4
    assert sorted(person.sex for person in of("test")) == ["F"] * 4 + ["M"] * 4
    assert sorted(person.sex for person in of("valid")) == ["F"] * 2 + ["M"] * 2


def test_a_larger_corpus_has_the_persons_of_a_smaller_one() -> None:
    assert plan_persons(40, 0, VOICES) == PERSONS[: 40 + NUM_HELD_OUT]
    assert plan_persons(40, 1, VOICES) != PERSONS[: 40 + NUM_HELD_OUT]


def test_a_mixture_is_the_weighted_mean_of_its_voices() -> None:
    person = SyntheticPerson("mixed0001", "F", "train", "us", (("af_heart", 0.25), ("zf_xiaoyi", 0.75)), 1.0)
    expected = 0.25 * VOICES["af_heart"] + 0.75 * VOICES["zf_xiaoyi"]
    np.testing.assert_allclose(person.styles(VOICES), expected, rtol=1e-6)
    assert person.voices == "af_heart 0.25 + zf_xiaoyi 0.75"


def test_training_persons_differ() -> None:
    places = np.stack([person.styles(VOICES)[REFERENCE_ROW] for person in of("train")])
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    assert distances[np.triu_indices(len(places), 1)].min() >= LEAST_DISTANCE


def test_too_many_persons_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_DISTANCE", 1e6)
    monkeypatch.setattr(module, "MOST_DRAWS", 3)
    with pytest.raises(UserError, match=r"found 34 training persons .* expected fewer --persons"):
        plan_persons(35, 0, VOICES)
