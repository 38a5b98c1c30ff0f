import re

import numpy as np
import pytest

from src.data.synthetic.pronunciation import Dictionary, read_dictionary, tokens
from src.data.synthetic.sentences import sentence, vocabulary, words
from src.errors import UserError

ENTRIES = {
    "old": "ˈOld",
    "letter": "lˈɛɾəɹ",
    "cat": "kˈæt",
    "June": "ʤˈun",
    "I": "ˌI",
    "read": {"DEFAULT": "ɹˈid", "VBD": "ɹˈɛd"},
    "owl": "ˈWl",
}


def texts(count: int, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    return [sentence(generator, lambda _: True) for _ in range(count)]


def test_sentences_are_sentences() -> None:
    for text in texts(300):
        assert re.fullmatch(r"[A-Z][A-Za-z, ]+[.?]", text), text
        assert "  " not in text
        assert not re.search(r"\ba [aeiou]", text), text
        assert not re.search(r"\ban [^aeiou]", text), text


def test_sentences_use_only_words_that_are_known_to_be_in_the_dictionary() -> None:
    known = {word.lower() for word in vocabulary()}
    used = {word.lower() for text in texts(3000) for word in re.findall(r"[A-Za-z]+", text)}
    assert used <= known
    assert len(used) > 0.95 * len(known)  # and nearly all of them


def test_same_seed_same_sentences_and_hardly_one_twice() -> None:
    assert texts(20) == texts(20)
    assert texts(20) != texts(20, seed=1)
    assert len(set(texts(500))) > 495


def test_a_sentence_that_fits_is_taken() -> None:
    generator = np.random.default_rng(0)
    lengths = [len(sentence(generator, lambda text: 60 <= len(text) <= 70)) for _ in range(50)]
    assert sum(60 <= length <= 70 for length in lengths) >= 48  # else after 40 draws the last one


def test_no_word_is_yaml_truth() -> None:
    assert all(isinstance(word, str) for kind in words().values() for word in kind)


def test_phonemes_of_a_text() -> None:
    american = Dictionary("us", ENTRIES)
    assert american.phonemes("The old cat, I read a letter.") == "ði ˈOld kˈæt, ˌI ɹˈid ɐ lˈɛTəɹ."
    assert american.phonemes("The cat went to".replace("went ", "")) == "ðə kˈæt tə"
    assert american.phonemes("to the owl?") == "tə ði ˈWl?"
    assert american.phonemes("to old June") == "tʊ ˈOld ʤˈun"


def test_british_words_keep_their_letters() -> None:
    assert Dictionary("gb", ENTRIES).phonemes("letter") == "lˈɛɾəɹ"


def test_an_unknown_word_is_told() -> None:
    with pytest.raises(UserError, match=r"found the word 'dog', expected one of the pronouncing dictionary \(us\)"):
        Dictionary("us", ENTRIES).phonemes("the dog")


def test_earlier_files_of_a_dictionary_take_precedence() -> None:
    dictionary = read_dictionary("us", [b'{"cat": "first"}', b'{"cat": "second", "dog": "third"}'])
    assert dictionary.phonemes("cat dog") == "first third"
    assert "cat" in dictionary and "cow" not in dictionary


def test_tokens_are_the_phonemes_numbers() -> None:
    assert tokens("ba", {"a": 7, "b": 9}) == [9, 7]
    with pytest.raises(UserError, match=r"found the phonemes c d, expected"):
        tokens("dac", {"a": 7})
