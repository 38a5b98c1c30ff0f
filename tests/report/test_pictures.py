"""Pictures and charts of the listening report, against sounds and numbers whose picture is known."""

import io
import re

import matplotlib
import numpy as np
import pytest
from matplotlib import image

from src.report.charts import BOTTOM, LEFT, RIGHT, TOP, Axis, Point, histogram, nice_step, scatter, whisker
from src.report.page import STYLE
from src.report.pictures import FLOOR_DB, MOST_COLUMNS, palette, png, spectrogram_uri, spectrum, wav_uri, waveform_path
from tests.report.pages import HOSTILE, decode, read_page
from tests.synthetic import RATE


def sine(hertz, seconds=1.0, rate=RATE):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def svg(markup):
    return read_page(f"<html>{markup}</html>").one("svg")


def test_the_palette_is_matplotlibs_magma():
    expected = matplotlib.colormaps["magma"](np.linspace(0, 1, 64))[:, :3] * 255
    np.testing.assert_allclose(palette(64), expected, atol=3)


def test_a_png_holds_its_pixels():
    rng = np.random.default_rng(0)
    pixels, colors = rng.integers(0, 64, (5, 7)).astype(np.uint8), palette(64)
    read = image.imread(io.BytesIO(png(pixels, colors)), format="png")
    np.testing.assert_allclose(read[..., :3] * 255, colors[pixels], atol=0.5)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_tone_is_a_line_at_its_height(rate):
    magnitudes = spectrum(sine(1000, rate=rate), rate)
    assert magnitudes.shape == (rate * 32 // 2000 + 1, MOST_COLUMNS)
    middle = magnitudes[:, 20:-20]
    assert set(middle.argmax(axis=0) * rate / 2 / (len(magnitudes) - 1)) == {1000.0}
    # The Hann window's value at its own frequency is half its length times half the amplitude.
    np.testing.assert_allclose(middle.max(axis=0), rate * 0.032 / 4, rtol=0.01)


def test_columns_lie_where_the_sound_is():
    samples = np.zeros(RATE)
    samples[6000] = 1.0
    loudness = spectrum(samples, RATE).sum(axis=0)
    assert loudness.argmax() == pytest.approx(6000 / RATE * MOST_COLUMNS, abs=1)
    heard = np.flatnonzero(loudness > 1e-6)
    width = heard.size / MOST_COLUMNS * RATE
    assert width == pytest.approx(256, abs=24)


def test_the_spectrograms_colours_tell_decibels_below_the_loudest():
    magnitudes = 10 ** (np.array([[0.0, FLOOR_DB / 3], [FLOOR_DB, 3 * FLOOR_DB]]) / 20)
    read = image.imread(io.BytesIO(decode(spectrogram_uri(5 * magnitudes, 5.0), "image/png")), format="png")
    upper, lower = read[..., :3] * 255  # 0 Hz is at the bottom
    colors = palette(64)
    np.testing.assert_allclose(lower[0], colors[63], atol=0.5)
    np.testing.assert_allclose(lower[1], colors[42], atol=0.5)
    np.testing.assert_allclose(upper, [colors[0], colors[0]], atol=0.5)
    with np.errstate(invalid="raise"):
        spectrogram_uri(np.zeros((2, 2)), 0.0)
    silent = image.imread(io.BytesIO(decode(spectrogram_uri(np.zeros((2, 2)), 0.0), "image/png")), format="png")
    np.testing.assert_allclose(silent[..., :3] * 255, np.broadcast_to(colors[0], (2, 2, 3)), atol=0.5)


def corners(path):
    return np.array([[float(number) for number in corner.split()] for corner in path.strip("MZ").split("L")])


def test_a_waveform_encloses_its_samples():
    samples = np.repeat([0.5, -0.25], 4 * MOST_COLUMNS)
    samples[::2] *= -1
    found = corners(waveform_path(samples, 1.0))
    assert found.shape == (2 * MOST_COLUMNS, 2)
    for half, expected in ((found[:MOST_COLUMNS], -1), (found[MOST_COLUMNS:][::-1], 1)):  # y grows downwards
        assert np.all(np.diff(half[:, 0]) >= 0)
        np.testing.assert_allclose(half[: MOST_COLUMNS // 2, 1], 50 * expected)
        np.testing.assert_allclose(half[MOST_COLUMNS // 2 :, 1], 25 * expected)
        assert (half[0, 0], half[-1, 0]) == (1, 999)


@pytest.mark.parametrize("samples", [np.zeros(1), np.zeros(3), np.zeros(5000)])
def test_silence_is_a_thin_line_from_end_to_end(samples):
    found = corners(waveform_path(samples, 1.0))
    assert set(np.abs(found[:, 1])) == {0.6}
    assert np.ptp(found[:, 0]) > 600


def test_wav_bytes_do_not_change():
    samples = np.array([0.0, 0.5, -1.0])
    data = decode(wav_uri(samples, RATE), "audio/wav")
    assert data[:4] == b"RIFF"
    assert data[-6:] == np.array([0, 16384, -32768], "<i2").tobytes()
    assert decode(wav_uri(samples, RATE), "audio/wav") == data


@pytest.mark.parametrize(
    ("rough", "step"), [(0.11, 0.2), (0.2, 0.2), (0.21, 0.5), (1.0, 1.0), (3, 5), (6, 10), (700, 1000)]
)
def test_steps_are_nice(rough, step):
    assert nice_step(rough) == pytest.approx(step)


@pytest.mark.parametrize("values", [[3.0], [0.0], [-2.0, -1.9], [0.3, 0.6, 0.9], [-30.0, 18.2], [5.4, 5.9, 5.7]])
def test_an_axis_holds_its_values_between_ticks(values):
    axis = Axis.around(values, LEFT, RIGHT)
    assert axis.low <= min(values) + 1e-9
    assert axis.high >= max(values) - 1e-9
    assert 2 <= len(axis.ticks()) <= 9
    assert axis.at(axis.ticks()[0]) == LEFT
    assert axis.at(axis.ticks()[-1]) == RIGHT
    assert len({axis.label(tick) for tick in axis.ticks()}) == len(axis.ticks())


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [0.3, 0.6, 0.9], list(np.linspace(-3.0, 17.0, 150))])
def test_a_histogram_counts_every_value_and_tells_the_mean(values):
    chart = svg(histogram(values, "gain", "dB"))
    bars = list(chart.all("rect"))
    counts = [int(bar.one("title").text.split(": ")[1]) for bar in bars]
    assert sum(counts) == len(values)
    for bar, count in zip(bars, counts, strict=True):
        assert float(bar.attributes["y"]) + float(bar.attributes["height"]) == pytest.approx(BOTTOM, abs=0.2)
        assert TOP <= float(bar.attributes["y"]) < BOTTOM
        assert float(bar.attributes["height"]) / count == pytest.approx(
            float(bars[0].attributes["height"]) / counts[0], abs=0.2
        )
    mean = f"{np.mean(values):.2f}"
    assert f"mean {mean} dB" in chart.text
    assert f"mean {mean} dB" in chart.attributes["aria-label"]


def test_dots_lie_at_their_values_and_marks_are_told():
    points = [Point(0.0, 0.0, HOSTILE), Point(1.0, 10.0, "b", "best"), Point(0.5, -10.0, "c")]
    chart = svg(scatter(points, "x", "y"))
    places = [(float(dot.attributes["cx"]), float(dot.attributes["cy"])) for dot in chart.all("circle", class_="dot")]
    assert places == [(LEFT, (TOP + BOTTOM) / 2), (RIGHT, TOP), ((LEFT + RIGHT) / 2, BOTTOM)]
    assert [dot.one("title").text for dot in chart.all("circle", class_="dot")] == [
        f"{HOSTILE}: 0.00 dB",
        "b: 10.00 dB",
        "c: \N{MINUS SIGN}10.00 dB",
    ]
    assert len(list(chart.all("circle", class_="ring"))) == 1
    assert chart.one("text", class_="mark").attributes["text-anchor"] == "end"  # it would leave the picture
    assert len(list(chart.all("line", class_="zero"))) == 1


@pytest.mark.parametrize(
    ("value", "interval", "limits", "bar", "line"),
    [
        (6.0, [3.0, 9.0], (0.0, 12.0), (0.0, 60.0), (30.0, 90.0)),
        (-3.0, None, (-4.0, 8.0), (10.0, 30.0), None),
        (0.0, None, (0.0, 0.0), (0.0, 1.0), None),
    ],
)
def test_a_groups_bar_and_its_interval(value, interval, limits, bar, line):
    strip = svg(whisker(value, interval, *limits))
    found = strip.one("rect").attributes
    assert (float(found["x"]), float(found["width"])) == bar
    drawn = [path.attributes["d"] for path in strip.all("path")]
    assert drawn == ([] if line is None else [f"M{line[0]} 7H{line[1]}M{line[0]} 4V10M{line[1]} 4V10"])


def _luminance(color):
    """https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_every_text_colour_stands_out_in_light_and_in_dark(scheme):
    style = re.findall(r":root \{(.*?)\}", STYLE.read_text(), re.DOTALL)[scheme]
    colors = dict(re.findall(r"--([\w-]+): (#\w{6});", style))
    texts = ["ink", "soft", "accent", "mixture", *(f"speaker-{k}" for k in range(1, 6))]
    pairs = [(text, ground) for text in texts for ground in ("page", "card", "sunk")] + [("on-accent", "accent")]
    for text, ground in pairs:
        darker, lighter = sorted((_luminance(colors[text]), _luminance(colors[ground])))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)
