"""The report of an evaluation with its best, median and worst utterance, separated once more to be heard.

Letters in shapes: C sources, T samples.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.data.record_index import Records
from src.metrics import best_permutation
from src.scores.scoring import Result
from src.stitching.gains import fit_gains

Floats = NDArray[np.float32]


def write_examples(
    folder: Path,
    summary: dict[str, Any],
    rows: list[dict[str, str]],
    results: Sequence[Result],
    *,
    records: Records,
    separate: Callable[[Floats], Floats],
) -> Path:
    """Write the report and tell where.

    Args:
        folder: where it goes.
        summary: of `metrics.json`.
        rows: of `per_utterance.csv`, in the records' order.
        results: in the records' order.
        records: with the audio.
        separate: a mixture [T] -> tracks [C, T].

    Returns:
        The page.

    Raises:
        UserError: the folder cannot be written.
    """
    from src.report.page import Case, write_report  # only for those who want one

    chosen = choose_examples(results)
    cases = []
    for (title, record), audio in zip(chosen.items(), records.read(list(chosen.values())), strict=True):
        estimates = to_scale(separate(audio[0]), audio)
        rate = records.index.sample_rate
        cases.append(Case(title, records.index.ids[record], rate, audio[0], audio[1:], estimates, rows[record]))
    page = write_report(folder, summary, rows, cases)
    print(f"report: {page}")
    return page


def choose_examples(results: Sequence[Result]) -> dict[str, int]:
    """Records with the highest, the median and the lowest SI-SNR improvement; fewer if there are not three."""
    scored = sorted((result for result in results if not result.reason), key=lambda each: -_si_snri_db(each))
    last = len(scored) - 1
    places = {"Best": 0, "Median": last // 2, "Worst": last}
    different = {place: title for title, place in reversed(places.items())}  # of equal places the first title
    return {title: scored[place].record for title, place in places.items() if different[place] == title}


def to_scale(tracks: Floats, audio: Floats) -> Floats:
    """Tracks [C, T] in the references' order and at the mixture's scale, for audio [1 + C, T]."""
    order, _ = best_permutation(audio[1:], tracks)
    gains = fit_gains(tracks[order], audio[0])
    return np.asarray(gains[:, np.newaxis] * tracks[order], dtype=np.float32)


def _si_snri_db(result: Result) -> float:
    value = result.mean("si_snri_db")
    assert value is not None
    return value
