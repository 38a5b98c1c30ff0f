"""Which folders and tables are found, as preprocess.py sees them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from mixtures_on_disk import convert, names, read, stored, write_metadata, write_split

from src.data.records import RecordFile
from src.errors import UserError


def test_sources_are_paired_by_name_not_by_order_or_length(tmp_path):
    root = tmp_path / "in"
    write_split(root, "test", ["b", "a", "c"])  # of rising length in this order
    for name in ("s1", "s2"):
        (root / "test" / name / "aa.wav").write_bytes((root / "test" / name / "a.wav").read_bytes())
    convert(root, tmp_path / "out")
    for name, rows in stored(tmp_path / "out", "test").items():
        np.testing.assert_array_equal(rows[1], read(root / f"test/s1/{name}.wav"))


def test_the_copy_is_read_and_not_what_the_metadata_was_made_from(tmp_path):
    original = tmp_path / "original"
    write_split(original, "test", names(2))
    write_metadata(original, "test", names(2), was=str(original))
    shutil.copytree(original, tmp_path / "copy")
    manifest = convert(tmp_path / "copy", tmp_path / "out")["test"]
    assert manifest.root == tmp_path / "copy"
    assert not Path(manifest.utterances[0].mixture).is_absolute()


def test_the_sample_rate_chooses_the_folder(tmp_path):
    write_split(tmp_path / "in/Libri2Mix/wav8k/min", "test", ["a"])
    write_split(tmp_path / "in/Libri2Mix/wav16k/max", "test", ["a", "b"], rate=16000)
    manifest = convert(tmp_path / "in", tmp_path / "out", "--sample-rate", "16000")["test"]
    assert (manifest.sample_rate, len(manifest.utterances)) == (16000, 2)
    assert RecordFile(tmp_path / "out/test.mindrecord").index.sample_rate == 16000


def two_data_sets(root):
    write_split(root / "Libri2Mix/wav8k/min", "test", ["a"])
    write_split(root / "Libri3Mix/wav8k/min", "test", ["a"], num_speakers=3)


def different_numbers(root):
    write_split(root, "train", ["a"], num_speakers=3)
    write_split(root, "test", ["a"])


def a_gap(root):
    write_split(root, "test", ["a"], num_speakers=3)
    shutil.rmtree(root / "test/s2")


def metadata_of_others(root):
    write_split(root, "test", ["a"], num_speakers=3)
    write_metadata(root, "test", ["a"])


def metadata_without_columns(root):
    write_split(root, "test", ["a"])
    (root / "metadata").mkdir()
    (root / "metadata/mixture_test_mix_clean.csv").write_text("id,path\n1,2\n")


def nothing_usable(root):
    write_split(root, "test", ["a"])
    (root / "test/s1/a.wav").unlink()


def the_same_id_twice(root):
    write_split(root, "train-100", ["a"])
    write_split(root, "train-360", ["a"])


MISTAKES = [
    (lambda root: None, "no such folder, expected a data set"),
    (lambda root: root.mkdir(), "found no splits, expected wav8k/min/train-100"),
    (
        lambda root: write_split(root / "Libri2Mix/wav16k/min", "test", ["a"]),
        "found Libri2Mix/wav16k, expected wav8k",
    ),
    (
        lambda root: write_split(root, "test", ["a"], mixture_folder="mix_both"),
        "found test with mix_both, s1, s2 in it, expected mix_clean",
    ),
    (two_data_sets, "found several data sets: Libri2Mix/wav8k/min, Libri3Mix/wav8k/min; expected one"),
    (different_numbers, "found different numbers of speakers: 3 in train, 2 in test; expected the same"),
    (a_gap, "found the source folders s1, s3, expected s1, s2, … without a gap"),
    (metadata_of_others, "found 2 source columns, expected 3 as in the folders"),
    (metadata_without_columns, "found the columns id, path, expected mixture_ID, mixture_path"),
    (nothing_usable, "test: found no mixture that can be used .a: test/s1/a.wav: no such file"),
    (the_same_id_twice, "found the mixture ID a twice in train-100, train-360"),
]


@pytest.mark.parametrize(("prepare", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes_are_told_in_one_line(tmp_path, prepare, message):
    prepare(tmp_path / "in")
    with pytest.raises(UserError, match=message) as caught:
        convert(tmp_path / "in", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "in") in str(caught.value)
    assert not list(tmp_path.glob("out/*"))
