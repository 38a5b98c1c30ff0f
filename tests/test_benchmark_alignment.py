"""The small twin of benchmarks/alignment.py, with synthetic voices, and how it counts."""

import functools

import numpy as np
import pytest
import soundfile

from benchmarks.alignment import (
    AUDIBLE_SECONDS,
    LEAKAGE_DB,
    METHODS,
    NOISE_DB,
    audible,
    changes_by_method,
    conversations,
    count_changes,
    leaking_oracle,
    main,
    real_network,
)
from benchmarks.conversations import LEVELS_DB, SILENCE_SECONDS, converse, read_voices
from src.errors import UserError
from src.stitching.chunks import Chunk, Chunking, plan_chunks
from tests.synthetic import RATE, voice

CHUNKING = Chunking.from_seconds(8.0, 2.0, RATE)
PITCHES = (110.0, 230.0, 160.0)


@functools.cache
def utterances(pitch: float) -> list[np.ndarray]:
    """Of one person: a minute, cut up."""
    return np.split(voice(pitch, 60, 0), 15)


def conversation(count: int, seconds: float, seed: int) -> np.ndarray:
    return converse([utterances(pitch) for pitch in PITCHES[:count]], seconds, RATE, seed)


# conversations


def who_talks(sources: np.ndarray) -> np.ndarray:
    """[C, T] for samples, though a voice passes through zero."""
    return sources != 0


def test_a_conversation_has_all_kinds_of_scenes():
    sources = conversation(3, 300, 0)
    assert sources.shape == (3, 300 * RATE)
    assert sources.dtype == np.float32
    at_once = who_talks(sources).sum(axis=0)
    assert set(np.unique(at_once)) == {0, 1, 2, 3}
    assert (who_talks(sources).mean(axis=1) > 0.1).all()
    scenes = np.flatnonzero(np.diff(np.concatenate([[1], at_once > 0, [1]]).astype(int)))
    silences = np.diff(scenes)[::2] / RATE
    assert len(silences) >= 4
    assert SILENCE_SECONDS[0] <= silences.min() < SILENCE_SECONDS[1] / 2 < silences.max()


def test_everybody_goes_on_where_they_stopped_at_a_level_of_their_own():
    """A person who says but one thing again and again: what is heard of her is that, times a level."""
    things = [np.random.default_rng(seed).standard_normal(RATE).astype(np.float32) for seed in range(3)]
    sources = converse([[thing] for thing in things], 120, RATE, 3)
    levels = []
    for source, thing in zip(sources, things, strict=True):
        said = source[source != 0]
        again = np.resize(thing, said.size)
        level = (said @ again) / (again @ again)
        np.testing.assert_allclose(said, level * again, atol=1e-6)
        levels.append(20 * np.log10(level * np.sqrt(np.mean(np.square(thing)))))
    assert LEVELS_DB[0] <= min(levels) < max(levels) <= LEVELS_DB[1]


def test_all_follows_from_the_seed():
    np.testing.assert_array_equal(conversation(2, 30, 5), conversation(2, 30, 5))
    assert (conversation(2, 30, 5) != conversation(2, 30, 6)).any()


# separators


def test_the_oracle_leaks_as_much_as_it_should():
    sources = np.zeros((3, 3000), np.float32)
    for person in range(3):
        sources[person, 1000 * person : 1000 * (person + 1)] = 0.1
    chunk = Chunk(500, 2500, 600, 2400, 0)
    separated = leaking_oracle(sources, 10.0, 0)
    orders = set()
    for _ in range(20):
        tracks, order = separated(chunk)
        assert tracks.dtype == np.float32
        orders.add(tuple(order))
        for track, person in zip(tracks, order, strict=True):
            expected = np.where(sources[person, 500:2500] > 0, 0.1, 0.1 * 10**-0.5)
            assert np.std(track - expected) == pytest.approx(10 ** (NOISE_DB / 20), rel=0.1)
    assert len(orders) > 3


def test_who_is_on_a_networks_track_is_who_it_holds_most_of():
    sources = conversation(2, 60, 1)
    chunks = plan_chunks(sources.shape[1], CHUNKING)
    shuffles = np.random.default_rng(0)
    given = []
    place = iter(chunks)

    def separate(mixtures):
        chunk = next(place)
        given.append(shuffles.permutation(2))
        clean = sources[:, chunk.start : chunk.stop]
        np.testing.assert_allclose(mixtures, clean.sum(axis=0)[np.newaxis], atol=1e-6)
        return (clean + 0.3 * clean[::-1])[given[-1]][np.newaxis] * np.array([[-5.0], [5.0]])

    separated = real_network(sources, separate)
    found = [separated(chunk)[1] for chunk in chunks]
    heard = audible(sources, chunks, RATE).any(axis=1)
    assert heard.sum() > 5
    for who, order, matters in zip(found, given, heard, strict=True):
        if matters:
            np.testing.assert_array_equal(who, order)


# counting


def test_audible_is_who_talks_for_long_enough_and_not_too_quietly():
    chunks = plan_chunks(16 * RATE, Chunking(8 * RATE, 0))
    sources = np.zeros((4, 16 * RATE), np.float32)
    frame = RATE // 100
    enough = round(AUDIBLE_SECONDS * RATE)
    sources[0, :enough] = 0.1  # a word
    sources[1, : enough - frame] = 0.1  # too short
    sources[1, 9 * RATE : 10 * RATE] = 0.1
    sources[2, : 4 * RATE] = 0.001  # 40 dB below how she talks
    sources[2, 8 * RATE :] = 0.1
    with np.errstate(all="raise"):  # the last one never talks
        heard = audible(sources, chunks, RATE)
    np.testing.assert_array_equal(heard, [[True, False, False, False], [False, True, True, False]])


def test_audible_looks_at_the_used_part_only():
    sources = np.zeros((1, 10 * RATE), np.float32)
    sources[0, 4 * RATE : 5 * RATE] = 0.1
    parts = [Chunk(0, 10 * RATE, 0, 4 * RATE, 0), Chunk(0, 10 * RATE, 4 * RATE, 5 * RATE, 0)]
    np.testing.assert_array_equal(audible(sources, parts, RATE), [[False], [True]])


@pytest.mark.parametrize(
    ("persons", "heard", "changes"),
    [
        ([[0, 1], [0, 1], [0, 1]], "11 11 11", 0),
        ([[0, 1], [1, 0], [0, 1]], "11 11 11", 4),
        ([[0, 1], [1, 0], [0, 1]], "11 00 11", 0),  # nobody heard it
        ([[0, 1], [1, 0], [1, 0]], "11 10 01", 2),  # one is heard at once on the other's track, the other later
        ([[0, 1], [1, 0], [1, 0]], "10 10 10", 0),  # she changes the track, but nobody was on that one
        ([[0, 1, 2], [1, 2, 0]], "111 111", 3),
        ([[0, 1, 2], [0, 2, 1]], "111 110", 1),
        ([[1, 0]], "11", 0),
    ],
)
def test_changes_are_counted_where_they_are_heard(persons, heard, changes):
    audible_ones = np.array([[flag == "1" for flag in chunk] for chunk in heard.split()])
    assert count_changes([np.array(order) for order in persons], audible_ones) == changes


# the twin


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_with_voices_nobody_changes_track(count, seed):
    sources = conversation(count, 150, seed)
    counts = changes_by_method(sources, leaking_oracle(sources, 10.0, seed), CHUNKING, RATE)
    assert tuple(counts) == METHODS
    assert counts["as separated"] >= 10
    assert counts["overlap"] < counts["as separated"] / 2
    assert counts["overlap and voice"] == 0


def test_where_all_tracks_are_the_mixture_nothing_helps():
    sources = conversation(2, 150, 0)
    counts = changes_by_method(sources, leaking_oracle(sources, 0.0, 0), CHUNKING, RATE)
    assert min(counts.values()) >= 5


# a corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Four persons in the test set and one in the validation set, with two utterances each."""
    root = tmp_path_factory.mktemp("corpus")
    for split, pitches in (("test", (100, 130, 170, 220)), ("valid", (190,))):
        for pitch in pitches:
            folder = root / split / f"p{pitch}"
            folder.mkdir(parents=True)
            for number, part in enumerate(np.split(voice(pitch, 6, 0), 2)):
                soundfile.write(folder / f"{number}.flac", part, RATE)
    return root


def test_groups_of_persons_take_turns(corpus):
    made = list(conversations(corpus, 2, 0.1, 8))
    names = [group for group, _ in made]
    assert names[:3] == [("p100", "p130"), ("p100", "p170"), ("p100", "p220")]
    assert len(set(names)) == 6
    assert names[6:] == names[:2]
    assert (made[0][1] != made[6][1]).any()  # the same persons, in another conversation
    ((five, sources),) = conversations(corpus, 5, 0.1, 1)
    assert five == ("p100", "p130", "p170", "p220", "p190")
    assert sources.shape == (5, 6 * RATE)


def test_a_corpus_that_is_too_small_is_told(corpus, tmp_path):
    for name in ("test/p1", "test/p2", "valid/p3"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(UserError, match=rf"^{tmp_path}: found 2 persons in its test set, expected the corpus made"):
        list(conversations(tmp_path, 2, 0.1, 1))
    with pytest.raises(UserError, match=rf"^{tmp_path}/test/p1: found no \.flac files, expected the utterances"):
        read_voices([tmp_path / "test" / "p1"], RATE)


def test_the_program_prints_a_table(corpus, capsys):
    main(["--corpus", str(corpus), "--minutes", "0.4", "--recordings", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| speakers | leakage | as separated | overlap | overlap and voice |"
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[1] == ["---"] * 5
    expected = [[str(count), f"{level:g} dB"] for count in (2, 3, 5) for level in LEAKAGE_DB]
    assert [row[:2] for row in cells[2:]] == expected
    assert all(float(number) >= 0 for row in cells[2:] for number in row[2:])
