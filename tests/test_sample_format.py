"""Bytes of wav files against SciPy's and libsndfile's; whole steps in closed form."""

import io

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from src import sample_format
from src.sample_format import encode, exceeds_full_scale, to_integers, to_steps, wav_header, wav_padding

STEP_24 = 2.0**-23


def noise(*shape: int) -> np.ndarray:
    return 0.3 * np.random.default_rng(shape).standard_normal(shape)


@pytest.mark.parametrize("shape", [(7,), (6, 2)])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_files_are_those_of_scipy(shape, subtype):
    samples = noise(*shape)
    stored = samples.astype(np.float32) if subtype == "FLOAT" else to_integers(to_steps(samples, subtype), subtype)
    expected = io.BytesIO()
    wavfile.write(expected, 44100, stored)
    header = wav_header(shape[0], samples.size // shape[0], 44100, subtype)
    assert header + encode(samples, subtype) == expected.getvalue()


@pytest.mark.parametrize("num_samples", [1, 10])  # an odd number of bytes, and an even one
def test_24_bits_are_read_back(num_samples):
    steps = np.random.default_rng(0).integers(-(2**23), 2**23, num_samples)
    steps[0] = -(2**23)
    content = wav_header(num_samples, 1, 96000, "PCM_24") + encode(steps * STEP_24, "PCM_24")
    content += wav_padding(num_samples, 1, "PCM_24")
    assert len(content) % 2 == 0
    found, rate = soundfile.read(io.BytesIO(content), dtype="int32")
    assert rate == 96000
    np.testing.assert_array_equal(found, steps << 8)


@pytest.mark.parametrize(
    ("num_samples", "subtype", "form"),
    [
        (2**31 - 23, "PCM_16", "WAV"),
        (2**31 - 17, "PCM_16", "RF64"),
        (2**31, "FLOAT", "RF64"),
        (2**33, "PCM_24", "RF64"),
    ],
)
def test_more_than_32_bits_of_size_are_told_by_rf64(tmp_path, num_samples, subtype, form):
    path = tmp_path / "a.wav"
    with path.open("wb") as file:  # a file with a hole: it takes no room
        file.write(wav_header(num_samples, 1, 8000, subtype))
        file.truncate(file.tell() + num_samples * sample_format.BITS[subtype] // 8)
    with soundfile.SoundFile(path) as handle:
        assert (handle.format, handle.subtype, handle.frames) == (form, subtype, num_samples)
        assert "should be" not in handle.extra_info
        handle.seek(num_samples - 1)
        assert handle.read(2).size == 1


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_steps_are_rounded_and_clipped(subtype):
    scale = 2 ** (sample_format.BITS[subtype] - 1)
    steps = to_steps(np.array([0.4, 0.6, -0.4, -0.6, 3.0 * scale, -3.0 * scale]) / scale, subtype)
    np.testing.assert_array_equal(to_integers(steps, subtype), [0, 1, 0, -1, scale - 1, -scale])


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize(("steps_over", "exceeds"), [(-1, False), (-0.6, False), (-0.4, True), (0, True)])
def test_full_scale_is_what_integers_hold(subtype, steps_over, exceeds):
    scale = 2 ** (sample_format.BITS[subtype] - 1)
    assert exceeds_full_scale(to_steps([0.0, 1 + steps_over / scale], subtype), subtype) is exceeds
    assert exceeds_full_scale(to_steps([0.0, -1 - (steps_over + 1) / scale], subtype), subtype) is exceeds


@pytest.mark.parametrize("subtype", sample_format.BITS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_numbers_are_refused(subtype, bad):
    with pytest.raises(ValueError, match="Expected finite samples"):
        encode(np.array([0.0, bad]), subtype)
