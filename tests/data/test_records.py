import dataclasses
import shutil
import stat
from pathlib import Path

import mindspore.dataset as ds
import numpy as np
import pytest
from mixtures_on_disk import RATE, write_records

from src.data import records as module
from src.data.loading import Loaded
from src.data.manifest import Manifest, Utterance
from src.data.records import INDEX_SCHEMA, RecordFile, record_writer
from src.data.voice import BANDS, Voice
from src.errors import UserError

UTTERANCE = Utterance("a", "", ())


VOICE = Voice(-20.0, 150.0, (0.0,) * len(BANDS))


def write_one(path, pcm, utterance=UTTERANCE, largest_bytes=0):
    pcm = np.asarray(pcm, dtype=np.int16)
    utterance = dataclasses.replace(utterance, num_samples=pcm.shape[1])
    with record_writer(path, Manifest(RATE, len(pcm) - 1, "mix_clean", Path(), ()), largest_bytes) as writer:
        writer.write(Loaded(utterance, pcm, (VOICE,) * (len(pcm) - 1), False))


def test_whole_mixtures_come_back_in_any_order(tmp_path):
    pcm = write_records(tmp_path / "x.mindrecord", [500, 900, 700])
    records = RecordFile(tmp_path / "x.mindrecord")
    order = [2, 0, 0, 1, 2, 1, 0]  # more than there are records
    for record, rows in zip(order, records.read(order), strict=True):
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, pcm[record] / np.float32(32768))
    assert len(records) == 3
    assert records.hours == pytest.approx(2100 / RATE / 3600)


def test_the_index_tells_all_but_the_audio(tmp_path):
    write_records(tmp_path / "x.mindrecord", [500, 900], speakers=[("a", "b"), ()])
    index = RecordFile(tmp_path / "x.mindrecord").index
    assert index.ids == ("mix0", "mix1")
    assert index.speakers == (("a", "b"), ())
    assert index.num_samples.tolist() == [500, 900]
    assert index.loudness_lufs.shape == (2, 2)
    assert (index.loudness_lufs < -10).all() and (index.loudness_lufs > -50).all()
    assert (index.sample_rate, index.num_speakers, index.mixture_type) == (RATE, 2, "mix_clean")


def test_the_index_says_what_minddataset_says(tmp_path):
    path = tmp_path / "x.mindrecord"
    write_records(path, [500, 900, 700])
    index = RecordFile(path).index
    rows = ds.MindDataset(str(path), shuffle=False, num_parallel_workers=1)
    rows = list(rows.create_dict_iterator(num_epochs=1, output_numpy=True))
    assert set(rows[0]) == {*INDEX_SCHEMA, "audio"}
    assert [str(row["id"]) for row in rows] == list(index.ids)
    assert [int(row["num_samples"]) for row in rows] == index.num_samples.tolist()


def test_zero_bytes_and_odd_names_survive(tmp_path):
    pcm = np.array([[0, 5, -3, 0, 0], [0, 0, 0, 0, 0], [-32768, 32767, 256, 0, 0]])
    utterance = Utterance('it\'s "ü" %s; DROP', "", (), 0, ('o"x', "y'z"), ("F", "M"), ("a b", 'ü"'))
    write_one(tmp_path / "x.mindrecord", pcm, utterance)
    records = RecordFile(tmp_path / "x.mindrecord")
    np.testing.assert_array_equal(next(records.read([0])), (pcm / 32768).astype(np.float32))
    assert records.index.ids == (utterance.id,)
    assert records.index.speakers == (utterance.speakers,)
    assert records.index.sexes == (("F", "M"),)
    assert records.index.origins == (("a b", 'ü"'),)


def test_an_older_file_without_origins_still_reads(tmp_path, monkeypatch):
    class OlderWriter(module.FileWriter):
        def write_raw_data(self, rows):
            return super().write_raw_data([{name: row[name] for name in row if name != "origins"} for row in rows])

    older = {name: kind for name, kind in INDEX_SCHEMA.items() if name != "origins"}
    with monkeypatch.context() as patch:
        patch.setattr(module, "FileWriter", OlderWriter)
        patch.setattr(module, "INDEX_SCHEMA", older)
        patch.setattr(module, "SCHEMA", {**older, "audio": {"type": "bytes"}})
        pcm = write_records(tmp_path / "x.mindrecord", [500, 900])
    assert "origins_0" not in (tmp_path / "x.mindrecord.db").read_bytes().decode("latin-1")
    records = RecordFile(tmp_path / "x.mindrecord")
    assert records.index.origins == ((), ())
    assert records.index.mixture_type == "mix_clean"
    np.testing.assert_array_equal(next(records.read([1])), pcm[1] / np.float32(32768))


def test_a_pair_that_was_moved_still_reads(tmp_path):
    write_records(tmp_path / "old" / "x.mindrecord", [500, 900])
    shutil.move(tmp_path / "old", tmp_path / "new place")
    assert next(RecordFile(tmp_path / "new place" / "x.mindrecord").read([1])).shape == (3, 900)


def test_others_may_read_the_files(tmp_path):
    write_records(tmp_path / "x.mindrecord", [500])
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o644}


def test_an_utterance_larger_than_mindrecords_page(tmp_path):
    pcm = np.ones((3, 6_000_000), dtype=np.int16)  # 36 MB; the page is 32 MB
    with pytest.raises(UserError, match=r"cannot write a: .*[Pp]age size"):
        write_one(tmp_path / "x.mindrecord", pcm)
    write_one(tmp_path / "x.mindrecord", pcm, largest_bytes=pcm.nbytes)
    assert next(RecordFile(tmp_path / "x.mindrecord").read([0])).shape == pcm.shape


@pytest.mark.parametrize("failure", [KeyboardInterrupt, UserError])
def test_an_earlier_pair_survives_a_failure(tmp_path, failure):
    path = tmp_path / "x.mindrecord"
    pcm = write_records(path, [500])
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    with pytest.raises(failure), record_writer(path, Manifest(RATE, 2, "mix_clean", Path(), ())) as writer:
        writer.write(Loaded(Utterance("new", "", (), 500), pcm[0], (VOICE, VOICE), False))
        raise failure
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


def test_what_a_killed_run_left_is_no_hindrance(tmp_path):
    (tmp_path / ".x.mindrecord.partial").mkdir()
    (tmp_path / ".x.mindrecord.partial" / "x.mindrecord").write_text("half")
    write_records(tmp_path / "x.mindrecord", [500])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x.mindrecord", "x.mindrecord.db"]


def test_missing_files_are_named(tmp_path):
    path = tmp_path / "x.mindrecord"
    with pytest.raises(UserError, match=r"x.mindrecord: no such file, expected a .mindrecord file"):
        RecordFile(path)
    write_records(path, [500])
    (tmp_path / "x.mindrecord.db").unlink()
    with pytest.raises(UserError, match=r"its index x.mindrecord.db is missing"):
        RecordFile(path)


def test_a_renamed_pair_is_refused(tmp_path):
    write_records(tmp_path / "x.mindrecord", [500])
    (tmp_path / "x.mindrecord").rename(tmp_path / "y.mindrecord")
    (tmp_path / "x.mindrecord.db").rename(tmp_path / "y.mindrecord.db")
    with pytest.raises(UserError, match=r"was renamed: found y.mindrecord, expected x.mindrecord"):
        RecordFile(tmp_path / "y.mindrecord")


def test_a_truncated_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "x.mindrecord"
    write_records(path, [500, 900])
    with path.open("r+b") as file:
        file.truncate(20_000_000)
    with pytest.raises(UserError, match=r"x.mindrecord: damaged or incomplete: .") as caught:
        RecordFile(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_another_index_is_refused(tmp_path, content):
    write_records(tmp_path / "x.mindrecord", [500])
    (tmp_path / "x.mindrecord.db").write_bytes(content)
    with pytest.raises(UserError, match=r"not a data set that preprocess.py wrote"):
        RecordFile(tmp_path / "x.mindrecord")
