"""The model card from small made-up folders: every number in it is one of theirs, and what is missing is said."""

import csv
import dataclasses
import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks import model_card
from benchmarks.model_card_groups import groups, in_common, level_difference_db, pitch_ratio, worst
from benchmarks.model_card_sources import named, shown
from src import checkpoint
from src.config import Config, DataConfig, ModelConfig, TrainingConfig
from src.data.manifest import Manifest, Utterance, write_manifest
from src.data.record_index import RecordIndex
from src.errors import UserError
from src.files import sha256
from src.metrics import bootstrap_interval
from src.models.swave import Swave
from src.pretrained import ROOT
from src.publish import publish
from src.scores.scoring import METRICS, Result
from src.scores.summary import summarize, to_row, write_results
from src.stitching.chunks import Chunking

MODEL = ModelConfig(num_filters=16, kernel_size=4, hidden_size=4, num_pairs=1, chunk_frames=10)
# Of the test persons: sex, package, pitch in Hz. Mixtures of the first two have close pitches and fail.
PERSONS = {"ada": ("F", "x", 200.0), "eva": ("F", "x", 205.0), "tim": ("M", "y", 110.0)}
GAINS_DB = {("ada", "eva"): 0.0, ("ada", "tim"): 8.0, ("eva", "tim"): 9.0}
NUM_OF_PAIR = {("ada", "eva"): 4, ("ada", "tim"): 18, ("eva", "tim"): 18}
SPEAKERS = """speaker,sex,split,language,source,package,licence,num_utterances,seconds
bob,M,train,de fr,Debian,a,GPL-2,10,600
sue,F,train,de,Debian,a,GPL-2,20,1200
zoe,F,train,en,Debian,b,CC-BY-3.0,30,60
val,F,valid,it,Debian,b,CC-BY-3.0,5,30
ada,F,test,ro,Debian,x,GPL-2+,6,60
eva,F,test,ro,Debian,x,GPL-2+,6,60
tim,M,test,ru,Debian,y,BSD-like,6,60
"""


def make_results() -> tuple[RecordIndex, list[Result]]:
    """40 mixtures, each with half a dB more than the one before of its pair."""
    pairs = [(pair, number) for pair, count in NUM_OF_PAIR.items() for number in range(count)]
    index = RecordIndex(
        ids=tuple(f"{a}-{b}-{number}" for (a, b), number in pairs),
        speakers=tuple(pair for pair, _ in pairs),
        sexes=tuple(tuple(PERSONS[person][0] for person in pair) for pair, _ in pairs),
        num_samples=np.full(len(pairs), 32000),
        loudness_lufs=np.array([[-25.0, -25.0 - number % 4] for _, number in pairs]),
        pitch_hz=np.array([[PERSONS[person][2] for person in pair] for pair, _ in pairs]),
        spectrum_db=np.zeros((len(pairs), 2, 3)),
        sample_rate=8000,
        num_speakers=2,
        mixture_type="mix_clean",
        origins=tuple(tuple(PERSONS[person][1] for person in pair) for pair, _ in pairs),
    )
    results = []
    for record, (pair, number) in enumerate(pairs):
        values = {name: [GAINS_DB[pair] + 0.1 * number] * 2 for both in METRICS.items() for name in both}
        results.append(Result(record, values))
    return index, results


def write_scores(folder: Path, digest: str) -> Path:
    index, results = make_results()
    head = {
        "name": "",
        "model_path": "small.ckpt",
        "model_sha256": digest,
        "data_path": str(folder / "test.mindrecord"),
    }
    summary = {**head, **summarize(index, results, Chunking(), compare_whole=False)}
    write_results(folder, [to_row(index, result) for result in results], summary)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, its data's manifests, a published checkpoint, a corpus and an evaluation."""
    folder = tmp_path_factory.mktemp("card")
    data = DataConfig(
        train=str(folder / "data/train.mindrecord"),
        valid=str(folder / "data/valid.mindrecord"),
        segment_seconds=2.0,
        dynamic_mixing=True,
        speed_min=0.8,
    )
    config = Config(MODEL, data, TrainingConfig(batch_size=3, accumulation=2, average_decay=0.9))
    for name, persons in (("train", ("bob", "sue")), ("valid", ("val", "val2"))):
        utterances = tuple(Utterance(f"u{n}", "m.wav", ("1.wav", "2.wav"), 14_400_000, persons) for n in range(3))
        (folder / "data").mkdir(exist_ok=True)
        write_manifest(folder / f"data/{name}.json", Manifest(8000, 2, "mix_clean", folder, utterances))
    run = folder / "run"
    history = [
        {"epoch": n, "step": 600 * n, "valid_si_snri_db": gain, "seconds": 1800.0 * n, "cpu_seconds": 3600.0 * n}
        for n, gain in ((1, 1.25), (2, 5.5), (3, 5.25))
    ]
    progress = {"epochs_done": 2, "steps_done": 1200, "num_processes": 1, "history": history[:2]}
    checkpoint.save(run / "best.ckpt", Swave(MODEL).get_parameters(), config, progress)
    checkpoint.save(run / "latest.ckpt", Swave(MODEL).get_parameters(), config, progress)
    (run / "history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in history))
    sitting = {"command": f"python train.py --config {ROOT}/configs/x.yaml --train_dir /home/me/data --lr 1e-3"}
    sitting |= {"processor": "Zilog Z80", "cores": 1, "processes": 1}
    (run / "sittings.jsonl").write_text(2 * (json.dumps(sitting) + "\n"))
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("src.publish.LEAST_DISTANCE_DB", 20.0)  # the network was never trained
    publish(run / "best.ckpt", folder / "small.ckpt")
    monkeypatch.undo()
    (folder / "corpus").mkdir()
    (folder / "corpus/speakers.csv").write_text(SPEAKERS)
    write_scores(folder / "scores", sha256(folder / "small.ckpt"))
    speed = {
        "model_sha256": sha256(folder / "small.ckpt"),
        "processor": "Zilog Z80",
        "cores": 1,
        "measured": "1976-07-01",
        "audio_seconds": 60.0,
        "separation_seconds": [15.0, 12.0, 30.0],
        "peak_memory_mb": 640,
    }
    (folder / "speed.json").write_text(json.dumps(speed))
    (folder / "prepare.sh").write_text(f"python preprocess.py --in-dir {folder}/mixtures --out-dir data\n")
    return folder


def write_card(made: Path, output: Path, *options: str) -> str:
    model_card.main(
        ["--checkpoint", str(made / "small.ckpt"), "--runs", str(made / "run"), "--output", str(output), *options]
    )
    return output.read_text()


@pytest.fixture(scope="module")
def card(made, tmp_path_factory):
    """The card with everything."""
    options = ["--corpora", f"Debian's packages={made / 'corpus'}", "--scores", f"unheard persons={made / 'scores'}"]
    options += ["--speed", str(made / "speed.json"), "--preparation", str(made / "prepare.sh")]
    return write_card(made, tmp_path_factory.mktemp("out") / "card.md", *options)


def cells(card: str, first: str) -> list[str]:
    """Of the only row of a table whose first cell is this."""
    (row,) = [line for line in card.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def told(values) -> str:
    lower, upper = bootstrap_interval(values)
    return f"{np.mean(values):.2f} ({lower:.2f} to {upper:.2f})"


def gains(*pairs) -> list[float]:
    return [round(GAINS_DB[pair] + 0.1 * number, 4) for pair in pairs for number in range(NUM_OF_PAIR[pair])]


# the card


def test_the_network_its_file_and_its_speed(card, made):
    assert card.startswith("# Model card: small\n")
    count = sum(parameter.size for parameter in Swave(MODEL).get_parameters())
    assert cells(card, "parameters")[1] == f"{count:,}"
    assert cells(card, "SHA-256")[1] == f"`{sha256(made / 'small.ckpt')}`"
    assert "small.ckpt`, 0." in cells(card, "file")[1] and "weights as trained stored as float16" in card
    speed = (
        "real-time factor 0.250 on 1 core of Zilog Z80 (median of 3 times 60 s, 1976-07-01); 640 MB of memory at most"
    )
    assert cells(card, "speed")[1] == speed


def test_scores_across_chains_and_within_with_counts_and_intervals(card):
    _, count, persons, all_, across, within, sdr, _ = cells(card, "unheard persons")
    assert (count, persons) == ("40", "3")
    assert all_ == sdr == told(gains(*NUM_OF_PAIR))
    assert across == f"{told(gains(('ada', 'tim'), ('eva', 'tim')))} (36)"
    assert within == f"{told(gains(('ada', 'eva')))} (4)"
    assert cells(card, "eva (F) with tim (M)")[1:] == ["18", told(gains(("eva", "tim")))]
    order = [
        card.index(f"| {pair} |") for pair in ("eva (F) with tim (M)", "ada (F) with tim (M)", "ada (F) with eva (F)")
    ]
    assert order == sorted(order)


def test_failures_are_what_the_worst_have_in_common(card):
    assert "4 of 40 mixtures gain less than 1 dB. The worst tenth, 4 mixtures, gains 0.00 to 0.30 dB." in card
    common = card.split("What they have more often than others: ")[1].splitlines()[0]
    assert "pitch ratio below 1.1 (100%, against 10% of all)" in common
    assert "sexes female with female (100%, against 10% of all)" in common
    assert "recordings within a chain (100%, against 10% of all)" in common
    assert "level" not in common and "length" not in common
    assert cells(card, "pitch ratio below 1.1")[1:] == ["4", told(gains(("ada", "eva"))), "100%", "10%", "100%"]
    assert cells(card, "ada-eva-0") == ["ada-eva-0", "0.00", "ada (F), eva (F)", "1.02", "0.0 dB", "4.0"]


def test_data_tells_who_was_heard_under_which_licence(card):
    assert "| Debian's packages | a | 2 (1 female, 1 male) | 30 | 30 | GPL-2 |" in card
    assert "zoe" not in card and "| b | 2" not in card  # she is in the corpus, and was not in the training set
    assert "**In no corpus that was given, so without a licence here: val2.**" in card
    assert "| Debian's packages | y | 1 (1 male) | 6 | 1 | BSD-like |" in card
    assert "Training mixtures: 3, 1.5 h, of 2 persons; the network heard their sources in mixtures made anew" in card
    assert "Validation mixtures: 3, 1.5 h, of 2 persons." in card
    assert "Languages of the training persons: de, en, fr; of the test persons: ro, ru." in card
    assert "No person of these sets is among the 2 of the training set or the 2 of the validation set" in card


def test_hours_machine_commands_and_settings(card):
    row = next(line for line in card.splitlines() if line.endswith("| 5.50 dB |"))
    assert row.startswith("| `") and row.endswith("run` | 3 | 1,800 | 6.0 | 1.5 | 3.0 | 5.50 dB |")
    assert "run/best.ckpt`, after epoch 2." in card
    assert "Machine: 1 core of Zilog Z80, 1 process." in card
    assert card.count("python train.py --config configs/x.yaml --train_dir …/data --lr 1e-3\n") == 1
    assert "python preprocess.py --in-dir …/mixtures --out-dir data\n" in card
    assert re.search(r"python -m src\.publish …/run/best\.ckpt …/small\.ckpt\n", card)
    assert "python evaluate.py --model_path …/small.ckpt --data-dir …/test.mindrecord --output …/scores\n" in card
    assert "  speed_min: 0.8\n" in card and "  accumulation: 2\n" in card and "epochs: 100" not in card
    assert [cells(card, str(epoch))[1:] for epoch in (1, 2, 3)] == [
        ["600", "0.50", "1.25"],
        ["1,200", "1.00", "5.50"],
        ["1,800", "1.50", "5.25"],
    ]


def test_no_path_of_this_machine_gets_into_it(card, made):
    assert str(made.parent) not in card and str(ROOT) not in card and "/home/me" not in card
    assert shown(f"{ROOT}/runs/a --x /home/me/b.txt --y docs/c.md") == "runs/a --x …/b.txt --y docs/c.md"


def test_the_hours_of_several_processes_are_told_as_what_they_are(made, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "history.jsonl").write_bytes((made / "run/history.jsonl").read_bytes())
    stored = checkpoint.read(made / "run/best.ckpt")
    progress = {**stored.progress, "num_processes": 2}
    checkpoint.save(run / "best.ckpt", Swave(MODEL).get_parameters(), stored.config, progress)
    card = write_card(made, tmp_path / "card.md", "--runs", str(run))
    assert "| about 6.0: 3.0 in the first of 2 processes |" in card


def test_what_is_missing_is_said(made, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("best.ckpt", "history.jsonl"):
        (tmp_path / "run" / name).write_bytes((made / "run" / name).read_bytes())
    history = [
        {**json.loads(line), "cpu_seconds": None} for line in (made / "run/history.jsonl").read_text().splitlines()
    ]
    for entry in history:
        del entry["cpu_seconds"]
    (tmp_path / "run/history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in history))
    config = checkpoint.read(made / "run/best.ckpt").config
    elsewhere = dataclasses.replace(config, data=dataclasses.replace(config.data, train="moved.mindrecord", valid=""))
    checkpoint.save(tmp_path / "run/best.ckpt", Swave(MODEL).get_parameters(), elsewhere, {})
    card = write_card(made, tmp_path / "card.md", "--runs", str(tmp_path / "run"))
    assert cells(card, "speed")[1] == "not measured"
    assert card.count("**Not measured.**") == 2  # scores, failures
    assert "**Persons and licences: missing, no corpus was given.**" in card
    assert "Training mixtures: not known, the runs' manifests are not there." in card
    assert "Machine: not written down by the runs." in card and "# not written down by the runs" in card
    assert "not counted" in card
    assert "**From which file of these runs the weights were taken cannot be seen" in card
    assert "src.publish" not in card


def test_a_test_person_who_was_in_training_is_told(made, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    data = tmp_path / "data/train.mindrecord"
    config = checkpoint.read(made / "run/best.ckpt").config
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, train=str(data)))
    (tmp_path / "data").mkdir()
    utterances = (Utterance("u", "m.wav", ("1.wav", "2.wav"), 8000, ("bob", "tim")),)
    write_manifest(data.with_suffix(".json"), Manifest(8000, 2, "mix_clean", tmp_path, utterances))
    checkpoint.save(run / "best.ckpt", Swave(MODEL).get_parameters(), config, {})
    (run / "history.jsonl").write_text("")
    card = write_card(made, tmp_path / "card.md", "--runs", str(run), "--scores", f"set={made / 'scores'}")
    assert "**set: tim is in the training set too.**" in card
    assert "No person of these sets" not in card


# mistakes


def test_scores_and_speed_of_another_checkpoint_are_refused(made, tmp_path):
    write_scores(tmp_path / "scores", "0" * 64)
    with pytest.raises(UserError, match=r"metrics\.json: found scores of another checkpoint \(SHA-256 000000000000…\)"):
        write_card(made, tmp_path / "card.md", "--scores", f"set={tmp_path / 'scores'}")
    (tmp_path / "speed.json").write_text('{"model_sha256": "0"}')
    with pytest.raises(UserError, match=r"speed\.json: found the speed of another checkpoint"):
        write_card(made, tmp_path / "card.md", "--speed", str(tmp_path / "speed.json"))
    assert not (tmp_path / "card.md").exists()


def test_a_table_that_is_not_of_its_means_is_refused(made, tmp_path):
    folder = write_scores(tmp_path / "scores", sha256(made / "small.ckpt"))
    table = folder / "per_utterance.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(UserError, match=r"found a per_utterance\.csv that is not of its metrics\.json"):
        write_card(made, tmp_path / "card.md", "--scores", f"set={folder}")


def test_a_run_of_fewer_pairs_comes_first(made, tmp_path):
    first = tmp_path / "first"
    shutil.copytree(made / "run", first)
    deeper = dataclasses.replace(MODEL, num_pairs=2)
    shutil.copytree(made / "data", tmp_path / "data")  # the same mixtures, made once more
    config = checkpoint.read(first / "best.ckpt").config
    data = dataclasses.replace(config.data, train=str(tmp_path / "data/train.mindrecord"))
    config = dataclasses.replace(config, model=deeper, data=data)
    for name in ("best.ckpt", "latest.ckpt"):
        checkpoint.save(tmp_path / "deeper" / name, Swave(deeper).get_parameters(), config, {"epochs_done": 2})
    for name in ("history.jsonl", "sittings.jsonl"):
        shutil.copy(first / name, tmp_path / "deeper")
    publish(tmp_path / "deeper/best.ckpt", tmp_path / "deep.ckpt")
    options = ["--checkpoint", str(tmp_path / "deep.ckpt"), "--runs", str(first), str(tmp_path / "deeper")]
    card = write_card(made, tmp_path / "card.md", *options)
    assert "Training mixtures: 3," in card  # not 6
    assert "deeper/best.ckpt`, after epoch 2" in card and "/first` in the course of training" in card


def test_a_run_of_another_network_is_refused(made, tmp_path):
    model = dataclasses.replace(MODEL, hidden_size=5)
    checkpoint.save(tmp_path / "best.ckpt", Swave(model).get_parameters(), Config(model=model), {})
    with pytest.raises(UserError, match="found a network of other sizes than that of"):
        write_card(made, tmp_path / "card.md", "--runs", str(tmp_path))
    with pytest.raises(UserError, match=r"none: found no checkpoint, expected the output folder of train\.py"):
        write_card(made, tmp_path / "card.md", "--runs", str(tmp_path / "none"))


@pytest.mark.parametrize("word", ["folder", "=folder", "a=."])
def test_names_and_folders(word):
    with pytest.raises(UserError, match=r"expected NAME=FOLDER, each name once"):
        named(["a=.", word])
    with pytest.raises(UserError, match=r"nowhere: no such folder, expected that of 'b'"):
        named(["b=nowhere"])


# what the worst have in common


def rows_of(values, **columns):
    return [
        {
            "id": f"u{n:02}",
            "si_snri_db": str(value),
            "seconds": "4.0",
            **{key: each[n] for key, each in columns.items()},
        }
        for n, value in enumerate(values)
    ]


def test_the_worst_tenth_and_at_least_one():
    assert [row["id"] for row in worst(rows_of([3.0, 1.0, 2.0]))] == ["u01"]
    assert [row["id"] for row in worst(rows_of([float(n) for n in range(30)]))] == ["u00", "u01", "u02"]


def test_pitches_and_levels():
    row = {"pitch_hz": "100.0;150.0;160.0", "loudness_lufs": "-25.00;-31.50;-28.00"}
    assert pitch_ratio(row) == pytest.approx(160 / 150)
    assert level_difference_db(row) == pytest.approx(6.5)
    for nothing in ({}, {"pitch_hz": "", "loudness_lufs": ""}, {"pitch_hz": "nan;1", "loudness_lufs": "nan;1"}):
        assert pitch_ratio(nothing) is level_difference_db(nothing) is None


def test_nothing_in_common_where_properties_are_spread_evenly():
    pitches = list(itertools.islice(itertools.cycle(["100.0;105.0", "100.0;150.0"]), 60))
    rows = rows_of([float(n) for n in range(60)], pitch_hz=pitches)
    assert in_common(rows) == []
    found = groups(rows, "pitch ratio")
    assert [(group.name, len(group.values_db), group.num_worst) for group in found] == [
        ("below 1.1", 30, 3),
        ("1.35 to 1.6", 30, 3),
    ]


def test_the_columns_that_it_reads_are_those_of_evaluate(made):
    with (made / "scores/per_utterance.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert pitch_ratio(row) == pytest.approx(1.025)
    assert {"speakers", "sexes", "origins", "seconds", "sdri_db"} <= row.keys()
