"""Audio files: what is read, what is refused with which line, and what is written."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src import audio
from src.errors import UserError

RATE = 8000


def noise(*shape: int, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng([1, *shape]).standard_normal(shape) * level


def sine(num_samples: int, rate: int, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(num_samples) / rate)


def cut(path: Path, num_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:num_bytes])


@pytest.mark.parametrize("extension", ["wav", "flac", "aiff", "w64", "rf64"])
def test_reads_all_channels_and_the_rate(tmp_path, extension):
    samples = audio.from_pcm16(audio.to_pcm16(noise(500, 3)))
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, audio.to_pcm16(samples), 44100)
    found, rate = audio.read_audio(path)
    assert (found.shape, found.dtype, rate) == ((3, 500), np.float64, 44100)
    np.testing.assert_array_equal(found, samples.T)


def test_mono_is_the_mean_of_the_channels(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([np.full(9, 0.5), np.full(9, -0.25)], axis=1), RATE, subtype="DOUBLE")
    mono = audio.read_mono(path)
    assert mono.dtype == np.float32
    np.testing.assert_array_equal(mono, np.full(9, 0.125, np.float32))


def test_mono_at_another_rate(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, sine(44100, 44100), 44100, subtype="PCM_24")
    mono = audio.read_mono(path, RATE)
    assert mono.shape == (8000,)
    np.testing.assert_allclose(mono[500:-500], sine(8000, RATE)[500:-500], atol=1e-3)


COMPRESSED = {"a.flac": "PCM_16", "a.mp3": "MPEG_LAYER_III", "a.ogg": "VORBIS", "a.opus": "OPUS", "a.wav": "PCM_24"}
CONTAINERS = {"a.opus": "OGG"}


@pytest.mark.parametrize("name", COMPRESSED)
def test_blocks_are_the_whole(tmp_path, name):
    path, rate = tmp_path / name, 48000
    with soundfile.SoundFile(path, "w", rate, 2, COMPRESSED[name], format=CONTAINERS.get(name)) as file:
        for _ in range(20):  # libsndfile's Ogg encoder crashes on long pieces
            file.write(noise(2000, 2))
    expected, _ = soundfile.read(path, always_2d=True)
    with audio.open_audio(path) as reader:
        assert (reader.sample_rate, reader.num_channels, reader.subtype) == (rate, 2, COMPRESSED[name])
        assert reader.num_samples == len(expected)
        found = np.concatenate(list(reader.blocks(777)))
    np.testing.assert_array_equal(found, expected)


# what is refused


def test_bad_samples_are_all_told_when_the_last_block_has_been_read(tmp_path):
    path = tmp_path / "a.wav"
    samples = noise(100)
    samples[[3, 50]] = np.nan, np.inf
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    with audio.open_audio(path, "the name") as reader:
        for _ in range(5):
            assert np.isfinite(reader.read(20)).all()
        with pytest.raises(UserError, match="the name: found 2 NaN or infinite samples"):
            reader.read(20)


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        audio.read_audio(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_missing_file(tmp_path):
    assert "no such file" in refused(tmp_path / "a.wav")


def test_folder_instead_of_a_file(tmp_path):
    assert "found a folder" in refused(tmp_path)


def test_empty_file(tmp_path):
    path = tmp_path / "a.wav"
    path.touch()
    assert "0 bytes" in refused(path)


def test_no_samples(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), RATE)
    assert "found 0 samples, expected at least 1" in refused(path)


def test_text_named_wav(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("not a sound\n" * 100)
    assert "unreadable, expected audio" in refused(path)


@pytest.mark.parametrize("extension", ["wav", "aiff", "w64", "rf64"])
def test_truncated_file_names_both_sizes(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, noise(20000), RATE)
    cut(path, path.stat().st_size - 10000)
    words = refused(path).partition("truncated, found ")[2].replace(",", "").split()
    found, expected = int(words[0]), int(words[-1])
    assert expected - found == 10000


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("extension", ["flac", "mp3", "ogg"])
def test_truncated_compressed_file(tmp_path, extension, fraction, capfd):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, noise(60000), RATE)
    cut(path, int(path.stat().st_size * fraction))
    message = refused(path)
    assert "truncated" in message or "unreadable" in message or "found 0 samples" in message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path, bad):
    path = tmp_path / "a.wav"
    samples = noise(100)
    samples[[3, 50]] = bad
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    assert "found 2 NaN or infinite samples" in refused(path)


def write_with_declared_size(path: Path, size: int) -> None:
    """A wav file of 300 samples whose header tells another number of bytes."""
    soundfile.write(path, noise(300), RATE)
    header = bytearray(path.read_bytes())
    for where, more in ((header.index(b"data") + 4, 0), (4, 36)):
        header[where : where + 4] = struct.pack("<I", min(size + more, 0xFFFFFFFF))
    path.write_bytes(bytes(header))


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFE, 0x80000000])
def test_wav_from_a_pipe_with_unknown_size_is_read(tmp_path, size):
    write_with_declared_size(tmp_path / "a.wav", size)
    assert audio.read_audio(tmp_path / "a.wav")[0].shape == (1, 300)


def test_a_truncated_file_of_more_than_2_gigabytes_is_not_taken_for_one(tmp_path):
    write_with_declared_size(tmp_path / "a.wav", 3_000_000_000)
    assert "truncated" in refused(tmp_path / "a.wav")


def test_flac_from_a_pipe_with_unknown_length_is_read(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(300), RATE)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO: 36 bits of length; 0: unknown
    content[22:26] = bytes(4)
    path.write_bytes(bytes(content))
    assert audio.read_audio(path)[0].shape == (1, 300)


def test_a_file_without_a_header(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(100))
    assert "found a file without a header" in refused(tmp_path / "a.raw")


def test_missing_pad_byte_is_no_truncation(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(301), RATE, subtype="PCM_U8")
    assert path.stat().st_size == 44 + 302
    cut(path, 44 + 301)
    assert audio.read_audio(path)[0].shape == (1, 301)


# numbers


def test_pcm16_is_inverted_exactly():
    steps = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(audio.to_pcm16(audio.from_pcm16(steps)), steps)


def test_pcm16_rounds_to_the_nearest_and_clips():
    samples = np.array([0.4, 0.6, -0.4, -0.6, 40000, -40000]) / 32768
    np.testing.assert_array_equal(audio.to_pcm16(samples), [0, 1, 0, -1, 32767, -32768])


def test_pcm16_refuses_nan():
    with pytest.raises(ValueError, match="Expected finite samples"):
        audio.to_pcm16([0.0, np.nan])


@pytest.mark.parametrize("rates", [(8000, 44100), (44100, 8000), (16000, 8000), (8000, 8000)])
@pytest.mark.parametrize("num_samples", [1, 2, 777])
def test_resample_to_an_exact_length(rates, num_samples):
    samples = noise(2, num_samples)
    before = samples.copy()
    assert audio.resample(samples, *rates).shape == (2, -(-num_samples * rates[1] // rates[0]))
    for length in (1, 500, 5000):
        assert audio.resample(samples, *rates, length=length).shape == (2, length)
    np.testing.assert_array_equal(samples, before)


def test_resample_at_one_rate_is_a_copy():
    samples = noise(10)
    same = audio.resample(samples, RATE, RATE)
    np.testing.assert_array_equal(same, samples)
    assert same is not samples


# writing


@pytest.mark.parametrize(("subtype", "dtype"), [("PCM_16", "int16"), ("FLOAT", "float32")])
@pytest.mark.parametrize("shape", [(200,), (200, 2)])
def test_written_samples_are_read_back(tmp_path, subtype, dtype, shape):
    samples = noise(*shape, level=0.9)
    path = tmp_path / "new" / "a.wav"
    audio.write_wav(path, samples, RATE, subtype)
    info = soundfile.info(path)
    assert (info.subtype, info.format, info.samplerate, info.frames) == (subtype, "WAV", RATE, 200)
    found = soundfile.read(path, dtype=dtype)[0]
    expected = audio.to_pcm16(samples) if dtype == "int16" else samples.astype(np.float32)
    np.testing.assert_array_equal(found, expected)


def test_int16_is_written_as_it_is(tmp_path):
    steps = audio.to_pcm16(noise(100))
    audio.write_wav(tmp_path / "a.wav", steps, RATE)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="int16")[0], steps)


@pytest.mark.parametrize("subtype", audio.BITS)
def test_equal_samples_give_equal_bytes_on_any_day(tmp_path, subtype):
    for name in ("a.wav", "b.wav"):
        audio.write_wav(tmp_path / name, noise(100), RATE, subtype)
    content = (tmp_path / "a.wav").read_bytes()
    assert content == (tmp_path / "b.wav").read_bytes()
    assert b"PEAK" not in content  # libsndfile's chunk with the time of writing


@pytest.mark.parametrize("subtype", audio.BITS)
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, subtype):
    path = tmp_path / "a.wav"
    path.write_text("old")
    with pytest.raises(ValueError, match="Expected finite samples"):
        audio.write_wav(path, np.array([np.nan]), RATE, subtype)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), audio.written_aside(path) as aside:
        aside.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"a\.wav: cannot be written"):
        audio.write_wav(tmp_path / "file" / "a.wav", noise(10), RATE)


def test_wrong_arguments_for_writing(tmp_path):
    with pytest.raises(ValueError, match=r"Expected one of the subtypes PCM_16, PCM_24, FLOAT\. Found: PCM_U8"):
        audio.write_wav(tmp_path / "a.wav", noise(10), RATE, "PCM_U8")
    with pytest.raises(ValueError, match=r"Expected samples of shape .* Found: \(1, 2, 3\)"):
        audio.write_wav(tmp_path / "a.wav", noise(1, 2, 3), RATE)
