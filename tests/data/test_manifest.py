import json
import shutil
from pathlib import Path

import pytest

from src.data.manifest import LeftOut, Manifest, Utterance, read_manifest, write_manifest
from src.errors import UserError


def manifest(root):
    utterances = (
        Utterance(
            "a",
            "test/mix/a.wav",
            ("test/s1/a.wav", "test/s2/a.wav"),
            8000,
            ("61", "70"),
            ("F", "M"),
            ("asterisk", "tuxpaint"),
        ),
        Utterance("b", "test/mix/b.wav", ("test/s1/b.wav", "test/s2/b.wav"), 4000),
    )
    return Manifest(8000, 2, "mix_clean", Path(root), utterances, (LeftOut("c", "silent"),), "abc")


def test_what_is_written_is_read(tmp_path):
    written = manifest(tmp_path / "data")
    write_manifest(tmp_path / "out.json", written)
    assert read_manifest(tmp_path / "out.json") == written
    assert written.hours == pytest.approx(1.5 / 3600)
    assert written.source_paths(written.utterances[0])[1] == tmp_path / "data/test/s2/a.wav"
    assert written.mixture_path(written.utterances[1]) == tmp_path / "data/test/mix/b.wav"


def test_moves_together_with_its_data(tmp_path):
    (tmp_path / "old" / "data").mkdir(parents=True)
    write_manifest(tmp_path / "old" / "test.json", manifest(tmp_path / "old" / "data"))
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert read_manifest(tmp_path / "new" / "test.json").root == tmp_path / "new" / "data"


def test_its_json_is_the_documented_one(tmp_path):
    write_manifest(tmp_path / "out.json", manifest(tmp_path))
    values = json.loads((tmp_path / "out.json").read_text())
    assert values["format"] == "gdprnn-manifest-1"
    assert values["root"] == "."
    assert values["utterances"][0]["speakers"] == ["61", "70"]
    assert values["utterances"][0]["origins"] == ["asterisk", "tuxpaint"]
    assert values["left_out"] == [{"id": "c", "reason": "silent"}]


def test_an_older_manifest_has_no_origins(tmp_path):
    path = tmp_path / "out.json"
    write_manifest(path, manifest(tmp_path))
    text = path.read_text().replace(', "origins": ["asterisk", "tuxpaint"]', "").replace(', "origins": []', "")
    assert "origins" not in text
    path.write_text(text)
    assert [entry.origins for entry in read_manifest(path).utterances] == [(), ()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "found format 'list', expected 'gdprnn-manifest-1'"),
        ('{"format": "other-1"}', "found format 'other-1', expected 'gdprnn-manifest-1'"),
        ('{"format": "gdprnn-manifest-1"}', "damaged manifest: KeyError 'sample_rate'"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none.json: cannot read the manifest: No such file"):
        read_manifest(tmp_path / "none.json")


def test_an_unknown_field_or_a_missing_source_is_refused(tmp_path):
    path = tmp_path / "x.json"
    write_manifest(path, manifest(tmp_path))
    text = path.read_text()
    path.write_text(text.replace('"num_samples"', '"samples"'))
    with pytest.raises(UserError, match=r"damaged manifest: TypeError"):
        read_manifest(path)
    path.write_text(text.replace('["test/s1/b.wav", "test/s2/b.wav"]', '["test/s1/b.wav"]'))
    with pytest.raises(UserError, match=r"utterance b: found 1 sources, expected 2"):
        read_manifest(path)


def test_an_earlier_manifest_survives_an_interruption(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_manifest(path, manifest(tmp_path))
    before = path.read_bytes()

    def interrupted(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_manifest(path, Manifest(8000, 2, "mix_clean", tmp_path, ()))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]
