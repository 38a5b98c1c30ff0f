"""Orders found again from what is known, and brute force over all orders."""

import itertools

import numpy as np
import pytest

from src.stitching import alignment
from src.stitching.alignment import OVERLAP_WEIGHT, log_likelihood, search
from src.stitching.voiceprint import PERSON_VARIANCE, Voices

FEATURES = 29

# orders

People = np.ndarray  # [C, D], what each sounds like
Persons = list[np.ndarray]  # [C] for each chunk: who is on each of its tracks


def unheard(count: int) -> Voices:
    return Voices(np.zeros(count), np.zeros((count, FEATURES)))


def make_people(count: int, rng: np.random.Generator, size: int = FEATURES) -> People:
    return np.sqrt(PERSON_VARIANCE) * rng.standard_normal((count, size))


def shuffles(count: int, num_chunks: int, rng: np.random.Generator) -> Persons:
    return [rng.permutation(count) for _ in range(num_chunks)]


def links_of(persons: Persons, strength: float = 1.0) -> list[np.ndarray]:
    """Agreements where the right pairs have all energy in common, or so much of it."""
    pairs = itertools.pairwise(persons)
    return [strength * (before[:, np.newaxis] == after) / len(after) for before, after in pairs]


def voices_of(persons: Persons, people: People, rng: np.random.Generator, precision: float = 20.0) -> list[Voices]:
    """As the model draws them."""
    count, size = people.shape
    return [
        Voices(np.full(count, precision), people[on_track] + rng.standard_normal((count, size)) / np.sqrt(precision))
        for on_track in persons
    ]


def assert_nobody_moves(orders, persons: Persons) -> None:
    for order, on_track in zip(orders, persons, strict=True):
        np.testing.assert_array_equal(on_track[order], persons[0])


@pytest.mark.parametrize("count", [2, 3, 5, 7])
@pytest.mark.parametrize("known_by", ["overlap", "voice", "both"])
def test_random_orders_are_found_again(count, known_by):
    for seed in range(3):
        rng = np.random.default_rng([count, seed])
        persons = shuffles(count, 30, rng)
        links = links_of(persons, 0.0 if known_by == "voice" else 0.5)
        voices = voices_of(persons, make_people(count, rng), rng)
        orders = search(links, [unheard(count)] * 30 if known_by == "overlap" else voices)
        np.testing.assert_array_equal(orders[0], np.arange(count))  # the first chunk's order stays
        assert_nobody_moves(orders, persons)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_voices_bridge_a_long_silence(count):
    rng = np.random.default_rng(count)
    persons = [np.roll(np.arange(count), chunk // 20) for chunk in range(40)]  # exchanged in the midst of the silence
    links, voices = links_of(persons), voices_of(persons, make_people(count, rng), rng)
    for chunk in range(10, 30):
        voices[chunk] = unheard(count)
    for chunk in range(9, 30):
        links[chunk] = np.zeros((count, count))
    talking = [*range(10), *range(30, 40)]
    orders = search(links, voices)
    assert_nobody_moves([orders[chunk] for chunk in talking], [persons[chunk] for chunk in talking])
    deaf = search(links, [unheard(count)] * 40)
    assert (persons[39][deaf[39]] != persons[0]).all()


def test_who_pauses_is_known_by_voice_when_the_other_goes_on():
    """Each pauses for some chunks in turn; the overlap always links the one who talks."""
    rng = np.random.default_rng(0)
    persons = shuffles(2, 40, rng)
    voices = voices_of(persons, make_people(2, rng), rng)
    links = links_of(persons)
    for chunk in range(40):
        paused = (chunk // 8) % 2
        voices[chunk].precisions[persons[chunk] == paused] = 0
    assert_nobody_moves(search(links, voices), persons)


@pytest.mark.parametrize("count", [2, 3, 5, 7])
def test_where_nothing_is_heard_every_chunk_keeps_its_order(count):
    orders = search([np.zeros((count, count))] * 9, [unheard(count)] * 10)
    np.testing.assert_array_equal(orders, [np.arange(count)] * 10)


def test_a_single_chunk_keeps_its_order():
    np.testing.assert_array_equal(search([], [unheard(3)]), [[0, 1, 2]])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_what_is_heard_late_corrects_an_early_guess(count):
    """After a silence two people are mistaken for each other in chunk 1; chunk 2, which it is linked to, tells."""
    rng = np.random.default_rng(count)
    people = make_people(count, rng)
    same = [np.arange(count)] * 3
    voices = voices_of(same, people, rng)
    mistaken = people.copy()
    mistaken[:2] = 0.6 * people[1::-1] + 0.4 * people[:2]
    voices[1] = Voices(np.full(count, 2.0), mistaken)
    links = links_of(same)
    links[0] = np.zeros((count, count))
    exchanged = [1, 0, *range(2, count)]
    np.testing.assert_array_equal(search(links[:1], voices[:2])[1], exchanged)
    assert_nobody_moves(search(links, voices), same)


# likelihoods


def all_orders(count: int, num_chunks: int):
    """Of all chunks; the first chunk's as it is."""
    own = np.arange(count)
    for orders in itertools.product(itertools.permutations(range(count)), repeat=num_chunks - 1):
        yield [own, *map(np.array, orders)]


def vague_evidence(count: int, seed: int) -> tuple[list[np.ndarray], list[Voices]]:
    """Of 4 chunks, weak enough for overlaps and voices to contradict each other, in part unheard."""
    rng = np.random.default_rng([count, seed])
    persons = shuffles(count, 4, rng)
    people = make_people(count, rng, size=4)
    voices = voices_of(persons, people, rng, 5.0)
    for voice_of_chunk in voices:
        voice_of_chunk.precisions[:] *= rng.uniform(0.05, 1, count) * (rng.uniform(size=count) > 0.2)
    return [0.02 * rng.uniform(size=(count, count)) for _ in range(3)], voices


def likelihood(agreements, voices, orders) -> float:
    return log_likelihood([OVERLAP_WEIGHT * agreement for agreement in agreements], voices, orders)


def step_by_step(agreements, voices) -> list[np.ndarray]:
    """Where the search begins."""
    return alignment._one_after_the_other([OVERLAP_WEIGHT * agreement for agreement in agreements], voices)


@pytest.mark.parametrize(("count", "tries", "share"), [(2, 100, 0.97), (3, 30, 0.85)])
def test_the_orders_found_are_nearly_always_the_likeliest_of_all(count, tries, share):
    """It is a search, so not always; but it never ends below where it began."""
    best_found = 0
    for seed in range(tries):
        evidence = vague_evidence(count, seed)
        found = likelihood(*evidence, search(*evidence))
        best = max(likelihood(*evidence, orders) for orders in all_orders(count, 4))
        assert found >= likelihood(*evidence, step_by_step(*evidence)) - 1e-9
        best_found += found >= best - 1e-9
    assert best_found >= share * tries


def test_without_voices_the_likeliest_orders_are_found_always():
    for seed in range(30):
        links, _ = vague_evidence(3, seed)
        evidence = links, [unheard(3)] * 4
        best = max(likelihood(*evidence, orders) for orders in all_orders(3, 4))
        assert likelihood(*evidence, search(*evidence)) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("count", [2, 5, 7])
def test_the_search_never_ends_below_where_it_began(count):
    better = 0
    for seed in range(40):
        evidence = vague_evidence(count, seed)
        gain = likelihood(*evidence, search(*evidence)) - likelihood(*evidence, step_by_step(*evidence))
        assert gain >= -1e-9
        better += gain > 1e-9
    assert better >= 3  # so it does search


def test_the_likelihood_is_the_sum_of_links_and_voices():
    links, voices = vague_evidence(2, 0)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(2) for _ in range(4)]
    silent = [unheard(2)] * 4
    expected = sum(
        link[before[track], order[track]]
        for link, before, order in zip(links, orders, orders[1:], strict=False)
        for track in range(2)
    )
    assert log_likelihood(links, silent, orders) == pytest.approx(expected)
    of_voices = log_likelihood([np.zeros((2, 2))] * 3, voices, orders)
    assert log_likelihood(links, voices, orders) == pytest.approx(expected + of_voices)


def test_the_likelihood_is_the_same_whatever_the_speakers_are_called():
    links, voices = vague_evidence(3, 1)
    orders = shuffles(3, 4, np.random.default_rng(0))
    renamed = [order[[2, 0, 1]] for order in orders]
    assert log_likelihood(links, voices, renamed) == pytest.approx(log_likelihood(links, voices, orders))


def test_the_likelihood_of_voices_does_not_depend_on_the_order_of_the_chunks():
    """It is a joint one, although it is summed chunk by chunk."""
    _, voices = vague_evidence(3, 2)
    orders = shuffles(3, 4, np.random.default_rng(0))
    links = [np.zeros((3, 3))] * 3
    backwards = log_likelihood(links, voices[::-1], orders[::-1])
    assert backwards == pytest.approx(log_likelihood(links, voices, orders))
