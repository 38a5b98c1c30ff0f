"""The persons of a synthetic corpus: voices as they come, and mixtures of two or three of them.

One table, as for the demo corpus: a voice is in one split only. Voices held out for validation and test are never part
of a training person.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from src.data.synthetic.material import Styles
from src.errors import UserError

TRAIN_VOICES = (
    "af_alloy", "af_aoede", "af_bella", "af_heart", "af_jessica", "af_kore", "af_nicole", "af_nova", "af_river",
    "am_adam", "am_echo", "am_fenrir", "am_onyx", "am_puck", "am_santa", "bm_fable",
    "ef_dora", "em_alex", "em_santa", "hf_alpha", "hf_beta", "hm_omega", "hm_psi", "if_sara", "im_nicola", "jf_alpha",
    "zf_xiaobei", "zf_xiaoni", "zf_xiaoxiao", "zf_xiaoyi", "zm_yunjian", "zm_yunxi", "zm_yunxia", "zm_yunyang",
)  # fmt: skip
VALID_VOICES = ("am_eric", "am_liam", "bf_alice", "bf_lily")
TEST_VOICES = (
    "af_sarah", "af_sky", "am_michael", "bf_emma", "bf_isabella", "bm_daniel", "bm_george", "bm_lewis",
)  # fmt: skip
# Not used: jf_gongitsune, jf_nezumi, jf_tebukuro, jm_kumo and ff_siwis, whose recordings were published under licences
# that ask for attribution; pf_dora, pm_alex and pm_santa, which are nearly ef_dora, em_alex and em_santa.
NUM_HELD_OUT = len(VALID_VOICES) + len(TEST_VOICES)

PART_OF_THREE = 1 / 3  # of the mixtures: the others are of two voices
PART_OF_ONE_SEX = 0.7  # of the mixtures
LEAST_WEIGHT = 0.25  # of a voice in a mixture
SPEEDS = (0.85, 1.15)  # 1: as the voice speaks by itself
REFERENCE_ROW = 100  # of a voice's style vectors, to compare voices by: that of a text of usual length
LEAST_DISTANCE = 0.5  # between the style vectors of two training persons; voices are 1.5 to 4 apart
MOST_DRAWS = 200  # until a mixture is far enough from all persons before it


@dataclass(frozen=True)
class SyntheticPerson:
    """One speaker. The name has no hyphen and no underscore: utterances are `<name>-0001`."""

    speaker: str
    sex: str  # F, M, or U: a mixture of both
    split: str  # train, valid or test
    accent: str  # us or gb
    ingredients: tuple[tuple[str, float], ...]  # voices with their weights, which sum to 1
    speed: float

    @property
    def voices(self) -> str:
        """As tables tell it: `af_heart 0.60 + am_adam 0.40`."""
        return " + ".join(f"{voice} {weight:.2f}" for voice, weight in self.ingredients)

    def styles(self, voices: Mapping[str, Styles]) -> NDArray[np.float32]:
        """The style vectors, [MOST_TOKENS, STYLE_SIZE]: the weighted mean of the ingredients'."""
        total = sum(np.float32(weight) * voices[voice] for voice, weight in self.ingredients)
        return np.asarray(total, dtype=np.float32)


def plan_persons(num_train: int, seed: int, voices: Mapping[str, Styles]) -> list[SyntheticPerson]:
    """The persons of a corpus, those that are held out first.

    The first training persons are the voices themselves, in an order that the seed decides, then come mixtures. A
    person depends only on the seed and its number, so a larger corpus has the persons of a smaller one.

    Raises:
        UserError: no further mixture is far enough from those before it.
    """
    persons = [_single(voice, "valid", seed) for voice in VALID_VOICES]
    persons += [_single(voice, "test", seed) for voice in TEST_VOICES]
    train = [_single(voice, "train", seed) for voice in _shuffled_voices(seed)[:num_train]]
    places = [_place(person, voices) for person in train]
    for number in range(len(train), num_train):
        train.append(_mixture(number - len(TRAIN_VOICES) + 1, seed, voices, places))
        places.append(_place(train[-1], voices))
    return persons + train


def _shuffled_voices(seed: int) -> list[str]:
    """The training voices, of both sexes in turn as long as there are."""
    order = np.random.default_rng([seed, 0]).permutation(len(TRAIN_VOICES))
    women, men = ([TRAIN_VOICES[index] for index in order if _sex(TRAIN_VOICES[index]) == sex] for sex in "FM")
    return [voice for pair in zip_longest(women, men) for voice in pair if voice]


def _single(voice: str, split: str, seed: int) -> SyntheticPerson:
    speed = np.random.default_rng([seed, 1, zlib.crc32(voice.encode())]).uniform(*SPEEDS)
    return SyntheticPerson(
        voice.replace("_", ""), _sex(voice), split, _accent(voice), ((voice, 1.0),), round(float(speed), 3)
    )


def _mixture(
    number: int, seed: int, voices: Mapping[str, Styles], others: Sequence[NDArray[np.float32]]
) -> SyntheticPerson:
    generator = np.random.default_rng([seed, 2, number])
    for _ in range(MOST_DRAWS):
        person = _drawn(number, generator)
        place = _place(person, voices)
        if all(np.linalg.norm(place - other) >= LEAST_DISTANCE for other in others):
            return person
    raise UserError(
        f"found {len(others)} training persons that differ, and no further one in {MOST_DRAWS} tries, "
        "expected fewer --persons"
    )


def _drawn(number: int, generator: np.random.Generator) -> SyntheticPerson:
    count = 3 if generator.random() < PART_OF_THREE else 2
    first = str(generator.choice(TRAIN_VOICES))
    of_one_sex = generator.random() < PART_OF_ONE_SEX
    company = [voice for voice in TRAIN_VOICES if voice != first and not (of_one_sex and _sex(voice) != _sex(first))]
    chosen = [first, *(str(voice) for voice in generator.choice(company, count - 1, replace=False))]
    free = 1 - count * LEAST_WEIGHT
    weights = np.round(LEAST_WEIGHT + free * generator.dirichlet(np.ones(count)), 2)
    weights[-1] = 1 - weights[:-1].sum()
    sexes = {_sex(voice) for voice in chosen}
    ingredients = tuple((voice, round(float(weight), 2)) for voice, weight in zip(chosen, weights, strict=True))
    speed = round(float(generator.uniform(*SPEEDS)), 3)
    sex = sexes.pop() if len(sexes) == 1 else "U"
    return SyntheticPerson(f"mixed{number:04d}", sex, "train", _accent(first), ingredients, speed)


def _place(person: SyntheticPerson, voices: Mapping[str, Styles]) -> NDArray[np.float32]:
    return np.asarray(person.styles(voices)[REFERENCE_ROW])


def _sex(voice: str) -> str:
    return voice[1].upper()


def _accent(voice: str) -> str:
    """British voices read British English; those of other languages read American English."""
    return "gb" if voice.startswith("b") else "us"
