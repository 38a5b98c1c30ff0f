"""From a test set to .bin files: what they hold, what is kept and what is refused."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import preprocess
from src.data.open_set import open_test_set
from src.data.records import RecordFile
from src.errors import UserError
from src.infer310.index import INDEX_NAME, read_inputs
from src.infer310.inputs import JOURNAL, plan_inputs, write_inputs

ROOT = Path(__file__).parents[2]
NUM_MIXTURES = 5  # of the tiny set


@pytest.fixture(scope="module")
def records(tiny_records):
    return RecordFile(tiny_records / "test.mindrecord")


def prepare(test_dir, folder, *options):
    """preprocess.py --mode infer310."""
    preprocess.main(["--mode", "infer310", "--test_dir", str(test_dir), "--out_dir", str(folder), *options])
    return read_inputs(folder / INDEX_NAME)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Recorded:
    """A record file that remembers what was read, and may be interrupted before an utterance."""

    def __init__(self, records, stop_before=None):
        self.path, self.index, self.orders = records.path, records.index, []
        self._records, self._stop_before = records, stop_before

    def read(self, order):
        self.orders.append(list(order))
        for place, audio in zip(order, self._records.read(order), strict=True):
            if place == self._stop_before:
                raise KeyboardInterrupt
            yield audio


def test_a_check_writes_nothing_and_refuses_the_inputs_of_another_test_set(tiny_librimix, tmp_path, capsys):
    prepare(tiny_librimix, tmp_path / "in")
    before = contents(tmp_path / "in")
    capsys.readouterr()
    prepare(tiny_librimix, tmp_path / "in", "--check")
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'in'}: {NUM_MIXTURES} inputs, ")
    index = tmp_path / "in" / INDEX_NAME
    index.write_text(index.read_text().replace('"data": "', '"data": "0'))
    with pytest.raises(
        UserError, match=r"index.json: found the inputs of another test set, expected those of this one"
    ):
        prepare(tiny_librimix, tmp_path / "in", "--check")
    index.unlink()
    with pytest.raises(UserError, match=INDEX_NAME):
        prepare(tiny_librimix, tmp_path / "in", "--check")
    assert contents(tmp_path / "in") == {name: content for name, content in before.items() if name != INDEX_NAME}


# what is written


def test_every_mixture_is_there_whole(tiny_records, records, tmp_path, capsys):
    index = prepare(tiny_records, tmp_path / "in")
    assert [entry.name for entry in index.inputs] == list(records.index.ids)
    assert (index.sample_rate, index.num_speakers, index.data) == (8000, 2, records.index.digest)
    for entry, audio in zip(index.inputs, records.read(range(NUM_MIXTURES)), strict=True):
        assert entry.shape == (1, entry.num_samples)
        np.testing.assert_array_equal(np.fromfile(tmp_path / "in" / entry.file, "<f4"), audio[0])
    assert sorted(contents(tmp_path / "in")) == [f"{number:05}.bin" for number in range(NUM_MIXTURES)] + [INDEX_NAME]
    seconds = records.index.num_samples.sum() / 8000
    assert f"in: 5 inputs, {seconds:.1f} s of audio, 8000 Hz\n" in capsys.readouterr().out


def test_a_record_file_its_folder_and_its_audio_files_give_the_same(tiny_records, tiny_librimix, tmp_path):
    split = tiny_librimix / "wav8k/min/test"
    given = {
        "folder": (tiny_records,),
        "file": (tiny_records / "test.mindrecord",),
        "named": (tiny_records, "--test_name", "test.mindrecord", "--sample_rate", "8000"),
        "librimix": (tiny_librimix,),
        "split": (split,),
    }
    for name, arguments in given.items():
        prepare(arguments[0], tmp_path / name, *arguments[1:])
    for name in given:
        assert contents(tmp_path / name) == contents(tmp_path / "folder"), name


def test_the_older_layout_is_read_too(tiny_librimix, tmp_path):
    split = tiny_librimix / "wav8k/min/test"
    (tmp_path / "older/tt").mkdir(parents=True)
    for there, here in (("mix_clean", "mix"), ("s1", "s1"), ("s2", "s2")):
        (tmp_path / "older/tt" / here).symlink_to(split / there)
    index = prepare(tmp_path / "older", tmp_path / "in")
    assert len(index.inputs) == NUM_MIXTURES
    assert contents(tmp_path / "in")["00003.bin"] == mixture(split, index.inputs[3].name).tobytes()


def mixture(split, name):
    return soundfile.read(split / "mix_clean" / f"{name}.wav", dtype="float32")[0]


def test_what_cannot_be_used_is_left_out_and_told(tiny_librimix, tmp_path, capsys):
    split = tiny_librimix / "wav8k/min/test"
    for folder in ("mix_clean", "s1", "s2"):
        (tmp_path / "test" / folder).mkdir(parents=True)
        for path in (split / folder).iterdir():
            (tmp_path / "test" / folder / path.name).write_bytes(path.read_bytes())
    first = min(path.name for path in (tmp_path / "test/s1").iterdir())
    (tmp_path / "test/s1" / first).write_text("not audio")
    assert len(prepare(tmp_path, tmp_path / "in").inputs) == NUM_MIXTURES - 1
    assert f"1 mixtures left out, e.g. {first[:-4]}: test/s1/{first}: unreadable" in capsys.readouterr().out


def test_audio_files_need_no_mindspore(tiny_librimix, tmp_path):
    code = "import sys; sys.modules['mindspore'] = None; import preprocess; preprocess.main(sys.argv[1:])"
    arguments = ["--mode", "infer310", "--test_dir", str(tiny_librimix), "--out_dir", str(tmp_path / "in")]
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, check=True)
    assert len(read_inputs(tmp_path / "in" / INDEX_NAME).inputs) == NUM_MIXTURES


# going on


def test_an_interrupted_run_has_no_index_and_goes_on(records, tmp_path, capsys):
    folder = tmp_path / "in"
    with pytest.raises(KeyboardInterrupt):
        write_inputs(Recorded(records, stop_before=3), folder)
    assert sorted(contents(folder)) == ["00000.bin", "00001.bin", "00002.bin", JOURNAL]
    (folder / "00001.bin").write_bytes(b"cut off")
    again = Recorded(records)
    write_inputs(again, folder)
    assert again.orders == [[1, 3, 4]]
    assert "going on: 2 of 5 inputs are there already" in capsys.readouterr().out
    write_inputs(records, tmp_path / "whole")
    assert contents(folder) == contents(tmp_path / "whole")


def test_a_second_run_reads_nothing(records, tmp_path, capsys):
    write_inputs(records, tmp_path / "in")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "in").iterdir()}
    again = Recorded(records)
    assert write_inputs(again, tmp_path / "in") == plan_inputs(records.index)
    assert again.orders == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "in").iterdir()} == before
    assert "unchanged, used again" in capsys.readouterr().out


def test_a_file_that_is_gone_is_written_again(records, tmp_path):
    write_inputs(records, tmp_path / "in")
    whole = contents(tmp_path / "in")
    (tmp_path / "in/00002.bin").unlink()
    with pytest.raises(KeyboardInterrupt):
        write_inputs(Recorded(records, stop_before=2), tmp_path / "in")
    assert INDEX_NAME not in contents(tmp_path / "in")
    write_inputs(records, tmp_path / "in")
    assert contents(tmp_path / "in") == whole


@pytest.mark.parametrize("interrupted", [False, True])
def test_another_test_set_begins_anew(records, tiny_records, tmp_path, interrupted):
    other = RecordFile(tiny_records / "train.mindrecord")  # twelve
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            write_inputs(Recorded(other, stop_before=9), tmp_path / "in")
    else:
        write_inputs(other, tmp_path / "in")
    with pytest.raises(KeyboardInterrupt):
        write_inputs(Recorded(records, stop_before=0), tmp_path / "in")
    assert contents(tmp_path / "in") == {JOURNAL: f"{records.index.digest}\n".encode()}
    write_inputs(records, tmp_path / "in")
    write_inputs(records, tmp_path / "whole")
    assert contents(tmp_path / "in") == contents(tmp_path / "whole")


def test_files_of_unknown_origin_are_not_taken_for_inputs(records, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/00000.bin").write_bytes(b"\1" * plan_inputs(records.index).inputs[0].num_bytes)
    write_inputs(records, tmp_path / "in")
    write_inputs(records, tmp_path / "whole")
    assert contents(tmp_path / "in") == contents(tmp_path / "whole")


# what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--test_dir", "D"], "--test_dir: an option of --mode infer310, found with --mode dataset"),
        (["--mode", "infer310", "--in_dir=I"], "--in_dir=I: an option of --mode dataset, found with --mode infer310"),
        (
            ["--mode=infer310", "--train-name", "x"],
            "--train-name: an option of --mode dataset, found with --mode infer310",
        ),
        (["--mode", "infer310", "--out_dir", "O"], "the following arguments are required: --test_dir"),
        (["--mode", "dataset"], "the following arguments are required: --in-dir/--in_dir, --out-dir"),
        (["--mode", "infer"], "argument --mode: invalid choice: 'infer'"),
        (["--mode"], "argument --mode: expected one argument"),
    ],
)
def test_wrong_options(options, message, capsys):
    with pytest.raises(SystemExit) as raised:
        preprocess.main(options)
    assert raised.value.code == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("mode", "own", "other"), [("dataset", "--in-dir", "--test_dir"), ("infer310", "--test_dir", "--in-dir")]
)
def test_each_mode_has_its_own_help(mode, own, other, capsys):
    with pytest.raises(SystemExit):
        preprocess.main(["--mode", mode, "--help"])
    told = capsys.readouterr().out
    assert own in told
    assert other not in told
    assert "--mode infer310" in told


def test_a_test_set_that_is_not_there(tiny_records, tiny_librimix, tmp_path):
    for given, message in (
        (tmp_path / "nowhere", "no such file or folder, expected a .mindrecord file, a folder with test.mindrecord"),
        (tmp_path, "found no splits"),
        (tiny_librimix / "wav8k/min/test/s1", "found no splits"),
    ):
        with pytest.raises(UserError, match=message):
            open_test_set(given)
    (tmp_path / "only").mkdir()
    (tmp_path / "only/train").symlink_to(tiny_librimix / "wav8k/min/train")
    with pytest.raises(UserError, match=r"only: found the splits train, expected a test split \(test or tt\)"):
        open_test_set(tmp_path / "only")


def test_another_rate_or_type_of_mixture(tiny_records, tiny_librimix):
    with pytest.raises(UserError, match="found the sample rate in Hz 8000, expected 16000"):
        open_test_set(tiny_records, 16000)
    with pytest.raises(UserError, match="found the type of mixture mix_clean, expected mix_both"):
        open_test_set(tiny_records, mixture_type="mix_both")
    with pytest.raises(UserError, match=r"expected wav16k \(--sample-rate\)"):
        open_test_set(tiny_librimix, 16000)
    with pytest.raises(UserError, match=r"expected mix_both \(--mixture_type\)"):
        open_test_set(tiny_librimix, mixture_type="mix_both")


def test_a_record_file_without_mindspore_is_told_in_one_line(tiny_records, tmp_path):
    code = "import sys, importlib.util; importlib.util.find_spec = lambda name: None; import preprocess; "
    code += "from src.command_line import run; run(preprocess.main)"
    arguments = ["--mode", "infer310", "--test_dir", str(tiny_records), "--out_dir", str(tmp_path / "in")]
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "MindRecord is read with mindspore, which is not installed here" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_utterance_of_another_length_than_the_index_says(records, tmp_path):
    class Shorter(Recorded):
        def read(self, order):
            return (audio[:, 1:] for audio in self._records.read(order))

    with pytest.raises(UserError, match=r"found \d+ samples, expected \d+ as the test set's index says"):
        write_inputs(Shorter(records), tmp_path / "in")
    assert INDEX_NAME not in contents(tmp_path / "in")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write(records, tmp_path):
    (tmp_path / "in").mkdir(mode=0o555)
    with pytest.raises(UserError, match="found a folder without the right to write"):
        write_inputs(records, tmp_path / "in")


def test_a_place_that_is_taken(records, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot be made \(File exists\), expected a folder"):
        write_inputs(records, tmp_path / "file")


def test_a_full_disk_is_told_and_the_same_command_goes_on(records, tmp_path):
    largest = max(entry.num_bytes for entry in plan_inputs(records.index).inputs)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then the write fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 4, limits[1]))
    try:
        with pytest.raises(UserError, match=r"\.bin: cannot be written \(File too large\)"):
            write_inputs(records, tmp_path / "in")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert INDEX_NAME not in contents(tmp_path / "in")
    assert not [name for name in contents(tmp_path / "in") if name.endswith(".part")]
    write_inputs(records, tmp_path / "in")
    write_inputs(records, tmp_path / "whole")
    assert contents(tmp_path / "in") == contents(tmp_path / "whole")
