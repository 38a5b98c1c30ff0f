import copy
import math
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tensorboardX import record_writer
from tensorboardX.proto.event_pb2 import Event, SessionLog

from src.curves import EVENTS, FLUSH_SECONDS, PICTURE, Curves, draw
from src.errors import UserError

ROOT = Path(__file__).parent.parent
FULL = Path("/dev/full")  # every write fails: no space left on device
BLUE, ORANGE, GREEN = (31, 119, 180), (255, 127, 14), (44, 160, 44)  # loss, score, all else


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def made_up(epochs):
    return [
        {
            "epoch": epoch,
            "step": epoch * 100,
            "train_loss_db": -epoch / 2,
            "valid_si_snri_db": 10 - (epoch - 4) ** 2 / 10,
            "gradient_norm": 5.0 / epoch,
            "learning_rate": 1e-3 * 0.98**epoch,
            "skipped": epoch % 2,
            "seconds": 60.0 * epoch,
            "examples_per_second": 8.9,
        }
        for epoch in range(1, epochs + 1)
    ]


def read_events(path):
    """All events of a file, with the check sums checked: length (8), sum (4), data, sum (4)."""
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + length]
        sums = struct.unpack("<I", data[8:12]) + struct.unpack("<I", data[12 + length : 16 + length])
        assert sums == (record_writer.masked_crc32c(data[:8]), record_writer.masked_crc32c(body))
        events.append(Event.FromString(body))
        data = data[16 + length :]
    return events


def shown(folder):
    """(step, value) by tag, as TensorBoard shows them: files by name, and a start drops its step and all after it."""
    points = {}
    for path in sorted((folder / EVENTS).iterdir()):
        events = read_events(path)
        assert events[0].file_version == "brain.Event:2"
        for event in events:
            if event.session_log.status == SessionLog.START:
                points = {tag: [p for p in known if p[0] < event.step] for tag, known in points.items()}
            for value in event.summary.value:
                points.setdefault(value.tag, []).append((event.step, pytest.approx(value.simple_value)))
    return points


def fail(line):
    raise AssertionError(line)


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def fill_the_disk(curves):
    """From now on, what the event file writes goes to a device without space."""
    with FULL.open("wb") as full:
        os.dup2(full.fileno(), curves._events._records._writer.fileno())


def picture_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def test_steps_and_epochs_can_be_read_back(tmp_path):
    history = made_up(2)
    with Curves(tmp_path, 0, fail, seconds_between=0.0) as curves:
        curves.step(1, {"loss_db": -0.5, "gradient_norm": np.float32(3.0), "learning_rate": 1e-3})
        curves.step(2, {"loss_db": -0.75})
        curves.epoch(history[1], history)
    points = shown(tmp_path)
    assert points.pop("train/loss_db") == [(1, -0.5), (2, -0.75)]
    assert points.pop("train/gradient_norm") == [(1, 3.0)]
    assert points.pop("train/learning_rate") == [(1, 1e-3)]
    assert points.pop("valid/si_snri_db") == [(200, 9.6)]
    assert points.pop("epoch/train_loss_db") == [(200, -1.0)]
    left = {"gradient_norm", "learning_rate", "skipped", "seconds", "examples_per_second"}
    assert points.keys() == {f"epoch/{name}" for name in left}


def test_what_is_no_finite_number_is_left_out(tmp_path):
    with Curves(tmp_path, 0, fail, seconds_between=0.0) as curves:
        curves.step(1, {"loss_db": math.nan, "gradient_norm": math.inf, "learning_rate": None})
        curves.step(2, {"loss_db": -1.0, "gradient_norm": "large", "learning_rate": True})
        entry = {"epoch": 1, "step": 2, "valid_si_snri_db": None, "skipped": 0}
        curves.epoch(entry, [entry])
    assert shown(tmp_path) == {"train/loss_db": [(2, -1.0)], "epoch/skipped": [(2, 0.0)]}


def test_the_first_step_is_written_and_then_one_every_five_seconds(tmp_path):
    clock = Clock()
    with Curves(tmp_path, 0, fail, clock=clock) as curves:
        for step in range(1, 121):
            curves.step(step, {"loss_db": -1.0})
            clock.now += 0.125
    assert [step for step, _ in shown(tmp_path)["train/loss_db"]] == [1, 41, 81]


def test_steps_that_are_repeated_after_a_kill_are_shown_once(tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", iter(range(1000, 2000)).__next__)
    for first_step, count, value in [(0, 8, 1.0), (5, 4, 2.0), (7, 3, 3.0)]:
        with Curves(tmp_path, first_step, fail, seconds_between=0.0) as curves:
            for step in range(first_step + 1, first_step + 1 + count):
                curves.step(step, {"loss_db": value})
    assert len(list((tmp_path / EVENTS).iterdir())) == 3
    expected = [(step, 1.0) for step in range(1, 6)] + [(6, 2.0), (7, 2.0)] + [(8, 3.0), (9, 3.0), (10, 3.0)]
    assert shown(tmp_path)["train/loss_db"] == expected


def test_a_run_begun_anew_in_the_same_folder_shows_nothing_of_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", iter(range(1000, 2000)).__next__)
    for value in (1.0, 2.0):
        with Curves(tmp_path, 0, fail, seconds_between=0.0) as curves:
            curves.step(1, {"loss_db": value})
    assert shown(tmp_path)["train/loss_db"] == [(1, 2.0)]


def test_a_killed_process_loses_half_a_minute_at_most(tmp_path):
    clock = Clock()
    curves = Curves(tmp_path, 0, fail, clock=clock)  # never closed
    curves.step(1, {"loss_db": -1.0})
    assert shown(tmp_path) == {}
    clock.now = FLUSH_SECONDS
    curves.step(2, {"loss_db": -2.0})
    assert [step for step, _ in shown(tmp_path)["train/loss_db"]] == [1, 2]
    clock.now += FLUSH_SECONDS / 2
    curves.step(3, {"loss_db": -3.0})
    curves.epoch(made_up(1)[0], made_up(1))
    assert [step for step, _ in shown(tmp_path)["train/loss_db"]] == [1, 2, 3]
    assert "valid/si_snri_db" in shown(tmp_path)
    curves.close()


def test_no_thread_is_started_and_the_file_is_closed(tmp_path):
    threads, files = threading.active_count(), open_files()
    curves = Curves(tmp_path, 0, fail)
    assert open_files() == files + 1
    curves.step(1, {"loss_db": -1.0})
    curves.epoch(made_up(1)[0], made_up(1))
    assert threading.active_count() == threads
    curves.close()
    curves.close()
    assert open_files() == files
    (tmp_path / PICTURE).unlink()
    curves.step(2, {"loss_db": -1.0})
    curves.epoch(made_up(1)[0], made_up(1))
    assert not (tmp_path / PICTURE).exists()


def use_all_methods(folder, lines):
    with Curves(folder, 0, lines.append, seconds_between=0.0) as curves:
        for epoch in range(1, 4):
            curves.step(epoch, {"loss_db": -1.0})
            curves.epoch(made_up(epoch)[-1], made_up(epoch))


def test_a_disk_that_is_full_from_the_start_is_told_once(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(record_writer, "open_file", lambda path: FULL.open("wb"))
    lines = []
    use_all_methods(tmp_path, lines)
    assert lines == [f"{tmp_path}: no more curves, training goes on without them ([Errno 28] No space left on device)"]
    assert capfd.readouterr() == ("", "")


def test_a_disk_that_fills_up_later_is_told_once(tmp_path, monkeypatch, capfd):
    lines = []
    with Curves(tmp_path, 0, lines.append, seconds_between=0.0) as curves:
        curves.step(1, {"loss_db": -1.0})
        fill_the_disk(curves)
        curves.epoch(made_up(1)[0], made_up(1))
        curves.step(2, {"loss_db": -1.0})
        curves.epoch(made_up(2)[1], made_up(2))
    assert len(lines) == 1
    assert "No space left on device" in lines[0]
    assert not (tmp_path / PICTURE).exists()
    assert capfd.readouterr() == ("", "")


def test_a_disk_found_full_at_the_end_is_told_once(tmp_path, capfd):
    lines = []
    with Curves(tmp_path, 0, lines.append) as curves:
        curves.step(1, {"loss_db": -1.0})
        fill_the_disk(curves)
    assert len(lines) == 1
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_cannot_be_made_is_told_once(tmp_path):
    (tmp_path / "run").write_text("a file")
    lines = []
    use_all_methods(tmp_path / "run", lines)
    assert len(lines) == 1
    assert "Not a directory" in lines[0]


def test_a_picture_that_cannot_be_written_is_told_once(tmp_path):
    (tmp_path / PICTURE).mkdir()
    lines = []
    use_all_methods(tmp_path, lines)
    assert len(lines) == 1
    assert f"{PICTURE}: cannot be written (Is a directory)" in lines[0]


def test_a_library_that_is_missing_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX.record_writer", None)
    lines = []
    use_all_methods(tmp_path, lines)
    assert len(lines) == 1
    assert "tensorboardX" in lines[0]


@pytest.mark.parametrize("epochs", [0, 1, 60])
def test_the_picture_has_its_size(tmp_path, epochs):
    draw(made_up(epochs), tmp_path / "new" / "curves.png", "a title")
    assert picture_size(tmp_path / "new" / "curves.png") == (900, 900)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["curves.png"]


def pixels(folder, history, title=""):
    from matplotlib.image import imread

    draw(history, folder / "curves.png", title)
    return imread(folder / "curves.png")[..., :3]


def count(picture, color):
    """Pixels of a colour, given in parts of 255, inside the panels: without the legend above and the axes' labels."""
    return np.count_nonzero(np.all(np.abs(picture[70:840, 150:800] - np.array(color) / 255) < 0.02, axis=-1))


def without(history, *names):
    return [{name: value for name, value in entry.items() if name not in names} for entry in history]


@pytest.mark.parametrize("name", ["train_loss_db", "valid_si_snri_db", "gradient_norm", "learning_rate", "skipped"])
def test_every_column_is_in_the_picture(tmp_path, name):
    history = made_up(5)
    full = pixels(tmp_path, history)
    np.testing.assert_array_equal(pixels(tmp_path, history), full)
    assert np.any(pixels(tmp_path, without(history, name)) != full)
    changed = copy.deepcopy(history)
    changed[2][name] += 1.0
    assert np.any(pixels(tmp_path, changed) != full)


def test_the_title_is_in_the_picture(tmp_path):
    assert np.any(pixels(tmp_path, made_up(2), "one") != pixels(tmp_path, made_up(2), "two"))


@pytest.mark.parametrize(
    ("name", "color"),
    [("train_loss_db", BLUE), ("valid_si_snri_db", ORANGE), ("gradient_norm", GREEN), ("learning_rate", GREEN)],
)
def test_a_single_epoch_is_visible(tmp_path, name, color):
    """The point of each column, and not under another."""
    history = made_up(1)
    assert count(pixels(tmp_path, history), color) - count(pixels(tmp_path, without(history, name)), color) > 10


def test_a_value_between_two_gaps_is_visible(tmp_path):
    history = made_up(5)
    for entry in history:
        if entry["epoch"] != 3:
            entry["train_loss_db"] = None
    assert count(pixels(tmp_path, history), BLUE) > 10


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "none", -1.0])
@pytest.mark.filterwarnings("error")
def test_gaps_are_no_error(tmp_path, value):
    history = made_up(4)
    for name in history[0].keys() - {"epoch"}:
        history[1][name] = value
    draw([*history, {"epoch": 5}, {}], tmp_path / "curves.png")
    draw([dict.fromkeys(history[0], value)], tmp_path / "curves.png")


@pytest.mark.parametrize("factor", [1.01, 1.5, 10.0])
def test_the_gradient_norm_has_grid_lines_over_any_range(tmp_path, factor):
    history = [{"epoch": epoch, "gradient_norm": factor ** (epoch - 6)} for epoch in range(1, 13)]
    rows = np.median(pixels(tmp_path, history)[490:640, 150:800, 0], axis=1)  # inside the second panel
    assert np.count_nonzero(rows < 0.97) >= 3


def test_the_picture_of_before_survives_a_failure(tmp_path, monkeypatch):
    draw(made_up(2), tmp_path / "curves.png")
    before = (tmp_path / "curves.png").read_bytes()

    def fail_halfway(self, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail_halfway)
    with pytest.raises(UserError, match=r"curves\.png: cannot be written \(No space left on device\)"):
        draw(made_up(3), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_process_without_a_home_draws_in_silence_and_leaves_nothing(tmp_path):
    (tmp_path / "home").write_text("no folder, not even for root")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    code = (
        "import sys, pathlib, src.curves\n"
        "assert not {'matplotlib', 'tensorboardX'} & sys.modules.keys()\n"
        "src.curves.draw([{'epoch': 1, 'train_loss_db': -1.0}], pathlib.Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        f"assert not list(pathlib.Path({str(temporary)!r}).iterdir())\n"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "MPL"))}
    environment |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", code, str(tmp_path / "curves.png")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert picture_size(tmp_path / "curves.png") == (900, 900)
    assert not list(temporary.iterdir())


def test_a_title_is_no_formula(tmp_path):
    draw([{"epoch": 1, "train_loss_db": 1.0}], tmp_path / "o$x_$.png", title="o$x_$")
    assert (tmp_path / "o$x_$.png").exists()


def test_whatever_a_library_finds_fault_with_is_not_worth_a_run(tmp_path, monkeypatch):
    warned = []
    with Curves(tmp_path, 0, warned.append) as curves:
        monkeypatch.setattr("src.curves.draw", lambda *_: 1 / 0)
        curves.epoch({"epoch": 1, "step": 1}, [])
    assert len(warned) == 1 and "division by zero" in warned[0]
