import json
import os
import subprocess
import sys

import pytest

from src import run_folder
from src.errors import UserError
from src.run_folder import BEST, LATEST, LOCK, PREVIOUS, claimed, read_latest


def read_text(path):
    text = path.read_text()
    if "damaged" in text:
        raise UserError(f"{path}: not a readable checkpoint")
    return text


def test_a_folder_is_claimed_by_one_process(tmp_path):
    with claimed(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"
        code = (
            f"from pathlib import Path; from src.run_folder import claimed\nwith claimed(Path({str(tmp_path)!r})): pass"
        )
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert f"found a run that is going on there (process {os.getpid()}), expected none" in other.stderr
    assert (tmp_path / LOCK).read_text() == ""
    with claimed(tmp_path):
        pass


def test_the_claim_of_a_killed_process_is_void(tmp_path):
    code = (
        "import os; from pathlib import Path; from src.run_folder import claimed\n"
        f"with claimed(Path({str(tmp_path)!r})): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert (tmp_path / LOCK).read_text().strip()
    with claimed(tmp_path):
        pass


def test_a_file_system_without_locks_is_told_and_used(tmp_path, monkeypatch, capsys):
    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(run_folder.fcntl, "flock", no_locks)
    with claimed(tmp_path):
        assert "cannot be locked (No locks available)" in capsys.readouterr().err


def test_what_a_killed_process_was_writing_goes(tmp_path):
    for name in (".history.jsonl.7.part", ".curves.png.7.part", ".notes.7.part"):
        (tmp_path / name).write_text("half")
    with claimed(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, ".notes.7.part"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"file/run: cannot train there: Not a directory"),
        claimed(tmp_path / "file/run"),
    ):
        pass


@pytest.mark.parametrize("links", [True, False])
def test_the_previous_checkpoint_is_the_latest_of_before(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr("pathlib.Path.hardlink_to", lambda *_: (_ for _ in ()).throw(OSError("no links")))
    run_folder.keep_previous(tmp_path)
    assert not (tmp_path / PREVIOUS).exists()
    for text in ("one", "two", "three"):
        run_folder.keep_previous(tmp_path)
        (tmp_path / "aside").write_text(text)
        (tmp_path / "aside").replace(tmp_path / LATEST)
    assert ((tmp_path / LATEST).read_text(), (tmp_path / PREVIOUS).read_text()) == ("three", "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == [LATEST, PREVIOUS]


@pytest.mark.parametrize(
    ("latest", "previous", "expected"),
    [
        (None, None, None),
        ("new", "old", ("new", LATEST)),
        ("new", "damaged", ("new", LATEST)),
        ("damaged", "old", ("old", PREVIOUS)),
        (None, "old", ("old", PREVIOUS)),  # killed where links are missing, between two renames
    ],
)
def test_the_newest_readable_checkpoint_is_used(tmp_path, capsys, latest, previous, expected):
    for name, text in ((LATEST, latest), (PREVIOUS, previous)):
        if text:
            (tmp_path / name).write_text(text)
    found = read_latest(tmp_path, read_text)
    assert (found and (found[0], found[1].name)) == expected
    told = capsys.readouterr().err
    assert ("which is older" in told) == (latest == "damaged")


@pytest.mark.parametrize("previous", [None, "damaged"])
def test_nothing_readable_is_an_error_with_advice(tmp_path, previous):
    (tmp_path / LATEST).write_text("damaged")
    if previous:
        (tmp_path / PREVIOUS).write_text(previous)
    with pytest.raises(UserError, match=r"latest.ckpt: not a readable checkpoint.*--restart begins anew"):
        read_latest(tmp_path, read_text)


def test_best_epochs_are_those_with_the_highest_scores():
    assert run_folder.best_epochs([1.0, 3.0, 2.0, 3.0], 3) == [2, 4, 3]
    assert run_folder.best_epochs([1.0], 3) == [1]


def test_tidy_removes_nothing_but_old_weights(tmp_path):
    for name in ("best-epoch0001.ckpt", "best-epoch0002.ckpt", "best-epoch-mine.ckpt", "other.ckpt", BEST):
        (tmp_path / name).write_text(name)
    run_folder.tidy(tmp_path, [2])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best-epoch-mine.ckpt",
        "best-epoch0002.ckpt",
        "best.ckpt",
        "other.ckpt",
    ]


def test_sittings_are_written_one_after_the_other(tmp_path):
    for command in ("first", "second"):
        run_folder.add_sitting(tmp_path, {"command": command})
    lines = (tmp_path / run_folder.SITTINGS).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"command": "first"}, {"command": "second"}]
    run_folder.set_aside(tmp_path)
    assert (tmp_path / "before-1" / run_folder.SITTINGS).exists() and not (tmp_path / run_folder.SITTINGS).exists()
    with pytest.raises(UserError, match=r"none/sittings\.jsonl: cannot be written"):
        run_folder.add_sitting(tmp_path / "none", {})


def test_setting_aside_takes_the_runs_own_files_and_never_writes_over_another(tmp_path):
    assert run_folder.set_aside(tmp_path) is None
    for number in (1, 2):
        for name in (LATEST, "best-epoch0001.ckpt", "mixture.wav"):
            (tmp_path / name).write_text(str(number))
        assert run_folder.set_aside(tmp_path) == tmp_path / f"before-{number}"
        assert (tmp_path / f"before-{number}" / LATEST).read_text() == str(number)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before-1", "before-2", "mixture.wav"]
