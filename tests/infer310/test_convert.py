"""gdprnn_convert: the same tracks from a file that is built sooner."""

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

SPEECH = Path(__file__).parents[1] / "speech"


@pytest.fixture
def convert(cpp_build, tmp_path):
    """Runs the program in the test's folder."""
    program = cpp_build / "gdprnn_convert"
    return lambda *options: subprocess.run(
        [program, *map(str, options)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def network(exported, tmp_path) -> Path:
    """net.mindir in the test's folder."""
    copy = exported.copy_to(tmp_path)
    copy.with_name(f"{copy.name}.json").rename(tmp_path / "net.mindir.json")
    return copy.rename(tmp_path / "net.mindir")


def test_tracks_are_those_of_the_mindir(convert, run_infer, exported, tmp_path):
    speech, rate = soundfile.read(SPEECH / "carlo.flac", frames=20000)
    soundfile.write(tmp_path / "talk.wav", speech, rate, subtype="FLOAT")
    converted = tmp_path / "folder" / "net.ms"
    assert convert(exported.path, converted).returncode == 0
    tracks = {}
    for model in (exported.path, converted):
        result = run_infer("--model", model, "--input", tmp_path / "talk.wav", "--output", tmp_path / model.suffix)
        assert result.returncode == 0, result.stderr
        tracks[model] = soundfile.read(tmp_path / model.suffix / "talk_s1.wav")[0]
    peak = np.abs(tracks[exported.path]).max()
    assert np.abs(tracks[converted] - tracks[exported.path]).max() <= 1e-5 * peak


def test_what_it_writes(convert, exported, tmp_path):
    convert(exported.path, tmp_path / "net.ms")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.ms", "net.ms.json"]
    assert (tmp_path / "net.ms").stat().st_mode & 0o777 == 0o644
    original = json.loads(exported.description.read_text())
    sha256 = hashlib.sha256((tmp_path / "net.ms").read_bytes()).hexdigest()
    expected = {**original, "file": "net.ms", "sha256": sha256}
    assert json.loads((tmp_path / "net.ms.json").read_text()) == expected


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        ([], 2, "expected two arguments"),
        (["net.mindir", "net.mindir"], 2, "expected a name that ends in .ms"),
        (["missing.mindir", "net.ms"], 3, "missing.mindir.json: cannot be read"),
        (["net.mindir", "file/net.ms"], 6, "file"),
    ],
)
def test_what_cannot_be(convert, network, names, code, message):
    network.with_name("file").touch()
    result = convert(*names)
    assert (result.returncode, len(result.stderr.splitlines())) == (code, 1), result.stderr
    assert result.stderr.startswith("error: ")
    assert message in result.stderr


def test_a_damaged_network(convert, network):
    network.write_bytes(network.read_bytes()[:-100])
    result = convert(network.name, "net.ms")
    assert (result.returncode, list(network.parent.glob("*.ms*"))) == (3, [])
    assert "damaged" in result.stderr
