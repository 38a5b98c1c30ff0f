import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stand_in_voices import Speaking, material

from src.data.clips import PEAK_LIMIT, SPEECH_RMS
from src.data.corpus_folder import scan_corpus
from src.data.librimix import generate
from src.data.synthetic.person_folder import PersonFolder
from src.data.synthetic.persons import SyntheticPerson, plan_persons
from src.data.synthetic.registry_files import ALL_FILES
from src.data.synthetic.speech import MODEL_RATE, as_utterance, load_speaker
from src.data.synthetic_voices import alone_in, build, main, utterances_each
from src.data.voice import median_pitch_hz
from src.errors import UserError
from tests.synthetic import RATE, voice

MATERIAL = material()
ONE_OF_EACH = [
    next(person for person in plan_persons(1, 0, MATERIAL.voices) if person.split == split)
    for split in ("train", "valid", "test")
]
MIXED = SyntheticPerson("mixed0001", "U", "train", "us", (("af_heart", 0.5), ("am_adam", 0.5)), 1.1)
PERSONS = [*ONE_OF_EACH, MIXED]


def make(root: Path, count: int = 2, speaking: Speaking | None = None, persons: list[SyntheticPerson] = PERSONS) -> int:
    """Build, and tell how often something was spoken."""
    speaking = speaking or Speaking()
    build(root, [PersonFolder(root, person, 0) for person in persons], count, MATERIAL, lambda: speaking)
    return speaking.calls


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("voices") / "corpus"
    make(root, 3)
    return root


def test_utterances_have_the_promised_form(built: Path) -> None:
    files = sorted(built.rglob("*.flac"))
    assert len(files) == 3 * len(PERSONS)
    for person in PERSONS:
        found = sorted((built / person.split / person.speaker).glob("*.flac"))
        assert [path.stem for path in found] == [f"{person.speaker}-{number:04d}" for number in (1, 2, 3)]
    for path in files:
        samples, rate = soundfile.read(path, always_2d=True)
        assert (rate, samples.shape[1], soundfile.info(path).subtype) == (8000, 1, "PCM_16")
        assert 3 * rate <= len(samples) <= 6 * rate
        assert np.abs(samples).max() <= PEAK_LIMIT
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(SPEECH_RMS, rel=0.15)


def test_persons_keep_their_pitch(built: Path) -> None:
    for person in PERSONS:
        wanted = float(person.styles(MATERIAL.voices)[0, 0])
        for path in (built / person.split / person.speaker).glob("*.flac"):
            assert median_pitch_hz(soundfile.read(path)[0], 8000) == pytest.approx(wanted, rel=0.1)


def test_tables_tell_what_is_there(built: Path) -> None:
    speakers = {row["speaker"]: row for row in rows(built / "speakers.csv")}
    assert set(speakers) == {person.speaker for person in PERSONS}
    assert speakers["mixed0001"]["voices"] == "af_heart 0.50 + am_adam 0.50"
    assert {row["source"] for row in speakers.values()} == {"synthetic (Kokoro-82M)"}
    assert {row["licence"] for row in speakers.values()} == {"Apache-2.0"}
    origins = rows(built / "origins.csv")
    assert {f"{row['split']}/{row['speaker']}/{row['utterance']}.flac" for row in origins} == {
        path.relative_to(built).as_posix() for path in built.rglob("*.flac")
    }
    for row in origins:
        duration = soundfile.info(built / row["split"] / row["speaker"] / f"{row['utterance']}.flac").duration
        assert float(row["seconds"]) == pytest.approx(duration, abs=1e-3)
        assert row["text"].endswith((".", "?"))
    assert len({row["text"] for row in origins}) == len(origins)
    total = sum(float(row["seconds"]) for row in origins if row["speaker"] == "mixed0001")
    assert float(speakers["mixed0001"]["seconds"]) == pytest.approx(total, abs=0.02)
    materials = rows(built / "materials.csv")
    assert [row["package"] for row in materials] == [file.name for file in ALL_FILES]
    assert all(row["licence"] and len(row["sha256"]) == 64 for row in materials)
    assert (built / "licences/all.LICENSE.txt").read_bytes() == b"free"


def test_mixtures_can_be_made_of_it(built: Path, tmp_path: Path) -> None:
    corpus = scan_corpus(built)
    assert sorted(corpus.splits) == ["test", "train", "valid"]
    sexes = {speaker.name: (speaker.sex, speaker.origin) for speaker in corpus.speakers("train")}
    assert sexes["mixed0001"] == (None, "kokoro-js")
    root = generate(built, tmp_path, 2, {"train": 2}, seed=0)
    assert len(list((root / "train/mix_clean").glob("*.wav"))) == 2


def test_same_bytes_on_every_run_and_other_words_with_another_seed(built: Path, tmp_path: Path) -> None:
    make(tmp_path / "again", 3)
    assert contents(tmp_path / "again") == contents(built)
    other = tmp_path / "other"
    build(other, [PersonFolder(other, MIXED, 1)], 3, MATERIAL, Speaking)
    texts = [
        {row["text"] for row in rows(root / "origins.csv") if row["speaker"] == "mixed0001"} for root in (built, other)
    ]
    assert not texts[0] & texts[1]


def test_a_second_run_speaks_nothing(built: Path) -> None:
    before = contents(built)
    assert make(built, 3) == 0
    assert contents(built) == before


def test_an_interrupted_run_goes_on_and_its_tables_tell_what_is_there(built: Path, tmp_path: Path) -> None:
    root = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        make(root, 3, Speaking(7, KeyboardInterrupt()))
    found = {row["utterance"] for row in rows(root / "origins.csv")}
    assert found == {path.stem for path in root.rglob("*.flac")}
    assert {row["num_utterances"] for row in rows(root / "speakers.csv")} <= {"1", "2"}  # all persons in turn
    calls = make(root, 3)
    assert calls <= 3 * len(PERSONS) - len(found) + 4  # a sentence may be tried again
    assert contents(root) == contents(built)


def test_a_corpus_grows(built: Path, tmp_path: Path) -> None:
    root = tmp_path / "growing"
    make(root, 1, persons=PERSONS[:3])
    make(root, 3)
    assert contents(root) == contents(built)


def test_a_lost_file_is_made_again(built: Path, tmp_path: Path) -> None:
    root = tmp_path / "lossy"
    make(root, 3)
    (root / "train/mixed0001/mixed0001-0002.flac").unlink()
    assert make(root, 3) >= 2
    assert contents(root) == contents(built)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "small"
    make(root, 2)
    before = contents(root)
    yield root
    assert contents(root) == before  # hours of work are never thrown away


def test_a_corpus_does_not_shrink(small: Path) -> None:
    with pytest.raises(UserError, match=r"found 2 utterances, expected at most 1 of each person: more --hours, or"):
        make(small, 1)
    with pytest.raises(UserError, match=r"found 1 persons more than the 3 of this command, such as mixed0001"):
        make(small, 2, persons=PERSONS[:3])


def test_another_seed_needs_another_folder(small: Path) -> None:
    with pytest.raises(UserError, match=r"found a person of another seed or version, expected another --output"):
        PersonFolder(small, MIXED, 1)


def test_folders_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "train/mixed0001").mkdir(parents=True)
    (tmp_path / "train/mixed0001/mine.flac").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"mixed0001: exists and was not made by this program"):
        make(tmp_path)
    assert (tmp_path / "train/mixed0001/mine.flac").read_bytes() == b"mine"


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if "mixed0001-0002" in path.name:
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"mixed0001-0002\.flac: cannot be written \(No space left on device\)"):
        make(tmp_path / "full", 3)
    monkeypatch.undo()
    make(tmp_path / "full", 3)
    assert contents(tmp_path / "full") == contents(built)


def test_clips_without_speech_are_tried_again_and_then_told(tmp_path: Path) -> None:
    class Silent(Speaking):
        def __call__(self, *_: object) -> np.ndarray:
            self.calls += 1
            return np.zeros(MODEL_RATE) if self.calls % 2 else np.full(MODEL_RATE, np.nan)

    with pytest.raises(UserError, match=r"found no sentence of 3 to 6 s in 12 attempts"):
        make(tmp_path, 1, Silent())


@pytest.mark.parametrize("tokens_per_second", [12.0, 25.0])
def test_slow_and_fast_persons_are_known_after_their_first_utterance(tmp_path: Path, tokens_per_second: float) -> None:
    make(tmp_path, 1, Speaking(tokens_per_second=tokens_per_second), [MIXED])
    assert make(tmp_path, 6, Speaking(tokens_per_second=tokens_per_second), [MIXED]) == 5
    lengths = [soundfile.info(path).duration for path in tmp_path.rglob("*.flac")]
    assert len(lengths) == 6
    assert min(lengths) >= 3 and max(lengths) <= 6


def test_a_clip_with_a_bad_sample_is_not_used() -> None:
    clip = np.repeat(voice(120, 3.5, seed=1).astype(np.float64), 3)
    assert len(as_utterance(clip)) > 3 * RATE
    clip[1000] = np.nan
    assert len(as_utterance(clip)) == 0


def test_pauses_and_silence_fall_away() -> None:
    word = voice(120, 1.2, seed=1)
    clip = np.concatenate([np.zeros(4000), word, np.zeros(8000), word, np.zeros(4000)])
    spoken = as_utterance(np.repeat(clip, 3))
    assert 2 * 1.2 <= len(spoken) / RATE <= 2 * 1.2 + 0.15 + 4 * 0.06


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(UserError, match=r"found a process that is making voices there"):
        main(["--output", str(tmp_path)])
    with alone_in(tmp_path):
        pass


def test_how_many_utterances_make_the_hours() -> None:
    assert utterances_each(2.0, 162) == 10
    assert utterances_each(0.25, 30) == 7
    assert utterances_each(0.0001, 162) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--persons", "0"], "--persons: found 0, expected at least 1"),
        (["--hours", "0"], "--hours: found 0, expected more than 0"),
        (["--seed", "-1"], "--seed: found -1, expected 0 or more"),
        (["--threads", "0"], "--threads: found 0, expected at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused(words: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        main(["--output", str(tmp_path / "corpus"), *words])
    assert not (tmp_path / "corpus").exists()


def test_a_missing_onnxruntime_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"onnxruntime is missing .*pip install -r requirements-voices\.txt"):
        load_speaker(b"", 1)


@pytest.mark.slow  # fetches 94 MB once and speaks for a minute
def test_real_voices(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    root, cache = tmp_path / "voices", Path(".cache/voices")
    words = ["--output", str(root), "--persons", "2", "--hours", "0.001", "--cache", str(cache), "--threads", "1"]
    main(words)
    speakers = rows(root / "speakers.csv")
    assert len(speakers) == 14
    pitches = {}
    for row in speakers:
        (path,) = (root / row["split"] / row["speaker"]).glob("*.flac")
        samples, rate = soundfile.read(path)
        assert 3 * rate <= len(samples) <= 6 * rate
        assert np.abs(samples).max() <= PEAK_LIMIT
        pitches[row["speaker"]] = (row["sex"], median_pitch_hz(samples, rate))
    women = [pitch for sex, pitch in pitches.values() if sex == "F"]
    men = [pitch for sex, pitch in pitches.values() if sex == "M"]
    assert np.median(women) > 1.3 * np.median(men)
    before = contents(root)
    record = root / "test/bflewis/.synthetic.json"
    assert not record.exists() or json.loads(record.read_text())["utterances"]
    main([*words[:1], str(tmp_path / "again"), *words[2:]])
    assert contents(tmp_path / "again") == before
