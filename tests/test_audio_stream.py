"""Block by block gives what all at once gives; samples in a file are those that were put there."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from src import audio
from src.audio_stream import ArraySource, FileSource, SampleFile, block_length, fitted, resampled
from src.errors import UserError

ROOT = Path(__file__).parent.parent
RATES = [(44100, 8000), (8000, 44100), (16000, 8000), (8000, 192000), (192000, 8000), (11025, 8000), (8001, 8000)]


def noise(*shape: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(shape).standard_normal(shape)


def in_blocks(samples: np.ndarray, length: int):
    return (samples[start : start + length] for start in range(0, len(samples), length))


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize(("num_samples", "length"), [(1, 1), (2, 1), (7, 1), (7, 3), (20001, 333), (20001, 10**6)])
def test_resampling_in_blocks_is_that_of_the_whole(rates, num_samples, length):
    samples = noise(num_samples, 2)
    found = np.concatenate(list(resampled(in_blocks(samples, length), *rates)))
    expected = np.stack([soxr.resample(np.ascontiguousarray(row), *rates, quality="HQ") for row in samples.T], axis=1)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    exact = audio.resampled_length(num_samples, *rates)
    in_length = np.concatenate(list(fitted(resampled(in_blocks(samples, length), *rates), exact)))
    np.testing.assert_allclose(in_length, audio.resample(samples.T, *rates).T, rtol=0, atol=1e-12)


def test_one_rate_changes_nothing():
    blocks = [noise(5, 1), noise(3, 1)]
    assert [block is found for block, found in zip(blocks, resampled(blocks, 8000, 8000), strict=True)] == [True] * 2


@pytest.mark.parametrize("num_samples", [1, 4, 5, 9, 10, 11, 30])
def test_fitted_crops_and_pads_at_the_end(num_samples):
    samples = noise(10, 2)
    found = np.concatenate(list(fitted(in_blocks(samples, 5), num_samples)))
    np.testing.assert_array_equal(found, np.pad(samples, [(0, 20), (0, 0)])[:num_samples])


def test_blocks_are_bounded_over_channels_and_growth():
    assert block_length(1) == 8 * block_length(8) == 32 * block_length(1, 32.0)
    assert block_length(1, 0.1) == block_length(1)
    assert block_length(10**9) == 1


@pytest.mark.parametrize("num_channels", [None, 3])
def test_samples_in_a_file(tmp_path, num_channels):
    shape = () if num_channels is None else (num_channels,)
    samples = noise(100, *shape).astype(np.float32)
    with SampleFile(tmp_path, num_channels) as file:
        for block in (samples[:30], samples[30:30], samples[30:]):
            file.append(np.asfortranarray(block))
        assert len(file) == 100
        for part in (slice(0, 100), slice(29, 31), slice(90, 200), slice(50, 50), slice(None, 3)):
            np.testing.assert_array_equal(file[part], samples[part])
        assert [len(block) for block in file.blocks(40)] == [40, 40, 20]
        np.testing.assert_array_equal(np.concatenate(list(file.blocks(40))), samples)
        assert not list(tmp_path.iterdir())  # it has no name
        file.set_length(103)
        np.testing.assert_array_equal(file[98:103], np.concatenate([samples[98:], np.zeros((3, *shape))]))
        file.set_length(2)
        np.testing.assert_array_equal(file[0:9], samples[:2])


def test_a_full_disk_is_told_in_one_line():
    code = """
import sys
import numpy as np
from src.audio_stream import SampleFile
from src.errors import UserError
with SampleFile(None) as file:
    for _ in range(2):
        file.append(np.ones(10_000))
    try:
        file.append(np.ones(10_000))
    except UserError as error:
        print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "the temporary file cannot be written (File too large)\n"


def test_a_folder_that_does_not_take_the_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"the temporary file cannot be written \(Not a directory\)"):
        SampleFile(tmp_path / "file")


def test_an_array_reads_as_the_file_of_its_samples(tmp_path):
    samples = noise(3, 50)
    soundfile.write(tmp_path / "a.wav", samples.T, 44100, subtype="DOUBLE")
    for source in (FileSource(tmp_path / "a.wav"), ArraySource(samples, 44100)):
        for _ in range(2):  # any number of times
            with source.open() as reader:
                assert (reader.sample_rate, reader.num_channels, reader.num_samples) == (44100, 3, 50)
                np.testing.assert_array_equal(reader.read(30), samples.T[:30])
                np.testing.assert_array_equal(reader.read(30), samples.T[30:])
                assert len(reader.read(30)) == 0
