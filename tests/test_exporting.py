"""export.py from a checkpoint to files, and all that may stand in its way."""

import json
import os
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

import export
from src import checkpoint, exporting
from src.audio import write_wav
from src.config import Config, ModelConfig
from src.errors import UserError
from src.infer310.description import check_sum, path_beside, read
from src.models.swave import Swave

MODEL = ModelConfig(num_filters=12, kernel_size=4, hidden_size=3, num_pairs=1, sample_rate=400, num_speakers=3)
SECONDS = 0.5
SAMPLES = 200


@pytest.fixture
def ckpt(tmp_path):
    return save(tmp_path / "weights" / "best.ckpt", Swave(MODEL))


def save(path, network, *more):
    checkpoint.save(path, [*network.get_parameters(), *more], Config(model=MODEL), {})
    return path


def run(ckpt, name, *options):
    export.main(["--ckpt_path", str(ckpt), "--file_name", str(name), "--seconds", str(SECONDS), *map(str, options)])


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_mindir_file_that_separates_as_the_checkpoint_does(ckpt, tmp_path, capsys):
    path = tmp_path / "made" / "net.mindir"
    run(ckpt, path.with_suffix(""))
    told = capsys.readouterr().out
    assert "largest difference from the checkpoint" in told
    assert f"gdprnn_infer --model {path}" in told
    assert files_in(path.parent) == ["net.mindir", "net.mindir.json"]
    network, _ = checkpoint.load_network(ckpt)
    mixture = np.random.default_rng(0).standard_normal((1, SAMPLES)).astype(np.float32)
    found = nn.GraphCell(ms.load(str(path)))(Tensor(mixture), Tensor([150], ms.int32)).asnumpy()
    np.testing.assert_allclose(found[:, :, :150], network(Tensor(mixture[:, :150])).asnumpy(), atol=1e-6)
    assert not found[:, :, 150:].any()


def test_the_description_and_the_modes(ckpt, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        run(ckpt, folder / "net.mindir", "--batch_size", 2)
    finally:
        os.umask(before)
    described = read(folder / "net.mindir.json")
    assert described.sha256 == check_sum(folder / "net.mindir")
    assert (described.file, described.file_format, described.device_target) == ("net.mindir", "MINDIR", "CPU")
    assert (described.sample_rate, described.num_speakers, described.kernel_size) == (400, 3, 4)
    assert (described.batch_size, described.chunk_samples, described.overlap_samples) == (2, SAMPLES, SAMPLES // 4)
    assert (described.checkpoint, described.weights) == ("best.ckpt", "trained")
    assert 0 < described.largest_difference < 1e-5
    assert [oct((folder / name).stat().st_mode & 0o777) for name in files_in(folder)] == ["0o644", "0o644"]
    assert oct(folder.stat().st_mode & 0o777) == "0o755"


def test_an_onnx_file_of_two_rows(ckpt, tmp_path, capsys):
    run(ckpt, tmp_path / "net", "--file_format", "onnx", "--batch_size", 2)
    described = read(tmp_path / "net.onnx.json")
    assert (described.file_format, described.outputs[0].shape) == ("ONNX", (2, 3, SAMPLES))
    assert described.largest_difference < 1e-5
    assert "gdprnn_infer" not in capsys.readouterr().out  # which reads MINDIR


def test_a_file_for_ascend_is_not_compared_and_says_so(ckpt, tmp_path, capsys):
    run(ckpt, tmp_path / "net", "--device_target", "Ascend")
    assert "not compared with the checkpoint: no CPU runs the operations for Ascend" in capsys.readouterr().out
    described = read(tmp_path / "net.mindir.json")
    assert (described.device_target, described.largest_difference) == ("Ascend", None)


def test_a_recording_for_the_comparison(ckpt, tmp_path, capsys):
    write_wav(tmp_path / "talk.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 800), 800)
    run(ckpt, tmp_path / "net", "--check_audio", tmp_path / "talk.wav")
    assert f"noise and {tmp_path / 'talk.wav'}, 3, 46, 124, 200 samples" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"none\.wav: no such file"):
        run(ckpt, tmp_path / "net", "--check_audio", tmp_path / "none.wav")


def test_the_moving_average_is_taken_where_there_is_one(ckpt, tmp_path):
    with pytest.raises(UserError, match="found no moving average of the weights, expected one because of --ema"):
        run(ckpt, tmp_path / "net", "--ema")
    averaged = Swave(MODEL)
    for parameter in averaged.get_parameters():
        parameter.name = checkpoint.AVERAGE + parameter.name
    run(save(tmp_path / "averaged.ckpt", Swave(MODEL), *averaged.get_parameters()), tmp_path / "net", "--ema")
    assert read(tmp_path / "net.mindir.json").weights == "average"


def test_what_mindspore_leaves_of_an_interrupted_compilation_is_gone_too(ckpt, tmp_path, monkeypatch):
    def interrupted(*_arguments, **_options):
        folder = Path(os.environ.get("MS_OM_PATH", tmp_path)) / "rank_0"  # where MindSpore writes
        folder.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setenv("MS_OM_PATH", str(tmp_path))
    monkeypatch.setattr(exporting.ms, "export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(ckpt, tmp_path / "net")
    assert files_in(tmp_path) == ["weights"]
    assert os.environ["MS_OM_PATH"] == str(tmp_path)


@pytest.mark.parametrize("trouble", ["wrong", "interrupted", "full"])
def test_what_was_there_before_outlives_a_failure(ckpt, tmp_path, monkeypatch, trouble):
    folder = tmp_path / "made"
    run(ckpt, folder / "net")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_):
        raise {"interrupted": KeyboardInterrupt(), "full": OSError(28, "No space left on device")}[trouble]

    if trouble == "wrong":  # weights that the exported form does not have
        monkeypatch.setattr(exporting, "largest_difference", lambda *_: 2e-4)
    else:
        monkeypatch.setattr(exporting, {"interrupted": "largest_difference", "full": "to_old_version"}[trouble], fail)
    messages = {
        "wrong": "net.mindir: found a difference of 2.0e-04 of the output's peak .*, expected at most 0.0001",
        "interrupted": None,
        "full": r"net.mindir: cannot be written \(No space left on device\)",
    }
    with pytest.raises(KeyboardInterrupt if trouble == "interrupted" else UserError, match=messages[trouble]):
        run(ckpt, folder / "net")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_difference_that_is_no_number_is_too_large(ckpt, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "largest_difference", lambda *_: float("nan"))
    with pytest.raises(UserError, match="found a difference of nan"):
        run(ckpt, tmp_path / "net")


def test_weights_that_are_no_numbers(tmp_path):
    network = Swave(MODEL)
    network.encoder.weight.set_data(Tensor(np.full(network.encoder.weight.shape, np.nan, np.float32)))
    ckpt = save(tmp_path / "bad.ckpt", network)
    with pytest.raises(UserError, match=r"bad\.ckpt: found NaN or infinite values in 'encoder\.weight'"):
        run(ckpt, tmp_path / "net")
    assert files_in(tmp_path) == ["bad.ckpt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--file_format", "AIR"], "file_format: found 'AIR', expected one of MINDIR, ONNX"),
        (["--device_target", "GPU"], "device_target: found 'GPU' for MINDIR, expected CPU or Ascend"),
        (["--device_target", "Ascend", "--file_format", "ONNX"], "found 'Ascend' for ONNX, expected CPU"),
        (["--batch_size", "0"], "batch_size: found 0, expected at least 1"),
        (["--seconds", "nan"], "seconds: found nan, expected at least 0.1"),
        (["--seconds", "0.01"], "seconds: found 0.01, expected at least 0.1"),
        (["--seconds", "1e9"], "choose smaller --seconds or --batch_size"),
        (["--file_name", "net.onnx"], "file_name: found 'net.onnx' for MINDIR, expected no such extension"),
        (["--file_name", "folder"], r"folder\.mindir: found a folder, expected the name of a file"),
    ],
)
def test_options_that_are_refused_at_once(ckpt, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.mindir").mkdir()
    with pytest.raises(UserError, match=message):
        run(ckpt, "net", *options)
    assert files_in(tmp_path) == ["folder.mindir", "weights"]


def test_a_file_that_another_program_converted_gets_its_description(ckpt, tmp_path, capsys):
    run(ckpt, tmp_path / "net", "--file_format", "ONNX")
    converted = tmp_path / "net_310p.mindir"
    converted.write_bytes(b"converted")
    options = ["--describe", str(converted), "--converted_from", str(tmp_path / "net.onnx")]
    export.main(options)
    described, original = read(path_beside(converted)), read(tmp_path / "net.onnx.json")
    assert (described.file, described.sha256) == ("net_310p.mindir", check_sum(converted))
    assert (described.file_format, described.device_target) == ("MINDIR", "Ascend")
    assert described.largest_difference is None
    assert described.outputs == original.outputs
    assert "gdprnn_infer --model" in capsys.readouterr().out
    (tmp_path / "net.onnx").write_bytes(b"other")
    with pytest.raises(UserError, match="found another file than"):
        export.main(options)
    values = json.loads(path_beside(converted).read_text())
    assert values["file"] == "net_310p.mindir"


@pytest.mark.parametrize(
    ("options", "missing"), [([], "file_name"), (["--ckpt_path", "a"], "file_name"), (["--describe", "a"], "converted")]
)
def test_missing_options(options, missing, capsys):
    with pytest.raises(SystemExit) as caught:
        export.main(options)
    assert caught.value.code == 2
    assert f"required: --{missing}" in capsys.readouterr().err
