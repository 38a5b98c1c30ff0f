import numpy as np
import pytest

from src.data import clips
from src.data.clips import (
    GAP,
    LONGEST_UTTERANCE,
    SAMPLE_RATE,
    SHORTEST_UTTERANCE,
    SPEECH_RMS,
    Piece,
    cut_long,
    faded,
    group_pieces,
    joined,
    piece_starts,
    set_level,
    speech_pieces,
    speech_threshold_db,
)
from tests.synthetic import voice

CLEAN_DB = -40.0


def noise(seconds: float, level: float, seed: int = 0) -> np.ndarray:
    return level * np.random.default_rng(seed).normal(size=round(seconds * SAMPLE_RATE))


def steady(seconds: float, seed: int = 1) -> np.ndarray:
    """Sound without pauses: a voice plus a little hiss, so that every frame is loud."""
    return voice(150, seconds, seed) + noise(seconds, 0.02, seed)


@pytest.mark.parametrize(("floor", "expected"), [(1e-6, -40.0), (0.05 * 10 ** (-30 / 20), -24.0), (0.05, -22.0)])
def test_threshold_follows_the_noise_floor_within_its_range(floor: float, expected: float) -> None:
    recordings = [
        np.concatenate([noise(0.3, floor, seed), noise(1.0, 0.05, seed), noise(0.3, floor, seed)]) for seed in range(5)
    ]
    assert speech_threshold_db(recordings) == pytest.approx(expected, abs=2.0)


def test_threshold_of_no_clips_is_defined() -> None:
    assert speech_threshold_db([]) == CLEAN_DB
    assert speech_threshold_db([np.zeros(10)]) == CLEAN_DB


@pytest.mark.parametrize("gain", [0.01, 1.0, 15.0])
def test_level_does_not_depend_on_the_recording_level(gain: float) -> None:
    levelled = set_level(gain * steady(2.0), CLEAN_DB)
    assert np.sqrt(np.mean(levelled**2)) == pytest.approx(SPEECH_RMS, rel=0.02)


def test_silence_does_not_raise_the_level() -> None:
    with_silence = np.concatenate([np.zeros(SAMPLE_RATE), steady(1.0), np.zeros(SAMPLE_RATE)])
    speech = set_level(with_silence, CLEAN_DB)[SAMPLE_RATE : 2 * SAMPLE_RATE]
    assert np.sqrt(np.mean(speech**2)) == pytest.approx(SPEECH_RMS, rel=0.05)


def test_a_peak_never_passes_the_limit() -> None:
    samples = 0.001 * steady(1.0)
    samples[4000] = 0.02
    assert np.abs(set_level(samples, CLEAN_DB)).max() <= clips.PEAK_LIMIT + 1e-12


def test_silence_at_the_ends_and_long_pauses_fall_away() -> None:
    silence = np.zeros(SAMPLE_RATE)
    clip = np.concatenate([silence, steady(1.0), silence, steady(0.5, seed=2), silence])
    pieces = speech_pieces(clip, "x", CLEAN_DB)
    assert [len(piece.samples) / SAMPLE_RATE for piece in pieces] == pytest.approx([1.1, 0.6], abs=0.05)
    assert all(piece.origin == "x" for piece in pieces)


def test_a_short_pause_stays() -> None:
    clip = np.concatenate([steady(1.0), np.zeros(SAMPLE_RATE // 4), steady(1.0, seed=2)])
    assert [len(piece.samples) for piece in speech_pieces(clip, "x", CLEAN_DB)] == [len(clip)]


def test_a_word_in_a_long_silence_is_found() -> None:
    clip = np.concatenate([noise(5.0, 1e-5), steady(0.2), noise(5.0, 1e-5, seed=2)])
    (piece,) = speech_pieces(clip, "x", CLEAN_DB)
    assert len(piece.samples) / SAMPLE_RATE == pytest.approx(0.3, abs=0.05)
    assert np.sqrt(np.mean(piece.samples**2)) > 0.5 * SPEECH_RMS


def test_a_click_is_no_speech() -> None:
    clip = np.zeros(SAMPLE_RATE)
    clip[4000:4040] = np.tile([0.5, -0.5], 20)
    assert speech_pieces(clip, "x", CLEAN_DB) == []
    assert speech_pieces(np.zeros(SAMPLE_RATE), "x", CLEAN_DB) == []


def test_long_speech_is_cut_in_its_quiet_moment_and_nothing_is_lost() -> None:
    speech = steady(8.0)
    quiet = slice(round(4.30 * SAMPLE_RATE), round(4.38 * SAMPLE_RATE))
    speech[quiet] *= 0.01
    parts = list(cut_long(speech))
    assert len(parts) == 2
    assert quiet.start <= len(parts[0]) <= quiet.stop
    np.testing.assert_array_equal(np.concatenate(parts), speech)


@pytest.mark.parametrize("num_samples", [48000, 48001, 48160, 51999, 100_003, 240_000])
def test_cut_parts_are_neither_too_long_nor_crumbs(num_samples: int) -> None:
    speech = noise(num_samples / SAMPLE_RATE, 0.1)
    parts = list(cut_long(speech))
    np.testing.assert_array_equal(np.concatenate(parts), speech)
    assert max(map(len, parts)) <= LONGEST_UTTERANCE
    assert min(map(len, parts)) >= SAMPLE_RATE // 4


def test_edges_are_faded_and_the_input_stays() -> None:
    clip = steady(1.0)
    before = clip.copy()
    (piece,) = speech_pieces(clip, "x", CLEAN_DB)
    np.testing.assert_array_equal(clip, before)
    assert abs(piece.samples[0]) < 1e-3 * np.abs(piece.samples).max()
    assert abs(piece.samples[-1]) < 1e-3 * np.abs(piece.samples).max()


def test_fade_is_short_and_works_on_a_copy() -> None:
    samples = np.ones(1000)
    result = faded(samples)
    np.testing.assert_array_equal(samples, 1)
    np.testing.assert_array_equal(result[clips.FADE : -clips.FADE], 1)
    np.testing.assert_allclose(result, result[::-1])
    assert np.all(np.diff(result[: clips.FADE]) > 0)


def test_groups_hold_every_piece_once_within_the_lengths() -> None:
    rng = np.random.default_rng(3)
    pieces = [Piece(number, np.ones(size)) for number, size in enumerate(rng.integers(1200, 48001, 400))]
    groups, alone = group_pieces(pieces)
    origins = [piece.origin for group in [*groups, alone] for piece in group]
    assert sorted(origins) == list(range(400))
    lengths = [len(joined(group)) for group in groups]
    assert min(lengths) >= SHORTEST_UTTERANCE
    assert max(lengths) <= LONGEST_UTTERANCE
    assert sum(len(piece.samples) for piece in alone) < SHORTEST_UTTERANCE


def test_joined_puts_gaps_of_silence_between_pieces() -> None:
    pieces = [Piece(0, np.full(10, 0.1)), Piece(1, np.full(20, 0.2)), Piece(2, np.full(5, 0.3))]
    utterance = joined(pieces)
    assert piece_starts(pieces) == [0, 10 + GAP, 30 + 2 * GAP]
    assert len(utterance) == 35 + 2 * GAP
    for start, piece in zip(piece_starts(pieces), pieces, strict=True):
        np.testing.assert_array_equal(utterance[start : start + len(piece.samples)], piece.samples)
    assert np.count_nonzero(utterance) == 35
