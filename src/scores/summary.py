"""From the results of an evaluation to its means, groups, intervals and the lines of its table.

Everything is in the records' order and nothing depends on when a result came.
"""

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from src.data.record_index import RecordIndex
from src.errors import UserError
from src.files import written_aside
from src.metrics import bootstrap_interval
from src.scores.perceptual import BAND_NAMES, PESQ_BANDS, why_no_pesq
from src.scores.scoring import METRICS, Result
from src.stitching.chunks import Chunking

PER_UTTERANCE = "per_utterance.csv"
SUMMARY = "metrics.json"
CONFIDENCE = 0.95
IMPROVEMENTS = tuple(METRICS.values())
GROUP_IMPROVEMENTS = ("si_snri_db", "sdri_db")
COLUMNS = (
    "id",
    "num_samples",
    "seconds",
    "speakers",
    "sexes",
    "origins",
    "loudness_lufs",  # of the sources
    "pitch_hz",  # likewise, their medians
    "input_si_snr_db",  # of the mixture
    *(name for pair in METRICS.items() for name in pair),  # means over the sources
    "si_snri_db_by_source",
    "num_chunks",
    "whole_si_snri_db",  # with --compare_whole
    "not_scored",  # the reason, for instance a silent source
)
ACROSS, WITHIN = "across chains", "within a chain"  # all speakers of one origin, or not
LENGTHS = ((3.0, "< 3 s"), (5.0, "3 to 5 s"), (10.0, "5 to 10 s"), (math.inf, ">= 10 s"))  # below so many seconds


def summarize(index: RecordIndex, results: Sequence[Result], chunking: Chunking, compare_whole: bool) -> dict[str, Any]:
    """Means over the scored utterances, each the mean over its sources, and what else `metrics.json` tells.

    Raises:
        UserError: there is no scored utterance.
    """
    scored = [result for result in results if not result.reason]
    reasons = {index.ids[result.record]: result.reason for result in results if result.reason}
    if not scored:
        raise UserError(f"found no utterance with a score among {len(results)}: {next(iter(reasons.values()))}")
    means = {name: _mean(result.mean(name) for result in scored) for pair in METRICS.items() for name in pair}
    return {
        "num_utterances": len(scored),
        "num_not_scored": len(reasons),
        "not_scored_by_reason": dict(Counter(reasons.values()).most_common()),
        "not_scored": reasons,
        **means,
        **{_interval_name(name): _interval(result.mean(name) for result in scored) for name in IMPROVEMENTS},
        "interval_confidence": CONFIDENCE,
        "num_sources": len(scored) * index.num_speakers,
        "sources_without": {name: _count_missing(scored, name) for name in ("stoi", "pesq")},
        "pesq_band": BAND_NAMES.get(PESQ_BANDS.get(index.sample_rate, "")),
        "no_pesq_because": why_no_pesq(index.sample_rate),
        "chunking": _chunking(index, scored, chunking, compare_whole),
        "groups": groups(index, scored),
    }


def groups(index: RecordIndex, scored: Iterable[Result]) -> dict[str, dict[str, dict[str, Any]]]:
    """Means by length, and where these are known by the speakers' sexes and by the corpora that they come from.

    A corpus or package stands for a recording chain: a network that tells speakers apart by their chains scores better
    across chains than within one.
    """

    def by_length(record: int) -> str:
        seconds = index.num_samples[record] / index.sample_rate
        return next(name for limit, name in LENGTHS if seconds < limit)

    def by_sexes(record: int) -> str:
        return "".join(sorted(index.sexes[record]))

    def by_origins(record: int) -> str:
        return "+".join(sorted(index.origins[record])) if index.origins else ""

    def by_chains(record: int) -> str:
        origins = index.origins[record] if index.origins else ()
        return "" if not origins else WITHIN if len(set(origins)) == 1 else ACROSS

    scored = list(scored)
    grouped = {
        "length": _grouped(scored, by_length),
        "sexes": dict(sorted(_grouped(scored, by_sexes).items())),
        "chains": dict(sorted(_grouped(scored, by_chains).items())),
        "origins": dict(sorted(_grouped(scored, by_origins).items())),
    }
    grouped["length"] = {name: grouped["length"][name] for _, name in LENGTHS if name in grouped["length"]}
    return {kind: {name: _describe(members) for name, members in found.items()} for kind, found in grouped.items()}


def to_row(index: RecordIndex, result: Result) -> dict[str, str]:
    """One line of the table, every column in it; numbers of several sources are joined by semicolons."""
    record = result.record
    row = dict.fromkeys(COLUMNS, "") | {
        "id": index.ids[record],
        "num_samples": str(index.num_samples[record]),
        "seconds": f"{index.num_samples[record] / index.sample_rate:.3f}",
        "speakers": ";".join(index.speakers[record]),
        "sexes": ";".join(index.sexes[record]),
        "origins": ";".join(index.origins[record]) if index.origins else "",
        "loudness_lufs": ";".join(f"{level:.2f}" for level in index.loudness_lufs[record]),
        "pitch_hz": ";".join(f"{pitch:.1f}" for pitch in index.pitch_hz[record]),
        "num_chunks": str(result.num_chunks),
        "whole_si_snri_db": _number(result.whole_si_snri_db),
        "not_scored": result.reason,
    }
    if not result.reason:
        row |= {name: _number(result.mean(name)) for pair in METRICS.items() for name in pair}
        row["si_snri_db_by_source"] = ";".join(map(_number, result.values["si_snri_db"]))
        row["input_si_snr_db"] = _number(_difference(result.mean("si_snr_db"), result.mean("si_snri_db")))
    return row


def write_results(output_dir: Path, rows: Iterable[dict[str, str]], summary: dict[str, Any]) -> None:
    """Write `per_utterance.csv` and `metrics.json`; both are replaced, or none."""
    with ExitStack() as stack:
        table = stack.enter_context(written_aside(output_dir / PER_UTTERANCE))
        means = stack.enter_context(written_aside(output_dir / SUMMARY))
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        means.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def _chunking(index: RecordIndex, scored: Sequence[Result], chunking: Chunking, compare_whole: bool) -> dict[str, Any]:
    """How utterances were cut, how many were, and what they gain when they are not."""
    limit = chunking.chunk_samples or math.inf
    both = [result for result in scored if result.whole_si_snri_db is not None]
    cut, whole = _mean(result.mean("si_snri_db") for result in both), _mean(result.whole_si_snri_db for result in both)
    return {
        "chunk_seconds": chunking.chunk_samples / index.sample_rate,
        "overlap_seconds": chunking.overlap_samples / index.sample_rate,
        "num_longer": int((index.num_samples > limit).sum()),
        "num_all": len(index.ids),
        "compare_whole": compare_whole,
        "num_compared": len(both),
        "chunked_si_snri_db": cut,
        "whole_si_snri_db": whole,
        "difference_db": _difference(cut, whole),
    }


def _grouped(scored: Iterable[Result], label: Callable[[int], str]) -> dict[str, list[Result]]:
    """The results by their records' labels; those without one are left out."""
    found: dict[str, list[Result]] = {}
    for result in scored:
        found.setdefault(label(result.record), []).append(result)
    found.pop("", None)
    return found


def _describe(members: Sequence[Result]) -> dict[str, Any]:
    described: dict[str, Any] = {"num_utterances": len(members)}
    for name in GROUP_IMPROVEMENTS:
        described[name] = _mean(result.mean(name) for result in members)
        described[_interval_name(name)] = _interval(result.mean(name) for result in members)
    return described


def _interval_name(improvement: str) -> str:
    """si_snri_db -> si_snri_interval_db, stoi_improvement -> stoi_improvement_interval."""
    stem = improvement.removesuffix("_db")
    return f"{stem}_interval" + improvement[len(stem) :]


def _mean(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None


def _interval(values: Iterable[float | None]) -> list[float] | None:
    """Bootstrap over utterances; None for fewer than two."""
    lower, upper = bootstrap_interval([value for value in values if value is not None], CONFIDENCE)
    return None if math.isnan(lower) else [lower, upper]


def _count_missing(scored: Iterable[Result], metric: str) -> int:
    return sum(value is None for result in scored for value in result.values[metric])


def _difference(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
