"""Scores of a checkpoint on a test set: whole utterances, a table of all of them, and their means.

Letters in shapes: B batch, C sources, T samples.
"""

import csv
import json
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from src.audio import make_folder, written_aside
from src.config import ModelConfig
from src.data.record_index import RecordIndex
from src.data.records import RecordFile
from src.errors import UserError
from src.inference import Floats, Separate, load_separate
from src.metrics import Scores, bootstrap_interval, is_silent, score
from src.runtime import usable_cores

METRICS = ("si_snr_db", "si_snri_db", "sdr_db", "sdri_db")
COLUMNS = (
    "id",
    "num_samples",
    "speakers",
    "sexes",
    "loudness_lufs",  # of the sources
    *METRICS,  # means over the sources
    "si_snri_db_by_source",
    "not_scored",  # the reason, for instance a silent source
)
CONFIDENCE = 0.95
PER_UTTERANCE = "per_utterance.csv"
SUMMARY = "metrics.json"


@dataclass(frozen=True)
class Result:
    """What became of one utterance: scores, or a reason why there are none."""

    record: int  # its place in the record file
    scores: Scores | None
    reason: str = ""


def evaluate(model_path: Path, data_path: Path, batch_size: int, output_dir: Path) -> dict[str, Any]:
    """Score a checkpoint on every utterance of a record file.

    Writes `per_utterance.csv`, in the records' order, and `metrics.json`, both at once when all is done.

    Args:
        model_path: a checkpoint of train.py.
        data_path: a .mindrecord file of preprocess.py.
        batch_size: at most so many utterances of equal length go through the network together. Lengths are never
            mixed, because the padding would change the scores.
        output_dir: made if missing.

    Returns:
        The content of `metrics.json`.

    Raises:
        UserError: a file cannot be used, the data's speakers or rate are not the model's, or no utterance has a
            score.
    """
    if batch_size < 1:
        raise UserError(f"batch_size: found {batch_size}, expected at least 1")
    separate, model = load_separate(model_path)
    records = RecordFile(data_path)
    check_fit(records.index, data_path, model)
    make_folder(output_dir)
    results = score_records(records, separate, batch_size)
    summary = {"model_path": str(model_path), "data_path": str(data_path), **summarize(records.index, results)}
    write_results(output_dir, [to_row(records.index, result) for result in results], summary)
    return summary


def check_fit(index: RecordIndex, data_path: Path, model: ModelConfig) -> None:
    """Raise `UserError` unless the data have the model's number of speakers and sample rate."""
    for what, found, expected in (
        ("speakers", index.num_speakers, model.num_speakers),
        ("Hz", index.sample_rate, model.sample_rate),
    ):
        if found != expected:
            raise UserError(f"{data_path}: found {found} {what}, expected {expected} {what} as the model has")


def score_records(records: RecordFile, separate: Separate, batch_size: int) -> list[Result]:
    """Separate and score every record, with a progress bar; in the records' order."""
    results = list(
        tqdm(_score_batches(records, separate, batch_size), total=len(records), desc="evaluating", unit="utterance")
    )
    return sorted(results, key=lambda result: result.record)


def plan_batches(num_samples: NDArray[np.int64], batch_size: int) -> list[list[int]]:
    """Record numbers in batches of equal length, the longest first, so that too little memory shows at once."""
    batches: list[list[int]] = []
    for record in np.argsort(-num_samples, kind="stable").tolist():
        last = batches[-1] if batches else []
        if last and len(last) < batch_size and num_samples[last[0]] == num_samples[record]:
            last.append(record)
        else:
            batches.append([record])
    return batches


def _score_batches(records: RecordFile, separate: Separate, batch_size: int) -> Iterator[Result]:
    """Results as they come. Threads score while the network separates the next; NumPy lets them run."""
    batches = plan_batches(records.index.num_samples, batch_size)
    utterances = records.read([record for batch in batches for record in batch])
    with ThreadPoolExecutor(usable_cores()) as pool:
        waiting: deque[Future[Result]] = deque()
        for batch in batches:
            audio = np.stack([next(utterances) for _ in batch])  # [B, 1 + C, T]
            tracks = separate(audio[:, 0])  # [B, C, T]
            for record, one_audio, one_tracks in zip(batch, audio, tracks, strict=True):
                waiting.append(pool.submit(_score_one, record, one_audio, one_tracks))
            while len(waiting) > 2 * usable_cores():  # more would only fill the memory
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


def _score_one(record: int, audio: Floats, tracks: Floats) -> Result:
    """Score one utterance from its mixture and sources [1 + C, T] and its tracks [C, T]."""
    silent = np.flatnonzero(is_silent(audio[1:])) + 1
    if silent.size:
        return Result(record, None, f"source {', '.join(map(str, silent))} is silent")
    return Result(record, score(audio[1:], tracks, audio[0]))


def summarize(index: RecordIndex, results: Iterable[Result]) -> dict[str, Any]:
    """Means over the scored utterances, each the mean over its sources; how many, and which were not scored.

    Raises:
        UserError: there is no scored utterance.
    """
    results = list(results)
    scored = [result.scores for result in results if result.scores]
    reasons = {index.ids[result.record]: result.reason for result in results if not result.scores}
    if not scored:
        raise UserError(f"found no utterance with a score among {len(results)}: {next(iter(reasons.values()))}")
    means = {metric: [float(getattr(scores, metric).mean()) for scores in scored] for metric in METRICS}
    interval = bootstrap_interval(means["si_snri_db"], CONFIDENCE)
    return {
        "num_utterances": len(scored),
        "num_not_scored": len(reasons),
        "not_scored": reasons,
        **{metric: float(np.mean(values)) for metric, values in means.items()},
        "si_snri_interval_db": None if np.isnan(interval).any() else list(interval),
        "interval_confidence": CONFIDENCE,
    }


def to_row(index: RecordIndex, result: Result) -> dict[str, str]:
    """One line of the table; numbers of several sources are joined by semicolons."""
    record, scores = result.record, result.scores
    row = {
        "id": index.ids[record],
        "num_samples": str(index.num_samples[record]),
        "speakers": ";".join(index.speakers[record]),
        "sexes": ";".join(index.sexes[record]),
        "loudness_lufs": ";".join(f"{level:.2f}" for level in index.loudness_lufs[record]),
        "not_scored": result.reason,
    }
    if scores:
        row |= {metric: f"{getattr(scores, metric).mean():.4f}" for metric in METRICS}
        row["si_snri_db_by_source"] = ";".join(f"{value:.4f}" for value in scores.si_snri_db)
    return row


def write_results(output_dir: Path, rows: Iterable[dict[str, str]], summary: dict[str, Any]) -> None:
    """Write `per_utterance.csv` and `metrics.json`; both are replaced, or none."""
    with ExitStack() as stack:
        table = stack.enter_context(written_aside(output_dir / PER_UTTERANCE))
        means = stack.enter_context(written_aside(output_dir / SUMMARY))
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        means.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def format_summary(summary: dict[str, Any]) -> str:
    """The table for the screen; its last line is the one that users of the model-zoo recipe look for."""
    lines = [f"{'':8}{'mixture':>10}{'separated':>12}{'improvement':>14}"]
    for name, value, gain in (("SI-SNR", "si_snr_db", "si_snri_db"), ("SDR", "sdr_db", "sdri_db")):
        separated, improvement = summary[value], summary[gain]
        columns = (10, separated - improvement), (12, separated), (14, improvement)
        lines.append(f"{name:8}" + "".join(f"{_places(value)} dB".rjust(width) for width, value in columns))
    lines.append(f"{summary['num_utterances']} utterances scored, {summary['num_not_scored']} not")
    if summary["si_snri_interval_db"]:
        lower, upper = summary["si_snri_interval_db"]
        lines.append(f"{CONFIDENCE:.0%} interval of the SI-SNR improvement: {_places(lower)} to {_places(upper)} dB")
    return "\n".join([*lines, f"Average SISNR improvement: {_places(summary['si_snri_db'])}"])


def _places(value_db: float) -> str:
    """Two decimal places, and no minus sign before 0.00."""
    return f"{round(value_db, 2) + 0.0:.2f}"
