"""Scores of what a stand-in for the C++ program has made: the numbers of evaluate.py, and what is refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import evaluate
import postprocess
from src import checkpoint
from src.config import Config, ModelConfig
from src.data.open_set import open_test_set
from src.data.records import RecordFile
from src.errors import UserError
from src.infer310.index import INDEX_NAME, read_outputs, write_index
from src.infer310.inputs import write_inputs
from src.infer310.outputs import match, open_outputs, score_outputs
from src.inference import load_separate
from src.models.swave import Swave
from src.stitching.chunks import Chunking
from tests.infer310.stand_in_program import SHA256, separate_folder
from tests.separation_stand_ins import low_and_high

ROOT = Path(__file__).parents[2]
SMALL = ModelConfig(num_filters=32, kernel_size=8, hidden_size=4, num_pairs=1, chunk_frames=16)
CHUNKS = Chunking.from_seconds(1.2, 0.3, 8000)


@pytest.fixture(scope="module")
def records(tiny_records):
    return RecordFile(tiny_records / "test.mindrecord")


@pytest.fixture(scope="module")
def made(records, tmp_path_factory):
    """Outputs of the filter in place of a network."""
    folder = tmp_path_factory.mktemp("made")
    write_inputs(records, folder / "in")
    separate_folder(folder / "in" / INDEX_NAME, folder / "out", low_and_high, CHUNKS)
    return folder / "out"


@pytest.fixture
def outputs(made, tmp_path):
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "out"))


def average_of(text):
    name, _, number = text.splitlines()[-1].rpartition(" ")
    assert name == "Average SISNR improvement:"
    return number


# scores


def test_the_numbers_are_those_of_evaluate(tiny_records, tmp_path, capsys):
    path = tmp_path / "a.ckpt"
    checkpoint.save(path, Swave(SMALL).get_parameters(), Config(model=SMALL), {})
    chunks = ["--chunk_seconds", "1.2", "--overlap_seconds", "0.3"]
    evaluate.main(
        ["--model_path", str(path), "--data-dir", str(tiny_records), "--output", str(tmp_path / "scores"), *chunks]
    )
    expected = capsys.readouterr().out
    write_inputs(open_test_set(tiny_records), tmp_path / "in")
    network, _ = load_separate(path)
    separate_folder(tmp_path / "in" / INDEX_NAME, tmp_path / "out", network, CHUNKS)
    postprocess.main(["--bin_path", str(tmp_path / "out"), "--test_dir", str(tiny_records)])
    found = capsys.readouterr().out
    table = "utterances done"  # above it and on its line are times
    assert found.split(table)[1].splitlines()[1:] == expected.split(table)[1].splitlines()[1:]
    assert float(average_of(found)) == float(average_of(expected))
    tables = [(folder / "per_utterance.csv").read_text() for folder in (tmp_path / "out", tmp_path / "scores")]
    assert tables[0] == tables[1]
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("out", "scores"))
    assert one.pop("model_sha256") == SHA256
    assert one.pop("outputs_path") == str(tmp_path / "out")
    assert two.pop("model_path") == str(path)
    assert (two.pop("name"), len(two.pop("model_sha256"))) == ("", 64)
    assert two.pop("amp") == "none"
    assert one == two
    assert one["chunking"]["num_longer"] > 0
    assert one["num_utterances"] == 5


def test_outputs_in_another_order_and_under_other_names(made, records, outputs, tmp_path):
    index = read_outputs(made / INDEX_NAME)
    turned = [replace(entry, file=f"x{place}.bin") for place, entry in enumerate(index.outputs)][::-1]
    for before, after in zip(index.outputs, turned[::-1], strict=True):
        (outputs / before.file).rename(outputs / after.file)
    write_index(outputs / INDEX_NAME, replace(index, outputs=tuple(turned)))
    expected = score_outputs(open_outputs(made), records, tmp_path / "one")
    found = score_outputs(open_outputs(outputs), records, tmp_path / "two")
    assert {**found, "outputs_path": ""} == {**expected, "outputs_path": ""}
    assert (tmp_path / "one/per_utterance.csv").read_bytes() == (tmp_path / "two/per_utterance.csv").read_bytes()


def test_silent_tracks_are_scored_and_do_not_end_the_program(records, outputs, tmp_path):
    path = outputs / "00002.bin"
    np.zeros(path.stat().st_size // 4, "<f4").tofile(path)
    summary = score_outputs(open_outputs(outputs), records, tmp_path / "scores")
    assert summary["num_utterances"] == 5
    assert np.isfinite(summary["si_snri_db"])


def test_audio_files_need_no_mindspore_and_give_the_same(made, records, tiny_librimix, tmp_path):
    code = "import sys; sys.modules['mindspore'] = None; import postprocess; postprocess.main(sys.argv[1:])"
    arguments = ["--bin_path", str(made), "--test_dir", str(tiny_librimix), "--output", str(tmp_path / "scores")]
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    expected = score_outputs(open_outputs(made), records, tmp_path / "expected")
    assert average_of(result.stdout) == f"{expected['si_snri_db']:.2f}"
    found = json.loads((tmp_path / "scores/metrics.json").read_text())
    for name in ("si_snri_db", "sdri_db", "stoi_improvement"):
        assert found[name] == pytest.approx(expected[name], abs=1e-9)


# what is refused


def test_a_folder_without_an_index(records, tmp_path):
    with pytest.raises(UserError, match=r"index\.json: cannot be read \(No such file or directory\)"):
        postprocess.main(["--bin_path", str(tmp_path), "--test_dir", str(records.path)])


def spoil_file(outputs):
    with (outputs / "00001.bin").open("r+b") as file:
        file.seek(400)
        file.write(np.array([np.nan, np.inf], "<f4").tobytes())


def change(**changes):
    def spoil(outputs):
        write_index(outputs / INDEX_NAME, replace(read_outputs(outputs / INDEX_NAME), **changes))

    return spoil


def shorten(outputs):
    with (outputs / "00003.bin").open("r+b") as file:
        file.truncate(1000)


def drop(outputs):
    index = read_outputs(outputs / INDEX_NAME)
    write_index(outputs / INDEX_NAME, replace(index, outputs=index.outputs[2:]))


def rename(outputs):
    index = read_outputs(outputs / INDEX_NAME)
    write_index(
        outputs / INDEX_NAME,
        replace(index, outputs=(*index.outputs, replace(index.outputs[0], name="zz", file="z.bin"))),
    )
    shutil.copy(outputs / "00000.bin", outputs / "z.bin")


def cut(outputs):
    index = read_outputs(outputs / INDEX_NAME)
    first = index.outputs[0]
    shorter = replace(first, shape=(2, first.num_samples - 1), num_samples=first.num_samples - 1)
    write_index(outputs / INDEX_NAME, replace(index, outputs=(shorter, *index.outputs[1:])))
    with (outputs / first.file).open("r+b") as file:
        file.truncate(shorter.num_bytes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change(data="another"), r"the test set: found another, expected [0-9a-f]{16} as .*test\.mindrecord has"),
        (change(sample_rate=16000), r"the sample rate in Hz: found 16000, expected 8000 as .*test\.mindrecord has"),
        (drop, r"index\.json: found no output of \S+ and 1 others, expected one of each utterance of the test set"),
        (rename, r"index\.json: found an output of zz, expected one of each utterance of the test set"),
        (cut, r"index\.json: \S+: found \d+ samples, expected \d+ as .*test\.mindrecord has"),
        (shorten, r"00003\.bin: found 1000 bytes, expected \d+ as .*index\.json says of"),
        (lambda outputs: (outputs / "00004.bin").unlink(), r"00004\.bin: no such file, expected the tracks of"),
        (spoil_file, r"00001\.bin: found 2 NaN or infinite samples, expected finite tracks of"),
        (lambda outputs: (outputs / INDEX_NAME).write_text("{}"), r"format: found nothing, expected 'gdprnn outputs'"),
    ],
)
def test_what_is_wrong_with_outputs(outputs, records, tmp_path, spoil, message):
    spoil(outputs)
    with pytest.raises(UserError, match=message) as raised:
        score_outputs(open_outputs(outputs), records, tmp_path / "scores")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "scores/metrics.json").exists()


def test_a_file_that_is_cut_off_after_the_check(outputs, records, tmp_path):
    opened = open_outputs(outputs)
    shorten(outputs)
    with pytest.raises(UserError, match=r"00003\.bin: found 1000 bytes, expected \d+ for"):
        score_outputs(opened, records, tmp_path / "scores")


def test_another_number_of_speakers(outputs, records):
    opened = open_outputs(outputs)
    index = replace(opened.index, num_speakers=3)
    with pytest.raises(UserError, match="the number of speakers: found 3, expected 2"):
        match(replace(opened, index=index), records)
