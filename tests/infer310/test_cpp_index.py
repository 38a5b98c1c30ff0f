"""The C++ program's model-zoo mode: a folder of .bin inputs to a folder of .bin outputs."""

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from src.infer310.index import Entry, InputIndex, read_outputs, write_index
from src.inference import load_separate
from src.stitching.chunks import Chunking, separate_in_chunks
from tests.synthetic import voice

MODEL, INPUT, OUTPUT, INTERRUPTED = 3, 4, 6, 130
RATE = 8000
LENGTHS = (3, 2500, RATE, RATE + 1, 7 * RATE // 2)  # less than a window, a chunk and less, some chunks


def write_folder(folder: Path, lengths: Sequence[int] = LENGTHS, padding: int = 0, **changes: object) -> Path:
    """A folder of inputs, two synthetic voices each; gives the path of its index."""
    folder.mkdir(parents=True)
    talk = voice(110, 5.0, seed=1) + voice(220, 5.0, seed=2)
    entries = []
    for number, length in enumerate(lengths):
        mixture = talk[number : number + length]
        row = np.concatenate((mixture, np.full(padding, np.nan)))  # what follows the true length does not matter
        row.astype("<f4").tofile(folder / f"{number:05}.bin")
        entries.append(Entry(f"mixture {number}", f"{number:05}.bin", (1, length + padding), length))
    values = {"sample_rate": RATE, "num_speakers": 2, "data": "digest", "inputs": tuple(entries), **changes}
    write_index(folder / "index.json", InputIndex(**values))
    return folder / "index.json"


def read_folder(folder: Path) -> list[np.ndarray]:
    """The outputs, [C, T] each, by the index."""
    index = read_outputs(folder / "index.json")
    return [np.fromfile(folder / entry.file, "<f4").reshape(entry.shape) for entry in index.outputs]


def check_failure(result, code: int, message: str) -> None:
    assert (result.returncode, result.stdout) == (code, ""), result.stderr
    assert re.fullmatch(f"error: .*{message}.*\n", result.stderr), result.stderr


@pytest.fixture
def command(exported, tmp_path):
    """The options, for inputs in O and outputs in R."""
    return ("--model", exported.path, "--index", tmp_path / "O/index.json", "--output", tmp_path / "R")


@pytest.fixture(scope="module")
def expected_tracks(exported, tmp_path_factory) -> list[np.ndarray]:
    """What Python makes of the inputs, [C, T] each."""
    folder = write_folder(tmp_path_factory.mktemp("inputs") / "O").parent
    separate, _ = load_separate(exported.checkpoint)
    chunking = Chunking.from_seconds(exported.chunk_seconds, None, RATE)
    mixtures = [np.fromfile(path, "<f4") for path in sorted(folder.glob("*.bin"))]
    return [np.concatenate(list(separate_in_chunks(each, separate, chunking, RATE)), axis=1) for each in mixtures]


@pytest.mark.parametrize(
    "options",
    [
        (*batch, "--engine", engine)
        for engine in ("fused", "mindspore")
        for batch in ((), ("--batch", 3, "--threads", 2))
    ],
)
@pytest.mark.parametrize("padding", [0, 100])
def test_outputs_are_those_of_python(run_infer, expected_tracks, command, options, padding):
    index, outputs = command[3], command[5]
    write_folder(index.parent, padding=padding)
    result = run_infer(*command, *options)
    assert result.returncode == 0, result.stderr
    for length, tracks, expected in zip(LENGTHS, read_folder(outputs), expected_tracks, strict=True):
        assert tracks.shape == (2, length)
        assert (np.abs(tracks - expected) <= 1e-4 * np.abs(expected).max(axis=1, keepdims=True)).all()


def test_the_index_of_the_outputs_tells_what_they_are_of(run_infer, exported, command, tmp_path):
    write_folder(tmp_path / "O")
    result = run_infer(*command)
    index = read_outputs(tmp_path / "R/index.json")
    description = json.loads(exported.description.read_text())
    assert (index.sample_rate, index.num_speakers, index.data) == (RATE, 2, "digest")
    assert index.model_sha256 == description["sha256"]
    assert (index.chunk_samples, index.overlap_samples) == (RATE, RATE // 4)
    assert [entry.name for entry in index.outputs] == [f"mixture {number}" for number in range(len(LENGTHS))]
    seconds = sum(LENGTHS) / RATE
    told = rf".*O/index.json -> .*R/index.json  \(5 utterances, {seconds:.1f} s of audio, [0-9.]+ x real time\)\n"
    assert re.fullmatch(told, result.stdout)
    assert result.stderr == ""


def test_an_interrupted_run_is_gone_on_with(run_infer, command, tmp_path):
    write_folder(tmp_path / "O")
    run_infer(*command)
    whole = read_folder(tmp_path / "R")
    (tmp_path / "R/index.json").unlink()
    (tmp_path / "R/00001.bin").unlink()
    (tmp_path / "R/00003.bin").write_bytes(b"half")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "R").glob("*.bin")}
    result = run_infer(*command)
    assert "(5 utterances, 3 of them from before, 1.3 s of audio, " in result.stdout
    changed = {path.name for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert changed == {"00003.bin"}
    assert all(np.array_equal(*pair) for pair in zip(whole, read_folder(tmp_path / "R"), strict=True))
    assert run_infer(*command).stdout.endswith("(5 utterances, 5 of them from before)\n")


def test_results_of_another_network_or_other_inputs_are_not_kept(run_infer, export_tiny, command, tmp_path):
    write_folder(tmp_path / "O", LENGTHS[:3])
    run_infer(*command)
    first = read_folder(tmp_path / "R")
    other = export_tiny(chunk_seconds=0.5)
    result = run_infer("--model", other.path, *command[2:])
    assert "from before" not in result.stdout
    assert read_outputs(tmp_path / "R/index.json").chunk_samples == RATE // 2
    assert not np.array_equal(first[2], read_folder(tmp_path / "R")[2])
    index = tmp_path / "O/index.json"
    index.write_text(index.read_text().replace("digest", "another"))
    assert "from before" not in run_infer("--model", other.path, *command[2:]).stdout


def test_outputs_of_inputs_that_are_no_more_are_removed(run_infer, command, tmp_path):
    write_folder(tmp_path / "O", LENGTHS[:3])
    (tmp_path / "R").mkdir()
    (tmp_path / "R/before.bin").touch()  # of whoever made the folder
    run_infer(*command)
    assert (tmp_path / "R/before.bin").exists()
    shutil.rmtree(tmp_path / "O")
    write_folder(tmp_path / "O", LENGTHS[:1])
    (tmp_path / "R/notes.txt").touch()
    assert run_infer(*command).returncode == 0
    names = {path.name for path in (tmp_path / "R").glob("[!.]*")}
    assert names == {"00000.bin", "index.json", "notes.txt"}


def test_a_failure_leaves_no_index(run_infer, command, tmp_path):
    """Another index is there from before, which would tell that all is done."""
    write_folder(tmp_path / "O")
    run_infer(*command)
    index = tmp_path / "O/index.json"
    index.write_text(index.read_text().replace("digest", "another"))
    (tmp_path / "O/00004.bin").write_bytes(np.full(LENGTHS[4], np.nan, "<f4").tobytes())
    result = run_infer(*command)
    check_failure(result, INPUT, "O/00004.bin: found 28000 samples that are NaN, infinite or huge")
    left = sorted(path.name for path in (tmp_path / "R").glob("[!.]*"))
    assert left == [f"{number:05}.bin" for number in range(4)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"version": 1', '"version": 2', "index.json: found version 2, expected 1"),
        ("gdprnn inputs", "gdprnn outputs", "format: found \"gdprnn outputs\", expected 'gdprnn inputs'"),
        ("[1, 2500]", "[1, 2501]", "O/00001.bin: found 10000 bytes, expected 10004"),
        ("[1, 2500]", "[2500]", r"inputs\[1\]: shape: expected \[1, T\]"),
        ("[1, 2500]", "[1, 2499]", r"inputs\[1\]: num_samples: found 2500, expected a whole number from 1 to 2499"),
        ("[1, 2500]", "[1, 9223372036854775807]", r"inputs\[1\]: shape: found"),
        ("00001.bin", "../O/00001.bin", "file: found '../O/00001.bin', expected NAME.bin without a folder"),
        ("00001.bin", "00002.bin", "found '00002.bin' twice"),
        ("00001.bin", "missing.bin", "missing.bin: cannot be read"),
        ('"sample_rate": 8000', '"sample_rate": 16000', "found inputs at 16000 Hz, expected 8000 Hz"),
        ('"num_speakers": 2', '"num_speakers": 3', "found inputs of 3 speakers, expected 2"),
        ("{", "", "found no JSON object, expected a file of 'gdprnn inputs'"),
    ],
)
def test_an_index_that_lies_or_is_of_another_kind(run_infer, command, old, new, message):
    index = write_folder(command[3].parent)
    index.write_text(index.read_text().replace(old, new, 1))
    check_failure(run_infer(*command), INPUT, message)
    assert not command[5].exists()


def test_a_missing_index_and_a_truncated_input(run_infer, command, tmp_path):
    check_failure(run_infer(*command), INPUT, "O/index.json: cannot be read")
    write_folder(tmp_path / "O")
    whole = (tmp_path / "O/00004.bin").read_bytes()
    (tmp_path / "O/00004.bin").write_bytes(whole[:-1])
    check_failure(run_infer(*command), INPUT, "O/00004.bin: found 111999 bytes, expected 112000")


def test_outputs_that_cannot_be_written(run_infer, exported, command, tmp_path):
    write_folder(tmp_path / "O")
    (tmp_path / "R").write_text("a file")
    check_failure(run_infer(*command), OUTPUT, "R: cannot be made")
    into_inputs = run_infer("--model", exported.path, *command[2:4], "--output", tmp_path / "O")
    check_failure(into_inputs, 2, "found the folder of the inputs, expected another --output")
    assert len(list((tmp_path / "O").iterdir())) == len(LENGTHS) + 1


def test_a_full_disk(run_infer, command, tmp_path):
    """A limit on the size of files stands in for it. What was finished before stays."""
    write_folder(tmp_path / "O")

    def set_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    check_failure(run_infer(*command, preexec_fn=set_limit), OUTPUT, "cannot be written .File too large")
    left = {path.name for path in (tmp_path / "R").iterdir() if not path.name.startswith(".gdprnn")}
    assert left == {f"{number:05}.bin" for number in range(4)}
    assert run_infer(*command).returncode == 0


@pytest.mark.parametrize("mode", ["index", "wav"])
def test_a_folder_where_another_run_writes_is_left_alone(run_infer, exported, command, tmp_path, mode):
    write_folder(tmp_path / "O")
    (tmp_path / "R").mkdir()
    options = command if mode == "index" else (*command[:2], "--input", tmp_path / "O/talk.wav", *command[4:])
    descriptor = os.open(tmp_path / "R", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        check_failure(run_infer(*options), OUTPUT, "R: found another run that writes there, expected none")
    finally:
        os.close(descriptor)
    assert list((tmp_path / "R").iterdir()) == []


def test_what_a_killed_run_left_is_removed(run_infer, command, tmp_path):
    write_folder(tmp_path / "O")
    (tmp_path / "R/.gdprnn_infer-abcdef").mkdir(parents=True)
    (tmp_path / "R/.gdprnn_infer-abcdef/00000.bin").touch()
    assert run_infer(*command).returncode == 0
    assert not list((tmp_path / "R").glob(".gdprnn_infer-*"))


def test_ctrl_c_leaves_whole_files_only(gdprnn_infer, export_tiny, run_infer, tmp_path):
    network = export_tiny(chunk_seconds=4.0)
    write_folder(tmp_path / "O", [4 * RATE] * 60)
    command = ["--model", network.path, "--index", tmp_path / "O/index.json", "--output", tmp_path / "R"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(["env", "--default-signal=INT", gdprnn_infer, *command], **pipes)
    while len(list((tmp_path / "R").glob("*.bin"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told, complaint = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert (told, complaint) == ("", "interrupted: what is finished stays, the same command goes on from there\n")
    files = [path for path in (tmp_path / "R").iterdir() if path.name != ".gdprnn_infer.json"]
    assert all(path.suffix == ".bin" and path.stat().st_size == 2 * 4 * 4 * RATE for path in files)
    result = run_infer(*command)
    assert result.returncode == 0
    assert "of them from before" in result.stdout
    assert len(read_folder(tmp_path / "R")) == 60
