import csv
import dataclasses
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stand_in_packages import (
    SOUNDS,
    Archive,
    clip,
    environment_path,
    unpacked,
    write_asterisk,
    write_clip,
    write_fillets,
)

from src.data import corpus as module
from src.data.corpus import build_corpus, build_demo_corpus, main, scan_corpus
from src.data.debian import Package
from src.data.speaker_folder import read_record
from src.data.speakers import ASTERISK, ClipSource, Person, chosen_persons, needed_packages
from src.errors import UserError
from tests.synthetic import RATE

ANNA = Person(
    "anna",
    "F",
    "train",
    (ClipSource("voices-en", "en", ASTERISK, "CC0"), ClipSource("voices-es", "es", ASTERISK, "CC0")),
)
BORIS = Person("boris", "M", "test", (ClipSource("voices-ru", "ru", ASTERISK, "MIT"),))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Package], Path]:
    """Three unpacked packages of two persons, and the cache that they lie in."""
    cache = tmp_path_factory.mktemp("cache")
    found = {}
    for name, pitch_hz, suffix in (("voices-en", 210, ".wav"), ("voices-es", 210, ".wav"), ("voices-ru", 110, ".gsm")):
        found[name], root = unpacked(cache, name)
        write_asterisk(root, "one", pitch_hz, suffix)
        (root / f"usr/share/doc/{name}").mkdir(parents=True)
        (root / f"usr/share/doc/{name}/copyright").write_text(f"{name} is free")
    base = found["voices-en"].folder(cache) / SOUNDS
    shutil.copy(base / "one/prompt-2.wav", base / "one/zz-again.wav")
    (base / "one/broken.wav").write_bytes(b"no sound at all")
    (base / "linked").symlink_to("one")
    write_clip(base / "one/long.wav", np.concatenate([clip(210, 4.5, 7), clip(210, 7.3, 8)]))
    return found, cache


@pytest.fixture(scope="module")
def built(packages: tuple[dict[str, Package], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built") / "corpus"
    build_corpus([ANNA, BORIS], *packages, root)
    return root


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_utterances_have_the_promised_form(built: Path) -> None:
    for split, name in (("train", "anna"), ("test", "boris")):
        files = sorted((built / split / name).glob("*.flac"))
        assert [path.stem for path in files] == [f"{name}-{number:04d}" for number in range(1, len(files) + 1)]
        for path in files:
            samples, rate = soundfile.read(path, always_2d=True)
            assert (rate, samples.shape[1]) == (8000, 1)
            assert 3 * rate <= len(samples) <= 6 * rate
            assert 0.03 < np.sqrt(np.mean(samples**2)) < 0.07
            assert np.abs(samples).max() <= 0.9


def test_one_person_of_two_packages_is_one_speaker(built: Path) -> None:
    anna, boris = rows(built / "speakers.csv")
    assert (anna["speaker"], anna["sex"], anna["split"], anna["language"]) == ("anna", "F", "train", "en es")
    assert (anna["package"], anna["version"], anna["licence"]) == ("voices-en voices-es", "1.0-1 1.0-1", "CC0")
    assert (boris["split"], boris["package"], boris["licence"]) == ("test", "voices-ru", "MIT")
    for row in (anna, boris):
        files = list((built / row["split"] / row["speaker"]).glob("*.flac"))
        assert int(row["num_utterances"]) == len(files)
        assert float(row["seconds"]) == pytest.approx(sum(soundfile.info(file).duration for file in files), abs=0.01)


def test_scan_finds_what_was_built(built: Path) -> None:
    corpus = scan_corpus(built)
    assert {name: [speaker.name for speaker in found] for name, found in corpus.splits.items()} == {
        "train": ["anna"],
        "test": ["boris"],
    }
    assert corpus.speakers("train")[0].sex == "F"


def test_every_recording_is_used_or_left_out_with_its_reason(
    built: Path, packages: tuple[dict[str, Package], Path]
) -> None:
    used = {(row["package"], row["file"]) for row in rows(built / "origins.csv")}
    left_out = {(row["package"], row["file"]): row["reason"] for row in rows(built / "left_out.csv")}
    found, cache = packages
    for name, package in found.items():
        for path in package.folder(cache).rglob("*.*"):
            file = path.relative_to(package.folder(cache)).as_posix()
            if not path.is_file() or "linked" in file:
                continue
            is_noise = re.search(r"beep|2tone|tt-monkeys|confbridge-|silence/", file) is not None
            assert ((name, file) in used or (name, file) in left_out) is not is_noise, file
    english = f"{SOUNDS}/one"
    assert left_out["voices-en", f"{english}/zz-again.wav"] == f"byte-identical to {english}/prompt-2.wav"
    assert left_out["voices-en", f"{english}/broken.wav"].startswith("unreadable")
    assert "/" not in left_out["voices-en", f"{english}/broken.wav"]


def test_origins_tell_where_each_piece_lies(built: Path) -> None:
    by_utterance: dict[str, list[dict[str, str]]] = {}
    for row in rows(built / "origins.csv"):
        by_utterance.setdefault(f"{row['split']}/{row['speaker']}/{row['utterance']}.flac", []).append(row)
    assert set(by_utterance) == {path.relative_to(built).as_posix() for path in built.rglob("*.flac")}
    for name, pieces in by_utterance.items():
        samples, _ = soundfile.read(built / name)
        ends = [float(row["start_seconds"]) + float(row["seconds"]) for row in pieces]
        assert ends[-1] * RATE == pytest.approx(len(samples), abs=2)
        for end, following in zip(ends[:-1], pieces[1:], strict=True):
            start = float(following["start_seconds"])
            assert start - end == pytest.approx(0.15, abs=1e-3)
            assert not samples[round(end * RATE) + 2 : round(start * RATE) - 2].any()
        assert all(row["version"] == "1.0-1" and row["licence"] in {"CC0", "MIT"} for row in pieces)


def test_copyright_files_come_along(built: Path) -> None:
    assert (built / "licences/voices-ru.txt").read_text() == "voices-ru is free"


def test_same_bytes_on_every_run(built: Path, packages: tuple[dict[str, Package], Path], tmp_path: Path) -> None:
    build_corpus([ANNA, BORIS], *packages, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(built)


def test_an_interrupted_build_goes_on(
    built: Path, packages: tuple[dict[str, Package], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, build, is_done = tmp_path / "corpus", module.build_speaker, threading.Event()

    def interrupted(person, *arguments):
        if person is BORIS:
            is_done.wait(30)
            raise KeyboardInterrupt
        record = build(person, *arguments)
        is_done.set()
        return record

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "build_speaker", interrupted)
        build_corpus([ANNA, BORIS], *packages, root)
    assert not (root / module.MARKER).exists()
    (root / "test/.boris.part").mkdir(parents=True)  # as a killed process leaves it
    (root / "test/.boris.part/stale.flac").touch()
    first = (root / "train/anna/anna-0001.flac").stat().st_mtime_ns
    build_corpus([ANNA, BORIS], *packages, root)
    assert (root / "train/anna/anna-0001.flac").stat().st_mtime_ns == first
    assert contents(root) == contents(built)


def test_another_version_of_a_package_is_built_anew(packages: tuple[dict[str, Package], Path], tmp_path: Path) -> None:
    found, cache = packages
    build_corpus([BORIS], found, cache, tmp_path)
    newer, root = unpacked(cache, "voices-ru", "2.0-1")
    write_asterisk(root, "one", 120, ".gsm")
    build_corpus([BORIS], {"voices-ru": newer}, cache, tmp_path)
    assert rows(tmp_path / "speakers.csv")[0]["version"] == "2.0-1"


def test_persons_no_longer_wanted_go_and_foreign_folders_stay(
    packages: tuple[dict[str, Package], Path], tmp_path: Path
) -> None:
    (tmp_path / "train/mine").mkdir(parents=True)
    (tmp_path / "train/mine/a.wav").touch()
    build_corpus([ANNA, BORIS], *packages, tmp_path)
    build_corpus([BORIS], *packages, tmp_path)
    assert not (tmp_path / "train/anna").exists()
    assert (tmp_path / "train/mine/a.wav").exists()
    assert [row["speaker"] for row in rows(tmp_path / "speakers.csv")] == ["boris"]


def test_a_foreign_folder_in_the_way_is_not_replaced(packages: tuple[dict[str, Package], Path], tmp_path: Path) -> None:
    (tmp_path / "test/boris").mkdir(parents=True)
    (tmp_path / "test/boris/mine.wav").touch()
    with pytest.raises(UserError, match=r"test/boris: exists and was not made by this program"):
        build_corpus([BORIS], *packages, tmp_path)
    assert (tmp_path / "test/boris/mine.wav").exists()


def test_a_package_without_the_person(tmp_path: Path) -> None:
    package, root = unpacked(tmp_path / "cache", "voices-ru")
    write_clip(root / SOUNDS / "beep.wav", clip(100, 1.0, 0))
    with pytest.raises(UserError, match=r"package voices-ru 1\.0-1: found no recording of boris"):
        build_corpus([BORIS], {"voices-ru": package}, tmp_path / "cache", tmp_path / "corpus")


def test_a_person_that_the_corpus_may_do_without_is_left_out_with_a_line(
    packages: tuple[dict[str, Package], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clara = Person("clara", "F", "train", (ClipSource("voices-en", "en", "none/.*", "CC0"),), full_only=True)
    build_corpus([BORIS, clara], *packages, tmp_path / "corpus")
    assert "left out: package voices-en 1.0-1: found no recording of clara" in capsys.readouterr().out
    assert [row["speaker"] for row in rows(tmp_path / "corpus/speakers.csv")] == ["boris"]
    for needed in (dataclasses.replace(clara, split="test"), dataclasses.replace(clara, full_only=False)):
        with pytest.raises(UserError, match=r"voices-en 1\.0-1: found no recording of clara"):
            build_corpus([BORIS, needed], *packages, tmp_path / "corpus")


def test_a_package_with_hardly_any_speech(tmp_path: Path) -> None:
    package, root = unpacked(tmp_path / "cache", "voices-ru")
    write_clip(root / SOUNDS / "yes.wav", clip(100, 1.0, 0))
    with pytest.raises(UserError, match=r"boris: found less than 3 s of speech in voices-ru 1\.0-1 "):
        build_corpus([BORIS], {"voices-ru": package}, tmp_path / "cache", tmp_path / "corpus")


def test_an_unwritable_output(packages: tuple[dict[str, Package], Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot be written"):
        build_corpus([BORIS], *packages, tmp_path / "file")


@pytest.fixture
def demo_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """The ten packages of the default corpus, each a few seconds long, and an apt-get that offers them."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is missing (package dpkg)")
    archive = Archive(tmp_path / "archive")
    for number, name in enumerate(needed_packages(chosen_persons(full=False))):
        tree = tmp_path / "trees" / name
        if name.startswith("fillets"):
            write_fillets(tree, name[-2:], {"m": 220, "v": 120})
        else:
            suffix = ".wav" if name.endswith("wav") else ".gsm"
            write_asterisk(tree, "voice", 100 + 15 * number, suffix)
        archive.offer(tree, name)
    monkeypatch.setenv("PATH", environment_path(archive))
    return archive


def test_the_demo_corpus_from_packages_to_folder(
    demo_archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, root = tmp_path / "cache", tmp_path / "corpus"
    main(["--output", str(root), "--cache", str(cache)])
    assert "left out:" in capsys.readouterr().out
    corpus = scan_corpus(root)
    assert {name: len(speakers) for name, speakers in corpus.splits.items()} == {"train": 7, "valid": 2, "test": 2}
    assert read_record(root / "train/filletscsv") is not None

    calls, before = len(demo_archive.calls), (root / "speakers.csv").stat().st_mtime_ns
    shutil.rmtree(cache)
    assert build_demo_corpus(cache, root) == root  # complete: neither packages nor apt are needed
    assert (len(demo_archive.calls), (root / "speakers.csv").stat().st_mtime_ns) == (calls, before)
    with pytest.raises(UserError, match=r"package tuxpaint-stamps-default is not offered"):
        build_demo_corpus(cache, root, full=True)
    assert build_demo_corpus(cache, root) == root
