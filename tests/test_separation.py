"""Files of every kind through a stand-in network; one real network at the end."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from mindspore import Tensor
from scipy.signal import lfilter

import separate
from src import checkpoint, inference, separation
from src.audio import read_audio
from src.config import Config, ModelConfig
from src.errors import UserError
from src.models.swave import Swave

MODEL_RATE = 8000
T = 4000


def signals(count: int, num_samples: int = T, seed: int = 0) -> np.ndarray:
    white = np.random.default_rng([seed, count]).standard_normal((count, num_samples))
    return 0.1 * lfilter([1.0], [1.0, -0.9], white, axis=-1)


def without_part_along(signal: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """What is left of a signal after least squares on others."""
    basis = np.stack(others, axis=1)
    return signal - basis @ np.linalg.lstsq(basis, signal, rcond=None)[0]


# files, with stand-ins for the network


def low_and_high(mixtures: np.ndarray) -> np.ndarray:
    """Two tracks [B, 2, T] whose sum is the mixture, once their gains are undone."""
    low = lfilter([0.5, 0.5], [1.0], mixtures, axis=-1)
    return np.stack([-3.0 * low, 0.2 * (mixtures - low)], axis=1).astype(np.float32)


def run(inputs: list[Path], output_dir: Path, network=low_and_high) -> None:
    separation.separate_each(separation.plan_outputs(inputs, output_dir, 2), network, MODEL_RATE)


KINDS = {
    "mono 8 kHz wav": ("a.wav", 8000, (5001,)),
    "mono 16 kHz wav": ("a.wav", 16000, (7777,)),
    "stereo 44.1 kHz flac": ("a.flac", 44100, (20001, 2)),
    "22.05 kHz ogg": ("a.ogg", 22050, (9999,)),
    "8 channels at 192 kHz": ("a.wav", 192000, (50000, 8)),
    "4 kHz": ("a.wav", 4000, (1001,)),
    "two dots in the name": ("a.b.aiff", 8000, (300,)),
    "one sample": ("a.wav", 8000, (1,)),
    "one sample at 48 kHz": ("a.wav", 48000, (1,)),
    "seven samples at 11025 Hz": ("a.wav", 11025, (7,)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_have_the_inputs_length_and_rate(tmp_path, kind):
    name, rate, shape = KINDS[kind]
    path = tmp_path / name
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(shape), rate)
    run([path], tmp_path / "new" / "out")
    outputs = sorted((tmp_path / "new" / "out").iterdir())
    assert [output.name for output in outputs] == [f"{path.stem}_s1.wav", f"{path.stem}_s2.wav"]
    for output in outputs:
        info = soundfile.info(output)
        assert (info.frames, info.samplerate, info.channels, info.subtype) == (shape[0], rate, 1, "PCM_16")


@pytest.mark.parametrize(("rate", "tolerance"), [(8000, 4e-5), (44100, 1e-3)])
def test_tracks_sum_to_the_mean_of_the_channels(tmp_path, rate, tolerance):
    path = tmp_path / "a.wav"
    time = np.arange(rate) / rate
    channels = np.stack([0.2 * np.sin(2 * np.pi * hertz * time) for hertz in (200, 1500)], axis=1)
    soundfile.write(path, channels, rate, subtype="DOUBLE")
    run([path], tmp_path)
    total = sum(read_audio(tmp_path / f"a_s{c}.wav")[0][0] for c in (1, 2))
    inner = slice(rate // 10, -rate // 10)  # resampling rings at the ends
    np.testing.assert_allclose(total[inner], channels.mean(axis=1)[inner], atol=tolerance)


def test_silence_stays_silence(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(1000), 16000)
    run([path], tmp_path / "out", lambda mixtures: np.ones((1, 2, mixtures.shape[1]), np.float32))
    for output in (tmp_path / "out").iterdir():
        np.testing.assert_array_equal(read_audio(output)[0], np.zeros((1, 1000)))


def test_beyond_full_scale_is_float_unscaled_and_told(tmp_path, capsys):
    mixture = 0.5 * np.sin(np.arange(1000))
    rest = without_part_along(np.where(np.arange(1000) % 7 == 0, 3.0, 0.0), mixture)
    tracks = np.stack([mixture + rest, mixture - rest])
    path = tmp_path / "a.wav"
    soundfile.write(path, mixture, MODEL_RATE, subtype="DOUBLE")
    run([path], tmp_path / "out", lambda mixtures: tracks[np.newaxis].astype(np.float32))
    found, _ = read_audio(tmp_path / "out" / "a_s1.wav")
    np.testing.assert_allclose(found[0], tracks[0] / 2, atol=1e-5)
    assert found.max() > 1.4
    assert soundfile.info(tmp_path / "out" / "a_s1.wav").subtype == "FLOAT"
    assert "a_s1.wav: goes beyond full scale, so it is written as 32-bit float" in capsys.readouterr().out


@pytest.mark.parametrize(("peak", "exceeds"), [(32767 / 32768, False), (-1.0, False), (1.0, True), (-1.001, True)])
def test_full_scale_is_what_16_bits_hold(peak, exceeds):
    assert separation.exceeds_full_scale(np.array([0.0, peak])) is exceeds


def bad_files(folder: Path) -> dict[str, Path]:
    """Inputs that cannot be used, by what is said about them."""
    names = ("truncated", "NaN", "unreadable", "no such file", "0 samples", "found a folder")
    paths = {name: folder / f"{name}.wav" for name in names}
    soundfile.write(paths["truncated"], 0.1 * signals(1)[0], MODEL_RATE)
    paths["truncated"].write_bytes(paths["truncated"].read_bytes()[:3000])
    soundfile.write(paths["NaN"], np.array([0.1, np.nan]), MODEL_RATE, subtype="FLOAT")
    paths["unreadable"].write_text("not a sound\n" * 100)
    soundfile.write(paths["0 samples"], np.zeros(0), MODEL_RATE)
    paths["found a folder"].mkdir()
    return paths


def test_bad_inputs_are_told_and_the_others_go_on(tmp_path, capsys):
    bad = bad_files(tmp_path)
    good = tmp_path / "good.wav"
    soundfile.write(good, signals(1)[0], MODEL_RATE)
    output_dir = tmp_path / "out"
    output_dir.mkdir()
    old = output_dir / "NaN_s1.wav"
    old.write_text("of an earlier run")
    with pytest.raises(UserError, match="6 of 7 inputs could not be separated, see the lines above"):
        run([*bad.values(), good], output_dir)
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == len(bad)
    for line, (words, path) in zip(errors, bad.items(), strict=True):
        assert words in line.replace(str(path), "")
        assert str(path) in line
    assert sorted(path.name for path in output_dir.iterdir()) == ["NaN_s1.wav", "good_s1.wav", "good_s2.wav"]
    assert old.read_text() == "of an earlier run"


def test_tracks_of_one_file_appear_together_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, signals(1)[0], MODEL_RATE)
    (tmp_path / "a_s1.wav").write_text("old")
    write_wav = separation.write_wav

    def interrupted_at_the_second(target, *args):
        if "a_s2" in target.name:
            raise KeyboardInterrupt
        write_wav(target, *args)

    monkeypatch.setattr(separation, "write_wav", interrupted_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run([path], tmp_path)
    assert sorted(child.name for child in tmp_path.iterdir()) == ["a.wav", "a_s1.wav"]
    assert (tmp_path / "a_s1.wav").read_text() == "old"


def test_outputs_never_overwrite_an_input(tmp_path):
    inputs = [tmp_path / "a.wav", tmp_path / "a_s2.wav"]
    (tmp_path / "link").symlink_to(tmp_path)
    for output_dir in (tmp_path, tmp_path / "link"):
        with pytest.raises(UserError, match=r"a\.wav: its output .*a_s2\.wav is an input too"):
            separation.plan_outputs(inputs, output_dir, 2)


def test_outputs_never_overwrite_one_another(tmp_path):
    inputs = [tmp_path / "x" / "a.wav", tmp_path / "y" / "a.flac"]
    with pytest.raises(UserError, match=r"y/a\.flac: its output .*a_s1\.wav is also that of .*x/a\.wav"):
        separation.plan_outputs(inputs, tmp_path / "out", 2)
    assert not (tmp_path / "out").exists()


def test_output_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot be made \(File exists\), expected a folder"):
        separation.plan_outputs([tmp_path / "a.wav"], tmp_path / "file", 2)


# the real network

SMALL = ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, num_speakers=3, chunk_frames=16)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.ckpt"
    checkpoint.save(path, Swave(SMALL).get_parameters(), Config(model=SMALL), {})
    return path


def test_the_program_separates_with_a_checkpoint(tmp_path, model_path, capsys):
    lengths = {"long": 3001, "short": 5, "one": 1, "silent": 200}  # 5 and 1: below the encoder's window
    for name, num_samples in lengths.items():
        level = 0.0 if name == "silent" else 1.0
        soundfile.write(tmp_path / f"{name}.wav", level * signals(1, num_samples)[0], MODEL_RATE)
    inputs = [str(tmp_path / f"{name}.wav") for name in lengths]
    separate.main([*inputs, "--model-path", str(model_path), "--output_dir", str(tmp_path / "out")])
    for name, num_samples in lengths.items():
        for speaker in (1, 2, 3):
            samples, _ = read_audio(tmp_path / "out" / f"{name}_s{speaker}.wav")
            assert samples.shape == (1, num_samples)
            assert name != "silent" or not samples.any()
    assert f"{tmp_path / 'long.wav'} -> {tmp_path / 'out' / 'long_s1.wav'}, " in capsys.readouterr().out


class Diverged:
    """A network that training has driven to NaN."""

    def set_inputs(self, _shape):
        pass

    def __call__(self, mixtures):
        return Tensor(np.full((1, 2, mixtures.shape[1]), np.nan, np.float32))


def test_a_network_without_numbers_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(inference, "load_network", lambda _path: (Diverged(), Config()))
    soundfile.write(tmp_path / "a.wav", signals(1)[0], MODEL_RATE)
    with pytest.raises(UserError, match="1 of 1 inputs"):
        separation.separate_files([tmp_path / "a.wav"], tmp_path / "x.ckpt", tmp_path / "out")
    told = capsys.readouterr().err
    expected = "x.ckpt: the network's output is NaN or infinite, expected finite weights"
    assert f"error: {tmp_path / 'a.wav'}: {tmp_path / expected}" in told
    assert not list((tmp_path / "out").iterdir())


def test_a_missing_checkpoint_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match=r"none\.ckpt: no such checkpoint"):
        separation.separate_files([tmp_path / "a.wav"], tmp_path / "none.ckpt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_recording_beyond_the_memory_is_told():
    day = 24 * 3600 * SMALL.sample_rate
    with pytest.raises(UserError, match=r"found 86400000 s of audio .* expected at most about \d+ s with"):
        inference.check_memory(1000 * day, SMALL)
    inference.check_memory(60 * SMALL.sample_rate, SMALL)
