import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from src.data import librimix
from src.data.librimix import generate, librimix_split, main
from src.errors import UserError
from tests.synthetic import write_corpus

COUNTS = {"train": 6, "valid": 3}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_corpus(tmp_path_factory.mktemp("speech"), seconds=1.2, utterances=3)
    (root / "speakers.csv").write_text("speaker,sex\nptrain110,M\nptrain170,F\npvalid120,M\n")
    return root


@pytest.fixture(scope="module")
def made(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(corpus, tmp_path_factory.mktemp("mixtures"), 2, COUNTS, 0)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read(path: Path | str) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 8000
    return samples.astype(int)


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_folders_and_columns_are_librimix_own(made: Path) -> None:
    assert made.parts[-3:] == ("Libri2Mix", "wav8k", "min")
    assert sorted(path.name for path in made.iterdir()) == ["dev", "metadata", "train"]
    for split, corpus_split, count in (("train", "train", 6), ("dev", "valid", 3)):
        table = rows(made / f"metadata/mixture_{split}_mix_clean.csv")
        assert list(table[0]) == ["mixture_ID", "mixture_path", "source_1_path", "source_2_path", "length"]
        assert len(table) == count
        for folder in ("mix_clean", "s1", "s2"):
            names = {path.stem for path in (made / split / folder).glob("*.wav")}
            assert names == {row["mixture_ID"] for row in table}
        gains = rows(made / f"metadata/libri2mix_{corpus_split}.csv")
        assert list(gains[0]) == ["mixture_ID", "source_1_path", "source_1_gain", "source_2_path", "source_2_gain"]
        info = rows(made / f"metadata/libri2mix_{corpus_split}_info.csv")
        assert list(info[0]) == ["mixture_ID"] + [f"speaker_{n}_{what}" for n in (1, 2) for what in ("ID", "sex")]


def test_sources_add_up_to_the_mixture(made: Path) -> None:
    for split in ("train", "dev"):
        for row in rows(made / f"metadata/mixture_{split}_mix_clean.csv"):
            mixture, first, second = (read(row[f"{name}_path"]) for name in ("mixture", "source_1", "source_2"))
            assert len(mixture) == len(first) == len(second) == int(row["length"])
            assert np.abs(first + second - mixture).max() <= 1
            assert soundfile.info(row["mixture_path"]).subtype == "PCM_16"
            assert f"{made}/{split}/mix_clean/{row['mixture_ID']}.wav" == row["mixture_path"]


def test_gains_table_says_what_was_done(made: Path, corpus: Path) -> None:
    meter = pyloudnorm.Meter(8000)
    for row in rows(made / "metadata/libri2mix_train.csv"):
        for number in (1, 2):
            samples, _ = soundfile.read(corpus / row[f"source_{number}_path"])
            scaled = float(row[f"source_{number}_gain"]) * samples
            written = read(made / f"train/s{number}/{row['mixture_ID']}.wav") / 32768
            np.testing.assert_allclose(written, scaled[: len(written)], atol=1 / 32768)
            assert -33 <= meter.integrated_loudness(scaled) <= -25


def test_speakers_differ_and_names_tell_them(made: Path) -> None:
    for row in rows(made / "metadata/libri2mix_train_info.csv"):
        speakers = [part.split("-")[0] for part in row["mixture_ID"].split("_")]
        assert speakers == [row["speaker_1_ID"], row["speaker_2_ID"]]
        assert len(set(speakers)) == 2
        sexes = {"ptrain110": "M", "ptrain170": "F", "ptrain230": ""}
        assert [row["speaker_1_sex"], row["speaker_2_sex"]] == [sexes[speaker] for speaker in speakers]


def test_the_origin_is_told_where_the_corpus_tells_it(corpus: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(corpus, copy)
    table = "speaker,sex,source,package\nptrain110,M,Debian,asterisk-en asterisk-es\nptrain170,F,own,\n"
    (copy / "speakers.csv").write_text(table)
    root = generate(copy, tmp_path / "out", 2, {"train": 6, "valid": 3}, 0)
    origins = {"ptrain110": "asterisk-en asterisk-es", "ptrain170": "own", "ptrain230": ""}
    for row in rows(root / "metadata/libri2mix_train_info.csv"):
        for number in (1, 2):
            assert row[f"speaker_{number}_corpus"] == origins[row[f"speaker_{number}_ID"]]
    assert "speaker_1_corpus" not in rows(root / "metadata/libri2mix_valid_info.csv")[0]


def test_another_origin_is_noticed(corpus: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(corpus, copy)
    (copy / "speakers.csv").write_text("speaker,sex,source\nptrain110,M,here\nptrain170,F,here\nptrain230,F,here\n")
    info = generate(copy, tmp_path / "out", 2, {"train": 2}, 0) / "metadata/libri2mix_train_info.csv"
    assert rows(info)[0]["speaker_1_corpus"] == "here"
    (copy / "speakers.csv").write_text((copy / "speakers.csv").read_text().replace("here", "there"))
    generate(copy, tmp_path / "out", 2, {"train": 2}, 0)
    assert rows(info)[0]["speaker_1_corpus"] == "there"


def test_the_seed_decides_every_byte(made: Path, corpus: Path, tmp_path: Path) -> None:
    again, other = (generate(corpus, tmp_path / str(seed), 2, COUNTS, seed) for seed in (0, 1))
    first = {name: data for name, data in contents(made).items() if not name.startswith("metadata/mixture_")}
    second = contents(again)
    assert first == {name: second[name] for name in first}  # only the absolute paths differ
    assert sorted(first) != sorted(contents(other))


def test_three_speakers(corpus: Path, tmp_path: Path) -> None:
    root = generate(corpus, tmp_path, 3, {"train": 4}, 0)
    assert root.parts[-3] == "Libri3Mix"
    for row in rows(root / "metadata/mixture_train_mix_clean.csv"):
        assert len({part.split("-")[0] for part in row["mixture_ID"].split("_")}) == 3
        sources = [read(row[f"source_{number}_path"]) for number in (1, 2, 3)]
        assert np.abs(sum(sources) - read(row["mixture_path"])).max() <= 2
    with pytest.raises(UserError, match=r"valid: found 2 speakers, expected at least 3"):
        generate(corpus, tmp_path, 3, {"valid": 4}, 0)


def test_a_finished_split_is_reused_and_another_request_replaces_it(corpus: Path, tmp_path: Path) -> None:
    root = generate(corpus, tmp_path, 2, {"train": 3}, 0)
    (mixture, *_) = sorted((root / "train/mix_clean").glob("*.wav"))
    before = mixture.stat().st_mtime_ns
    generate(corpus, tmp_path, 2, {"train": 3}, 0)
    assert mixture.stat().st_mtime_ns == before
    generate(corpus, tmp_path, 2, {"train": 2}, 0)
    assert len(list((root / "train/s2").glob("*.wav"))) == len(rows(root / "metadata/mixture_train_mix_clean.csv")) == 2


@pytest.mark.parametrize(("seed", "is_new"), [(0, False), (1, True)])
def test_another_seed_is_noticed(seed: int, is_new: bool, corpus: Path, tmp_path: Path) -> None:
    root = generate(corpus, tmp_path, 2, {"train": 3}, 0)
    before = contents(root / "train")
    generate(corpus, tmp_path, 2, {"train": 3}, seed)
    assert (contents(root / "train") != before) is is_new


def test_another_corpus_is_noticed(corpus: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(corpus, copy)
    root = generate(copy, tmp_path, 2, {"test": 2}, 0)
    (first, *_) = (copy / "test").glob("*/*.wav")
    samples, rate = soundfile.read(first)
    soundfile.write(first, samples[:-1], rate)
    before = json.loads((root / "test" / librimix.MARKER).read_text())
    generate(copy, tmp_path, 2, {"test": 2}, 0)
    assert json.loads((root / "test" / librimix.MARKER).read_text())["corpus"] != before["corpus"]


def test_an_interrupted_run_leaves_the_earlier_mixtures(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = generate(corpus, tmp_path, 2, {"train": 3}, 0)
    before, written = contents(root), []

    def interrupted(path: Path, samples: np.ndarray, sample_rate: int) -> None:
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt
        write_wav(path, samples, sample_rate)

    write_wav = librimix.write_wav
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(librimix, "write_wav", interrupted)
        generate(corpus, tmp_path, 2, {"train": 4}, 0)
    assert {name: data for name, data in contents(root).items() if ".part/" not in name} == before
    generate(corpus, tmp_path, 2, {"train": 4}, 0)
    assert len(list((root / "train/mix_clean").glob("*.wav"))) == 4
    assert not list(root.glob(".*"))


def test_real_librimix_is_never_replaced(corpus: Path, tmp_path: Path) -> None:
    real = tmp_path / "Libri2Mix/wav8k/min/train/mix_clean/1-2-3_4-5-6.wav"
    real.parent.mkdir(parents=True)
    real.touch()
    with pytest.raises(UserError, match=r"min/train: exists and was not made by this generator"):
        generate(corpus, tmp_path, 2, {"train": 3}, 0)
    assert real.exists()


def test_more_mixtures_than_the_corpus_gives(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"test: found 9 different mixtures of 2 speakers, expected 10 mixtures"):
        generate(corpus, tmp_path, 2, {"test": 10}, 0)


def test_a_rate_above_the_sources_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.wav: found 8000 Hz, expected at least 16000 Hz"):
        generate(corpus, tmp_path, 2, {"train": 3}, 0, sample_rate=16000)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("valid", "dev"),
        ("dev-clean", "dev"),
        ("test-clean", "test"),
        ("train-clean-100", "train-100"),
        ("extra", "extra"),
    ],
)
def test_split_names(name: str, expected: str) -> None:
    assert librimix_split(name) == expected


def test_command_line(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--corpus", str(corpus), "--output", str(tmp_path), "--count", "test=2", "--num-speakers", "2"])
    assert capsys.readouterr().out == f"mixtures: {tmp_path}/Libri2Mix/wav8k/min\n"
    for wrong in ("train", "train=0", "=3", "train=x"):
        with pytest.raises(UserError, match=rf"--count: found '{wrong}', expected SPLIT=NUMBER"):
            main(["--corpus", str(corpus), "--output", str(tmp_path), "--count", wrong])
