"""Cutting into half-overlapping chunks and merging: an inverse pair at every length."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.models import chunks
from src.models.chunks import count_chunks, merge, split
from src.runtime import start
from tests.models import numpy_ops


@pytest.fixture
def in_numpy(monkeypatch):
    monkeypatch.setattr(chunks, "ops", numpy_ops)


def random_shapes(number):
    """F, K (odd ones too), B and M, the short ones often."""
    rng = np.random.default_rng(5)
    for _ in range(number):
        chunk_frames = int(rng.integers(2, 60))
        num_frames = int(rng.integers(1, 6 * chunk_frames))
        yield num_frames, chunk_frames, int(rng.integers(1, 4)), int(rng.integers(1, 5))


def random_frames(*shape):
    return np.random.default_rng([6, *shape]).standard_normal(shape).astype(np.float32)


def test_merge_inverts_split_at_hundreds_of_shapes(in_numpy):
    for num_frames, chunk_frames, batch, channels in random_shapes(600):
        frames = random_frames(num_frames, batch, channels)
        before = frames.copy()
        found = merge(split(frames, chunk_frames), num_frames)
        np.testing.assert_array_equal(found, frames, err_msg=f"F={num_frames}, K={chunk_frames}")
        np.testing.assert_array_equal(frames, before)


def test_chunks_lie_half_a_chunk_apart_with_zeros_around(in_numpy):
    for num_frames, chunk_frames, batch, channels in random_shapes(200):
        frames = random_frames(num_frames, batch, channels)
        found = split(frames, chunk_frames)
        assert found.shape == (count_chunks(num_frames, chunk_frames), chunk_frames, batch, channels)
        assert len(found) % 2 == 0
        for number, chunk in enumerate(found):
            places = number // 2 * chunk_frames - (0 if number % 2 else chunk_frames // 2) + np.arange(chunk_frames)
            inside = (places >= 0) & (places < num_frames)
            np.testing.assert_array_equal(chunk[inside], frames[places[inside]])
            assert not chunk[~inside].any()


def test_every_frame_is_in_exactly_two_chunks(in_numpy):
    for num_frames, chunk_frames, _, _ in random_shapes(200):
        numbers = np.arange(1, num_frames + 1, dtype=np.float32).reshape(-1, 1, 1)
        held, counts = np.unique(split(numbers, chunk_frames), return_counts=True)
        np.testing.assert_array_equal(held[held > 0], numbers.ravel())
        assert set(counts[held > 0]) == {2}


def test_merge_is_half_of_the_overlap_add_of_any_chunks(in_numpy):
    for num_frames, chunk_frames, batch, channels in random_shapes(200):
        chunk_frames += chunk_frames % 2  # noqa: PLW2901 - with an odd K the chunks' distance alternates
        count, hop = count_chunks(num_frames, chunk_frames), chunk_frames // 2
        pieces = random_frames(count, chunk_frames, batch, channels)
        added = np.zeros(((count + 1) * hop, batch, channels))
        for number, piece in enumerate(pieces):
            added[number * hop : number * hop + chunk_frames] += piece
        expected = added[hop : hop + num_frames] / 2
        np.testing.assert_allclose(merge(pieces, num_frames), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("num_frames", "chunk_frames", "count"),
    [(1, 10, 2), (4, 10, 2), (5, 10, 4), (10, 10, 4), (14, 10, 4), (15, 10, 6), (15999, 252, 128)],
)
def test_the_number_of_chunks(num_frames, chunk_frames, count):
    assert count_chunks(num_frames, chunk_frames) == count


class RoundTrip(nn.Cell):
    def __init__(self, chunk_frames):
        super().__init__()
        self.chunk_frames = chunk_frames

    def construct(self, frames):
        return merge(split(frames, self.chunk_frames), frames.shape[0])


class WeightedChunks(nn.Cell):
    """The sum of chunks times weights, whose gradient must add up what the two chunks of a frame weigh."""

    def __init__(self, weights):
        super().__init__()
        self.weights = Tensor(weights)

    def construct(self, frames):
        return (split(frames, self.weights.shape[1]) * self.weights).sum()


@pytest.mark.parametrize(
    ("graph_mode", "num_frames", "chunk_frames"),
    [(False, 1, 7), (False, 23, 7), (False, 40, 8), (True, 1, 7), (True, 40, 8)],
)
def test_mindspore_does_as_numpy_does(graph_mode, num_frames, chunk_frames):
    start("CPU", graph_mode=graph_mode)
    frames = random_frames(num_frames, 2, 3)
    np.testing.assert_array_equal(RoundTrip(chunk_frames)(Tensor(frames)).asnumpy(), frames)


@pytest.mark.parametrize("graph_mode", [False, True])
def test_gradients_are_right_at_every_call(graph_mode, monkeypatch):
    start("CPU", graph_mode=graph_mode)
    num_frames, chunk_frames = 23, 8
    weights = random_frames(count_chunks(num_frames, chunk_frames), chunk_frames, 2, 3)
    gradient = ops.grad(WeightedChunks(weights))
    found = [gradient(Tensor(random_frames(num_frames, 2, 3) + shift)).asnumpy() for shift in (0, 1, 2)]
    monkeypatch.setattr(chunks, "ops", numpy_ops)
    expected = 2 * merge(weights, num_frames)
    for value in found:
        np.testing.assert_allclose(value, expected, atol=1e-6)
