"""Separated chunks are the whole again, whatever orders and signs they came with, and nothing is left behind."""

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from src.audio_stream import SampleFile
from src.errors import UserError
from src.stitching.chunks import Chunking, fade_in, plan_chunks, separate_in_chunks
from tests.separation_stand_ins import split_in_two

RATE = 8000


def recording(num_samples: int, seed: int = 0) -> np.ndarray:
    """Noise that cannot be written to."""
    samples = 0.1 * np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32)
    samples.flags.writeable = False
    return samples


def in_equal_parts(mixtures: np.ndarray) -> np.ndarray:
    """[B, 2, T], all tracks alike."""
    return np.stack([mixtures, mixtures], axis=1) / np.float32(2)


def low_and_high(mixtures: np.ndarray) -> np.ndarray:
    """[B, 2, T]. Looks back one sample, so what a chunk lacks is at its very start."""
    return split_in_two(mixtures).astype(np.float32)


def three_bands(mixtures: np.ndarray) -> np.ndarray:
    """[B, 3, T] whose sum is the mixture; looks back three samples."""
    low, high = np.moveaxis(split_in_two(mixtures), 1, 0)
    middle = lfilter([0.5, 0, 0.5], [1.0], high, axis=-1)
    return np.stack([low, middle, high - middle], axis=1).astype(np.float32)


def separated(samples, separate, chunking, **settings) -> np.ndarray:
    return np.concatenate(list(separate_in_chunks(samples, separate, chunking, RATE, **settings)), axis=1)


# the whole again


@pytest.mark.parametrize(
    ("num_samples", "chunking"),
    [
        (1, Chunking()),
        (4000, Chunking(4000, 1000)),
        (4001, Chunking(4000, 1000)),
        (4001, Chunking(4000, 0)),
        (9999, Chunking(2001, 999)),
        (9999, Chunking(2000, 1000)),
        (20_011, Chunking(1500, 1)),
        (700, Chunking(100, 40)),  # less than a frame in which voices are heard
        (17, Chunking(2, 1)),
    ],
)
def test_a_network_that_changes_nothing_gives_the_mixture(num_samples, chunking):
    mixture = recording(num_samples)
    tracks = separated(mixture, in_equal_parts, chunking)
    assert (tracks.dtype, tracks.shape) == (np.float32, (2, num_samples))
    np.testing.assert_allclose(2 * tracks, np.stack([mixture, mixture]), rtol=0, atol=1e-6)


def test_one_chunk_is_the_networks_own_output():
    mixture = recording(3000)
    for chunking in (Chunking(), Chunking(3000, 1500), Chunking(4000, 0)):
        pieces = list(separate_in_chunks(mixture, three_bands, chunking, RATE, batch_size=4))
        assert len(pieces) == 1
        np.testing.assert_array_equal(pieces[0], three_bands(mixture[np.newaxis])[0])


class Shuffling:
    """Right tracks, as of the whole recording, in an order and with signs that are drawn anew for every chunk."""

    def __init__(self, separate, seed: int) -> None:
        self.separate, self.rng = separate, np.random.default_rng(seed)
        self.first: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, mixtures: np.ndarray) -> np.ndarray:
        return np.stack([self.shuffled(tracks) for tracks in self.separate(mixtures)])

    def shuffled(self, tracks: np.ndarray) -> np.ndarray:
        order, signs = self.rng.permutation(len(tracks)), self.rng.choice([-1, 1], len(tracks))
        self.first = self.first or (order, signs)
        given = (tracks[order] * signs[:, np.newaxis]).astype(np.float32)
        given.flags.writeable = False  # a network's output stays as it is
        return given


@pytest.mark.parametrize("separate", [low_and_high, three_bands])
@pytest.mark.parametrize("chunking", [Chunking(4000, 1000), Chunking(3001, 1500), Chunking(5000, 64)])
@pytest.mark.parametrize("seed", range(3))
def test_random_orders_and_signs_leave_no_trace(separate, chunking, seed):
    mixture = recording(40_000)
    network = Shuffling(separate, seed)
    tracks = separated(mixture, network, chunking, batch_size=3)
    order, signs = network.first  # the first chunk's stay
    expected = separate(mixture[np.newaxis])[0][order] * signs[:, np.newaxis]
    np.testing.assert_allclose(tracks, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_silence_longer_than_a_chunk_does_not_part_the_tracks(seed):
    mixture = np.concatenate([recording(50_000), np.zeros(50_000, np.float32), recording(50_000, seed=1)])
    network = Shuffling(low_and_high, seed)
    tracks = separated(mixture, network, Chunking(16_000, 4000))[:, 100_000:]
    expected = low_and_high(mixture[np.newaxis])[0][network.first[0], 100_000:]
    signs = np.sign(np.sum(tracks * expected, axis=1, keepdims=True))  # nobody can tell them across the silence
    np.testing.assert_allclose(signs * tracks, expected, rtol=0, atol=1e-6)


def test_what_differs_between_chunks_fades():
    mixture, chunking = np.full(9000, 0.5, np.float32), Chunking(2000, 1000)
    gains = iter(range(1, 100))
    tracks = separated(mixture, lambda mixtures: in_equal_parts(mixtures) * np.float32(next(gains)), chunking)
    chunks = plan_chunks(9000, chunking)
    expected = np.full(9000, 0.25)
    for number, chunk in enumerate(chunks[1:], start=2):
        expected[chunk.use_start :] = 0.25 * number
        expected[chunk.use_start : chunk.use_start + chunk.fade] -= 0.25 * (1 - fade_in(chunk.fade))
    np.testing.assert_allclose(tracks, np.stack([expected, expected]), rtol=1e-5)
    assert np.abs(np.diff(tracks[0])).max() <= 0.25 * np.pi / 2 / chunks[1].fade * 1.01  # no jump of 0.25


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_batches_change_nothing(batch_size):
    mixture, chunking, shapes = recording(20_000), Chunking(2000, 500), []

    def watched(mixtures):
        shapes.append(mixtures.shape)
        return low_and_high(mixtures)

    tracks = separated(mixture, watched, chunking, batch_size=batch_size)
    np.testing.assert_array_equal(tracks, separated(mixture, low_and_high, chunking))
    count = len(plan_chunks(20_000, chunking))
    full, rest = divmod(count, batch_size)
    assert shapes == [(batch_size, 2000)] * full + [(rest, 2000)] * (rest > 0)


def test_a_recording_on_disk_gives_the_same(tmp_path):
    mixture, chunking = recording(9001), Chunking(2000, 700)
    with SampleFile(tmp_path) as on_disk:
        on_disk.append(mixture)
        np.testing.assert_array_equal(
            separated(on_disk, low_and_high, chunking), separated(mixture, low_and_high, chunking)
        )


@pytest.mark.parametrize(("num_samples", "chunking"), [(9001, Chunking(2000, 700)), (3001, Chunking(1500, 0))])
def test_silence_stays_silent(num_samples, chunking):
    silence = np.zeros(num_samples, np.float32)
    np.testing.assert_array_equal(separated(silence, low_and_high, chunking), np.zeros((2, num_samples)))


def test_pieces_stay_right_when_they_are_written_over():
    mixture, tracks = recording(9000), []
    for piece in separate_in_chunks(mixture, in_equal_parts, Chunking(2000, 1000), RATE):
        tracks.append(piece.copy())
        piece[:] = np.nan
    np.testing.assert_allclose(np.concatenate(tracks, axis=1).sum(axis=0), mixture, rtol=0, atol=1e-6)


# progress and what is left behind


@pytest.mark.parametrize(
    ("num_samples", "chunking"), [(500, Chunking(2000, 700)), (9001, Chunking(2000, 700)), (9001, Chunking(2001, 1000))]
)
def test_progress_sums_to_the_length_before_the_first_piece(num_samples, chunking):
    told: list[int] = []
    pieces = separate_in_chunks(recording(num_samples), in_equal_parts, chunking, RATE, on_progress=told.append)
    lengths = [next(pieces).shape[1]]
    assert sum(told) == num_samples
    lengths += [piece.shape[1] for piece in pieces]
    assert told == lengths  # with chunks, piece by piece
    assert len(told) == len(plan_chunks(num_samples, chunking))


def open_files_in(folder: Path) -> int:
    """Of this program; those without a name too."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(str(link.readlink()).startswith(str(folder)) for link in links)


def test_the_temporary_file_goes_with_the_last_piece_or_the_generator(tmp_path):
    def begin():
        return separate_in_chunks(recording(9000), in_equal_parts, Chunking(2000, 700), RATE, scratch_dir=str(tmp_path))

    pieces = begin()
    next(pieces)
    assert open_files_in(tmp_path) == 1
    pieces.close()
    assert open_files_in(tmp_path) == 0
    list(begin())
    assert open_files_in(tmp_path) == 0
    assert not list(tmp_path.iterdir())


def test_the_temporary_file_goes_when_the_network_fails(tmp_path):
    seen = []

    def fails_at_the_third(mixtures):
        seen.append(open_files_in(tmp_path))
        if len(seen) == 3:
            raise UserError("found no numbers")
        return in_equal_parts(mixtures)

    with pytest.raises(UserError, match="found no numbers"):
        separated(recording(9000), fails_at_the_third, Chunking(2000, 700), scratch_dir=str(tmp_path))
    assert seen == [1, 1, 1]
    assert open_files_in(tmp_path) == 0
    assert not list(tmp_path.iterdir())


def test_a_temporary_file_that_cannot_be_made_is_told(tmp_path):
    with pytest.raises(UserError, match=r"^the temporary file cannot be written \(No such file or directory\)$"):
        separated(recording(9000), in_equal_parts, Chunking(2000, 700), scratch_dir=str(tmp_path / "none"))
