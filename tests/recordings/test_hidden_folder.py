"""Nothing half-written under a final name, nothing left behind."""

import signal
from pathlib import Path

import pytest

from src.errors import UserError
from src.recordings.hidden_folder import hidden_folder, put_in_place


@pytest.mark.parametrize("raised", [KeyboardInterrupt, UserError("x"), None])
def test_the_hidden_folder_goes_with_all_in_it(tmp_path, raised):
    def work():
        with hidden_folder(tmp_path) as folder:
            assert folder.parent == tmp_path
            assert folder.name.startswith(".")
            (folder / "a").touch()
            if raised:
                raise raised

    if raised:
        with pytest.raises((KeyboardInterrupt, UserError)):
            work()
    else:
        work()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_takes_no_hidden_folder(tmp_path):
    with pytest.raises(UserError, match=r"none: cannot be written to \(No such file"), hidden_folder(tmp_path / "none"):
        pass


def test_a_final_path_that_cannot_be_replaced_is_told(tmp_path):
    (tmp_path / "final" / "a.wav" / "full").mkdir(parents=True)
    (tmp_path / "a.wav").touch()
    with pytest.raises(UserError, match=r"final/a\.wav: cannot be written"):
        put_in_place({tmp_path / "a.wav": tmp_path / "final" / "a.wav"})


def test_ctrl_c_waits_until_all_files_are_in_place(tmp_path, monkeypatch):
    finals = {tmp_path / name: tmp_path / "new" / "out" / name for name in ("a.wav", "b.wav")}
    for path in finals:
        path.write_text(path.name)
    replace = Path.replace

    def pressed_after_the_first(self, target):
        replace(self, target)
        if self.name == "a.wav":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Path, "replace", pressed_after_the_first)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            put_in_place(finals)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [path.read_text() for path in finals.values()] == ["a.wav", "b.wav"]
