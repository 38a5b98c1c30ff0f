"""The listening report in a real browser, opened from the disk: its players, its sorting, and no request at all."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from src.report.page import Case, write_report
from tests.report.pages import HOSTILE, make_case, make_summary
from tests.synthetic import RATE

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--mute-audio",
        "--window-size=1280,900",
    ),
    *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--force-prefers-reduced-motion"),
)

missing = [str(program) for program in (CHROMIUM, DRIVER) if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(
    bool(missing), reason=f"found no {' and no '.join(missing)}: apt-get install chromium chromium-driver"
)
selenium = pytest.importorskip("selenium", reason="selenium is not installed: requirements-dev.txt names it")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Two that last long enough to listen to, and one of a single sample."""
    ones = np.full((2, 1), 0.25, np.float32)
    single = Case("Worst", HOSTILE, RATE, 2 * ones[0], ones, ones, {"id": HOSTILE, "si_snri_db": "-1.5"})
    return [make_case("Best", "u10", seconds=6.0), make_case("Median", "u9", seconds=3.0, num_speakers=3), single]


@pytest.fixture(scope="module")
def report(cases, tmp_path_factory) -> Path:
    rows = [case.row for case in cases] + [{"id": "u2", "speakers": "p1", "si_snri_db": ""}]
    summary = make_summary(not_scored={HOSTILE: HOSTILE})
    return write_report(tmp_path_factory.mktemp("a folder, with #1 & more"), summary, rows, cases)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """One browser for all tests; it and its driver are the system's, and nothing is looked for elsewhere."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(
        options=options, service=Service(str(DRIVER), env={**os.environ, "SE_OFFLINE": "true"})
    ) as driver:
        driver.set_script_timeout(20)
        yield driver


@pytest.fixture
def browser(chromium, report):
    """The page, just opened, in the logs nothing but its opening."""
    for log in ("browser", "performance"):
        chromium.get_log(log)
    chromium.get(report.as_uri())
    return chromium


def ask(browser, script, *arguments):
    """What JavaScript returns; `card(n)` is the n-th case, `audios(n)` its players, `until(f)` waits for a truth."""
    helpers = """
        const card = (n) => document.querySelectorAll(".case")[n];
        const audios = (n) => [...card(n).querySelectorAll("audio")];
        const until = (f) => new Promise((go) => { (function look() { f() ? go(f()) : setTimeout(look, 20); })(); });
        const done = arguments[arguments.length - 1];
    """
    return browser.execute_async_script(f"{helpers} (async () => {{ {script} }})().then(done)", *arguments)


def click(browser, selector, case=0, place=0):
    browser.find_elements("css selector", ".case")[case].find_elements("css selector", selector)[place].click()


PLAYING = "return audios(0).map((audio) => !audio.paused)"


def test_every_player_knows_its_duration(browser, cases):
    found = ask(
        browser,
        """const all = [0, 1, 2].map(audios);
        await until(() => all.flat().every((audio) => audio.readyState >= 1));
        return all.map((some) => some.map((audio) => audio.duration));""",
    )
    for durations, case in zip(found, cases, strict=True):
        expected = case.mixture.size / RATE
        assert durations == pytest.approx([expected] * (1 + 2 * len(case.references)), abs=0.01)


def test_nothing_is_requested_and_nothing_is_wrong(browser, report):
    ask(browser, "await until(() => audios(0).every((audio) => audio.readyState >= 1))")
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert report.as_uri() in asked
    assert [url for url in asked if url != report.as_uri() and not url.startswith("data:")] == []
    assert browser.get_log("browser") == []


def test_hostile_names_run_no_script(browser):
    assert browser.find_elements("css selector", ".case .id")[2].text == HOSTILE
    assert len(browser.find_elements("css selector", "script")) == 1
    browser.execute_script("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.bad=1\">')")
    assert ask(browser, "await new Promise((go) => setTimeout(go, 200)); return window.bad ?? null") is None
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_pictures_are_shown_and_the_page_is_no_wider_than_the_window(browser):
    assert browser.execute_script("return [...document.images].every((image) => image.naturalWidth > 0)")
    for width in (1280, 400):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == 400}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        assert browser.execute_script("return innerWidth") == width
        root = "document.documentElement"
        assert browser.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_click_on_a_name_switches_at_the_same_position_and_goes_on_playing(browser):
    click(browser, ".play")
    ask(browser, "await until(() => audios(0)[0].currentTime > 0.5)")
    before, position = browser.execute_script(
        "const all = document.querySelectorAll('.case audio'); const at = all[0].currentTime;"
        "document.querySelectorAll('.case .pick')[2].click(); return [at, all[2].currentTime]"
    )
    assert position == pytest.approx(before, abs=0.02)
    assert ask(browser, PLAYING) == [False, False, True, False, False]
    assert ask(
        browser,
        "const [one] = [audios(0)[2]]; await until(() => one.currentTime > arguments[0]); return true",
        position,
    )
    pressed = [name.get_attribute("aria-pressed") for name in browser.find_elements("css selector", ".case .pick")[:5]]
    assert pressed == ["false", "false", "true", "false", "false"]
    assert browser.find_elements("css selector", ".now")[0].text == "Estimate of p0"
    click(browser, ".play")
    assert ask(browser, PLAYING) == [False] * 5


def test_only_one_track_of_the_page_is_heard(browser):
    click(browser, ".play", case=0)
    click(browser, ".play", case=1)
    ask(browser, "await until(() => audios(1)[0].currentTime > 0)")
    assert ask(browser, PLAYING) == [False] * 5
    browser.execute_script(
        "document.querySelectorAll('.case')[1].querySelectorAll('audio')[3].play()"
    )  # its own button
    assert ask(browser, "await until(() => audios(1)[0].paused); return audios(1).map((audio) => !audio.paused)") == [
        place == 3 for place in range(7)
    ]


def test_keys_move_switch_and_play(browser):
    from selenium.webdriver.common.keys import Keys

    scrubber = browser.find_element("css selector", ".scrubber")
    scrubber.send_keys(Keys.PAGE_UP, Keys.PAGE_UP, Keys.ARROW_LEFT)
    positions = ask(browser, "return audios(0).map((audio) => audio.currentTime)")
    assert positions == pytest.approx([1.9] * 5, abs=1e-3)
    assert scrubber.get_attribute("aria-valuetext") == "1.9 of 6.0 seconds"
    head, wave = (browser.find_element("css selector", f".{name}").rect for name in ("playhead", "wave"))
    assert head["x"] + head["width"] / 2 == pytest.approx(wave["x"] + wave["width"] * 1.9 / 6, abs=1.5)
    scrubber.send_keys("4")
    assert ask(browser, PLAYING) == [False] * 5
    scrubber.send_keys(" ")
    assert ask(browser, "await until(() => audios(0)[3].currentTime > 1.9); return true")
    assert ask(browser, PLAYING) == [False, False, False, True, False]
    scrubber.send_keys("2")
    assert ask(browser, PLAYING) == [False, True, False, False, False]
    scrubber.send_keys(" ")
    assert ask(browser, PLAYING) == [False] * 5


def test_a_click_on_a_picture_moves_there_and_chooses_the_track(browser):
    from selenium.webdriver import ActionChains

    image = browser.find_elements("css selector", ".case img")[1]
    ActionChains(browser).move_to_element(image).click().perform()  # its middle
    assert ask(browser, "return audios(0)[1].currentTime") == pytest.approx(3.0, abs=0.02)
    assert browser.find_elements("css selector", ".now")[0].text == "Reference of p0"
    assert ask(browser, PLAYING) == [False] * 5


def test_what_has_ended_begins_anew(browser):
    browser.find_elements("css selector", ".case")[1].find_element("css selector", ".scrubber").send_keys(
        "\ue010"
    )  # End
    assert ask(browser, "return audios(1)[0].currentTime") == pytest.approx(3.0, abs=0.02)
    click(browser, ".play", case=1)
    assert ask(browser, "await until(() => !audios(1)[0].paused && audios(1)[0].currentTime < 1); return true")


def test_a_click_on_a_name_begins_to_play(browser):
    click(browser, ".pick", case=1, place=6)
    assert ask(browser, "await until(() => audios(1)[6].currentTime > 0); return true")
    click(browser, ".pick", case=1, place=6)
    assert ask(browser, "return audios(1).every((audio) => audio.paused)")


def test_a_click_on_a_heading_sorts_and_what_is_unknown_stays_last(browser):
    heads = browser.find_elements("css selector", "table.sortable th")
    named = {head.text: head for head in heads}

    def order():
        return [row.text for row in browser.find_elements("css selector", "table.sortable td.id")]

    assert order() == ["u10", "u9", HOSTILE, "u2"]
    named["SI-SNRi"].find_element("css selector", "button").click()
    rising = order()
    assert (rising[0], rising[-1]) == (HOSTILE, "u2")  # -1.5 dB, and none
    assert named["SI-SNRi"].get_attribute("aria-sort") == "ascending"
    named["SI-SNRi"].find_element("css selector", "button").click()
    assert order() == [*rising[-2::-1], "u2"]
    assert named["SI-SNRi"].get_attribute("aria-sort") == "descending"
    named["Utterance"].find_element("css selector", "button").click()
    assert order() == [HOSTILE, "u2", "u9", "u10"]
    assert named["SI-SNRi"].get_attribute("aria-sort") is None
