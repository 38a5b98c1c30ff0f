"""gdprnn_convert: the same network in the form in which the runtime starts soonest."""

import hashlib
import json
import re
import stat

import numpy as np
import pytest
import soundfile

from tests.synthetic import voice

OPTIONS, MODEL, INFERENCE, OUTPUT = 2, 3, 5, 6
RATE = 8000


@pytest.fixture(scope="module")
def converted(convert, exported, tmp_path_factory):
    """The exported network, converted."""
    path = tmp_path_factory.mktemp("converted") / "tiny.ms"
    result = convert(exported.path, path)
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(f"{exported.path} -> {path}  .largest difference [0-9.e+-]+ of the peak.\n", result.stdout)
    return path


@pytest.fixture
def talk(tmp_path):
    soundfile.write(tmp_path / "talk.wav", voice(110, 3.0, seed=1) + voice(220, 3.0, seed=2), RATE, subtype="FLOAT")
    return tmp_path / "talk.wav"


def test_the_description_is_that_of_the_original_but_for_the_file(converted, exported):
    before, after = (
        json.loads(path.read_text()) for path in (exported.description, converted.with_name("tiny.ms.json"))
    )
    changed = {"file": "tiny.ms", "file_format": "MS", "sha256": hashlib.sha256(converted.read_bytes()).hexdigest()}
    assert after == {**before, **changed}
    assert stat.S_IMODE(converted.stat().st_mode) == stat.S_IMODE(exported.path.stat().st_mode)
    assert sorted(path.name for path in converted.parent.iterdir()) == ["tiny.ms", "tiny.ms.json"]


def test_tracks_are_those_of_the_original(run_infer, converted, exported, talk, tmp_path):
    tracks = []
    for name, model in (("before", exported.path), ("after", converted)):
        result = run_infer("--model", model, "--input", talk, "--output", tmp_path / name)
        assert result.returncode == 0, result.stderr
        tracks.append(np.stack([soundfile.read(tmp_path / name / f"talk_s{number}.wav")[0] for number in (1, 2)]))
    assert np.abs(tracks[0] - tracks[1]).max() <= 1e-5 * np.abs(tracks[0]).max()


def test_wrong_options(convert):
    for words, message in (
        (["one"], "found 1 arguments"),
        (["a.mindir", "b.mindir"], "expected a name that ends in .ms"),
    ):
        result = convert(*words)
        assert (result.returncode, result.stdout) == (OPTIONS, "")
        assert re.fullmatch(f"error: .*{message}.*\n", result.stderr)
    assert "gdprnn_convert NET.mindir NET.ms" in convert("--help").stdout


def test_what_is_no_network_is_not_converted(convert, exported, tmp_path):
    path = exported.copy_to(tmp_path)
    path.write_bytes(b"this is no network")
    values = json.loads(exported.description.read_text())
    path.with_name(f"{path.name}.json").write_text(
        json.dumps({**values, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    )
    result = convert(path, tmp_path / "out/tiny.ms")
    assert (result.returncode, result.stdout) == (MODEL, "")
    assert re.fullmatch("error: .*tiny.mindir: the converter cannot take it.*\n", result.stderr), result.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_written(convert, exported, tmp_path):
    (tmp_path / "file").write_text("")
    result = convert(exported.path, tmp_path / "file/tiny.ms")
    assert (result.returncode, result.stdout) == (OUTPUT, "")


def test_converted_networks_that_are_damaged_never_end_in_a_crash(run_infer, converted, talk, tmp_path):
    rng = np.random.default_rng(0)
    whole = np.frombuffer(converted.read_bytes(), np.uint8)
    values = json.loads(converted.with_name("tiny.ms.json").read_text())
    path = tmp_path / "tiny.ms"
    for number in range(12):
        content = whole[: len(whole) // 2].copy() if number == 0 else whole.copy()
        places = rng.integers(0, len(content), 100)
        content[places] = rng.integers(0, 256, len(places))
        path.write_bytes(content.tobytes())
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        (tmp_path / "tiny.ms.json").write_text(json.dumps({**values, "sha256": sha256}))
        result = run_infer("--model", path, "--input", talk, "--output", tmp_path / "out", timeout=120)
        assert result.returncode in (0, MODEL, INFERENCE), result
        if result.returncode:
            assert re.fullmatch("error: .*tiny.ms.*\n", result.stderr), result.stderr
