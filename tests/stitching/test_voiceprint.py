"""What is heard of a voice, and the likelihoods that follow, against closed forms and scipy's."""

import numpy as np
import pytest
from scipy.signal import lfilter

from src.stitching.voiceprint import (
    FRAME_SECONDS,
    FRAMES_OF_ONE,
    HOP_SECONDS,
    NUM_BANDS,
    SESSION_VARIANCE,
    Listener,
    SpeakerModel,
    Voices,
    mel_bands,
)
from tests.synthetic import RATE, voice

FRAME, HOP = round(FRAME_SECONDS * RATE), round(HOP_SECONDS * RATE)
FEATURES = NUM_BANDS - 1
POWER = 0.05**2  # mean square of a synthetic voice
PITCHES = (100.0, 130.0, 170.0, 230.0)


def tracks_of(*signals: np.ndarray) -> np.ndarray:
    return np.stack(signals).astype(np.float64)


def heard(tracks: np.ndarray, mean_power: float = POWER) -> Voices:
    """By a new listener, as it comes: not centered."""
    return Listener(RATE, mean_power).hear(tracks.sum(axis=0), tracks)


def precision(num_frames: int) -> float:
    return 1 / (FRAMES_OF_ONE / num_frames + SESSION_VARIANCE)


def num_frames(num_samples: int) -> int:
    return (num_samples - FRAME) // HOP + 1


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


# mel bands


def test_bands_are_triangles_evenly_spaced_in_mel():
    bands = mel_bands(RATE, FRAME)
    assert bands.shape == (NUM_BANDS, FRAME // 2 + 1)
    assert (bands >= 0).all()
    assert (bands <= 1).all()
    hertz = np.arange(FRAME // 2 + 1) * RATE / FRAME
    mel = 2595 * np.log10(1 + hertz / 700)
    low, high = 2595 * np.log10(1 + np.array([80.0, 3800.0]) / 700)
    spacing = (high - low) / (NUM_BANDS + 1)
    for number, band in enumerate(bands):
        center = low + (number + 1) * spacing
        inside = np.abs(mel - center) < spacing
        np.testing.assert_array_equal(band > 0, inside)
        assert abs(mel[band.argmax()] - center) < spacing / 2
    between = (mel > low + spacing) & (mel < high - spacing)
    np.testing.assert_allclose(bands.sum(axis=0)[between], 1)  # neighbours share what lies between their centers
    assert not bands[:, (hertz <= 80) | (hertz >= 3800)].any()


@pytest.mark.parametrize("rate", [400, 500, 1000, 4000, 8000, 11025, 16000, 48000])
def test_bands_of_any_rate_end_below_half_of_it_and_hear_something(rate):
    frame = round(FRAME_SECONDS * rate)
    bands = mel_bands(rate, frame)
    assert len(bands) == NUM_BANDS if rate >= 1000 else 10 < len(bands) < NUM_BANDS
    assert (bands.sum(axis=1) > 0).all()
    hertz = np.arange(frame // 2 + 1) * rate / frame
    assert not bands[:, hertz >= min(3800.0, 0.475 * rate)].any()
    tracks = np.random.default_rng(0).standard_normal((2, rate))
    assert Listener(rate, 1.0).hear(tracks.sum(axis=0), tracks).means.shape == (2, len(bands) - 1)


# hearing


def test_a_voice_is_the_mean_of_its_log_bands_without_their_level():
    """With another transform than the product's: DCT-II by its definition, band by band."""
    rng = np.random.default_rng(0)
    tracks = rng.standard_normal((2, FRAME + HOP))  # two frames
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    basis = np.cos(np.pi * np.outer(np.arange(1, NUM_BANDS), np.arange(NUM_BANDS) + 0.5) / NUM_BANDS)
    features = []
    for start in (0, HOP):
        power = np.abs(np.fft.rfft(tracks[0, start : start + FRAME] * window)) ** 2
        features.append(np.sqrt(2 / NUM_BANDS) * basis @ np.log(mel_bands(RATE, FRAME) @ power + 1e-5 * power.sum()))
    voices = heard(tracks, mean_power=1.0)
    np.testing.assert_allclose(voices.means[0], np.mean(features, axis=0), rtol=1e-9)
    np.testing.assert_allclose(voices.precisions, precision(2))


@pytest.mark.parametrize("level", [1e-3, 7.0])
def test_the_level_says_nothing(level):
    tracks = tracks_of(voice(110, 3, 0), voice(210, 3, 0))
    voices = heard(tracks)
    louder = heard(level * tracks, level**2 * POWER)
    np.testing.assert_allclose(louder.means, voices.means, atol=1e-9)
    np.testing.assert_allclose(louder.precisions, voices.precisions)


def test_silence_is_unheard():
    talk = voice(110, 2, 0)
    rest = silence(2)
    assert (heard(tracks_of(rest, rest)).precisions == 0).all()
    assert (heard(tracks_of(rest, rest), mean_power=0.0).precisions == 0).all()
    assert (heard(0.03 * tracks_of(talk, talk[::-1])).precisions == 0).all()  # -30 dB of the recording
    voices = heard(tracks_of(talk, rest))
    assert voices.precisions[0] == pytest.approx(precision(num_frames(talk.size)))
    assert voices.precisions[1] == 0
    paused = heard(tracks_of(np.concatenate([talk, silence(30)]), silence(32)))
    assert paused.precisions[0] == pytest.approx(precision(num_frames(talk.size)), rel=0.05)
    np.testing.assert_allclose(paused.means[0], voices.means[0], atol=0.1)


def test_less_than_a_frame_is_unheard():
    voices = heard(tracks_of(*np.random.default_rng(0).standard_normal((3, FRAME - 1))), 1.0)
    np.testing.assert_array_equal(voices.precisions, np.zeros(3))
    np.testing.assert_array_equal(voices.means, np.zeros((3, FEATURES)))


@pytest.mark.parametrize("leakage", [0.0, 0.3, 0.6])
def test_leakage_is_not_counted(leakage):
    """In turns, and what one says is heard on the other's track too."""
    one, other, pause = voice(110, 3, 0), voice(210, 2, 0), silence(1)
    first = np.concatenate([one, pause, leakage * other])
    second = np.concatenate([leakage * one, pause, other])
    voices = heard(tracks_of(first, second))
    alone = heard(tracks_of(one, 0 * one)), heard(tracks_of(other, 0 * other))
    np.testing.assert_allclose(voices.means[0], alone[0].means[0], atol=0.1)
    np.testing.assert_allclose(voices.means[1], alone[1].means[0], atol=0.1)
    assert voices.precisions == pytest.approx([alone[0].precisions[0], alone[1].precisions[0]], rel=0.05)


def test_who_talks_at_once_is_heard_on_both_tracks():
    noise = np.random.default_rng(0).standard_normal((3, 2 * RATE)) * [[1.0], [0.9], [0.05]]
    np.testing.assert_allclose(heard(noise, 1.0).precisions, [precision(num_frames(2 * RATE))] * 2 + [0])


def test_precision_grows_with_the_frames_and_saturates():
    noise = np.random.default_rng(0).standard_normal((2, 32 * RATE))
    lengths = [RATE // 8, RATE // 2, 2 * RATE, 8 * RATE, 32 * RATE]
    precisions = [heard(noise[:, :length], 1.0).precisions[0] for length in lengths]
    np.testing.assert_allclose(precisions, [precision(num_frames(length)) for length in lengths])
    assert (np.diff(precisions) > 0).all()
    assert 0.9 * 40 < precisions[-1] < 1 / SESSION_VARIANCE


# what all of a recording has in common


def compared(chunks: list[np.ndarray]) -> list[Voices]:
    mean_power = float(np.mean([np.square(chunk.sum(axis=0)).mean() for chunk in chunks]))
    listener = Listener(RATE, mean_power)
    return listener.comparable([listener.hear(chunk.sum(axis=0), chunk) for chunk in chunks])


def test_frames_come_out_centered_and_white():
    """A long track's frames one by one, made comparable by a listener who heard the whole."""
    noise = lfilter([1], [1, -0.9], np.random.default_rng(0).standard_normal((2, 20 * RATE)), axis=-1)
    noise[1] = 0
    power = float(np.square(noise[0]).mean())
    listener, other = Listener(RATE, power), Listener(RATE, power)
    whole = listener.hear(noise[0], noise)
    pieces = [noise[:, start : start + FRAME] for start in range(0, noise.shape[1] - FRAME + 1, HOP)]
    frames = [other.hear(piece[0], piece) for piece in pieces]
    raw = np.array([frame.means[0] for frame in frames])
    assert np.abs(np.cov(raw.T) - np.eye(FEATURES)).max() > 0.5
    white = np.array([frame.means[0] for frame in listener.comparable(frames)])
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(white.T), np.eye(FEATURES), atol=0.1)
    np.testing.assert_allclose(listener.comparable([whole])[0].means[0], 0, atol=1e-9)


def in_turns(seed: int) -> list[np.ndarray]:
    """Two chunks of three people who talk one after the other: tracks [3, T] of noise, each of another color."""
    rng = np.random.default_rng(seed)
    colors = [[1, -1.8 * np.cos(angle) * 0.6, 0.36] for angle in (0.5, 1.2, 2.0)]
    chunks = []
    for _ in range(2):
        chunk = np.zeros((3, 9 * RATE))
        for person, color in enumerate(colors):
            turn = slice((3 * person) * RATE, (3 * person + 2) * RATE)
            chunk[person, turn] = lfilter([1], color, rng.standard_normal(2 * RATE))
        chunks.append(chunk)
    return chunks


@pytest.mark.parametrize("channel", [([1, -0.7], [1]), ([1, 0.7], [1]), ([1], [1, -0.8])])
def test_a_filter_before_the_microphone_says_nothing_about_the_people(channel):
    chunks = in_turns(0)
    filtered = [lfilter(*channel, chunk, axis=-1) for chunk in chunks]
    expected = ratios_between(compared(chunks))
    largest = np.abs(expected).max()
    np.testing.assert_allclose(ratios_between(compared(filtered)), expected, atol=0.1 * largest)
    only_late = ratios_between(compared([chunks[0], filtered[1]]))
    assert np.abs(only_late - expected).max() > 0.3 * largest  # so it is no weak filter


def ratios_between(voices: list[Voices]) -> np.ndarray:
    """[pairs, C, C]: every chunk's voices against the speakers of every other chunk."""
    models = [SpeakerModel.new(voice).plus(voice) for voice in voices]
    return np.array([model.log_likelihood_ratios(voice) for model in models for voice in voices])


def test_nothing_heard_is_no_error():
    listener = Listener(RATE, 0.0)
    voices = listener.comparable([listener.hear(silence(1), tracks_of(silence(1), silence(1)))] * 2)
    np.testing.assert_array_equal(ratios_between(voices), np.zeros((4, 2, 2)))


# the verdict


@pytest.mark.parametrize(("one", "other"), [(100.0, 130.0), (130.0, 170.0), (100.0, 230.0)])
def test_the_same_person_is_likely_and_another_is_not(one, other):
    halves = np.split(tracks_of(voice(one, 12, 3), voice(other, 12, 3)), 2, axis=1)
    first, second = compared(halves)
    ratios = SpeakerModel.new(first).plus(first).log_likelihood_ratios(second)
    assert (np.diag(ratios) > 5).all(), ratios
    assert (ratios[[0, 1], [1, 0]] < -5).all(), ratios
