"""The C++ program's wav mode: the numbers of Python's `Separator`, and a line and an exit code for every failure."""

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from src.pretrained import PRETRAINED
from src.separation import Separator
from src.version import VERSION

SPEECH = Path(__file__).parents[1] / "speech"
OPTIONS, MODEL, INPUT, INFERENCE, OUTPUT, INTERRUPTED = 2, 3, 4, 5, 6, 130
RATE = 8000
FUSED, MINDSPORE = ("--engine", "fused"), ("--engine", "mindspore")


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Two people who talk at the same time, float64 [T] at 8 kHz."""
    persons = [soundfile.read(SPEECH / f"{name}.flac")[0] for name in ("carlo", "russian")]
    length = min(map(len, persons))
    return sum(person[:length] for person in persons)


@pytest.fixture(scope="module")
def separator(exported):
    return Separator(exported.checkpoint, chunk_seconds=exported.chunk_seconds)


@pytest.fixture
def talk(speech, tmp_path) -> Path:
    """A second and a half of it in a file."""
    soundfile.write(tmp_path / "talk.wav", speech[: 3 * RATE // 2], RATE)
    return tmp_path / "talk.wav"


@pytest.fixture
def separate(run_infer, exported, tmp_path):
    """Runs the program on an input, into the folder `out`."""

    def run(path, *options, **settings):
        return run_infer("--model", exported.path, "--input", path, "--output", tmp_path / "out", *options, **settings)

    return run


@pytest.fixture(params=[FUSED, MINDSPORE], ids=["fused", "mindspore"])
def run_engine(run_infer, request):
    """Runs the program with one engine and with the other."""
    return lambda *options, **settings: run_infer(*options, *request.param, **settings)


@pytest.fixture
def separate_by_engine(run_engine, exported, tmp_path):
    """As `separate`, with one engine and with the other."""
    return lambda path: run_engine("--model", exported.path, "--input", path, "--output", tmp_path / "out")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> Path:
    """The MINDIR of the network that comes with the program."""
    import export

    path = tmp_path_factory.mktemp("shipped") / "net"
    export.main(["--file_name", str(path), "--file_format", "MINDIR", "--seconds", "4"])
    return path.with_suffix(".mindir")


@pytest.fixture
def copied(exported, tmp_path) -> Path:
    """A copy of the exported network, to be damaged."""
    return exported.copy_to(tmp_path)


def read_tracks(folder: Path, stem: str) -> np.ndarray:
    """[C, T]."""
    return np.stack([soundfile.read(path)[0] for path in sorted(folder.glob(f"{stem}_s*.wav"))])


def check_failure(result, code: int, message: str) -> None:
    """One line on standard error, and nothing on standard output."""
    assert (result.returncode, result.stdout) == (code, ""), result.stderr
    assert re.fullmatch(f"error: .*{message}.*\n", result.stderr), result.stderr


def files_of(folder: Path) -> list[str]:
    """All of them, hidden ones included."""
    return sorted(path.name for path in folder.iterdir())


def limited(num_bytes: int):
    """What a process calls to limit the size of its files."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


# numbers

CHUNK = RATE  # samples of the exported network's chunks


@pytest.mark.parametrize(
    "recorded",  # samples at 8 kHz, rate, channels, how they are stored
    [
        (2, RATE, 1, "FLOAT"),  # less than a window
        (3000, RATE, 1, "FLOAT"),
        (CHUNK, RATE, 1, "FLOAT"),
        (CHUNK + 1, RATE, 1, "PCM_24"),
        (CHUNK * 9 // 2, RATE, 2, "FLOAT"),
        (CHUNK * 9 // 2, 16000, 1, "FLOAT"),
        (CHUNK * 9 // 2, 44100, 2, "FLOAT"),
        (CHUNK * 9 // 2, 44100, 1, "PCM_16"),
        (CHUNK * 9 // 2, 7350, 3, "DOUBLE"),
    ],
)
def test_tracks_are_those_of_python(separate_by_engine, separator, speech, tmp_path, recorded):
    num_samples, rate, num_channels, subtype = recorded
    mono = soxr.resample(speech[:num_samples], RATE, rate) if rate != RATE else speech[:num_samples]
    recording = np.stack([mono * (1 + 0.2 * channel) for channel in range(num_channels)], axis=1)
    path = tmp_path / "talk.wav"
    soundfile.write(path, recording, rate, subtype=subtype)
    result = separate_by_engine(path)
    assert result.returncode == 0, result.stderr
    expected = separator(path)
    tracks = read_tracks(tmp_path / "out", "talk")
    step = {"PCM_16": 2.0**-15, "PCM_24": 2.0**-23}.get(subtype, 0)
    peaks = np.abs(expected).max(axis=1, keepdims=True)
    assert tracks.shape == expected.shape
    assert (np.abs(tracks - expected) <= 1e-4 * peaks + 0.5001 * step).all()


def test_files_are_those_of_python_byte_by_byte_but_for_the_last_bits(run_infer, exported, separator, talk, tmp_path):
    run_infer("--model", exported.path, "--input", talk, "--output", tmp_path / "cpp")
    separator.separate_file(talk, tmp_path / "python")
    for number in (1, 2):
        cpp, python = ((tmp_path / name / f"talk_s{number}.wav").read_bytes() for name in ("cpp", "python"))
        assert cpp[:44] == python[:44]  # the header
        steps = np.frombuffer(cpp[44:], "<i2").astype(int) - np.frombuffer(python[44:], "<i2")
        assert np.abs(steps).max() <= 1


@pytest.mark.parametrize("num_chunks", [2, 3])
def test_chunks_side_by_side_give_the_same_numbers(run_engine, exported, speech, tmp_path, num_chunks):
    soundfile.write(tmp_path / "talk.wav", speech[: 5 * RATE], RATE, subtype="FLOAT")
    for batch in (1, num_chunks):
        run_engine(
            *("--model", exported.path, "--input", tmp_path / "talk.wav", "--output", tmp_path / f"out{batch}"),
            *("--batch", batch, "--threads", 2),
        )
    assert np.array_equal(read_tracks(tmp_path / "out1", "talk"), read_tracks(tmp_path / f"out{num_chunks}", "talk"))


def test_a_network_of_three_speakers_exported_for_batches(run_engine, export_tiny, speech, tmp_path):
    three = export_tiny(batch_size=2, num_speakers=3)
    soundfile.write(tmp_path / "talk.wav", speech[: 4 * RATE], RATE, subtype="FLOAT")
    run_engine("--model", three.path, "--input", tmp_path / "talk.wav", "--output", tmp_path / "out")
    expected = Separator(three.checkpoint, chunk_seconds=three.chunk_seconds, batch_size=2)(tmp_path / "talk.wav")
    tracks = read_tracks(tmp_path / "out", "talk")
    assert tracks.shape == (3, 4 * RATE)
    assert (np.abs(tracks - expected) <= 1e-4 * np.abs(expected).max(axis=1, keepdims=True)).all()


def test_real_speech_of_forty_seconds(run_infer, exported, separator, speech, tmp_path):
    soundfile.write(tmp_path / "talk.wav", speech, RATE, subtype="FLOAT")
    result = run_infer("--model", exported.path, "--input", tmp_path / "talk.wav", "--output", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    expected = separator(tmp_path / "talk.wav")
    tracks = read_tracks(tmp_path / "out", "talk")
    assert (np.abs(tracks - expected) <= 1e-4 * np.abs(expected).max(axis=1, keepdims=True)).all()


@pytest.mark.skipif(not PRETRAINED.exists(), reason="this copy of the program comes without its trained network")
@pytest.mark.parametrize("engine", [FUSED, MINDSPORE], ids=["fused", "mindspore"])
def test_the_network_that_comes_with_the_program(run_infer, shipped, speech, tmp_path, engine):
    """From the file in checkpoints/ to tracks of real speech longer than three chunks.

    Rounding of MindSpore's runtime grows in this network: measured 1.7e-4 of the peak, at four samples above 1e-4.
    """
    soundfile.write(tmp_path / "talk.wav", speech[: 14 * RATE], RATE, subtype="FLOAT")
    result = run_infer("--model", shipped, "--input", tmp_path / "talk.wav", "--output", tmp_path / "out", *engine)
    assert result.returncode == 0, result.stderr
    expected = Separator(chunk_seconds=4.0)(tmp_path / "talk.wav")
    tracks = read_tracks(tmp_path / "out", "talk")
    tolerance = 3e-4 if engine is MINDSPORE else 1e-4
    assert (np.abs(tracks - expected) <= tolerance * np.abs(expected).max(axis=1, keepdims=True)).all()


# The network's own forms: frames longer than two hops, more pairs, levels kept, an odd K.
@pytest.mark.parametrize(
    "settings",
    [
        {"num_filters": 32, "normalize_level": True},
        {"num_pairs": 3, "chunk_frames": 33},
        {"num_filters": 36, "kernel_size": 6, "hidden_size": 14, "num_speakers": 5, "normalize_level": True},
    ],
)
def test_networks_of_other_forms(run_infer, export_tiny, speech, tmp_path, settings):
    network = export_tiny(**settings)
    soundfile.write(tmp_path / "talk.wav", speech[: 3 * RATE], RATE, subtype="FLOAT")
    result = run_infer("--model", network.path, "--input", tmp_path / "talk.wav", "--output", tmp_path / "out", *FUSED)
    assert result.returncode == 0, result.stderr
    expected = Separator(network.checkpoint, chunk_seconds=network.chunk_seconds)(tmp_path / "talk.wav")
    tracks = read_tracks(tmp_path / "out", "talk")
    assert (np.abs(tracks - expected) <= 1e-4 * np.abs(expected).max(axis=1, keepdims=True)).all()


def kinds_here(program: Path) -> list[str]:
    """The kinds of processors for which operators were built and that this one can run; plain is always there."""
    flags = set(Path("/proc/cpuinfo").read_text().split())
    needs = {"avx2": {"avx2", "fma"}, "avx512": {"avx512dq", "avx512vl"}, "bf16": {"avx512_bf16"}, "amx": {"amx_bf16"}}
    built = {path.stem.removeprefix("gdprnn_kernels_") for path in program.parent.glob("gdprnn_kernels_*.so")}
    assert "plain" in built
    return ["plain", *(kind for kind, needed in needs.items() if kind in built and needed <= flags)]


def test_the_operators_for_every_kind_of_processor(gdprnn_infer, separate, separator, speech, tmp_path):
    soundfile.write(tmp_path / "talk.wav", speech[: 3 * RATE], RATE, subtype="FLOAT")
    expected = separator(tmp_path / "talk.wav")
    peaks = np.abs(expected).max(axis=1, keepdims=True)
    for kind in kinds_here(gdprnn_infer):
        result = separate(tmp_path / "talk.wav", "--verbose", env={**os.environ, "GDPRNN_PROCESSOR": kind})
        assert result.stderr.startswith(f"operators for {kind}\n")
        assert (np.abs(read_tracks(tmp_path / "out", "talk") - expected) <= 1e-4 * peaks).all()


def test_bfloat16_where_the_processor_has_it(gdprnn_infer, run_infer, export_tiny, speech, tmp_path):
    network = export_tiny(num_filters=32, hidden_size=32)
    soundfile.write(tmp_path / "talk.wav", speech[: 3 * RATE], RATE, subtype="FLOAT")
    command = ("--model", network.path, "--input", tmp_path / "talk.wav", "--amp", "bfloat16", "--output")
    kinds = [kind for kind in kinds_here(gdprnn_infer) if kind in ("bf16", "amx")]
    if not kinds:
        check_failure(run_infer(*command, tmp_path / "out"), OPTIONS, "--amp: found bfloat16 on a processor without it")
        pytest.skip("found a processor without bfloat16")
    expected = Separator(network.checkpoint, chunk_seconds=network.chunk_seconds)(tmp_path / "talk.wav")
    peak = np.abs(expected).max()
    for kind in kinds:
        result = run_infer(*command, tmp_path / kind, env={**os.environ, "GDPRNN_PROCESSOR": kind})
        assert result.returncode == 0, result.stderr
        difference = np.abs(read_tracks(tmp_path / kind, "talk") - expected).max() / peak
        assert 1e-5 < difference < 0.02  # 8 bits of significand, so something was rounded


def test_bfloat16_of_sizes_that_it_does_not_have(gdprnn_infer, separate, talk):
    if not {"bf16", "amx"} & set(kinds_here(gdprnn_infer)):
        pytest.skip("found a processor without bfloat16")
    check_failure(
        separate(talk, "--amp", "bfloat16"), OPTIONS, "found bfloat16 with N = 16 and H = 8, expected multiples"
    )


def test_a_kind_of_processor_that_is_none(separate, talk):
    result = separate(talk, env={**os.environ, "GDPRNN_PROCESSOR": "z80"})
    check_failure(result, OPTIONS, "GDPRNN_PROCESSOR: found 'z80', expected a kind of processor that can be taken here")


PEAK_OF_A_PROGRAM = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_memory_is_not_that_of_the_runtime(gdprnn_infer, exported, talk, tmp_path):
    """Whose libraries alone take 200 MB."""
    command = [gdprnn_infer, "--model", exported.path, "--input", talk, "--output", tmp_path / "out"]
    # A process's peak is at least that of the one which started it, so that must be a small one.
    small = [sys.executable, "-c", PEAK_OF_A_PROGRAM, *command]
    result = subprocess.run(small, capture_output=True, text=True, check=True)
    assert 1000 < int(result.stdout) < 60_000  # kB


# what is told


def test_what_was_written_is_told_in_a_line(run_infer, exported, talk, tmp_path):
    out = tmp_path / "out"
    result = run_infer("--model", exported.path, "--input", talk, "--output", out)
    told = f"{talk} -> {out}/talk_s1.wav, {out}/talk_s2.wav  \\(1.5 s of audio, [0-9.]+ x real time\\)\n"
    assert re.fullmatch(told, result.stdout)
    assert result.stderr == ""
    assert files_of(out) == ["talk_s1.wav", "talk_s2.wav"]


def test_remarks_are_those_of_python(run_infer, exported, speech, tmp_path, capsys):
    recording = np.stack([speech[:RATE], speech[:RATE]], axis=1)
    recording[:] = np.clip(recording * 40, -0.9, 0.9)
    soundfile.write(tmp_path / "loud.wav", recording, 4000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(2000), 16000)
    paths = [tmp_path / "loud.wav", tmp_path / "silent.wav"]
    inputs = [word for path in paths for word in ("--input", path)]
    result = run_infer("--model", exported.path, *inputs, "--output", tmp_path / "out")
    separator = Separator(exported.checkpoint, chunk_seconds=exported.chunk_seconds)  # which has told no note yet
    capsys.readouterr()
    for path in paths:
        separator(path)
    assert result.stderr == capsys.readouterr().err
    assert "clipped: found" in result.stderr


def test_tracks_beyond_full_scale_are_floats(run_infer, exported, separator, speech, tmp_path):
    soundfile.write(tmp_path / "talk.wav", np.clip(speech[:RATE] * 60, -1, 1), RATE)
    result = run_infer("--model", exported.path, "--input", tmp_path / "talk.wav", "--output", tmp_path / "out")
    expected = separator(tmp_path / "talk.wav")
    beyond = [np.abs(track).max() > 1 for track in expected]
    assert any(beyond)
    for number, is_beyond in enumerate(beyond, 1):
        path = tmp_path / "out" / f"talk_s{number}.wav"
        assert soundfile.info(path).subtype == ("FLOAT" if is_beyond else "PCM_16")
        note = f"note: {path}: goes beyond full scale, so it is written as 32-bit float wav\n"
        assert (note in result.stderr) == is_beyond
    assert np.allclose(read_tracks(tmp_path / "out", "talk"), expected, atol=1e-4)


def test_help_and_version(run_infer):
    shown = run_infer("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--model FILE" in shown.stdout
    assert run_infer("--version").stdout == f"gdprnn_infer {VERSION}\n"


def test_start_up_is_told_when_asked_for(run_infer, exported, talk, tmp_path):
    command = ("--model", exported.path, "--input", talk, "--output", tmp_path / "out", "--threads", 2, "--batch", 2)
    result = run_infer(*command, "--verbose")
    told = r"operators for [a-z0-9]+\nstart-up: [0-9.]+ s for 1 network with 2 threads each\n"
    assert re.fullmatch(told, result.stderr)
    result = run_infer(*command, "--verbose", *MINDSPORE, env={**os.environ, "GLOG_v": "4"})  # the runtime logs nothing
    assert re.fullmatch(r"start-up: [0-9.]+ s for 2 networks with 1 thread each\n", result.stderr)


@pytest.mark.parametrize(
    ("threads", "batch", "told"),
    [(2, 1, "1 network with 2 threads"), (3, 2, "2 networks with 1 thread"), (2, 5, "2 networks with 1 thread")],
)
def test_networks_never_take_more_threads_than_asked_for(separate, talk, threads, batch, told):
    options = ("--threads", threads, "--batch", batch, "--verbose", *MINDSPORE)
    result = separate(talk, *options, env={**os.environ, "GLOG_v": "4"})
    assert f" for {told} each\n" in result.stderr


# options


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--speed", "2"], "found '--speed', which is no option of this program"),
        (["--threads", "two"], "--threads: found 'two', expected a whole number from 1 to 4096"),
        (["--device", "gpu"], "--device: found 'gpu', expected cpu or ascend"),
        (["--engine", "steam"], "--engine: found 'steam', expected fused or mindspore"),
        (["--engine", "fused", "--device", "ascend"], "--engine: found fused for ascend, expected mindspore"),
        (
            ["--engine", "mindspore", "--amp", "bfloat16"],
            "--amp: found bfloat16 with the engine mindspore, expected none",
        ),
        (["--index", "index.json"], "found --input and --index, expected one of them"),
    ],
)
def test_wrong_options(run_infer, words, message):
    result = run_infer("--model", "net.mindir", "--input", "talk.wav", "--output", "out", *words)
    check_failure(result, OPTIONS, message)


def test_a_batch_that_is_no_multiple_of_the_exported_one(run_infer, export_tiny, talk, tmp_path):
    network = export_tiny(batch_size=2, num_speakers=3)
    command = ("--model", network.path, "--input", talk, "--output", tmp_path / "out")
    assert run_infer(*command, "--batch", 3).returncode == 0
    check_failure(run_infer(*command, "--batch", 3, *MINDSPORE), OPTIONS, "--batch: found 3, expected a multiple of 2")
    check_failure(run_infer(*command, "--batch", 4, "--device", "ascend"), OPTIONS, "--batch: found 4, expected 2")


def test_an_output_is_never_an_input(run_infer, exported, talk, tmp_path):
    track = talk.rename(tmp_path / "talk_s1.wav")
    (tmp_path / "talk.wav").symlink_to(track)
    content = track.read_bytes()
    result = run_infer("--model", exported.path, "--input", tmp_path / "talk.wav", "--output", tmp_path)
    check_failure(result, OPTIONS, "is an input too, expected another --output")
    assert track.read_bytes() == content


def test_a_name_that_is_too_long_is_told_before_the_work(separate, tmp_path):
    result = separate(tmp_path / f"{'a' * 249}.wav")
    check_failure(result, OPTIONS, "a_s1.wav has a name of 256 bytes, expected at most 255")
    assert not (tmp_path / "out").exists()


def test_what_a_killed_run_left_is_removed(separate, talk, tmp_path):
    """In the same folder a run of separate.py may be at work."""
    for name in (".gdprnn_infer-abcdef", ".separating-abcdef"):
        (tmp_path / "out" / name).mkdir(parents=True)
        (tmp_path / "out" / name / "talk_s1.wav").touch()
    assert separate(talk).returncode == 0
    assert files_of(tmp_path / "out") == [".separating-abcdef", "talk_s1.wav", "talk_s2.wav"]


# the network


def rewritten(path: Path, **changes: object) -> None:
    """Change a description; its checksum becomes that of the network."""
    description = Path(f"{path}.json")
    values = json.loads(description.read_text())
    values["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    description.write_text(json.dumps({**values, **changes}))


def test_a_missing_network(run_infer, exported, talk, tmp_path):
    none = tmp_path / "none.mindir"
    command = ("--model", none, "--input", talk, "--output", tmp_path / "out")
    check_failure(run_infer(*command), MODEL, "none.mindir.json: cannot be read")
    (tmp_path / "none.mindir.json").write_bytes(exported.description.read_bytes())
    check_failure(run_infer(*command), MODEL, "none.mindir: cannot be read")


def test_a_damaged_network_is_seen_before_the_runtime_gets_it(run_infer, copied, talk, tmp_path):
    content = bytearray(copied.read_bytes())
    content[len(content) // 2] ^= 1
    copied.write_bytes(content)
    result = run_infer("--model", copied, "--input", talk, "--output", tmp_path / "out")
    check_failure(result, MODEL, "damaged, or not the network of")


TAKES_NO_NETWORK = {
    FUSED: "tiny.mindir: found .*, expected a network that export.py wrote",
    MINDSPORE: "tiny.mindir: the runtime cannot build it for cpu .it says '.*expected a network that",
}


@pytest.mark.parametrize("engine", TAKES_NO_NETWORK)
@pytest.mark.parametrize("content", [b"", b"this is no network", b"\0" * 5000, "half"])
def test_a_network_that_the_engine_does_not_take(run_infer, copied, talk, content, engine):
    whole = copied.read_bytes()
    copied.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    rewritten(copied)
    result = run_infer("--model", copied, "--input", talk, "--output", talk.parent / "out", *engine)
    check_failure(result, MODEL, TAKES_NO_NETWORK[engine])


def test_a_network_of_an_odd_size(run_infer, export_tiny, talk, tmp_path):
    """MindSpore takes it, the operators do not."""
    network = export_tiny(hidden_size=7)
    command = ("--model", network.path, "--input", talk, "--output", tmp_path / "out")
    check_failure(run_infer(*command), MODEL, "found H = 7, .*; --engine mindspore takes others")
    assert run_infer(*command, *MINDSPORE).returncode == 0


def test_a_network_for_another_device(run_infer, exported, talk, tmp_path):
    import export

    options = ("--ckpt_path", exported.checkpoint, "--file_name", tmp_path / "ascend", "--seconds", 1)
    export.main([*map(str, options), "--device_target", "Ascend"])
    result = run_infer("--model", tmp_path / "ascend.mindir", "--input", talk, "--output", tmp_path / "out")
    check_failure(result, MODEL, "expected a network that export.py wrote for a CPU")


def test_without_the_program_for_the_runtime(gdprnn_infer, exported, talk, tmp_path):
    """A copy of the program without its neighbours."""
    program = shutil.copy(gdprnn_infer, tmp_path)
    command = [program, "--model", exported.path, "--input", talk, "--output", tmp_path / "out"]
    for engine, message in (
        (FUSED, "gdprnn_kernels_plain.so: no such file"),
        (MINDSPORE, "gdprnn_infer_mindspore: cann"),
    ):
        result = subprocess.run([*command, *engine], capture_output=True, text=True, check=False)
        check_failure(result, MODEL, message)


@pytest.mark.parametrize("engine", [FUSED, (*MINDSPORE, "--no-cache")])
def test_networks_that_are_damaged_here_and_there_never_end_in_a_crash(run_infer, copied, talk, tmp_path, engine):
    rng = np.random.default_rng(0)
    whole = np.frombuffer(copied.read_bytes(), np.uint8)
    for _ in range(12 if engine == FUSED else 8):
        content = whole.copy()
        places = rng.integers(0, len(content), 200)
        content[places] = rng.integers(0, 256, len(places))
        copied.write_bytes(content.tobytes())
        rewritten(copied)
        options = ("--model", copied, "--input", talk, "--output", tmp_path / "out")
        result = run_infer(*options, *engine, timeout=120)
        assert result.returncode in (0, MODEL, INFERENCE), result
        if result.returncode:
            assert re.fullmatch("error: .*tiny.mindir.*\n", result.stderr), result.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 1}, "found version 1, expected 2"),
        ({"format": "recipe"}, "format: found \"recipe\", expected 'gdprnn exported network'"),
        ({"file_format": "ONNX"}, "file_format: found 'ONNX', expected 'MINDIR'"),
        ({"num_speakers": 3}, "outputs.0.: found tracks float32 .1, 2, 8000., expected tracks float32 .1, 3, 8000."),
        ({"chunk_samples": 8001}, "inputs.0.: found mixture float32 .1, 8000., expected mixture float32 .1, 8001."),
        ({"sample_rate": "fast"}, 'sample_rate: found "fast", expected a whole number'),
        ({"chunk_frames": 1}, "chunk_frames: found 1, expected a whole number from 2"),
        ({"kernel_size": 8}, "encoder_weight: found 256 bytes of type 1, expected 512"),
        ({"overlap_samples": 4001}, "overlap_samples: found 4001, expected a whole number from 0 to 4000"),
    ],
)
def test_descriptions_that_lie_or_are_of_another_kind(run_infer, copied, talk, changes, message):
    rewritten(copied, **changes)
    check_failure(run_infer("--model", copied, "--input", talk, "--output", copied.parent / "out"), MODEL, message)


def test_a_description_of_another_network(run_infer, copied, talk, tmp_path):
    tensors = {
        "chunk_samples": 4000,
        "overlap_samples": 1000,
        "inputs": [
            {"name": "mixture", "dtype": "float32", "shape": [1, 4000]},
            {"name": "num_samples", "dtype": "int32", "shape": [1]},
        ],
        "outputs": [{"name": "tracks", "dtype": "float32", "shape": [1, 2, 4000]}],
    }
    rewritten(copied, **tensors)
    result = run_infer("--model", copied, "--input", talk, "--output", tmp_path / "out", *MINDSPORE)
    check_failure(result, MODEL, "found the inputs mixture float32 .1, 8000.")


def test_an_ascend_device_that_is_not_there(run_infer, exported, talk, tmp_path):
    command = ("--model", exported.path, "--input", talk, "--output", tmp_path / "out", "--device", "ascend")
    if list(Path("/dev").glob("davinci[0-9]*")):
        pytest.skip("found an Ascend device")
    check_failure(run_infer(*command), MODEL, "the runtime cannot build it for ascend")


# recordings


def spoiled(kind: str, path: Path, talk: Path) -> None:
    """Write a file that is no recording."""
    whole = talk.read_bytes()
    if kind == "text":
        path.write_text("This is a text, not a recording.\n" * 20)
    elif kind == "truncated":
        path.write_bytes(whole[:-1001])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0), RATE)
    elif kind == "nan":
        soundfile.write(path, np.array([0.1, np.nan, 0.2, np.inf]), RATE, subtype="FLOAT")
    elif kind == "huge":
        soundfile.write(path, np.array([0.1, 1e20]), RATE, subtype="FLOAT")
    elif kind == "slow":
        soundfile.write(path, np.array([0.1, 0.2]), 50)
    elif kind == "folder":
        path.mkdir()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "bad.wav: no such file, expected an audio file"),
        ("text", "bad.wav: unreadable, expected audio that libsndfile reads"),
        ("truncated", "bad.wav: truncated, found 22999 bytes of audio, expected 24000"),
        ("empty", "bad.wav: found an empty file of 0 bytes, expected an audio file"),
        ("no samples", "bad.wav: found 0 samples, expected at least 1"),
        ("nan", "bad.wav: found 2 NaN or infinite samples, expected finite samples only"),
        ("huge", r"bad.wav: found samples up to 1e\+20, expected them between -1 and 1"),
        ("slow", "bad.wav: found a sample rate of 50 Hz, expected 100 to 10000000"),
        ("folder", "bad.wav: found a folder or a device, expected an audio file"),
    ],
)
def test_inputs_that_cannot_be_used(separate, talk, tmp_path, kind, message):
    spoiled(kind, tmp_path / "bad.wav", talk)
    check_failure(separate(tmp_path / "bad.wav"), INPUT, message)
    assert files_of(tmp_path / "out") == []


def test_one_bad_input_does_not_stop_the_others(run_infer, exported, talk, tmp_path):
    (tmp_path / "bad.wav").write_text("no audio")
    inputs = ("--input", tmp_path / "bad.wav", "--input", talk)
    result = run_infer("--model", exported.path, *inputs, "--output", tmp_path / "out")
    assert result.returncode == INPUT
    assert result.stderr.startswith("error: ")
    assert files_of(tmp_path / "out") == ["talk_s1.wav", "talk_s2.wav"]


# outputs


def test_outputs_that_cannot_be_written(run_infer, exported, talk, tmp_path):
    (tmp_path / "file").write_text("")
    command = ("--model", exported.path, "--input", talk)
    check_failure(run_infer(*command, "--output", tmp_path / "file"), OUTPUT, "file: cannot be made")
    check_failure(run_infer(*command, "--output", tmp_path / "file/below"), OUTPUT, "below: cannot be made")


def test_a_full_disk_leaves_nothing_behind(separate, speech, tmp_path):
    """A limit on the size of files stands in for it, met by the mixture's temporary file, the chunks', the tracks'."""
    soundfile.write(tmp_path / "talk.wav", speech[: 4 * RATE], RATE)
    out = tmp_path / "out"
    out.mkdir()
    (out / "talk_s1.wav").write_text("from before")
    for limit in (10_000, 150_000, 260_000):
        result = separate(tmp_path / "talk.wav", preexec_fn=limited(limit))
        check_failure(result, OUTPUT, "talk.wav: the temporary file in .* cannot be written")
        assert files_of(out) == ["talk_s1.wav"]
        assert (out / "talk_s1.wav").read_text() == "from before"


def test_a_full_disk_while_the_tracks_are_written(separate, speech, tmp_path):
    """At a higher rate the wav files are larger than all temporary files."""
    soundfile.write(tmp_path / "talk.wav", soxr.resample(speech[:4000], RATE, 96000), 96000, subtype="FLOAT")
    result = separate(tmp_path / "talk.wav", preexec_fn=limited(100_000))
    assert result.returncode == OUTPUT
    assert re.search("^error: .*talk_s1.wav: cannot be written .File too large.\n$", result.stderr, re.MULTILINE)
    assert files_of(tmp_path / "out") == []


# interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(gdprnn_infer, export_tiny, speech, tmp_path, number):
    """It comes while the network runs, which takes long for a recording of twenty minutes."""
    network = export_tiny(chunk_seconds=4.0)
    soundfile.write(tmp_path / "talk.wav", np.tile(speech, 30), RATE)
    out = tmp_path / "out"
    options = ["--model", network.path, "--input", tmp_path / "talk.wav", "--output", out]
    process = subprocess.Popen(
        ["env", "--default-signal=INT", gdprnn_infer, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (out.is_dir() and files_of(out)):  # until its hidden folder is there
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(number)
    told, complaint = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert (told, complaint) == ("", "interrupted: what is finished stays, of the rest nothing is left behind\n")
    assert files_of(out) == []
