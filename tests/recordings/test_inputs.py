"""Which recordings are meant, and where their tracks go."""

import io
import sys
from pathlib import Path

import pytest
import soundfile

from src.errors import UserError
from src.recordings.inputs import EXTENSIONS, Input, expand_inputs, open_input, plan_outputs


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Recordings in folders, seen from the folder above them."""
    for name in (
        *("rec/b.wav", "rec/a.FLAC", "rec/day/a.flac", "rec/day/night/c.mp3"),
        *("rec/.hidden.wav", "rec/.trash/d.wav", "rec/notes.txt", "rec/nameless", "rec/track [1].wav", "empty/x.txt"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "rec" / "folder.wav").mkdir()
    (tmp_path / "rec" / "loop").symlink_to(tmp_path / "rec")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expanded(*arguments: str) -> list[tuple[str, str]]:
    inputs, problems = expand_inputs(arguments)
    assert problems == []
    return [(str(each.path), str(each.folder)) for each in inputs]


def test_a_folder_is_all_audio_in_it_sorted_with_its_structure(tree):
    assert expanded("rec") == [
        ("rec/a.FLAC", "."),
        ("rec/b.wav", "."),
        ("rec/day/a.flac", "day"),
        ("rec/day/night/c.mp3", "day/night"),
        ("rec/track [1].wav", "."),
    ]


def test_patterns(tree):
    assert expanded("rec/*.wav") == [("rec/b.wav", "."), ("rec/track [1].wav", ".")]
    assert expanded("rec/**/*.[fm]*") == [("rec/day/a.flac", "."), ("rec/day/night/c.mp3", ".")]
    assert expanded(str(tree / "rec" / "?.wav")) == [(str(tree / "rec/b.wav"), ".")]
    assert expanded("rec/track [1].wav") == [("rec/track [1].wav", ".")]  # a file of that name is no pattern


def test_each_recording_comes_once_where_it_came_first(tree):
    assert expanded("rec/day/a.flac", "rec", str(tree / "rec" / "b.wav"), "rec/loop/*.wav", "rec/day/../*.wav") == [
        ("rec/day/a.flac", "."),
        *expanded("rec")[:2],
        *expanded("rec")[3:],
    ]


def test_a_file_is_taken_at_its_word(tree):
    assert expanded("rec/notes.txt", "none.wav", "rec/.hidden.wav") == [
        ("rec/notes.txt", "."),
        ("none.wav", "."),
        ("rec/.hidden.wav", "."),
    ]


def test_what_matches_nothing_is_told_and_the_rest_goes_on(tree):
    inputs, problems = expand_inputs(["empty", "rec/*.ogg", "rec/b.wav", "rec/**/none*"])
    assert [each.name for each in inputs] == ["rec/b.wav"]
    assert problems == [
        f"{name}: found no audio file there, expected at least one (wav, flac, mp3, …)"
        for name in ("empty", "rec/*.ogg", "rec/**/none*")
    ]


@pytest.mark.parametrize("name", soundfile.available_formats())
def test_every_extension_of_libsndfile_is_known(name):
    without_header_or_sound = {"RAW", "MAT4", "MAT5"}
    usual = {"MPC2K": "MPC"}.get(name, name)
    assert (f".{usual.lower()}" in EXTENSIONS) == (name not in without_header_or_sound)


def names(plan) -> list[list[str]]:
    return [[str(stem) for stem in planned.stems] for planned in plan]


def test_outputs_are_named_after_their_inputs(tmp_path):
    inputs = [Input(Path("x/a.b.wav")), Input(Path("rec/day/c.wav"), Path("day")), Input(None)]
    out = tmp_path / "new" / "out"
    assert names(plan_outputs(inputs, out, 2, residual=True)) == [
        [f"{out}/a.b_{ending}" for ending in ("s1", "s2", "residual")],
        [f"{out}/day/c_{ending}" for ending in ("s1", "s2", "residual")],
        [f"{out}/stdin_{ending}" for ending in ("s1", "s2", "residual")],
    ]
    assert out.is_dir()
    assert names(plan_outputs([Input(Path("a.wav"))], out, 3)) == [[f"{out}/a_s{number}" for number in (1, 2, 3)]]


@pytest.mark.parametrize(
    ("victim", "residual", "extension", "refused"),
    [
        ("a_s2.wav", False, "wav", True),
        ("a_s2.wav", False, "flac", True),  # where flac would clip
        ("a_s2.flac", False, "flac", True),
        ("a_s2.flac", False, "wav", False),
        ("a_residual.wav", True, "wav", True),
        ("a_residual.wav", False, "wav", False),
        ("a_s3.wav", False, "wav", False),
    ],
)
def test_outputs_never_overwrite_an_input(tmp_path, victim, residual, extension, refused):
    inputs = [Input(tmp_path / "a.wav"), Input(tmp_path / victim)]
    (tmp_path / "link").symlink_to(tmp_path)
    for output_dir in (tmp_path, tmp_path / "link", tmp_path / "link" / ".." / tmp_path.name):
        if refused:
            with pytest.raises(UserError, match=rf"a\.wav: its output .*{victim} is an input too, expected another"):
                plan_outputs(inputs, output_dir, 2, residual=residual, extension=extension)
        else:
            plan_outputs(inputs, output_dir, 2, residual=residual, extension=extension)


@pytest.mark.parametrize("direction", ["the output is a link to an input", "the input is a link"])
def test_links_to_files_are_seen_through(tmp_path, direction):
    real, link = tmp_path / "real.wav", tmp_path / "out" / "a_s1.wav"
    real.touch()
    link.parent.mkdir()
    link.symlink_to(real)
    other = real if "output" in direction else link
    with pytest.raises(UserError, match=r"a_s1\.wav is an input too"):
        plan_outputs([Input(tmp_path / "a.wav"), Input(other)], tmp_path / "out", 2)


def test_outputs_never_overwrite_one_another(tmp_path):
    inputs = [Input(tmp_path / "x" / "a.wav"), Input(tmp_path / "y" / "a.flac")]
    with pytest.raises(UserError, match=r"y/a\.flac: its output .*a_s1\.wav is also that of .*x/a\.wav"):
        plan_outputs(inputs, tmp_path / "out", 2)
    assert not (tmp_path / "out").exists()
    apart = [Input(tmp_path / "x" / "a.wav", Path("x")), Input(tmp_path / "y" / "a.flac", Path("y"))]
    assert len(plan_outputs(apart, tmp_path / "out", 2)) == 2


def test_an_output_that_is_a_folder(tmp_path):
    (tmp_path / "a_s2.wav").mkdir()
    with pytest.raises(UserError, match=r"a\.wav: its output .*a_s2\.wav is a folder"):
        plan_outputs([Input(tmp_path / "a.wav")], tmp_path, 2)


def test_output_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot be made \(File exists\), expected a folder"):
        plan_outputs([Input(tmp_path / "a.wav")], tmp_path / "file", 2)


def test_an_unknown_format(tmp_path):
    with pytest.raises(UserError, match="format: found 'mp3', expected wav or flac"):
        plan_outputs([Input(tmp_path / "a.wav")], tmp_path, 2, extension="mp3")


class Pipe(io.TextIOWrapper):
    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self.isatty = lambda: terminal


def test_standard_input_is_copied_and_can_be_read_twice(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", [0.25] * 9000, 8000)
    monkeypatch.setattr(sys, "stdin", Pipe((tmp_path / "a.flac").read_bytes()))
    source = open_input(Input(None), tmp_path)
    assert source.name == "standard input"
    for _ in range(2):
        with source.open() as reader:
            assert len(reader.read(9001)) == 9000


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\xf0\xff\x7f"])
def test_wav_of_unknown_size_from_a_pipe(tmp_path, monkeypatch, size):
    soundfile.write(tmp_path / "a.wav", [0.25] * 9000, 8000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = size
    monkeypatch.setattr(sys, "stdin", Pipe(bytes(content)))
    with open_input(Input(None), tmp_path).open() as reader:
        assert len(reader.read(9001)) == 9000


@pytest.mark.parametrize(
    ("pipe", "message"),
    [
        (Pipe(b""), "standard input: found an empty file of 0 bytes"),
        (Pipe(b"no sound" * 100), "standard input: unreadable, expected audio"),
        (Pipe(b"", terminal=True), "standard input: found a terminal or nothing, expected audio from a pipe"),
    ],
)
def test_standard_input_that_is_no_audio(tmp_path, monkeypatch, pipe, message):
    monkeypatch.setattr(sys, "stdin", pipe)
    with pytest.raises(UserError, match=message), open_input(Input(None), tmp_path).open():
        pass
