"""How far two versions agree, which sign a track has, and chunks of a recording one after the other."""

import tracemalloc

import numpy as np
import pytest

from src.stitching.alignment import Aligner, Overlap, compare, find_signs, search
from src.stitching.voiceprint import Voices
from tests.synthetic import RATE, voice

# an overlap


def noise(count: int, num_samples: int = 4000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, num_samples))


def orthogonal(count: int, num_samples: int = 4000) -> np.ndarray:
    """[C, T], each of energy 1."""
    return np.linalg.qr(noise(count, num_samples).T)[0].T


def test_equal_versions_agree_in_full():
    tracks = orthogonal(3) * [[3.0], [1.0], [0.1]]
    energies = np.square([3.0, 1.0, 0.1])
    agreement = compare(tracks, tracks).agreement(0.0)
    np.testing.assert_allclose(agreement, np.diag(energies / energies.sum()), atol=1e-12)
    np.testing.assert_allclose(compare(tracks, -tracks).agreement(0.0), agreement, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 0.5, 4.0])
def test_agreement_has_no_unit_but_versions_of_unlike_level_agree_less(scale):
    tracks, other = noise(2, seed=1), noise(2, seed=2) + noise(2, seed=1)
    power = 0.3
    expected = compare(tracks, other).agreement(power)
    np.testing.assert_allclose(compare(scale * tracks, scale * other).agreement(scale**2 * power), expected)
    trace = np.trace(compare(orthogonal(2), scale * orthogonal(2)).agreement(0.0))
    assert trace == pytest.approx(2 * scale / (1 + scale**2))


def test_where_most_is_quiet_an_overlap_says_little():
    tracks = orthogonal(2, 1000)  # mean power 2 / 1000
    for mean_power, expected in ((0.0, 1.0), (0.002, 1 / 1.01), (0.2, 1 / 2), (200.0, 1 / 1001)):
        assert np.trace(compare(tracks, tracks).agreement(mean_power)) == pytest.approx(expected)


@pytest.mark.parametrize("mean_power", [0.0, 1.0])
def test_silence_agrees_with_nothing(mean_power):
    tracks, silence = noise(2), np.zeros((2, 4000))
    for pair in ((silence, silence), (silence, tracks), (tracks, silence)):
        np.testing.assert_array_equal(compare(*pair).agreement(mean_power), np.zeros((2, 2)))
        np.testing.assert_array_equal(compare(*pair).correlations(mean_power), np.zeros((2, 2)))
    nothing = compare(np.zeros((2, 0)), tracks)
    np.testing.assert_array_equal(nothing.agreement(mean_power), np.zeros((2, 2)))


def test_only_what_is_shared_is_compared():
    tracks = noise(2, 100)
    overlap = compare(tracks[:, 60:], np.concatenate([tracks[::-1, 60:], noise(2, 60, seed=5)], axis=1))
    assert overlap.num_samples == 40
    np.testing.assert_allclose(overlap.correlations(0.0)[[0, 1], [1, 0]], 1)
    np.testing.assert_allclose(overlap.energies[::-1], overlap.energies_before)


def test_where_one_talks_the_levels_decide():
    """All tracks hold the same voice, so all correlations are 1."""
    talk = noise(1)
    before, after = talk * [[1.0], [0.3]], talk * [[0.3], [1.0]]
    overlap = compare(before, after)
    np.testing.assert_allclose(overlap.correlations(0.0), np.ones((2, 2)))
    agreement = overlap.agreement(1.0)
    assert agreement[0, 1] + agreement[1, 0] > 0.98
    assert agreement[0, 0] + agreement[1, 1] == pytest.approx(0.6 / 1.09, rel=0.02)
    unheard = Voices(np.zeros(2), np.zeros((2, 1)))
    found = search([agreement], [unheard] * 2)
    np.testing.assert_array_equal(found, [[0, 1], [1, 0]])


# signs


def overlap_of(correlations: np.ndarray) -> Overlap:
    ones = np.ones(len(correlations))
    return Overlap(np.asarray(correlations, dtype=float), ones, ones, 100)


def test_signs_follow_the_tracks_through_their_orders():
    orders = [np.array(order) for order in ([0, 1], [1, 0], [0, 1], [0, 1])]
    overlaps = [
        overlap_of([[0.1, -0.9], [0.8, 0.2]]),  # track 0 goes on as the second, turned
        overlap_of([[0.1, 0.9], [-0.7, -0.2]]),  # it goes on as the first, turned again
        overlap_of([[-0.4, -1.0], [-1.0, 0.3]]),  # nothing is clear
    ]
    signs = find_signs(orders, overlaps, 0.0)
    np.testing.assert_array_equal(signs, [[1, 1], [-1, 1], [1, 1], [1, 1]])
    assert all(sign.dtype == np.float32 for sign in signs)


def test_in_silence_no_track_turns_upside_down():
    """What a network leaves in a track whose speaker is silent has any sign."""
    residue = noise(1)[0] * 1e-3
    loud = compare(np.stack([noise(1)[0], residue]), np.stack([noise(1)[0], -residue]))
    mean_power = (loud.energies.sum()) / loud.num_samples
    assert loud.correlations(0.0)[1, 1] == pytest.approx(-1)
    order = np.arange(2)
    np.testing.assert_array_equal(find_signs([order, order], [loud], mean_power), [[1, 1], [1, 1]])
    np.testing.assert_array_equal(find_signs([order, order], [loud], 0.0), [[1, 1], [1, -1]])


# the whole


def in_chunks(sources: np.ndarray, length: int, step: int) -> list[tuple[int, np.ndarray]]:
    starts = range(0, sources.shape[1] - length + 1, step)
    return [(start, sources[:, start : start + length]) for start in starts]


def aligned(sources: np.ndarray, seed: int, length: int = 4 * RATE, step: int = 3 * RATE):
    """The alignment of chunks whose tracks are the sources with random orders and signs, and what was random."""
    rng = np.random.default_rng(seed)
    mixture = sources.sum(axis=0)
    aligner = Aligner(RATE, float(np.square(mixture).mean()))
    persons, signs = [], []
    for start, part in in_chunks(sources, length, step):
        persons.append(rng.permutation(len(sources)))
        signs.append(rng.choice([-1, 1], len(sources)))
        tracks = part[persons[-1]] * signs[-1][:, np.newaxis]
        given = tracks.astype(np.float32)
        aligner.add(start, mixture[start : start + length], given, slice(RATE // 2, 7 * RATE // 2))
        np.testing.assert_array_equal(given, tracks)
    return aligner.result(), persons, signs


@pytest.mark.parametrize("pitches", [(110.0, 210.0), (110.0, 160.0, 230.0)])
@pytest.mark.parametrize("pause", [0, 20])
def test_tracks_of_a_recording_are_put_in_order_and_upright(pitches, pause):
    talk = np.stack([voice(pitch, 40, 5) for pitch in pitches])
    rest = np.zeros((len(pitches), pause * RATE), np.float32)
    sources = np.concatenate([talk[:, : 16 * RATE], rest, talk[:, 16 * RATE :]], axis=1)
    found, persons, signs = aligned(sources, seed=1)
    starts = np.arange(len(persons)) * 3
    talking = [chunk for chunk, start in enumerate(starts) if start + 3 <= 16 or start >= 16 + pause]
    for chunk in talking:
        np.testing.assert_array_equal(persons[chunk][found.orders[chunk]], persons[0])
    linked = [chunk for chunk in talking if starts[chunk] < 16]  # across a silence nobody can tell the sign
    for chunk in linked:
        np.testing.assert_array_equal(found.signs[chunk], signs[chunk][found.orders[chunk]] * signs[0])


def test_evidence_is_of_the_overlaps_and_of_the_used_parts():
    tracks = orthogonal(2, 16_000) * np.sqrt([[6000.0], [4000.0]])  # mean powers 0.375 and 0.25
    aligner = Aligner(RATE, 0.625)
    for start in (0, 7000):
        part = tracks[:, start : start + 9000].astype(np.float32)
        aligner.add(start, part.sum(axis=0), part, slice(1000, 8000))
    (agreement,), voices = aligner.evidence()
    assert np.trace(agreement) == pytest.approx(1 / 1.01, rel=1e-3)  # for the overlap is as loud as the rest
    num_frames = (7000 - 512) // 128 + 1
    for voice_of_chunk in voices:
        np.testing.assert_allclose(voice_of_chunk.precisions, 1 / (10 / num_frames + 0.02))


def test_what_is_kept_does_not_grow_with_the_chunks_length():
    """Once the last chunk's tracks are taken off, which wait for the next one."""

    def kept_by_chunk(length: int) -> float:
        tracks = noise(3, length, seed=length).astype(np.float32)
        aligner = Aligner(RATE, 3.0)
        numbers = []
        tracemalloc.start()
        for chunk in range(21):
            aligner.add(chunk * length // 2, tracks.sum(axis=0), tracks, slice(length // 4, 3 * length // 4))
            if chunk in (1, 20):
                numbers.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        return (numbers[1] - numbers[0]) / 19

    short, long = kept_by_chunk(4000), kept_by_chunk(16_000)
    assert long < 5000  # bytes
    assert abs(long - short) < 500
