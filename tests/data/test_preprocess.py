import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mixtures_on_disk import (
    RATE,
    convert,
    make_sources,
    names,
    read,
    stored,
    write_metadata,
    write_split,
)

from src.data import loading
from src.data import preprocess as module
from src.data.loading import load_utterance
from src.data.records import RecordFile
from src.errors import UserError
from tests import work


def librimix(folder, metadata=True, **options):
    root = Path(folder, "Libri2Mix/wav8k/min")
    for split, count in (("train-100", 4), ("train-360", 2), ("dev", 2), ("test", 3)):
        split_names = [f"{name}{split[-2:]}" for name in names(count)]
        write_split(root, split, split_names, **options)
        if metadata:
            write_metadata(root, split, split_names)
    return root


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("below", ["", "Libri2Mix", "Libri2Mix/wav8k/min"])
def test_librimix_becomes_records(tmp_path, capsys, metadata, below):
    root = librimix(tmp_path / "in", metadata)
    made = convert(tmp_path / "in" / below, tmp_path / "out")
    assert {name: len(manifest.utterances) for name, manifest in made.items()} == {
        "train": 6,
        "valid": 2,
        "test": 3,
    }
    for name, manifest in made.items():
        audio = stored(tmp_path / "out", name)
        assert [entry.id for entry in manifest.utterances] == list(audio)
        for entry in manifest.utterances:
            split = entry.mixture.split("/")[0]
            for row, folder in zip(audio[entry.id], ("mix_clean", "s1", "s2"), strict=True):
                np.testing.assert_array_equal(row, read(root / split / folder / f"{entry.id}.wav"))
            assert entry.num_samples == audio[entry.id].shape[1]
            assert entry.speakers == tuple(part.split("-")[0] for part in entry.id.split("_"))
    printed = capsys.readouterr().out
    assert "train.mindrecord: 6 mixtures, 0.00 h, 0.8 to 0.8 s, 4 persons, 0 left out" in printed


def test_names_of_the_recipe_are_kept(tmp_path):
    librimix(tmp_path / "in")
    names = ("--train_name", "a.mindrecord", "--test-name", "b.mindrecord", "--sample_rate", "8000")
    assert sorted(convert(tmp_path / "in", tmp_path / "out", *names)) == ["a", "b", "valid"]
    assert len(RecordFile(tmp_path / "out" / "b.mindrecord")) == 3


def test_the_older_layout(tmp_path):
    ids = ["011a0101_0.12_401c020r_-0.12", "22ga0104_1.5_011a010k_-1.5"]
    for split in ("tr", "cv", "tt"):
        write_split(tmp_path / "in", split, ids, mixture_folder="mix")
    made = convert(tmp_path / "in", tmp_path / "out")
    assert sorted(made) == ["test", "train", "valid"]
    assert [entry.speakers for entry in made["train"].utterances] == [("011", "401"), ("22g", "011")]
    np.testing.assert_array_equal(
        stored(tmp_path / "out", "test")[ids[1]][2], read(tmp_path / f"in/tt/s2/{ids[1]}.wav")
    )


def test_three_speakers_and_one_in_noise(tmp_path):
    root = tmp_path / "in"
    ids = ["61-1-1_70-1-1_84-1-1"]
    write_split(root, "test", ids, num_speakers=3)
    assert convert(root, tmp_path / "out")["test"].num_speakers == 3
    write_split(root, "test", ids, mixture_folder="mix_single", num_speakers=3)
    single = convert(root, tmp_path / "single", "--mixture_type", "mix_single")["test"]
    assert (single.num_speakers, single.utterances[0].speakers) == (1, ("61",))
    assert stored(tmp_path / "single", "test")[ids[0]].shape == (2, 6000)


def test_speakers_and_sexes_from_the_info_table(tmp_path):
    root = tmp_path / "in/Libri2Mix/wav8k/min"
    write_split(root, "test", ["one", "two"])
    (tmp_path / "in/Libri2Mix/metadata").mkdir()
    with (tmp_path / "in/Libri2Mix/metadata/libri2mix_test_info.csv").open("w", newline="") as file:
        rows = [["mixture_ID", "speaker_1_ID", "speaker_1_sex", "speaker_2_ID", "speaker_2_sex"]]
        csv.writer(file).writerows([*rows, ["one", "ann", "F", "bob", "M"]])
    one, two = convert(tmp_path / "in", tmp_path / "out")["test"].utterances
    assert (one.speakers, one.sexes) == (("ann", "bob"), ("F", "M"))
    assert (two.speakers, two.sexes) == ((), ())


def test_origins_reach_the_records(tmp_path):
    root = tmp_path / "in/Libri2Mix/wav8k/min"
    write_split(root, "test", ["one", "two", "three"])
    (root / "metadata").mkdir()
    path = root / "metadata/libri2mix_test_info.csv"

    def write_info(first_origin):
        columns = [f"speaker_{n}_{what}" for n in (1, 2) for what in ("ID", "sex", "corpus")]
        rows = [["one", "ann", "F", first_origin, "bob", "M", "tuxpaint"], ["two", "ann", "F", "", "bob", "M", "x"]]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["mixture_ID", *columns], *rows])

    write_info("asterisk")
    manifest = convert(tmp_path / "in", tmp_path / "out")["test"]
    expected = {"one": ("asterisk", "tuxpaint"), "two": (), "three": ()}
    assert {entry.id: entry.origins for entry in manifest.utterances} == expected
    index = RecordFile(tmp_path / "out/test.mindrecord").index
    assert dict(zip(index.ids, index.origins, strict=True)) == expected
    write_info("fillets")  # noticed, although no audio file has changed
    convert(tmp_path / "in", tmp_path / "out")
    index = RecordFile(tmp_path / "out/test.mindrecord").index
    assert index.origins[index.ids.index("one")] == ("fillets", "tuxpaint")


def replace_audio(path, samples, rate=RATE, **options):
    soundfile.write(path, samples, rate, **options)


def truncate(path):
    path.write_bytes(path.read_bytes()[:5000])


DEFECTS = {
    "not audio": (lambda path: path.write_text("not audio"), "test/s2/bad.wav: unreadable"),
    "empty": (lambda path: path.write_bytes(b""), "test/s2/bad.wav: found an empty file"),
    "truncated": (truncate, "test/s2/bad.wav: truncated"),
    "missing": (lambda path: path.unlink(), "test/s2/bad.wav: no such file"),
    "NaN": (
        lambda path: replace_audio(path, np.full(6100, np.nan), subtype="FLOAT"),
        "test/s2/bad.wav: found 6100 NaN",
    ),
    "silent": (lambda path: replace_audio(path, np.zeros(6100)), "test/s2/bad.wav: silent"),
    "length": (
        lambda path: replace_audio(path, np.ones(6099) / 2),
        "test/s2/bad.wav: found 6099 samples, the mixture has 6100",
    ),
    "stereo": (lambda path: replace_audio(path, np.ones((6100, 2)) / 2), "test/s2/bad.wav: found 2 channels"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_left_out_with_its_reason(tmp_path, capsys, defect):
    spoil, reason = DEFECTS[defect]
    write_split(tmp_path / "in", "test", ["a", "bad", "c"])
    spoil(tmp_path / "in/test/s2/bad.wav")
    manifest = convert(tmp_path / "in", tmp_path / "out")["test"]
    assert [entry.id for entry in manifest.utterances] == ["a", "c"] == list(stored(tmp_path / "out", "test"))
    (left_out,) = manifest.left_out
    assert left_out.id == "bad" and reason in left_out.reason
    printed = capsys.readouterr().out
    assert "2 mixtures" in printed and "1 left out" in printed and f"left out: bad: {left_out.reason}" in printed


def test_what_the_metadata_says_is_checked(tmp_path):
    root = tmp_path / "in"
    write_split(root, "test", ["a", "b", "c", "unnamed"])
    path = write_metadata(root, "test", ["a", "b", "c"])
    path.write_text(path.read_text().replace(",6100", ",6200"))  # b
    (root / "test/s1/c.wav").unlink()
    manifest = convert(root, tmp_path / "out")["test"]
    assert [entry.id for entry in manifest.utterances] == ["a"]
    assert {entry.id: entry.reason for entry in manifest.left_out} == {
        "b": "test/mix_clean/b.wav: found 6100 samples, the metadata says 6200",
        "c": "test/s1/c.wav: no such file",
        "unnamed": "not in mixture_test_mix_clean.csv",
    }


def test_many_left_out_are_counted_and_named_in_the_manifest(tmp_path, capsys):
    write_split(tmp_path / "in", "test", [f"x{number}" for number in range(9)])
    for number in range(7):
        (tmp_path / f"in/test/s2/x{number}.wav").unlink()
    assert len(convert(tmp_path / "in", tmp_path / "out")["test"].left_out) == 7
    printed = capsys.readouterr().out
    assert printed.count("left out: ") == 5 and "and 2 more, all in" in printed


def test_samples_above_full_scale_are_scaled_together(tmp_path, capsys):
    write_split(tmp_path / "in", "test", ["a"])
    sources = make_sources([0], 2, 6000) * 30
    for folder, samples in (("mix_clean", sources.sum(axis=0)), ("s1", sources[0]), ("s2", sources[1])):
        replace_audio(tmp_path / "in/test" / folder / "a.wav", samples, subtype="FLOAT")
    convert(tmp_path / "in", tmp_path / "out")
    rows = stored(tmp_path / "out", "test")["a"]
    assert np.abs(rows).max() == pytest.approx(0.9, abs=1e-4)
    np.testing.assert_allclose(rows[1:].sum(axis=0), rows[0], atol=1e-4)
    assert "1 mixtures above full scale, scaled to a peak of 0.9" in capsys.readouterr().out


def test_a_second_run_uses_what_is_there_until_a_file_changes(tmp_path, capsys):
    write_split(tmp_path / "in", "test", ["a", "b"])
    write_split(tmp_path / "in", "dev", ["a"])
    convert(tmp_path / "in", tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    capsys.readouterr()
    convert(tmp_path / "in", tmp_path / "out")
    assert capsys.readouterr().out.count("(unchanged, used again)") == 2
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before

    os.utime(tmp_path / "in/test/s1/a.wav", ns=(1, 1))
    convert(tmp_path / "in", tmp_path / "out")
    printed = capsys.readouterr().out
    assert "valid.mindrecord (unchanged, used again)" in printed and "test.mindrecord: 2" in printed

    (tmp_path / "out/valid.mindrecord").unlink()
    convert(tmp_path / "in", tmp_path / "out")
    assert len(RecordFile(tmp_path / "out/valid.mindrecord")) == 1


def files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_earlier_outputs_survive_ctrl_c_and_the_next_run_goes_on(tmp_path, monkeypatch):
    write_split(tmp_path / "in", "test", ["a", "b", "c"])
    convert(tmp_path / "in", tmp_path / "out")
    before = files(tmp_path / "out")
    write_split(tmp_path / "in", "test", ["d"])

    def interrupted(manifest, utterance):
        if utterance.id == "c":
            raise KeyboardInterrupt
        return load_utterance(manifest, utterance)

    with monkeypatch.context() as patch:
        patch.setattr(loading, "load_utterance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            convert(tmp_path / "in", tmp_path / "out")
    assert files(tmp_path / "out") == before
    assert len(convert(tmp_path / "in", tmp_path / "out")["test"].utterances) == 4


def use_processes(monkeypatch):
    """Even for little work, and on a machine with one core."""
    monkeypatch.setattr(loading, "FEWEST_FOR_PROCESSES", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def test_several_processes_give_the_same_as_one(tmp_path, monkeypatch):
    write_split(tmp_path / "in", "test", names(12))
    (tmp_path / "in/test/s2" / f"{names(12)[5]}.wav").write_text("not audio")
    one = convert(tmp_path / "in", tmp_path / "one")["test"]
    use_processes(monkeypatch)
    assert convert(tmp_path / "in", tmp_path / "two")["test"] == one
    assert stored(tmp_path / "one", "test").keys() == stored(tmp_path / "two", "test").keys()


def test_a_process_that_dies_ends_the_run_with_one_line(tmp_path, monkeypatch):
    write_split(tmp_path / "in", "test", names(3))
    use_processes(monkeypatch)
    monkeypatch.setattr(loading, "_load", work.die)
    with pytest.raises(UserError, match=r"a process that reads audio was killed"):
        convert(tmp_path / "in", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_ctrl_c_while_a_process_starts_ends_the_run_with_one_line():
    code = """
import os, signal, threading, time
from multiprocessing import forkserver
from pathlib import Path
from src.command_line import run
from src.data import loading
from src.data.manifest import Manifest, Utterance
wait_for_start = forkserver.read_signed
def interrupted(descriptor):
    forkserver.read_signed = wait_for_start
    os.killpg(0, signal.SIGINT)  # as the terminal does
    return wait_for_start(descriptor)
forkserver.read_signed = interrupted
os.sched_getaffinity = lambda _: {0, 1}
loading.FEWEST_FOR_PROCESSES = 1
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()  # as a library's, which takes SIGINT
manifest = Manifest(8000, 1, "mix_clean", Path("."), (Utterance("a", "a.wav", ("a.wav",)),))
run(lambda _argv: list(loading.load_all(manifest)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(module.__file__).parents[2],
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert result.returncode == 130, result.stderr
    assert result.stderr == "\ninterrupted: nothing finished is lost, the same command goes on from there\n"


@pytest.mark.parametrize("several", [False, True])
def test_another_sample_rate_is_an_error(tmp_path, monkeypatch, several):
    if several:
        use_processes(monkeypatch)
    write_split(tmp_path / "in", "test", ["a", "b"], rate=16000)
    with pytest.raises(UserError, match=r"a.wav: found 16000 Hz, expected a sample rate of 8000 Hz"):
        convert(tmp_path / "in", tmp_path / "out")


def test_an_output_folder_that_cannot_be(tmp_path):
    write_split(tmp_path / "in", "test", ["a"])
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match=r"out: cannot write there"):
        convert(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize(
    "options", [["--train_name", "test.mindrecord"], ["--test_name", "a/b"], ["--test_name", "test.json"]]
)
def test_names_that_collide_are_refused(tmp_path, options):
    write_split(tmp_path / "in", "test", ["a"])
    with pytest.raises(UserError, match=r"expected file names that differ, without a folder"):
        convert(tmp_path / "in", tmp_path / "out", *options)


def test_an_unknown_mode_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        convert(tmp_path, tmp_path, "--mode", "other")
    assert "invalid choice: 'other'" in capsys.readouterr().err
