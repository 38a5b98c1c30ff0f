"""The description beside an exported network: there and back, and what is refused."""

import dataclasses
import json

import pytest

from src.errors import UserError
from src.infer310.description import Description, arrays, check_sum, path_beside, read, write

INPUTS, OUTPUTS = arrays(2, 3, 8000)
DESCRIPTION = Description(
    file="net.mindir",
    file_format="MINDIR",
    sha256="00ff",
    sample_rate=8000,
    num_speakers=3,
    kernel_size=8,
    chunk_frames=126,
    normalize_level=True,
    prelu_slope=0.25,
    batch_size=2,
    chunk_samples=8000,
    overlap_samples=2000,
    inputs=INPUTS,
    outputs=OUTPUTS,
    device_target="CPU",
    checkpoint="best.ckpt",
    weights="average",
    largest_difference=2e-7,
    program="0.2.0",
    mindspore="2.10.0",
)


def test_it_comes_back_as_it_was(tmp_path):
    path = path_beside(tmp_path / "net.mindir")
    assert path.name == "net.mindir.json"
    for difference in (2e-7, None):
        description = dataclasses.replace(DESCRIPTION, largest_difference=difference)
        write(description, path)
        assert read(path) == description
    assert [child.name for child in tmp_path.iterdir()] == ["net.mindir.json"]


def test_what_the_c_plus_plus_program_reads(tmp_path):
    write(DESCRIPTION, tmp_path / "a.json")
    values = json.loads((tmp_path / "a.json").read_text())
    assert (values["format"], values["version"]) == ("gdprnn exported network", 2)
    assert values["inputs"] == [
        {"name": "mixture", "dtype": "float32", "shape": [2, 8000]},
        {"name": "num_samples", "dtype": "int32", "shape": [2]},
    ]
    assert values["outputs"] == [{"name": "tracks", "dtype": "float32", "shape": [2, 3, 8000]}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "found .*1.*, expected format 'gdprnn exported network', version 2"),
        ({"format": "other"}, "expected format"),
        ({"sample_rate": "8000"}, "sample_rate: found '8000', expected a whole number"),
        ({"largest_difference": "small"}, "largest_difference: found 'small', expected float . None"),
        ({"chunk_samples": 9000}, "inputs, outputs: found"),
        ({"chunk_samples": 0}, "chunk_samples: found 0, expected at least 1"),
        ({"overlap_samples": 4001}, "overlap_samples: found 4001, expected 0 to 4000"),
        ({"outputs": [{"name": "tracks"}]}, "outputs: found no 'dtype', expected a text"),
        ({"colour": "red"}, "unknown configuration key 'colour'"),
    ],
)
def test_values_that_are_refused(tmp_path, change, message):
    path = tmp_path / "net.json"
    write(DESCRIPTION, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_value(tmp_path):
    path = tmp_path / "net.json"
    write(DESCRIPTION, path)
    values = json.loads(path.read_text())
    del values["sha256"]
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="found no 'sha256', expected a text"):
        read(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "\0\xff"])
def test_files_that_are_no_description(tmp_path, content):
    path = tmp_path / "net.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"net\.json: found "):
        read(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="cannot read the description of a network: No such file"):
        read(tmp_path / "none.json")
    with pytest.raises(UserError, match="cannot be read: No such file"):
        check_sum(tmp_path / "none.mindir")


def test_the_check_sum_is_sha_256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert check_sum(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
