"""Scores of all utterances of a set: the metrics in other processes, a progress bar, results in any order.

What separates them runs elsewhere: the network in this process, or a program before.
"""

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import closing

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from src.data.record_index import RecordIndex
from src.processes import map_in_processes
from src.runtime import usable_cores
from src.scores.scoring import Result, Separated, score_utterance

SECONDS_FOR_PROCESSES = 120.0  # of audio to score; below, starting processes takes longer than the work
BAR_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]"


def score_all(
    index: RecordIndex,
    separated: Iterable[Separated],
    results: dict[int, Result],
    keep: Callable[[Result], None] = lambda result: None,
    *,
    is_separating: bool,
    when_one_dies: str,
) -> list[Result]:
    """Score what comes, with a progress bar; all results in the records' order.

    Args:
        index: of the set.
        separated: the utterances that have no result yet, in any order, taken a few ahead.
        results: of the others, by record; the new ones are added.
        keep: called with every new result.
        is_separating: `separated` is made meanwhile, so that the time is told against that of the audio.
        when_one_dies: what a user is told when a process that scores is killed.
    """
    seconds = index.num_samples / index.sample_rate  # [records]
    # By the whole set, not by what is left: other threads may add in another order, which changes the last digit.
    in_processes = len(results) < len(index.ids) and seconds.sum() >= SECONDS_FOR_PROCESSES
    scored = map_in_processes(
        score_utterance,
        separated,
        usable_cores() if in_processes else 1,
        preload=("src.scores.scoring", "pystoi", "fast_bss_eval"),
        when_one_dies=when_one_dies,
    )
    with closing(scored), _Progress(is_separating, seconds, results) as progress:
        for result in scored:
            results[result.record] = result
            keep(result)
            progress.add(result)
    return [results[record] for record in range(len(index.ids))]


class _Progress:
    """A bar over the seconds of audio, and how much faster than they sound they are separated and scored."""

    def __init__(self, is_separating: bool, seconds: NDArray[np.float64], results: Collection[int]) -> None:
        self._is_separating = is_separating
        self._seconds = seconds  # of each record
        self._num_done = len(results)
        self._begun = time.monotonic()
        self._audio_seconds = 0.0  # of this sitting
        done = sum(seconds[record] for record in results)
        task = "evaluating" if is_separating else "scoring"
        self._bar = tqdm(total=seconds.sum(), initial=done, desc=task, bar_format=BAR_FORMAT, dynamic_ncols=True)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        if self._audio_seconds:
            print(
                f"{self._num_done} of {len(self._seconds)} utterances done, {self._audio_seconds:.1f} s of audio in "
                f"{time.monotonic() - self._begun:.1f} s{self._factor(': ')}"
            )

    def add(self, result: Result) -> None:
        """One more is done."""
        self._num_done += 1
        self._audio_seconds += self._seconds[result.record]
        self._bar.set_postfix_str(
            f"{self._num_done}/{len(self._seconds)} utterances{self._factor(', ')}", refresh=False
        )
        self._bar.update(self._seconds[result.record])

    def _factor(self, before: str) -> str:
        factor = (time.monotonic() - self._begun) / self._audio_seconds
        return f"{before}real-time factor {factor:.3f}" if self._is_separating else ""
