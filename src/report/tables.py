"""The listening report's numbers: headlines, scores, groups, every utterance, and those without scores."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from src.report.charts import whisker
from src.report.markup import MISSING, SEXES, Markup, decibels, number, places, plural, signed, tag

Summary = Mapping[str, Any]
Row = Mapping[str, str]


class Metric(NamedTuple):
    """A line of the table of means, and what the summary calls its numbers."""

    name: str
    digits: int
    separated: str
    improvement: str
    interval: str


METRICS = (
    Metric("SI-SNR (dB)", 2, "si_snr_db", "si_snri_db", "si_snri_interval_db"),
    Metric("SDR (dB)", 2, "sdr_db", "sdri_db", "sdri_interval_db"),
    Metric("STOI", 3, "stoi", "stoi_improvement", "stoi_improvement_interval"),
    Metric("PESQ", 2, "pesq", "pesq_improvement", "pesq_improvement_interval"),
)
GROUPS = {"length": "By length", "sexes": "By sexes", "chains": "By recording chain", "origins": "By origin"}
# Column of per_utterance.csv, its heading, and decimal places; None is for text.
COLUMNS: tuple[tuple[str, str, int | None], ...] = (
    ("id", "Utterance", None),
    ("seconds", "Seconds", 1),
    ("speakers", "Speakers", None),
    ("sexes", "Sexes", None),
    ("origins", "Origin", None),
    ("input_si_snr_db", "Mixture", 2),
    ("si_snr_db", "SI-SNR", 2),
    ("si_snri_db", "SI-SNRi", 2),
    ("sdr_db", "SDR", 2),
    ("sdri_db", "SDRi", 2),
    ("stoi", "STOI", 3),
    ("stoi_improvement", "STOIi", 3),
    ("pesq", "PESQ", 2),
    ("num_chunks", "Chunks", 0),
    ("whole_si_snri_db", "Whole SI-SNRi", 2),
)


def headlines(summary: Summary, rows: Sequence[Row]) -> Markup:
    """The few numbers that one wants to know first."""
    improved = [value > 0 for row in rows if (value := number(row, "si_snri_db")) is not None]
    seconds = sum(number(row, "seconds") or 0.0 for row in rows)
    cards = (
        _headline("SI-SNR improvement", decibels(number(summary, "si_snri_db")), _interval_told(summary), "main"),
        _headline("SDR improvement", decibels(number(summary, "sdri_db")), "BSS-eval v3"),
        _headline("STOI", places(number(summary, "stoi"), 3), "intelligibility"),
        _headline("PESQ", places(number(summary, "pesq")), "speech quality"),
        _headline("Improved", f"{sum(improved)} of {len(improved)}" if improved else MISSING, "by SI-SNR"),
        _headline("Scored", _share_scored(summary), f"{places(seconds / 60, 1)} min of sound" if seconds else ""),
    )
    return tag("div", *cards, class_="headlines")


def _headline(name: str, value: str, note: str, style: str = "") -> Markup | None:
    if value == MISSING:
        return None
    amount, _, unit = value.partition(" ")
    shown = tag("p", amount, tag("span", f" {unit}") if unit else None, class_="amount")
    return tag(
        "div", tag("h3", name), shown, tag("p", note, class_="soft") if note else None, class_=f"card {style}".strip()
    )


def _interval_told(summary: Summary) -> str:
    told = _range(summary.get("si_snri_interval_db"), 2)
    return "" if told == MISSING else f"{_interval_name(summary)}: {told} dB"


def _interval_name(summary: Summary) -> str:
    confidence = number(summary, "interval_confidence")
    return "Interval" if confidence is None else f"{places(100 * confidence, 0)}% interval"


def _range(interval: Sequence[float] | None, digits: int) -> str:
    return f"{places(interval[0], digits)} to {places(interval[1], digits)}" if interval else MISSING


def _share_scored(summary: Summary) -> str:
    scored, left_out = number(summary, "num_utterances"), number(summary, "num_not_scored")
    if scored is None:
        return MISSING
    return places(scored, 0) if left_out is None else f"{places(scored, 0)} of {places(scored + left_out, 0)}"


def scores(summary: Summary) -> Markup | None:
    """Mixture, separated and improvement of every metric that the summary knows."""
    has_intervals = any(summary.get(metric.interval) for metric in METRICS)
    lines = [_score_line(summary, metric, has_intervals) for metric in METRICS]
    if not any(lines):
        return None
    heads = ["Metric", "Mixture", "Separated", "Improvement", *([_interval_name(summary)] if has_intervals else [])]
    notes = [tag("p", note, class_="soft small") for note in _score_notes(summary)]
    return _card("Means", _table(heads, lines, style="means"), *notes)


def _score_line(summary: Summary, metric: Metric, has_intervals: bool) -> Markup | None:
    after, improvement = number(summary, metric.separated), number(summary, metric.improvement)
    if after is None and improvement is None:
        return None
    before = None if after is None or improvement is None else after - improvement
    digits = metric.digits
    shown = [places(before, digits), places(after, digits), signed(improvement, digits)]
    if has_intervals:
        shown.append(_range(summary.get(metric.interval), digits))
    return _line(metric.name, *shown)


def _score_notes(summary: Summary) -> Iterator[str]:
    """Which PESQ it is, and why some scores are missing."""
    if summary.get("no_pesq_because"):
        yield f"No PESQ: {summary['no_pesq_because']}."
    elif summary.get("pesq_band"):
        yield f"PESQ is {summary['pesq_band']}."
    without, total = summary.get("sources_without") or {}, number(summary, "num_sources")
    for name in ("stoi", "pesq"):
        if without.get(name) and total and number(summary, name) is not None:
            yield f"{without[name]} of {places(total, 0)} voices have no {name.upper()}, and are not in its mean."


def groups(summary: Summary) -> list[Markup]:
    """One table for every way in which the summary groups the utterances."""
    found = summary.get("groups") or {}
    return [_group(kind, members) for kind, members in found.items() if members]


def _group(kind: str, members: Mapping[str, Summary]) -> Markup:
    ends = [0.0, *(end for member in members.values() for end in _ends(member))]
    lines = [_group_line(_group_name(kind, name), member, min(ends), max(ends)) for name, member in members.items()]
    heads = ["Group", "Utterances", "SI-SNRi (dB)", "SDRi (dB)"]
    bars = tag("th", tag("span", "SI-SNRi as a bar", class_="unseen"), class_="bars") if any(ends) else None
    return _card(GROUPS.get(kind, kind), _table(heads, lines, bars))


def _group_name(kind: str, name: str) -> str:
    """FM of the sexes becomes `female and male`."""
    if kind == "sexes" and set(name) <= set(SEXES):
        return " and ".join(SEXES[letter] for letter in name)
    return name


def _group_line(name: str, member: Summary, low: float, high: float) -> Markup:
    value, interval = number(member, "si_snri_db"), member.get("si_snri_interval_db")
    count = number(member, "num_utterances")
    bar = None if value is None else tag("td", whisker(value, interval, low, high), class_="bars")
    return _line(name, places(count, 0), places(value), places(number(member, "sdri_db")), more=bar)


def _ends(member: Summary) -> list[float]:
    """The numbers that a group's bar must hold."""
    value = number(member, "si_snri_db")
    return [*([] if value is None else [value]), *(member.get("si_snri_interval_db") or [])]


def chunks(summary: Summary) -> Markup | None:
    """How many utterances were cut into chunks, and what that has cost where it was compared."""
    chunking = chunking_of(summary)
    longer, total, compared = (number(chunking, name) for name in ("num_longer", "num_all", "num_compared"))
    told = compares = None
    if longer and total is not None and number(chunking, "chunk_seconds"):
        share = f"{places(longer, 0)} of {places(total, 0)} utterances"
        told = f"{share} are longer than a chunk, and were separated in chunks."
    if compared:
        values = [places(number(chunking, f"{name}_db")) for name in ("chunked_si_snri", "whole_si_snri", "difference")]
        heads = ["Separated both ways", "In chunks", "Whole", "Difference"]
        compares = _table(heads, [_line(f"SI-SNRi of {plural(round(compared), 'utterance')} (dB)", *values)])
    if not told and not compares:
        return None
    return _card("Chunks", tag("p", told, class_="soft small") if told else None, compares)


def chunking_of(summary: Summary) -> Summary:
    """The entries about chunks."""
    chunking: Summary = summary.get("chunking") or {}
    return chunking


def _card(title: str, *content: Markup | None) -> Markup:
    return tag("div", tag("h3", title), *content, class_="card")


def _table(heads: Sequence[str], lines: Sequence[Markup | None], more: Markup | None = None, style: str = "") -> Markup:
    """A table of numbers under headings; `more` is one heading more."""
    top = tag("tr", *(tag("th", head, scope="col") for head in heads), more)
    return tag(
        "div", tag("table", tag("thead", top), tag("tbody", *lines), class_=f"numbers {style}".strip()), class_="wide"
    )


def _line(name: str, *values: str, more: Markup | None = None) -> Markup:
    return tag("tr", tag("th", name, scope="row"), *(tag("td", value) for value in values), more)


def utterances(rows: Sequence[Row]) -> Markup | None:
    """The table of all scored utterances, with the columns of which at least one value is known."""
    rows = [row for row in rows if not row.get("not_scored")]
    columns = [column for column in COLUMNS if any(row.get(column[0]) for row in rows)]
    if not columns:
        return None
    heads = [_sortable_head(heading, digits is None) for _, heading, digits in columns]
    lines = [tag("tr", *(_cell(row, name, digits) for name, _, digits in columns)) for row in rows]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *lines), class_="numbers sortable")
    return tag(
        "div",
        tag("p", f"{plural(len(rows), 'utterance')}; SI-SNR and SDR in dB. A click on a heading sorts.", class_="soft"),
        tag("div", table, class_="wide tall", tabindex="0", role="region", aria_label="Scores of every utterance"),
        class_="card",
    )


def _sortable_head(heading: str, is_text: bool) -> Markup:
    return tag("th", tag("button", heading, type="button"), scope="col", class_="text" if is_text else None)


def _cell(row: Row, name: str, digits: int | None) -> Markup:
    value = row.get(name) or ""
    if digits is None:
        return tag("td", value, class_="text id") if name == "id" else tag("td", _listed(name, value), class_="text")
    amount = number(row, name)
    return tag("td", places(amount, digits), data_value="" if amount is None else value)


def _listed(name: str, values: str) -> str:
    """Values of several speakers; an origin that they share is named once."""
    parts = values.split(";")
    return ", ".join(dict.fromkeys(parts) if name == "origins" else parts)


def not_scored(summary: Summary, rows: Sequence[Row]) -> Markup | None:
    """The utterances without a score, each with its reason."""
    reasons = {row.get("id", ""): row["not_scored"] for row in rows if row.get("not_scored")}
    reasons |= summary.get("not_scored") or {}
    if not reasons:
        return None
    lines = [
        tag("tr", tag("td", name, class_="text id"), tag("td", why, class_="text")) for name, why in reasons.items()
    ]
    heads = [tag("th", text, scope="col", class_="text") for text in ("Utterance", "Reason")]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *lines))
    return tag("div", tag("div", table, class_="wide"), class_="card")
