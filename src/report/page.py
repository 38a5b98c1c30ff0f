"""The listening report of an evaluation: one HTML page with its numbers, charts, and voices to hear and to see.

The page needs no other file and no network; a browser opens it from the disk. Equal input gives equal bytes.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.files import make_folder, written_aside
from src.report.case import Case, case_card
from src.report.charts import Point, histogram, scatter
from src.report.markup import Markup, number, tag
from src.report.tables import chunking_of, chunks, groups, headlines, not_scored, scores, utterances

__all__ = ["Case", "write_report"]

PAGE = "index.html"
STYLE = Path(__file__).with_name("page.css")
SCRIPT = Path(__file__).with_name("page.js")
EXPLAINED = (
    "SI-SNR tells how much stronger a voice is than everything else in its track. Every 10 dB of improvement "
    "over the mixture leave a tenth of the rest."
)

Row = Mapping[str, str]


def write_report(folder: Path, summary: dict[str, Any], rows: list[dict[str, str]], cases: list[Case]) -> Path:
    """Write the page.

    Args:
        folder: made if missing; gets `index.html`.
        summary: the content of metrics.json. Whatever it does not hold is left out of the page.
        rows: the lines of per_utterance.csv; an empty string, or no entry, where something is not known.
        cases: utterances to listen to, in the page's order.

    Returns:
        The path of the page.

    Raises:
        UserError: it cannot be written.
    """
    make_folder(folder)
    path = folder / PAGE
    content = page(summary, rows, cases)
    with written_aside(path) as aside:
        aside.write_text(content, encoding="utf-8")
    return path


def page(summary: Mapping[str, Any], rows: Sequence[Row], cases: Sequence[Case]) -> str:
    """The whole HTML document."""
    chapters: list[tuple[str, str, Sequence[Markup | None]]] = [
        ("scores", "Scores", _score_cards(summary)),
        ("charts", "Charts", _charts(rows, cases)),
        ("listen", "Listen", [case_card(case, place) for place, case in enumerate(cases, start=1)]),
        ("utterances", "All utterances", [utterances(rows)]),
        ("not-scored", "Not scored", [not_scored(summary, rows)]),
    ]
    chapters = [(name, title, cards) for name, title, cards in chapters if any(cards)]
    links = [tag("a", title, href=f"#{name}") for name, title, _ in chapters]
    head = tag(
        "header",
        tag("p", "gdprnn", class_="brand"),
        tag("h1", "Listening report"),
        _origin(summary),
        tag("nav", *links, aria_label="Sections"),
        class_="top",
    )
    sections = [
        tag("section", tag("h2", title), tag("div", *cards, class_=f"cards {name}"), id=name)
        for name, title, cards in chapters
    ]
    overview = tag("section", tag("h2", "At a glance", class_="unseen"), headlines(summary, rows))
    body = tag("body", head, tag("main", overview, *sections), _script())
    return f"<!DOCTYPE html>\n{tag('html', _head(), body, lang='en')}\n"


def _head() -> Markup:
    """Title, style and a policy that forbids the page every request, and every script but its own."""
    policy = (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{base64.b64encode(hashlib.sha256(_script_text().encode()).digest()).decode()}'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),  # or a browser asks a server for one
        tag("title", "Listening report - gdprnn"),
        tag("style", Markup(STYLE.read_text(encoding="utf-8"))),
    )


def _script() -> Markup:
    return tag("script", Markup(_script_text()))


def _script_text() -> str:
    return SCRIPT.read_text(encoding="utf-8")


def _origin(summary: Mapping[str, Any]) -> Markup:
    """Which network was heard on which data, and how."""
    known = (
        ("Network", _network_told(summary)),
        ("Test set", summary.get("data_path")),
        ("Chunks", _chunks_told(summary)),
    )
    return tag(
        "dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in known if value), class_="origin"
    )


def _network_told(summary: Mapping[str, Any]) -> str:
    """Its name and its path, as far as they are known."""
    name, path = summary.get("name") or "", summary.get("model_path") or ""
    return f"{name} ({path})" if name and path else name or path


def _chunks_told(summary: Mapping[str, Any]) -> str:
    chunking = chunking_of(summary)
    length, overlap = number(chunking, "chunk_seconds"), number(chunking, "overlap_seconds")
    if not length:
        return ""
    return f"{length:g} s" if overlap is None else f"{length:g} s, overlapping by {overlap:g} s"


def _score_cards(summary: Mapping[str, Any]) -> list[Markup | None]:
    explained = tag("p", EXPLAINED, class_="soft lead")
    cards = [scores(summary), *groups(summary), chunks(summary)]
    return [explained, *cards] if any(cards) else []


def _charts(rows: Sequence[Row], cases: Sequence[Case]) -> list[Markup]:
    """The spread of the improvement, and what it depends on."""
    marks = {case.id: case.title.lower() for case in cases}
    improvements = [value for row in rows if (value := number(row, "si_snri_db")) is not None]
    if not improvements:
        return []
    figures = [_figure("How the improvement is spread", histogram(improvements, "SI-SNR improvement", "dB"))]
    for column, title, x_title in (
        ("input_si_snr_db", "Against the mixture's SI-SNR", "SI-SNR of the mixture (dB)"),
        ("seconds", "Against length", "length (s)"),
    ):
        if points := list(_points(rows, column, marks)):
            figures.append(_figure(title, scatter(points, x_title, "SI-SNR improvement (dB)")))
    return figures


def _points(rows: Sequence[Row], column: str, marks: Mapping[str, str]) -> Iterator[Point]:
    for row in rows:
        x, y, name = number(row, column), number(row, "si_snri_db"), row.get("id", "")
        if x is not None and y is not None:
            yield Point(x, y, name, marks.get(name, ""))


def _figure(title: str, picture: Markup) -> Markup:
    return tag("figure", tag("figcaption", title), picture, class_="card")
