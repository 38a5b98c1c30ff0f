from pathlib import Path

import pytest

from src.data.corpus import scan_corpus
from src.data.corpus_folder import family
from src.errors import UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_own_layout_with_its_table(tmp_path: Path) -> None:
    touch(tmp_path, "train/anna/anna-0002.flac", "train/anna/anna-0001.flac", "test/bob/x.wav", "licences/a.txt")
    (tmp_path / "speakers.csv").write_text("speaker,sex,split\nanna,F,train\nbob,U,test\n")
    corpus = scan_corpus(tmp_path)
    assert list(corpus.splits) == ["test", "train"]
    (anna,) = corpus.speakers("train")
    assert (anna.name, anna.sex) == ("anna", "F")
    assert [path.name for path in anna.utterances] == ["anna-0001.flac", "anna-0002.flac"]
    assert corpus.speakers("test")[0].sex is None


def test_librispeech_layout_with_its_table(tmp_path: Path) -> None:
    root = tmp_path / "LibriSpeech"
    touch(root, "train-clean-100/19/198/19-198-0000.flac", "train-clean-100/19/227/19-227-0000.flac")
    touch(root, "dev-clean/84/121123/84-121123-0000.flac", "dev-other/116/1/116-1-0000.flac")
    touch(root, "train-clean-100/19/198/19-198.trans.txt")
    (root / "SPEAKERS.TXT").write_text(
        ";ID |SEX| SUBSET |MINUTES| NAME\n19 | F | train-clean-100 | 25.1 | A\n84|F|x|1|B\n"
    )
    for given in (root, tmp_path):
        corpus = scan_corpus(given)
        assert corpus.root == root
        assert corpus.split_name("train") == "train-clean-100"
        assert corpus.split_name("valid") == "dev-clean"
        assert corpus.split_name("dev-other") == "dev-other"
        (speaker,) = corpus.speakers("train")
        assert (speaker.name, speaker.sex, len(speaker.utterances)) == ("19", "F", 2)
        assert corpus.speakers("dev-other")[0].sex is None


def test_hidden_and_unfinished_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.wav", "train/.b.part/1.wav", ".cache/c/1.wav", "train/a/.x/2.wav", "train/a/._1.wav")
    corpus = scan_corpus(tmp_path)
    assert [(speaker.name, len(speaker.utterances)) for speaker in corpus.speakers("train")] == [("a", 1)]
    assert list(corpus.splits) == ["train"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("tr", "train"), ("train-clean-360", "train"), ("dev", "valid"), ("cv", "valid"), ("val", "valid")]
    + [("tt", "test"), ("test_set", "test"), ("train2", "train"), ("extra", None), ("trial", None)],
)
def test_families(name: str, expected: str | None) -> None:
    assert family(name) == expected


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"speech: no such folder, expected a corpus of <split>/<speaker>"):
        scan_corpus(tmp_path / "speech")


def test_folder_without_speech(tmp_path: Path) -> None:
    touch(tmp_path, "train/anna/notes.txt", "loose.wav")
    with pytest.raises(UserError, match=r"found no speech, expected <split>/<speaker>/<utterance> .* \.flac, \.ogg"):
        scan_corpus(tmp_path)


def test_missing_split_names_a_few_that_are_there(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{number}/speaker/a.wav" for number in range(10, 20)))
    with pytest.raises(UserError, match=r"no split for 'train', found 10, 11, 12, 13, 14, 15 and 4 more"):
        scan_corpus(tmp_path).speakers("train")


def test_too_few_speakers(tmp_path: Path) -> None:
    touch(tmp_path, "test/a/1.wav", "test/b/1.wav")
    corpus = scan_corpus(tmp_path)
    assert len(corpus.speakers("test", at_least=2)) == 2
    with pytest.raises(UserError, match=r"test: found 2 speakers, expected at least 3"):
        corpus.speakers("test", at_least=3)
