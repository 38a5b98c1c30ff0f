"""The page of the listening report: what is on it, what it plays, and that no input can break it."""

import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from src.audio import PCM16_SCALE, to_pcm16
from src.errors import UserError
from src.report.case import MOST_SECONDS, Case, choose_excerpt, time_ticks
from src.report.markup import MISSING, places, signed, tag
from src.report.page import STYLE, page, write_report
from tests.report.pages import HOSTILE, clips, make_case, make_summary, read_page
from tests.synthetic import RATE, voice

SECTIONS = ["scores", "charts", "listen", "utterances", "not-scored"]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [make_case(title, f"u{k}", leak=0.1 + 0.2 * k) for k, title in enumerate(("Best", "Median", "Worst"))]


@pytest.fixture(scope="module")
def html(cases):
    return read_page(page(make_summary(), [case.row for case in cases], cases))


def listen(*cases):
    """The cards of a page that has nothing but these cases."""
    return list(read_page(page({}, [], cases)).all("article", class_="case"))


def test_the_page_has_a_section_for_every_part(html):
    assert html.attributes["lang"] == "en"
    assert [section.attributes["id"] for section in html.all("section") if "id" in section.attributes] == SECTIONS
    assert [link.attributes["href"] for link in html.one("nav").all("a")] == [f"#{name}" for name in SECTIONS]
    assert html.one("h1").text == "Listening report"
    levels = [int(level) for level in re.findall(r"<h(\d)", page(make_summary(), [], []))]
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


def test_the_head_tells_network_data_and_chunks(html):
    told = html.one("dl", class_="origin").text
    for part in ("runs/a/best.ckpt", "data/test.mindrecord", "8 s, overlapping by 2 s"):
        assert part in told


def test_headlines_and_their_interval(html):
    main, *others = html.one("div", class_="headlines").all("div", class_="card")
    assert main.one("p", class_="amount").text == "11.50 dB"
    assert main.one("p", class_="soft").text == "95% interval: 11.00 to 12.00 dB"
    told = {card.one("h3").text: card.one("p", class_="amount").text for card in others}
    expected = {
        "SDR improvement": "11.90 dB",
        "STOI": "0.900",
        "PESQ": "2.50",
        "Improved": "3 of 3",
        "Scored": "3 of 4",
    }
    assert told == expected


def test_the_mixture_scores_what_the_improvement_leaves(html):
    table = html.one("table", class_="means")
    rows = [[cell.text for cell in row.children] for row in table.one("tbody").all("tr")]
    assert rows == [
        ["SI-SNR (dB)", "0.50", "12.00", "+11.50", "11.00 to 12.00"],
        ["SDR (dB)", "0.60", "12.50", "+11.90", MISSING],
        ["STOI", "0.700", "0.900", "+0.200", MISSING],
        ["PESQ", "1.50", "2.50", "+1.00", MISSING],
    ]
    notes = [note.text for note in html.one("div", class_="scores").all("p", class_="small")]
    assert notes[:2] == ["PESQ is narrow band.", "1 of 6 voices have no STOI, and are not in its mean."]


def test_groups_and_chunks_beside_whole_utterances(html):
    scores = html.one("div", class_="scores")
    assert [title.text for title in scores.all("h3")] == ["Means", "By length", "By sexes", "By origin", "Chunks"]
    *_, sexes, _, chunks = (next(body.all("tr")) for body in scores.all("tbody"))
    assert [cell.text for cell in sexes.children] == ["female and male", "3", "11.50", "11.90", ""]
    assert [cell.text for cell in chunks.children] == ["SI-SNRi of 1 utterance (dB)", "10.50", "10.75", "−0.25"]


def test_chunks_are_no_topic_where_none_were_cut():
    chunking = {**make_summary()["chunking"], "num_longer": 0, "num_compared": 0}
    assert "Chunks" not in [title.text for title in read_page(page(make_summary(chunking=chunking), [], [])).all("h3")]


def test_a_case_has_players_and_pictures_of_every_track(html, cases):
    cards = list(html.all("article", class_="case"))
    assert [card.one("span", class_="badge").text for card in cards] == ["Best", "Median", "Worst"]
    for card, case in zip(cards, cases, strict=True):
        names = ["Mixture", "Reference of p0", "Estimate of p0", "Reference of p1", "Estimate of p1"]
        assert [audio.attributes["aria-label"] for audio in card.all("audio")] == names
        assert [f"{image.attributes['alt']}".split(":")[0] for image in card.all("img")] == [
            f"Spectrogram of {name}" for name in names
        ]
        assert len(list(card.all("svg", class_="wave"))) == 5
        assert "p0 (female, voxforge) and p1 (male, voxforge); 1.0 s at 8000 Hz" in card.text
        assert f"SI-SNR improvement{places(float(case.row['si_snri_db']))} dB" in card.text
        sound = [case.mixture, case.references[0], case.estimates[0], case.references[1], case.estimates[1]]
        np.testing.assert_array_equal(clips(card), to_pcm16(np.stack(sound)))


def test_the_scores_beside_an_estimate_are_those_of_the_speaker(cases):
    (card,) = listen(cases[0])
    told = [next(lane.all("p")).text for lane in card.all("div", class_="estimate")]
    improvements = [float(re.search(r"\(\+([0-9.]+)\)", text)[1]) for text in told]
    assert np.mean(improvements) == pytest.approx(float(cases[0].row["si_snri_db"]), abs=0.051)


@pytest.mark.parametrize("num_speakers", [3, 5, 6])
def test_any_number_of_speakers(num_speakers):
    (card,) = listen(make_case(num_speakers=num_speakers))
    assert clips(card).shape == (1 + 2 * num_speakers, RATE)
    lanes = [lane.attributes["class"].split()[1] for lane in card.all("div", class_="lane")]
    colors = [f"speaker-{c % 5 + 1}" for c in range(num_speakers) for _ in range(2)]
    assert lanes == ["mixture", *colors]
    style = STYLE.read_text()
    assert all(f".{color} {{" in style and f"--{color}:" in style for color in colors)


@pytest.mark.parametrize(
    ("name", "path", "told"),
    [
        ("ours", "a.ckpt", "ours (a.ckpt)"),
        ("", "a.ckpt", "a.ckpt"),
        ("ours", "", "ours"),
        (HOSTILE, "a", f"{HOSTILE} (a)"),
    ],
)
def test_the_page_tells_which_network_is_heard(cases, name, path, told):
    html = read_page(page(make_summary(name=name, model_path=path), [cases[0].row], cases))
    origin = html.one("dl", class_="origin")
    assert told in [entry.text for entry in origin.all("dd")]


def test_hostile_names_stay_text(cases):
    row = {**cases[0].row, "id": HOSTILE, "speakers": f"{HOSTILE};b", "sexes": HOSTILE, "origins": HOSTILE}
    summary = make_summary(
        model_path=HOSTILE,
        data_path=HOSTILE,
        pesq_band=HOSTILE,
        not_scored={HOSTILE: HOSTILE},
        groups={HOSTILE: {HOSTILE: {"si_snri_db": 1.0}}, "sexes": {HOSTILE: {"si_snri_db": 1.0}}},
    )
    html = read_page(page(summary, [row], [replace(cases[0], id=HOSTILE, title=HOSTILE, row=row)]))
    assert len(list(html.all("script"))) == 1
    card = html.one("article", class_="case")
    assert card.one("span", class_="id").text == HOSTILE
    assert [audio.attributes["aria-label"] for audio in card.all("audio")][1] == f"Reference of {HOSTILE}"
    assert [cell.text for cell in html.all("td", class_="id")] == [HOSTILE, HOSTILE]
    assert [circle.one("title").text.split(":")[0] for circle in html.all("circle", class_="dot")] == [HOSTILE, HOSTILE]


def test_only_the_pages_own_script_may_run_and_nothing_is_requested(cases):
    html = read_page(page(make_summary(), [case.row for case in cases], cases))
    policy = html.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    script = base64.b64encode(hashlib.sha256(html.one("script").children[0].encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{script}'" in policy
    for name in ("src", "href", "srcset", "poster", "data", "action"):
        for kind in ("a", "audio", "img", "link", "script", "source", "form", "object"):
            for element in html.all(kind):
                address = element.attributes.get(name)
                assert address is None or address.startswith(("data:", "#")), address
    assert "url(" not in STYLE.read_text()
    assert "@import" not in STYLE.read_text()


def test_equal_input_gives_equal_bytes(tmp_path, cases):
    paths = [write_report(tmp_path / name, make_summary(), [cases[0].row], cases) for name in ("a", "b/c", "a")]
    assert paths[1] == tmp_path / "b" / "c" / "index.html"
    assert len({path.read_bytes() for path in paths}) == 1
    assert list((tmp_path / "a").iterdir()) == [paths[0]]


def test_nothing_known_is_an_empty_page():
    html = read_page(page({}, [], []))
    assert [*html.all("article"), *html.all("table"), *html.all("figure"), *html.all("a")] == []


@pytest.mark.parametrize("missing", sorted(make_summary()))
@pytest.mark.parametrize("as_none", [True, False])
def test_every_entry_of_the_summary_may_be_missing(missing, as_none, cases):
    summary = make_summary(**{missing: None})
    if not as_none:
        del summary[missing]
    html = read_page(page(summary, [case.row for case in cases], []))
    assert "None" not in html.text
    assert "nan" not in html.text


@pytest.mark.parametrize("missing", sorted(make_case().row))
@pytest.mark.parametrize("as_empty", [True, False])
def test_every_column_may_be_missing(missing, as_empty, cases):
    row = {**cases[0].row, missing: ""}
    if not as_empty:
        del row[missing]
    html = read_page(page(make_summary(), [row], [replace(cases[0], row=row)]))
    headings = [button.text for button in html.one("table", class_="sortable").all("button")]
    known = 14 if missing in {"num_samples", "not_scored"} else 13
    assert len(headings) == known
    assert "None" not in html.one("body").text.replace(html.one("script").text, "")


def test_a_speaker_without_a_name_has_a_number(cases):
    (card,) = listen(replace(cases[0], row={}))
    assert "Speaker 1 and Speaker 2; 1.0 s" in card.text


def test_utterances_without_scores_are_told_apart(cases):
    rows = [cases[0].row, {"id": "quiet", "num_samples": "10", "seconds": "1.0", "not_scored": "source 2 is silent"}]
    html = read_page(page({"not_scored": {"other": "source 1 is silent"}}, rows, []))
    (line,) = html.one("table", class_="sortable").one("tbody").all("tr")
    assert line.one("td", class_="id").text == "u0"
    reasons = [[cell.text for cell in row.children] for row in html.one("section", id="not-scored").all("tr")]
    assert reasons[1:] == [["quiet", "source 2 is silent"], ["other", "source 1 is silent"]]


def test_what_exceeds_full_scale_makes_all_clips_of_its_case_quieter(cases):
    loud = replace(cases[0], estimates=cases[0].estimates * np.float32(2.5 / np.abs(cases[0].estimates).max()))
    first, second = listen(loud, cases[1])
    assert np.abs(clips(first)[[2, 4]].astype(int)).max() == PCM16_SCALE - 1
    np.testing.assert_allclose(clips(first)[0], loud.mixture * PCM16_SCALE / 2.5, atol=1.0)
    assert "played 8.0 dB quieter (times 0.4)" in first.text
    assert "quieter" not in second.text


def test_full_scale_itself_is_played_as_it_is(cases):
    case = replace(cases[0], mixture=cases[0].mixture / np.abs(cases[0].mixture).max())
    assert choose_excerpt(case).factor == 1.0


def test_silence_is_shown_and_played():
    zeros = np.zeros((2, 800), np.float32)
    card, all_silent = listen(
        Case("Best", "u", RATE, voice(100, 0.1, 0), np.stack([zeros[0], voice(100, 0.1, 0)]), zeros, {}),
        Case("Worst", "v", RATE, zeros[0], zeros, zeros, {}),
    )
    assert "the reference is silent" in card.text
    assert not clips(all_silent).any()
    assert "nan" not in "".join(path.attributes["d"] for path in all_silent.all("path"))


def test_one_sample_is_a_clip():
    ones = np.full((2, 1), 0.25, np.float32)
    (card,) = listen(Case("Best", "u", RATE, 2 * ones[0], ones, ones, {}))
    np.testing.assert_array_equal(clips(card)[:, 0], [16384, 8192, 8192, 8192, 8192])
    assert "nan" not in str(card)


def test_of_a_long_utterance_the_part_is_shown_in_which_every_speaker_says_most():
    seconds = round(MOST_SECONDS) + 15
    references = np.zeros((2, seconds * RATE), np.float32)
    references[0, : 30 * RATE] = voice(100, 30, 0)  # from the beginning
    references[1, 8 * RATE :] = voice(200, seconds - 8, 1)  # from 8 s on, to the end
    case = Case("Best", "u", RATE, references.sum(0), references, references, {})
    excerpt = choose_excerpt(case)
    assert 8 * RATE <= excerpt.start <= 10 * RATE
    assert excerpt.stop - excerpt.start == MOST_SECONDS * RATE
    (card,) = listen(case)
    np.testing.assert_array_equal(clips(card)[0], to_pcm16(case.mixture[excerpt.start : excerpt.stop]))
    assert re.search(r"Shown from 0:(08|09|10) to 0:(28|29|30) of 0:35", card.text)
    assert "35.0 s at 8000 Hz" in card.text


def test_three_cases_of_six_seconds_are_a_page_of_less_than_five_megabytes(tmp_path):
    cases = [make_case(title, title, seconds=6.0, leak=0.5) for title in ("Best", "Median", "Worst")]
    rng = np.random.default_rng(0)  # noise is what pictures compress worst
    noisy = [replace(case, mixture=case.mixture + 0.01 * rng.standard_normal(48000)) for case in cases]
    path = write_report(
        tmp_path, make_summary(), [{**case.row, "id": f"u{k}"} for case in noisy for k in range(50)], noisy
    )
    assert path.stat().st_size < 5_000_000


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/report: cannot be made \(Not a directory\), expected a folder$"):
        write_report(tmp_path / "file" / "report", make_summary(), [], [])


@pytest.mark.parametrize(
    ("mixture", "references", "estimates", "found"),
    [
        ((9,), (2, 10), (2, 10), "Found: ((9,), (2, 10), (2, 10))"),
        ((10,), (2, 10), (3, 10), "Found: ((10,), (2, 10), (3, 10))"),
        ((0,), (2, 0), (2, 0), "Found: ((0,), (2, 0), (2, 0))"),
        ((2, 10), (2, 10), (2, 10), "Found: ((2, 10), (2, 10), (2, 10))"),
    ],
)
def test_arrays_that_do_not_fit(mixture, references, estimates, found):
    with pytest.raises(ValueError, match=re.escape(found)):
        Case("Best", "u", RATE, np.zeros(mixture), np.zeros(references), np.zeros(estimates), {})


def test_samples_that_are_no_numbers(cases):
    with pytest.raises(ValueError, match="u0: expected finite samples"):
        replace(cases[0], estimates=cases[0].estimates * np.nan)


def test_markup_escapes_text_and_keeps_markup():
    inner = tag("b", HOSTILE, title=HOSTILE, hidden=True, class_=None)
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;&#x27;"
    assert tag("p", inner, None, 1) == f'<p><b title="{escaped}" hidden>{escaped}</b>1</p>'
    assert tag("img", alt="") == '<img alt="">'


@pytest.mark.parametrize(
    ("value", "shown", "with_sign"),
    [(1.005, "1.00", "+1.00"), (-2.5, "−2.50", "−2.50"), (-0.001, "0.00", "0.00"), (None, MISSING, MISSING)],
)
def test_numbers_as_they_are_shown(value, shown, with_sign):
    assert places(value) == shown
    assert signed(value) == with_sign


def test_ticks_of_time_are_few_and_lie_where_they_say():
    assert time_ticks(2.0)[-1] == (100.0, "2.0 s")
    assert [text for _, text in time_ticks(6.0)] == [f"{k} s" for k in range(7)]
    assert [text for _, text in time_ticks(1 / RATE)] == ["0.0 s"]
    assert all(2 <= len(time_ticks(seconds)) <= 11 for seconds in (0.3, 0.9, 1.7, 4.4, 9.9, 14.0, 20.0))
