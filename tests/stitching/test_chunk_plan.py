"""Where recordings are cut: options, and a property test of the plan over awkward numbers."""

import itertools
import math

import numpy as np
import pytest

from src.errors import UserError
from src.stitching.chunks import Chunk, Chunking, fade_in, plan_chunks

RATE = 8000
LENGTHS = [2, 3, 4, 5, 8, 9, 15, 16, 31]  # M

# options


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((8.0, 2.0, 8000), Chunking(64000, 16000)),
        ((4, 0, 16000), Chunking(64000, 0)),
        ((0.0, 2.0, 8000), Chunking()),
        ((0.1, 0.05, 11025), Chunking(1102, 551)),
        ((0.103, 0.0515, 1000), Chunking(103, 51)),  # 51.5 would round to more than half
        ((1e300, 0.0, 8000), Chunking(int(8000 * 1e300), 0)),
    ],
)
def test_seconds_become_samples(seconds, expected):
    assert Chunking.from_seconds(*seconds) == expected


@pytest.mark.parametrize(
    ("chunk_seconds", "overlap_seconds", "message"),
    [
        (-1.0, 0.0, "chunk_seconds: found -1.0, expected seconds, or 0"),
        (math.nan, 0.0, "chunk_seconds: found nan, expected seconds, or 0"),
        (math.inf, 0.0, "chunk_seconds: found inf, expected seconds, or 0"),
        (1e305, 0.0, "chunk_seconds: found 1e+305, expected seconds, or 0"),
        (8.0, -0.5, "overlap_seconds: found -0.5, expected seconds, or 0"),
        (8.0, math.nan, "overlap_seconds: found nan, expected seconds, or 0"),
        (8.0, 4.1, "overlap_seconds: found 4.1, expected at most half of chunk_seconds, 4"),
        (1e-6, 0.0, "chunk_seconds: found 1e-06, expected at least 0.1, or 0"),
    ],
)
def test_bad_options_are_one_line(chunk_seconds, overlap_seconds, message):
    with pytest.raises(UserError) as caught:
        Chunking.from_seconds(chunk_seconds, overlap_seconds, RATE)
    assert str(caught.value) == message


# the plan


def awkward_plans():
    """(T, Chunking) with more than one chunk: all V, and T from M + 1 on."""
    for length in LENGTHS:
        for overlap in range(length // 2 + 1):
            for num_samples in range(length + 1, 3 * length + 4):
                yield num_samples, Chunking(length, overlap)
    yield 600 * RATE + 1, Chunking(63999, 31999)


def weights(chunks: list[Chunk], index: int) -> np.ndarray:
    """How much each sample of a chunk's used part counts, by the documentation of `Chunk`."""
    chunk = chunks[index]
    weight = np.ones(chunk.use_stop - chunk.use_start)
    if index > 0:
        weight[: chunk.fade] *= fade_in(chunk.fade)
    if index < len(chunks) - 1:
        weight[weight.size - chunk.fade :] *= fade_in(chunk.fade)[::-1]
    return weight


def test_every_sample_counts_once():
    for num_samples, chunking in awkward_plans():
        chunks = plan_chunks(num_samples, chunking)
        total = np.zeros(num_samples)
        users = np.zeros(num_samples, int)
        for index, chunk in enumerate(chunks):
            total[chunk.use_start : chunk.use_stop] += weights(chunks, index)
            users[chunk.use_start : chunk.use_stop] += 1
        np.testing.assert_allclose(total, 1, atol=1e-6, err_msg=f"{num_samples}, {chunking}")
        assert users.min() == 1
        assert np.sum(users - 1) == sum(chunk.fade for chunk in chunks[1:])


def test_chunks_are_alike_and_share_enough():
    for num_samples, chunking in awkward_plans():
        length, overlap = chunking.chunk_samples, chunking.overlap_samples
        chunks = plan_chunks(num_samples, chunking)
        assert (chunks[0].start, chunks[-1].stop) == (0, num_samples)
        assert {chunk.stop - chunk.start for chunk in chunks} == {length}
        shared = [before.stop - after.start for before, after in itertools.pairwise(chunks)]
        assert min(shared) >= overlap
        assert max(shared) - min(shared) <= 1  # spread evenly
        assert overlap + (len(chunks) - 1) * (length - overlap) < num_samples, "one chunk less would do"


def test_what_is_used_has_context():
    for num_samples, chunking in awkward_plans():
        chunks = plan_chunks(num_samples, chunking)
        for before, after in itertools.pairwise(chunks):
            context = before.stop - before.use_stop, after.use_start - after.start
            assert min(context) >= chunking.overlap_samples // 4
            assert max(context) - min(context) <= 1
            assert abs(after.fade - chunking.overlap_samples / 2) <= 1.5


@pytest.mark.parametrize("num_samples", [1, 99, 100])
def test_one_chunk_where_that_covers_all(num_samples):
    assert plan_chunks(num_samples, Chunking(100, 50)) == [Chunk(0, num_samples, 0, num_samples, 0)]
    assert len(plan_chunks(101, Chunking(100, 50))) == 2


def test_without_chunking_all_is_one_chunk():
    assert plan_chunks(10**9, Chunking()) == [Chunk(0, 10**9, 0, 10**9, 0)]


@pytest.mark.parametrize("num_samples", [1, 2, 7, 1000])
def test_fades_rise_and_are_complementary(num_samples):
    rise = fade_in(num_samples)
    assert rise.dtype == np.float32
    np.testing.assert_allclose(rise + rise[::-1], 1, atol=1e-6)
    assert (np.diff(rise) > 0).all()
    assert 0 < rise[0] <= 0.5 <= rise[-1] < 1


@pytest.mark.parametrize(("chunk_seconds", "expected"), [(16.0, 4.0), (40.0, 4.0), (2.0, 0.5), (0.0, 0.0)])
def test_without_a_word_the_overlap_fits_the_chunk(chunk_seconds, expected):
    chunking = Chunking.from_seconds(chunk_seconds, None, RATE)
    assert chunking.overlap_samples == expected * RATE
