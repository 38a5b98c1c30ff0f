import csv
import os
from pathlib import Path

import pytest

from src.audio import write_wav
from src.data import join_corpora as module
from src.data.corpus_folder import scan_corpus
from src.data.join_corpora import join_corpora, main
from src.errors import UserError
from tests.synthetic import RATE, voice


def corpus(root: Path, persons: dict[str, str], table: bool = True) -> Path:
    """Two utterances of each person; `persons` maps `split/name` to the sex."""
    for place in persons:
        name = place.split("/")[1]
        for number in (1, 2):
            write_wav(root / place / f"{name}-000{number}.wav", voice(150, 1.0, seed=number), RATE)
    if table:
        lines = [f"{place.split('/')[1]},{sex},{place.split('/')[0]},{root.name}" for place, sex in persons.items()]
        (root / "speakers.csv").write_text("\n".join(["speaker,sex,split,package", *lines]) + "\n")
        origins = [f"{place.split('/')[0]},{place.split('/')[1]},x" for place in persons]
        (root / "origins.csv").write_text("\n".join(["split,speaker,file", *origins]) + "\n")
        (root / "licences").mkdir()
        (root / "licences" / f"{root.name}.txt").write_text("free")
    return root


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return corpus(tmp_path / "real", {"train/anna": "F", "valid/carl": "M", "test/dora": "F"})


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    return corpus(tmp_path / "synthetic", {"train/mixed1": "U", "train/mixed2": "M", "test/afsky": "F"})


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def names(root: Path) -> dict[str, list[str]]:
    return {split: [speaker.name for speaker in found] for split, found in scan_corpus(root).splits.items()}


def test_one_corpus_whole_and_some_splits_of_another(real: Path, synthetic: Path, tmp_path: Path) -> None:
    root = join_corpora([str(real), f"{synthetic}:train"], tmp_path / "joined")
    assert names(root) == {"train": ["anna", "mixed1", "mixed2"], "valid": ["carl"], "test": ["dora"]}
    joined = scan_corpus(root)
    facts = {speaker.name: (speaker.sex, speaker.origin) for speaker in joined.speakers("train")}
    assert facts == {"anna": ("F", "real"), "mixed1": (None, "synthetic"), "mixed2": ("M", "synthetic")}
    assert {row["speaker"] for row in rows(root / "origins.csv")} == {"anna", "carl", "dora", "mixed1", "mixed2"}
    assert sorted(path.name for path in (root / "licences").iterdir()) == ["real.txt", "synthetic.txt"]
    recording = root / "train/mixed1/mixed1-0001.wav"
    assert recording.samefile(synthetic / "train/mixed1/mixed1-0001.wav")  # no copy


def test_splits_are_renamed_and_speakers_without_a_table_entered(real: Path, tmp_path: Path) -> None:
    libri = corpus(
        tmp_path / "libri", {"train-clean-100/14": "", "train-clean-360/16": "", "dev-clean/84": ""}, table=False
    )
    (libri / "SPEAKERS.TXT").write_text("; comment\n14 | F | train-clean-100\n16 | M | train-clean-360\n84 | F | dev\n")
    root = join_corpora([f"{libri}:train,dev-clean", str(real)], tmp_path / "joined")
    assert names(root) == {"train": ["14", "16", "anna"], "valid": ["84", "carl"], "test": ["dora"]}
    table = {row["speaker"]: row for row in rows(root / "speakers.csv")}
    assert (table["16"]["sex"], table["16"]["split"], table["anna"]["package"]) == ("M", "train", "real")


def test_tables_have_the_new_names_of_splits(tmp_path: Path) -> None:
    other = corpus(tmp_path / "other", {"tr/anna": "F", "cv/carl": "M"})
    root = join_corpora([str(other)], tmp_path / "joined")
    assert names(root) == {"train": ["anna"], "valid": ["carl"]}
    for table in ("speakers.csv", "origins.csv"):
        assert {row["speaker"]: row["split"] for row in rows(root / table)} == {"anna": "train", "carl": "valid"}


def test_copies_where_links_cannot_be(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    root = join_corpora([str(real)], tmp_path / "joined")
    copy, original = root / "test/dora/dora-0001.wav", real / "test/dora/dora-0001.wav"
    assert copy.read_bytes() == original.read_bytes()
    assert not copy.samefile(original)


def test_what_was_joined_before_is_replaced_and_nothing_else(real: Path, synthetic: Path, tmp_path: Path) -> None:
    root = join_corpora([str(real), str(synthetic)], tmp_path / "joined")
    join_corpora([str(real)], root)
    assert names(root) == {"train": ["anna"], "valid": ["carl"], "test": ["dora"]}
    with pytest.raises(UserError, match=r"synthetic: exists and was not made by this program"):
        join_corpora([str(real)], synthetic)
    assert (synthetic / "train/mixed1").is_dir()


def test_the_same_person_twice_is_told(real: Path, tmp_path: Path) -> None:
    other = corpus(tmp_path / "other", {"test/anna": "F"})
    with pytest.raises(
        UserError, match=r"a speaker anna in train of .*real and in test of .*other, expected different"
    ):
        join_corpora([str(real), str(other)], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["real:nowhere"], r"no split for 'nowhere', found test, train, valid"),
        (["real:"], r"found no split after the colon, expected some, e\.g\. real:train"),
        (["missing"], r"missing: no such folder"),
        (["odd"], r"found the split music, expected train, valid or test"),
    ],
)
def test_mistakes_are_told(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus(tmp_path / "odd", {"music/eve": "F"})
    with pytest.raises(UserError, match=message):
        join_corpora(words, tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_a_full_disk_leaves_what_was_there(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = join_corpora([f"{real}:train"], tmp_path / "joined")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(module.shutil, "copyfile", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        join_corpora([str(real)], root)
    assert names(root) == {"train": ["anna"]}


def test_the_command_tells_what_it_made(
    real: Path, synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(real), f"{synthetic}:train", "--output", str(tmp_path / "joined")])
    assert capsys.readouterr().out.splitlines() == [
        "test: 1 speakers, 2 utterances",
        "train: 3 speakers, 6 utterances",
        "valid: 1 speakers, 2 utterances",
    ]
