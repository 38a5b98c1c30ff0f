"""The means of an evaluation as a table for the screen."""

from typing import Any

# Of the groupings, as the screen has them.
NAMES = {"length": "length", "sexes": "sexes", "chains": "recording chain", "origins": "origin"}
MOST_GROUPS = 12  # of one grouping on the screen
NONE = "-"


def format_summary(summary: dict[str, Any]) -> str:
    """The table for the screen; its last line is the one that users of the model-zoo recipe look for."""
    lines = [
        *_scores(summary),
        *(line for kind in summary["groups"] for line in _groups(kind, summary)),
        *_chunks(summary["chunking"]),
        *_counts(summary),
        f"Average SISNR improvement: {_places(summary['si_snri_db'])}",
    ]
    return "\n".join(lines)


def _scores(summary: dict[str, Any]) -> list[str]:
    """Mixture, separated, improvement and its interval, a line a metric."""
    lines = [f"{'':8}{'mixture':>12}{'separated':>12}{'improvement':>14}{_interval_head(summary):>20}"]
    for name, value, gain, interval, unit in (
        ("SI-SNR", "si_snr_db", "si_snri_db", "si_snri_interval_db", " dB"),
        ("SDR", "sdr_db", "sdri_db", "sdri_interval_db", " dB"),
        ("STOI", "stoi", "stoi_improvement", "stoi_improvement_interval", ""),
        ("PESQ", "pesq", "pesq_improvement", "pesq_improvement_interval", ""),
    ):
        separated, improvement = summary[value], summary[gain]
        if separated is None or improvement is None:
            continue
        decimals = 3 if name == "STOI" else 2
        numbers = (12, separated - improvement), (12, separated), (14, improvement)
        cells = "".join(f"{_places(number, decimals)}{unit}".rjust(width) for width, number in numbers)
        lines.append(f"{name:8}{cells}{_range(summary[interval], decimals):>20}")
    return lines


def _groups(kind: str, summary: dict[str, Any]) -> list[str]:
    """SI-SNR and SDR improvement of each group; of very many groups the largest."""
    found = summary["groups"][kind]
    if not found:
        return []
    shown = sorted(found, key=lambda name: -found[name]["num_utterances"])[:MOST_GROUPS]
    names = [name for name in found if name in shown]
    width = max(len(f"by {NAMES[kind]}"), *(len(name) + 2 for name in names))
    head = "".join(f"{name:>12}{_interval_head(summary):>18}" for name in ("SI-SNRi", "SDRi"))
    lines = ["", f"{f'by {NAMES[kind]}':{width}}{'utterances':>12}{head}"]
    for name in names:
        group = found[name]
        cells = f"{group['num_utterances']:12}"
        for gain, interval in (("si_snri_db", "si_snri_interval_db"), ("sdri_db", "sdri_interval_db")):
            cells += f"{_places(group[gain]) + ' dB':>12}{_range(group[interval]):>18}"
        lines.append(f"{'  ' + name:{width}}{cells}")
    if len(found) > len(names):
        lines.append(f"  … and {len(found) - len(names)} smaller groups, all in metrics.json")
    return lines


def _chunks(chunking: dict[str, Any]) -> list[str]:
    """How many utterances were cut, and what that has cost."""
    if not chunking["chunk_seconds"]:
        return ["", f"all {chunking['num_all']} utterances were separated whole"]
    if not chunking["num_longer"]:
        return ["", f"no utterance is longer than a chunk of {chunking['chunk_seconds']:g} s: all were separated whole"]
    lines = [
        "",
        f"{chunking['num_longer']} of {chunking['num_all']} utterances are longer than a chunk of "
        f"{chunking['chunk_seconds']:g} s, and were separated in chunks",
    ]
    if chunking["num_compared"]:
        lines.append(
            f"SI-SNR improvement of {chunking['num_compared']} of them: "
            f"in chunks {_places(chunking['chunked_si_snri_db'])} dB, "
            f"whole {_places(chunking['whole_si_snri_db'])} dB, "
            f"difference {_places(chunking['difference_db'])} dB"
        )
    return lines


def _counts(summary: dict[str, Any]) -> list[str]:
    """How many utterances have scores, and which scores are missing why."""
    lines = [f"{summary['num_utterances']} utterances scored, {summary['num_not_scored']} not"]
    lines += [f"  {count} not scored: {reason}" for reason, count in summary["not_scored_by_reason"].items()]
    without = summary["sources_without"]
    if without["stoi"]:
        lines.append(f"STOI: none for {without['stoi']} of {summary['num_sources']} sources: too little speech")
    if summary["no_pesq_because"]:
        lines.append(f"PESQ: none: {summary['no_pesq_because']}")
        return lines
    lines.append(f"PESQ: {summary['pesq_band']}")
    if without["pesq"]:
        lines[-1] += (
            f", none for {without['pesq']} of {summary['num_sources']} sources: "
            f"no speech found, or not between 0.25 and 20 s"
        )
    return lines


def _interval_head(summary: dict[str, Any]) -> str:
    return f"{summary['interval_confidence']:.0%} interval"


def _range(interval: list[float] | None, decimals: int = 2) -> str:
    return NONE if interval is None else f"{_places(interval[0], decimals)} to {_places(interval[1], decimals)}"


def _places(value: float, decimals: int = 2) -> str:
    """So many decimal places, and no minus sign before 0.00."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
