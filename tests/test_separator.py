"""`Separator` with a small network: files and arrays, the plain network, the example of the documentation."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mindspore import Tensor, save_checkpoint

from src import checkpoint, inference
from src.audio import read_audio, resample
from src.config import Config, ModelConfig
from src.errors import UserError
from src.inference import load_separate
from src.models import swave
from src.models.swave import Swave
from src.recordings.passes import Network
from src.separation import Separator
from src.stitching.chunks import Chunking
from src.stitching.gains import fit_gains

ROOT = Path(__file__).parent.parent
RATE = 8000
SMALL = ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, num_speakers=3, chunk_frames=16)


def noise(*shape: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(shape).standard_normal(shape)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.ckpt"
    checkpoint.save(path, Swave(SMALL).get_parameters(), Config(model=SMALL), {})
    return path


@pytest.fixture(scope="module")
def separator(model_path):
    return Separator(model_path)


@pytest.fixture(scope="module")
def in_chunks(model_path):
    return Separator(str(model_path), chunk_seconds=0.2, overlap_seconds=0.05, batch_size=2)


def test_importing_loads_no_mindspore():
    code = "import sys, src.separation; assert 'mindspore' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_one_chunk_is_the_plain_network_with_its_gains(separator, model_path):
    mixture = noise(3000).astype(np.float32)
    plain = load_separate(model_path)[0](mixture[np.newaxis])[0]
    found = separator(mixture, sample_rate=RATE)
    assert (found.shape, found.dtype) == ((3, 3000), np.float32)
    np.testing.assert_allclose(found, fit_gains(plain, mixture)[:, np.newaxis] * plain, rtol=1e-5, atol=1e-7)


def test_another_rate_is_the_plain_network_between_two_changes_of_rate(separator, model_path):
    mixture = noise(20_000)
    at_rate = resample(mixture, 44100, RATE).astype(np.float32)
    plain = load_separate(model_path)[0](at_rate[np.newaxis])[0]
    expected = resample(fit_gains(plain, at_rate)[:, np.newaxis] * plain, RATE, 44100, length=20_000)
    np.testing.assert_allclose(separator(mixture, sample_rate=44100), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("chunks", [False, True])
def test_a_path_and_its_samples_give_the_same_numbers(separator, in_chunks, tmp_path, rate, chunks):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(20_000, 2), rate, subtype="PCM_24")
    samples, _ = soundfile.read(path, dtype="float32")  # exact for 24 bits
    separate = in_chunks if chunks else separator
    expected = separate(path)
    np.testing.assert_array_equal(separate(str(path)), expected)
    np.testing.assert_array_equal(separate(samples.T, rate), expected)
    np.testing.assert_array_equal(separate(samples.T.astype(np.float64), sample_rate=np.int64(rate)), expected)


@pytest.mark.parametrize(("extension", "step"), [("wav", 2**-15), ("flac", 2**-15)])
def test_files_hold_the_same_tracks_rounded(in_chunks, tmp_path, extension, step):
    soundfile.write(tmp_path / "a.wav", noise(9000), 16000)
    paths = in_chunks.separate_file(tmp_path / "a.wav", tmp_path / "new" / "out", residual=True, format=extension)
    assert paths == [tmp_path / "new" / "out" / f"a_{ending}.{extension}" for ending in ("s1", "s2", "s3", "residual")]
    written = np.concatenate([read_audio(path)[0] for path in paths])
    np.testing.assert_allclose(written[:3], in_chunks(tmp_path / "a.wav"), rtol=0, atol=0.5001 * step)
    np.testing.assert_allclose(written.sum(axis=0), read_audio(tmp_path / "a.wav")[0][0], rtol=0, atol=2 * step)


FOR_TILES = ModelConfig(num_filters=32, kernel_size=8, hidden_size=32, num_pairs=1, chunk_frames=16)


def save_network(path: Path, model: ModelConfig) -> Path:
    checkpoint.save(path, Swave(model).get_parameters(), Config(model=model), {})
    return path


@pytest.mark.usefixtures("bfloat16_runs")
def test_tracks_in_bfloat16_are_near_those_in_float32(tmp_path):
    path = save_network(tmp_path / "tiles.ckpt", FOR_TILES)
    mixture = noise(3000)
    expected = Separator(path)(mixture, RATE)
    difference = np.abs(Separator(path, amp="bfloat16")(mixture, RATE) - expected).max() / np.abs(expected).max()
    assert 0 < difference < 0.02


@pytest.mark.usefixtures("bfloat16_runs")
@pytest.mark.parametrize("sizes", [{"hidden_size": 16}, {"num_filters": 40}])
def test_sizes_that_bfloat16_does_not_take_are_told(tmp_path, sizes):
    path = save_network(tmp_path / "small.ckpt", dataclasses.replace(FOR_TILES, **sizes))
    with pytest.raises(UserError, match=r"found N = \d+, H = \d+, expected multiples of 32 for bfloat16"):
        Separator(path, amp="bfloat16")


def test_bfloat16_without_the_compiled_operators_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(swave, "fused_block_library", lambda _: None)
    path = save_network(tmp_path / "tiles.ckpt", FOR_TILES)
    with pytest.raises(UserError, match=r"amp: found bfloat16 on a CPU without the compiled operators, expected none"):
        Separator(path, amp="bfloat16")


def test_an_array_is_never_changed(separator):
    for samples in (noise(500), np.asfortranarray(noise(2, 500)), noise(1000)[::2]):
        before = samples.copy()
        samples.setflags(write=False)
        separator(samples, sample_rate=RATE)
        np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("num_samples", [1, 5, 7, 8])
def test_less_than_a_window_of_the_network(separator, num_samples, capsys):
    assert separator(noise(num_samples), sample_rate=RATE).shape == (3, num_samples)
    assert ("expected at least one window" in capsys.readouterr().err) == (num_samples < 8)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(0), RATE, r"found shape \(0,\), expected \[T\] or \[channels, T\] with T > 0"),
        (np.zeros((44100, 2)), RATE, r"found shape \(44100, 2\), expected \[T\] or \[channels, T\]"),
        (np.zeros((1, 2, 3)), RATE, r"found shape \(1, 2, 3\)"),
        (np.zeros(9, np.int16), RATE, "found int16 samples, expected floating point with full scale at 1.0"),
        (np.array([0.0, np.nan]), RATE, "found NaN or infinite samples"),
        (np.array([0.0, 1e20]), RATE, r"found samples up to 1e\+20, expected them between -1 and 1"),
        (np.zeros(9), None, "sample_rate: found None, expected that of the array, in whole Hz"),
        (np.zeros(9), 0.5, "sample_rate: found 0.5, expected that of the array"),
        (np.zeros(9), "8k", "sample_rate: found 8k, expected that of the array"),
        (np.zeros(9), float("nan"), "sample_rate: found nan, expected that of the array"),
        (np.zeros(9), 0, "found a sample rate of 0 Hz, expected 100 to 10000000"),
        ("a.wav", RATE, "sample_rate: found 8000 beside a.wav, expected none: a file tells its own"),
        ("none.wav", None, "none.wav: no such file"),
        (["a.wav"], RATE, "samples, expected floating point"),
    ],
)
def test_inputs_that_cannot_be_used(separator, samples, rate, message):
    with pytest.raises(UserError, match=message) as caught:
        separator(samples, sample_rate=rate)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chunk_seconds": -1.0}, "chunk_seconds: found -1.0, expected seconds, or 0"),
        ({"chunk_seconds": float("nan")}, "chunk_seconds: found nan"),
        ({"overlap_seconds": 9.0}, "overlap_seconds: found 9.0, expected at most half of chunk_seconds, 8"),
        ({"batch_size": 0}, "batch_size: found 0, expected a whole number, at least 1"),
        ({"device": "TPU"}, "device_target: found 'TPU', expected one of CPU, Ascend, GPU"),
        ({"amp": "float16"}, "amp: found 'float16', expected one of none, bfloat16"),
    ],
)
def test_settings_that_cannot_be(model_path, settings, message):
    with pytest.raises(UserError, match=message):
        Separator(model_path, **settings)


def test_a_missing_checkpoint(tmp_path):
    with pytest.raises(UserError, match=r"none\.ckpt: no such checkpoint"):
        Separator(tmp_path / "none.ckpt")


def test_a_checkpoint_of_another_kind(tmp_path):
    path = tmp_path / "other.ckpt"
    save_checkpoint([{"name": "weight", "data": Tensor([1.0])}], str(path), crc_check=True)
    with pytest.raises(UserError, match=r"other\.ckpt: found no configuration in this checkpoint"):
        Separator(path)


def test_a_frame_takes_less_with_the_compiled_operators():
    model = ModelConfig()
    assert 5 * inference.bytes_per_frame(model, is_fused=True) < inference.bytes_per_frame(model, is_fused=False)


def test_too_little_memory_suggests_shorter_chunks(separator, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", noise(5 * RATE), RATE)
    fused = []
    monkeypatch.setattr(inference, "bytes_per_frame", lambda _, is_fused: fused.append(is_fused) or 1000)
    monkeypatch.setattr(inference, "free_memory_bytes", lambda: 4_500_000)  # 5 s have 10,000 frames
    message = (
        r"a\.wav: found 5 s of audio to separate at once, expected at most about 2 s "
        r"with 0\.0 GB of memory free: choose smaller --chunk_seconds or --batch_size"
    )
    with pytest.raises(UserError, match=message):
        separator.separate_file(tmp_path / "a.wav", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    in_pieces = Network(separator.network.separate, SMALL, Chunking(RATE // 2, RATE // 8))
    monkeypatch.setattr(separator, "network", in_pieces)
    assert separator(tmp_path / "a.wav").shape == (3, 5 * RATE)
    assert set(fused) == {swave.fused_block_library(SMALL) is not None}


def test_a_recording_beyond_the_memory_is_told():
    day = 24 * 3600 * SMALL.sample_rate
    with pytest.raises(UserError, match=r"found 86400000 s of audio .* expected at most about \d+ s with"):
        inference.check_memory(1000 * day, SMALL, 1000)
    inference.check_memory(60 * SMALL.sample_rate, SMALL, 1000)


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "separator.md").read_text(), re.DOTALL)
    two = ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, chunk_frames=16)
    checkpoint.save(tmp_path / "runs/demo/latest.ckpt", Swave(two).get_parameters(), Config(model=two), {})
    soundfile.write(tmp_path / "talk.wav", noise(12_000), 16000)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    outputs = [f"separated/talk_{ending}.flac" for ending in ("s1", "s2", "residual")]
    assert capsys.readouterr().out.splitlines() == ["(2, 12000)", "(2, 44100)", *outputs]
    assert sorted(str(path) for path in Path("separated").iterdir()) == sorted(outputs)


def test_ctrl_c_is_an_exception_of_the_users_program_and_nothing_is_left(model_path, tmp_path):
    """MindSpore's own handler would end the process by SIGTERM."""
    program = f"""
import signal, sys, threading, os, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np
from src.separation import Separator
separator = Separator({str(model_path)!r}, chunk_seconds=0.5)
separator(np.full(4000, 0.1), 8000)
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    for _ in range(1000):
        separator(0.1 * np.ones(8000 * 60), 8000)
except KeyboardInterrupt:
    print("interrupted", os.listdir({str(tmp_path)!r}), separator(np.full(4000, 0.1), 8000).shape)
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["interrupted [] (3, 4000)", "True"], (done.returncode, done.stderr)


def test_names_that_are_too_long_are_told(model_path):
    with pytest.raises(UserError, match="no such file"):
        Separator(model_path)("x" * 300)


def test_rows_of_different_lengths_are_told(model_path):
    with pytest.raises(UserError, match="the array: found rows of different lengths"):
        Separator(model_path)([[0.1, 0.2], [0.3]], 8000)


@pytest.mark.parametrize("batch_size", [0, 1.5, "2"])
def test_a_batch_size_that_is_no_number_of_chunks(model_path, batch_size):
    with pytest.raises(UserError, match=f"batch_size: found {batch_size}, expected a whole number, at least 1"):
        Separator(model_path, batch_size=batch_size)
