"""separate.py as a program: options, pipes, Ctrl-C, full disks, and the memory of long recordings."""

import inspect
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mindspore import Tensor

import separate
from src import checkpoint, inference
from src.audio import read_audio
from src.config import CHUNK_SECONDS, Config, ModelConfig
from src.errors import UserError
from src.models.swave import Swave
from src.pretrained import PRETRAINED
from src.separation import Separator

ROOT = Path(__file__).parent.parent
RATE = 8000
SMALL = ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, num_speakers=3, chunk_frames=16)
PATIENCE = 120  # seconds


def noise(*shape: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(shape).standard_normal(shape)


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.ckpt"
    checkpoint.save(path, Swave(SMALL).get_parameters(), Config(model=SMALL), {})
    return path


def begin(*options: object, **settings: object) -> subprocess.Popen:
    """Heeding SIGINT as at a terminal, also where the tests run in the background."""
    command = ["env", "--default-signal=INT", sys.executable, "separate.py", *map(str, options)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, **pipes | settings)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_defaults_are_those_of_the_configuration():
    options = separate.make_parser().parse_args(["a.wav", "--model_path", "x", "--output-dir", "y"])
    assert (options.chunk_seconds, options.overlap_seconds) == (CHUNK_SECONDS, None)
    assert (options.batch_size, options.format, options.residual, options.device_target) == (1, "wav", False, "CPU")


def test_the_network_that_comes_with_the_program_is_the_default(monkeypatch, capsys):
    given = []
    monkeypatch.setattr("src.separation.separate_files", lambda *paths, **_: given.append(paths[2]))
    separate.main(["a.wav", "--output-dir", "y"])
    assert given == [PRETRAINED]
    assert inspect.signature(Separator).parameters["model_path"].default == PRETRAINED
    with pytest.raises(SystemExit):
        separate.main(["--help"])
    assert "checkpoints/gdprnn_2spk_8k.ckpt, which comes with the program" in " ".join(capsys.readouterr().out.split())


def test_options_reach_the_separation(monkeypatch):
    given = []
    monkeypatch.setattr("src.separation.separate_files", lambda *_, **settings: given.append(settings))
    for options in ((), ("--amp", "bfloat16")):
        separate.main(["a.wav", "--model_path", "x", "--output-dir", "y", *options])
    assert [settings["amp"] for settings in given] == ["none", "bfloat16"]


@pytest.mark.parametrize("option", ["--device", "--device_target", "--device-target"])
def test_the_device_has_two_names(option):
    parser = separate.make_parser()
    assert parser.parse_args(["a", "--model_path", "x", "--output-dir", "y", option, "GPU"]).device_target == "GPU"


@pytest.mark.parametrize(
    "wrong",
    [
        ["--residual", "--stems_only"],
        ["--residual", "--stems-only"],
        ["--format", "mp3"],
        ["--chunk_seconds", "long"],
        ["--batch_size", "1.5"],
    ],
)
def test_wrong_options_are_one_line(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        separate.main(["a.wav", "--model_path", "x", "--output-dir", "y", *wrong])
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_program_separates_with_a_checkpoint(tmp_path, model_path, capsys):
    lengths = {"long": 9001, "short": 5, "one": 1, "silent": 200}  # 5 and 1: below the encoder's window
    for name, num_samples in lengths.items():
        level = 0.0 if name == "silent" else 1.0
        soundfile.write(tmp_path / f"{name}.wav", level * noise(num_samples), RATE)
    inputs = [str(tmp_path / "[ls]*.wav"), str(tmp_path / "one.wav")]
    chunks = ["--chunk-seconds", "0.5", "--overlap_seconds", "0.1", "--batch_size", "2"]
    model = ["--model-path", str(model_path), "--output_dir", str(tmp_path / "out")]
    separate.main([*inputs, *model, *chunks, "--format", "flac", "--residual"])
    for name, num_samples in lengths.items():
        for ending in ("s1", "s2", "s3", "residual"):
            samples, _ = read_audio(tmp_path / "out" / f"{name}_{ending}.flac")
            assert samples.shape == (1, num_samples)
            assert name != "silent" or not samples.any()
    assert len(names_in(tmp_path / "out")) == 16
    assert f"{tmp_path / 'long.wav'} -> {tmp_path / 'out' / 'long_s1.flac'}, " in capsys.readouterr().out


def test_inputs_that_match_nothing_are_told_and_the_others_go_on(tmp_path, model_path, capsys):
    (tmp_path / "empty").mkdir()
    soundfile.write(tmp_path / "a.wav", noise(500), RATE)
    inputs = [str(tmp_path / name) for name in ("empty", "*.ogg", "a.wav", "none.wav")]
    model = ["--model_path", str(model_path), "--output-dir", str(tmp_path / "out")]
    with pytest.raises(UserError, match="3 of 4 inputs could not be separated, see the lines above"):
        separate.main([*inputs, *model])
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert [line.removeprefix(f"error: {tmp_path}/").split(":")[0] for line in told] == ["empty", "*.ogg", "none.wav"]
    assert names_in(tmp_path / "out") == ["a_s1.wav", "a_s2.wav", "a_s3.wav"]


def test_nothing_to_do_is_told_without_a_network(tmp_path, capsys):
    model = ["--model_path", str(tmp_path / "none.ckpt"), "--output-dir", str(tmp_path / "out")]
    with pytest.raises(UserError, match="1 of 1 inputs could not be separated"):
        separate.main([str(tmp_path / "*.ogg"), *model])
    assert capsys.readouterr().err.count("error: ") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chunk_seconds", "-3"], "chunk_seconds: found -3.0, expected seconds, or 0"),
        (["--overlap_seconds", "9"], "overlap_seconds: found 9.0, expected at most half of chunk_seconds, 8"),
        (["--batch_size", "0"], "batch_size: found 0, expected a whole number, at least 1"),
        (["--device", "TPU"], "device_target: found 'TPU'"),
        (["--model_path", "none.ckpt"], "none.ckpt: no such checkpoint"),
        (["--output-dir", "separate.py/out"], "separate.py/out: cannot be made"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path, model_path, monkeypatch, options, message):
    monkeypatch.chdir(ROOT)
    soundfile.write(tmp_path / "a.wav", noise(500), RATE)
    model = ["--model_path", str(model_path), "--output-dir", str(tmp_path / "out")]
    with pytest.raises(UserError, match=message):
        separate.main([str(tmp_path / "a.wav"), *model, *options])
    assert not (tmp_path / "out").exists()


class Diverged:
    """A network that training has driven to NaN."""

    is_fused = False

    def compute_in(self, _amp):
        pass

    def set_inputs(self, _shape):
        pass

    def __call__(self, mixtures):
        return Tensor(np.full((1, 2, mixtures.shape[1]), np.nan, np.float32))


def test_a_network_without_numbers_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(inference, "load_network", lambda _path: (Diverged(), Config()))
    soundfile.write(tmp_path / "a.wav", noise(500), RATE)
    model = ["--model_path", str(tmp_path / "x.ckpt"), "--output-dir", str(tmp_path / "out")]
    with pytest.raises(UserError, match="1 of 1 inputs"):
        separate.main([str(tmp_path / "a.wav"), *model])
    expected = "x.ckpt: the network's output is NaN or infinite, expected finite weights"
    assert f"error: {tmp_path / 'a.wav'}: {tmp_path / expected}" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_wav_of_unknown_size_through_a_pipe_and_a_name_that_is_no_text(tmp_path, model_path):
    soundfile.write(tmp_path / "a.wav", noise(3000), RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    odd = tmp_path / os.fsdecode(b"odd \xff.wav")  # no text in any common encoding
    soundfile.write(os.fsencode(odd), noise(100), RATE)
    program = begin("-", odd, "--model_path", model_path, "--output-dir", tmp_path / "out", "--format", "flac")
    out, err = program.communicate(bytes(content), timeout=PATIENCE)
    assert program.returncode == 0, err
    lines = out.decode().splitlines()
    assert lines[0].startswith(f"standard input -> {tmp_path / 'out' / 'stdin_s1.flac'}, ")
    assert lines[1].startswith(f"{tmp_path}/odd \\udcff.wav -> ")
    assert names_in(tmp_path / "out") == [
        f"{stem}_s{number}.flac" for stem in (odd.stem, "stdin") for number in (1, 2, 3)
    ]
    assert soundfile.info(tmp_path / "out" / "stdin_s3.flac").frames == 3000


@pytest.fixture(scope="module")
def an_hour(tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "long.wav"
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        minute = noise(60 * RATE)
        for _ in range(60):
            file.write(minute)
    return path


def test_ctrl_c_ends_it_and_leaves_nothing_behind(tmp_path, model_path, an_hour):
    output_dir = tmp_path / "out"
    program = begin(an_hour, "--model_path", model_path, "--output-dir", output_dir)
    shown = b""
    while b"separating" not in shown:
        shown += program.stderr.read1(1000)
        assert program.poll() is None, shown
    time.sleep(0.5)  # in the midst of it
    assert [name.startswith(".separating-") for name in names_in(output_dir)] == [True]
    program.send_signal(2)
    _, rest = program.communicate(timeout=PATIENCE)
    assert program.returncode == 130, rest
    last = rest.decode().rstrip().splitlines()[-1]
    assert last == "interrupted: what is finished stays, of the rest nothing is left behind"
    assert b"Traceback" not in rest
    assert names_in(output_dir) == []


def test_a_full_disk_is_one_line_and_leaves_nothing_behind(tmp_path, model_path):
    soundfile.write(tmp_path / "a.wav", noise(60 * RATE), RATE)
    limit = 200_000  # bytes of a file; MindSpore itself needs some tens of thousands
    program = begin(
        tmp_path / "a.wav",
        *("--model_path", model_path, "--output-dir", tmp_path / "out"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, err = program.communicate(timeout=PATIENCE)
    assert program.returncode == 2
    errors = [line for line in err.decode().splitlines() if line.startswith("error:")]
    assert errors[0] == f"error: {tmp_path / 'a.wav'}: the temporary file cannot be written (File too large)"
    assert b"Traceback" not in err
    assert names_in(tmp_path / "out") == []


PEAK = """
import sys
from pathlib import Path
from src.stitching.chunks import Chunking
from tests.separation_stand_ins import run
run([Path(sys.argv[1])], Path(sys.argv[2]), chunking=Chunking.from_seconds(8, 2, 8000), residual=True)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])  # kB; unlike ru_maxrss it is not what the parent had
"""


def test_the_memory_does_not_depend_on_the_length(tmp_path):
    peaks = []
    for minutes in (2, 20):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 16000, 1, "PCM_16") as file:
            for _ in range(minutes):
                file.write(noise(60 * 16000))
        command = [sys.executable, "-c", PEAK, str(path), str(tmp_path / "out")]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        peaks.append(int(result.stdout.splitlines()[-1]))
    assert peaks[1] <= 1.05 * peaks[0], peaks


@pytest.mark.parametrize(
    ("redirection", "status"), [("- <&-", 2), ("a.wav >&-", 0), ("a.wav 2>&-", 0), ("a.wav >/dev/full", 0)]
)
def test_streams_that_are_closed_or_full_stop_nothing(tmp_path, model_path, redirection, status):
    soundfile.write(tmp_path / "a.wav", noise(500), RATE)
    command = f"{sys.executable} {ROOT}/separate.py --model_path {model_path} --output-dir out {redirection}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr
    assert (tmp_path / "out" / "a_s1.wav").exists() == (status == 0)
