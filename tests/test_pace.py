"""A clock that the test moves stands in for time."""

import io

import pytest

from src.pace import BAR_FORMAT, Pace, duration, progress_bar


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pace(clock):
    return Pace(batch_examples=4, seconds_per_example=2.0, clock=clock)


def take_steps(pace, clock, count, seconds):
    for _ in range(count):
        clock.wait(seconds)
        pace.step()


def end_epoch(pace, clock, seconds):
    with pace.pause():
        clock.wait(seconds)


def test_nothing_is_known_before_the_second_step(pace, clock):
    for _ in range(2):
        assert pace.seconds_per_step is None
        assert pace.examples_per_second is None
        assert pace.audio_seconds_per_second is None
        assert pace.remaining(10, 1) is None
        take_steps(pace, clock, 1, 60.0)
    assert pace.seconds_per_step == 60.0


def test_the_step_that_compiles_is_not_in_the_rate(pace, clock):
    take_steps(pace, clock, 1, 300.0)
    take_steps(pace, clock, 5, 0.5)
    assert pace.seconds_per_step == pytest.approx(0.5)
    assert pace.examples_per_second == pytest.approx(8.0)
    assert pace.audio_seconds_per_second == pytest.approx(16.0)


def test_the_time_of_a_step_can_be_given(pace):
    pace.step(now=10.0)
    pace.step(now=10.25)
    assert pace.seconds_per_step == 0.25


def test_a_clock_that_stands_still_gives_no_rate(pace):
    pace.step()
    pace.step()
    assert pace.seconds_per_step == 0.0
    assert pace.examples_per_second is None
    assert pace.postfix(10, 1, -1.0) == "left 00:00, loss -1.00 dB, 0 s/step"


@pytest.mark.parametrize("ends_epoch", [True, False])
def test_a_pause_is_no_step_time(pace, clock, ends_epoch):
    take_steps(pace, clock, 4, 0.5)
    with pace.pause(ends_epoch):
        clock.wait(40.0)
    take_steps(pace, clock, 4, 0.5)
    assert pace.seconds_per_step == pytest.approx(0.5)
    assert pace.seconds_per_validation == (40.0 if ends_epoch else 0.0)


def test_a_pause_that_is_interrupted_is_no_step_time(pace, clock):
    take_steps(pace, clock, 2, 0.5)
    with pytest.raises(KeyboardInterrupt), pace.pause():
        clock.wait(40.0)
        raise KeyboardInterrupt
    take_steps(pace, clock, 1, 0.5)
    assert pace.seconds_per_step == pytest.approx(0.5)


def test_time_left_out_afterwards_is_no_step_time(pace, clock):
    take_steps(pace, clock, 2, 0.5)
    clock.wait(7.0)
    pace.left_out(7.0)
    take_steps(pace, clock, 1, 0.5)
    assert pace.seconds_per_step == pytest.approx(0.5)
    assert pace.seconds_per_validation == 7.0


def test_the_time_left_counts_steps_and_validations(pace, clock):
    take_steps(pace, clock, 3, 0.5)
    assert pace.remaining(100, 5) == pytest.approx(50.0), "no validation was seen yet"
    end_epoch(pace, clock, 30.0)
    assert pace.remaining(100, 5) == pytest.approx(50.0 + 5 * 30.0)
    end_epoch(pace, clock, 10.0)
    end_epoch(pace, clock, 12.0)
    assert pace.remaining(100, 5) == pytest.approx(50.0 + 5 * 11.0), "the first validation compiles a graph"
    assert pace.remaining(0, 0) == 0.0


def test_the_time_left_comes_true(pace, clock):
    """Three epochs of 100 steps; what is foretold after the second validation is what passes."""
    for epoch in range(3):
        take_steps(pace, clock, 100, 0.2)
        end_epoch(pace, clock, 9.0)
        if epoch == 0:
            foretold, begun = pace.remaining(200, 2), clock()
    assert clock() - begun == pytest.approx(foretold)


def test_a_slow_down_is_followed_within_50_steps(pace, clock):
    take_steps(pace, clock, 1000, 0.1)
    take_steps(pace, clock, 25, 0.3)
    assert pace.seconds_per_step == pytest.approx(0.2)
    take_steps(pace, clock, 25, 0.3)
    assert pace.seconds_per_step == pytest.approx(0.3)


def test_one_slow_step_in_50_counts_with_its_share(pace, clock):
    for _ in range(4):
        take_steps(pace, clock, 49, 0.1)
        take_steps(pace, clock, 1, 5.1)
        assert pace.seconds_per_step == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "00:00"),
        (59.6, "01:00"),
        (309, "05:09"),
        (3599.4, "59:59"),
        (3600, "1:00:00"),
        (5025, "1:23:45"),
        (86399, "23:59:59"),
        (86399.7, "1d 0h"),
        (2 * 86400 + 3 * 3600 + 3599, "2d 3h"),
        (412 * 86400, "412d 0h"),
    ],
)
def test_a_duration_reads_like_a_clock(seconds, text):
    assert duration(seconds) == text


def test_the_postfix_says_all_with_units(clock):
    pace = Pace(batch_examples=1, seconds_per_example=2.0, clock=clock)
    assert pace.postfix(10, 1, None) == ""
    pace.step()
    assert pace.postfix(10, 1, -3.214) == "loss -3.21 dB"
    take_steps(pace, clock, 10, 0.112)
    expected = "left 1:23:45, loss -3.21 dB, 0.112 s/step, 8.93 examples/s, 17.9 s audio/s"
    assert pace.postfix(44866, 3, -3.214) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00412, "0.00412 s/step, 971 examples/s, 1942 s audio/s"),
        (7.0, "7.00 s/step, 0.571 examples/s, 1.14 s audio/s"),
        (1234.0, "1234 s/step, 0.00324 examples/s, 0.00648 s audio/s"),
    ],
)
def test_rates_have_three_figures_on_any_machine(pace, clock, seconds, text):
    take_steps(pace, clock, 2, seconds)
    assert pace.postfix(0, 0, None).removeprefix("left 00:00, ") == text


def rendered(monkeypatch, columns, total, initial, postfix):
    """The last state of a bar of so many columns, 1:23:45 after its start."""
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    with progress_bar(total, initial) as bar:
        bar.dynamic_ncols, bar.ncols = None, columns
        bar.start_t -= 5025
        bar.set_postfix_str(postfix)
    return screen.getvalue().rstrip("\n").split("\r")[-1]


def test_the_bar_fits_into_120_columns(monkeypatch):
    postfix = "left 1:23:45, loss -3.21 dB, 0.112 s/step, 8.93 examples/s, 17.9 s audio/s"
    line = rendered(monkeypatch, 120, 33000, 12210, postfix)
    assert len(line) == 120
    assert line.startswith("training:  37%|#")
    assert line.endswith(f"| 12210/33000 [1:23:45, {postfix}]")


def test_the_bar_of_a_long_run_still_ends_in_120_columns(monkeypatch):
    postfix = "left 12d 23h, loss -13.21 dB, 0.112 s/step, 8.93 examples/s, 17.9 s audio/s"
    line = rendered(monkeypatch, 120, 1234567, 123456, postfix)
    assert len(line) == 120
    assert line.endswith(postfix + "]")


def test_a_narrow_terminal_keeps_time_left_and_loss(monkeypatch):
    postfix = "left 12d 23h, loss -13.21 dB, 0.112 s/step, 8.93 examples/s, 17.9 s audio/s"
    line = rendered(monkeypatch, 80, 1234567, 123456, postfix)
    assert len(line) <= 80
    assert "left 12d 23h, loss -13.21 dB" in line


def test_a_bar_that_is_off_shows_nothing(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    with progress_bar(10, 0, disable=True) as bar:
        bar.set_postfix_str("left 05:09")
        bar.update()
    assert screen.getvalue() == ""


def test_tqdm_shows_no_rate_of_its_own():
    assert "rate" not in BAR_FORMAT
    assert "remaining" not in BAR_FORMAT
