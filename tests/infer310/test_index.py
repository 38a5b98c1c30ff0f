"""What index.json may say, written and read back."""

import json
import re
from dataclasses import replace

import pytest

from src.errors import UserError
from src.infer310.index import Entry, InputIndex, OutputIndex, read_inputs, read_outputs, write_index

INPUTS = InputIndex(8000, 2, "0123abc", (Entry("a", "00000.bin", (1, 70), 70), Entry("ü", "00001.bin", (1, 90), 80)))
OUTPUTS = OutputIndex(
    8000, 2, "0123abc", "f" * 64, 48, 12, (Entry("a", "00000.bin", (2, 70), 70), Entry("ü", "1.bin", (2, 80), 80))
)


def test_what_is_written_reads_back(tmp_path):
    for index, read in ((INPUTS, read_inputs), (OUTPUTS, read_outputs)):
        write_index(tmp_path / "index.json", index)
        assert read(tmp_path / "index.json") == index


def test_the_file_is_what_the_program_expects(tmp_path):
    write_index(tmp_path / "in.json", INPUTS)
    assert json.loads((tmp_path / "in.json").read_text()) == {
        "format": "gdprnn inputs",
        "version": 1,
        "sample_rate": 8000,
        "num_speakers": 2,
        "data": "0123abc",
        "inputs": [
            {"name": "a", "file": "00000.bin", "dtype": "float32", "shape": [1, 70], "num_samples": 70},
            {"name": "ü", "file": "00001.bin", "dtype": "float32", "shape": [1, 90], "num_samples": 80},
        ],
    }
    write_index(tmp_path / "out.json", OUTPUTS)
    values = json.loads((tmp_path / "out.json").read_text())
    entry = {"name": "a", "file": "00000.bin", "dtype": "float32", "shape": [2, 70], "num_samples": 70}
    assert values.pop("outputs")[0] == entry
    assert values == {
        "format": "gdprnn outputs",
        "version": 1,
        "sample_rate": 8000,
        "num_speakers": 2,
        "data": "0123abc",
        "model_sha256": "f" * 64,
        "chunk_samples": 48,
        "overlap_samples": 12,
    }


def test_the_size_of_a_file():
    assert [entry.num_bytes for entry in (*INPUTS.inputs, *OUTPUTS.outputs)] == [280, 360, 560, 640]


MISSING = object()
WRONG_INPUTS = [
    ({"format": "gdprnn outputs"}, "format: found \"gdprnn outputs\", expected 'gdprnn inputs'"),
    ({"version": 2}, "version: found 2, expected 1"),
    ({"version": True}, "version: found true, expected 1"),
    ({"sample_rate": MISSING}, "sample_rate: found nothing, expected a whole number"),
    ({"sample_rate": 0}, "sample_rate: found 0, expected a whole number of at least 1"),
    ({"sample_rate": 8000.0}, "sample_rate: found 8000.0, expected a whole number of at least 1"),
    ({"num_speakers": "2"}, 'num_speakers: found "2", expected a whole number of at least 1'),
    ({"data": ""}, 'data: found "", expected text'),
    ({"data": "x" * 200, "rate": 1}, "found the unknown key rate, expected none"),
    ({"data": ["x" * 200]}, "data: found a list of 1, expected text"),
    ({"inputs": []}, "inputs: found a list of 0, expected a list of at least one object"),
    ({"inputs": {}}, "inputs: found an object, expected a list of at least one object"),
    ({"inputs": ["a"]}, 'found "a" as inputs[0], expected an object'),
]
WRONG_ENTRIES = [
    ({"name": MISSING}, "inputs[1].name: found nothing, expected text"),
    ({"dtype": "int16"}, "inputs[1].dtype: found \"int16\", expected 'float32'"),
    ({"shape": 90}, "inputs[1].shape: found 90, expected a list of whole numbers"),
    ({"shape": [1, "90"]}, "inputs[1].shape: found a list of 2, expected a list of whole numbers"),
    ({"shape": [2, 90]}, "ü: found the shape [2, 90], expected [1, at least 80]"),
    ({"shape": [1, 79]}, "ü: found the shape [1, 79], expected [1, at least 80]"),
    ({"shape": [90]}, "ü: found the shape [90], expected [1, at least 80]"),
    ({"num_samples": 0}, "inputs[1].num_samples: found 0, expected a whole number of at least 1"),
    ({"offset": 0}, "found the unknown key inputs[1].offset, expected none"),
    ({"file": "../00001.bin"}, "ü: found the file '../00001.bin', expected NAME.bin without a folder"),
    ({"file": "index.json"}, "ü: found the file 'index.json', expected NAME.bin without a folder"),
    ({"file": "00000.bin"}, "found the file 00000.bin twice, expected it once"),
    ({"name": "a"}, "found the name a twice, expected it once"),
]


def changed(path, place, changes):
    """The file with other values in it."""
    values = json.loads(path.read_text())
    part = values if place is None else values[place][1]
    part.update(changes)
    for key in [key for key, value in changes.items() if value is MISSING]:
        del part[key]
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("place", "changes", "message"),
    [(None, *case) for case in WRONG_INPUTS] + [("inputs", *case) for case in WRONG_ENTRIES],
)
def test_what_is_wrong_with_an_index_of_inputs(tmp_path, place, changes, message):
    path = tmp_path / "index.json"
    write_index(path, INPUTS)
    changed(path, place, changes)
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        read_inputs(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("place", "changes", "message"),
    [
        (None, {"model_sha256": MISSING}, "model_sha256: found nothing, expected text"),
        (None, {"chunk_samples": 0}, "chunk_samples: found 0, expected a whole number of at least 1"),
        (None, {"overlap_samples": 25}, "overlap_samples: found 25, expected at most half of chunk_samples, 24"),
        (None, {"format": "gdprnn inputs"}, "format: found \"gdprnn inputs\", expected 'gdprnn outputs'"),
        ("outputs", {"shape": [2, 90]}, "ü: found the shape [2, 90], expected [2, 80]"),
        ("outputs", {"shape": [3, 80]}, "ü: found the shape [3, 80], expected [2, 80]"),
    ],
)
def test_what_is_wrong_with_an_index_of_outputs(tmp_path, place, changes, message):
    path = tmp_path / "index.json"
    write_index(path, OUTPUTS)
    changed(path, place, changes)
    with pytest.raises(UserError, match=re.escape(message)):
        read_outputs(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found something that is not JSON"),
        (b"[" * 100_000, "found something that is not JSON"),
        (b"\xff", "found something that is not JSON"),
        (b"[1]", "found a list of 1, expected an object"),
        (None, "cannot be read (No such file or directory), expected a JSON file"),
    ],
)
def test_a_file_that_is_no_index(tmp_path, content, message):
    path = tmp_path / "index.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        read_inputs(path)
    assert "\n" not in str(raised.value)


def test_what_could_not_be_read_is_not_written(tmp_path):
    twice = replace(INPUTS, inputs=(INPUTS.inputs[0], INPUTS.inputs[0]))
    with pytest.raises(UserError, match="found the name a twice"):
        write_index(tmp_path / "index.json", twice)
    assert list(tmp_path.iterdir()) == []
