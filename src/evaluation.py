"""Scores of a checkpoint on a test set: whole utterances, a table of all of them, and their means.

The network runs in this process, the metrics in others (src/scores/scoring.py). What is finished is kept, so that
the same command goes on after an interruption.

Letters in shapes: B batch, C sources, T samples.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.command_line import raise_if_interrupted
from src.config import CHUNK_SECONDS, ModelConfig
from src.data.record_index import RecordIndex
from src.data.records import RecordFile
from src.errors import UserError
from src.files import make_folder, sha256
from src.inference import load_separate
from src.scores.examples import write_examples
from src.scores.perceptual import pesq_is_installed
from src.scores.scoring import Result, Separated
from src.scores.summary import summarize, to_row, write_results
from src.scores.unfinished import Key, Unfinished, unfinished_results
from src.scores.whole_set import score_all
from src.stitching.chunks import Chunking, Floats, Separate, plan_chunks, separate_in_chunks
from src.version import code_version

UNFINISHED = "evaluation.partial.jsonl"


@dataclass(frozen=True)
class Request:
    """What evaluate.py was asked for.

    Attributes:
        model_path: a checkpoint of train.py.
        data_path: a .mindrecord file of preprocess.py.
        output_dir: made if missing.
        batch_size: at most so many utterances of equal length, or chunks of one, go through the network together.
            Lengths are never mixed, because the padding would change the scores.
        chunk_seconds: longer utterances are separated in chunks; 0: none is.
        overlap_seconds: what neighbouring chunks share; None: as `Chunking.from_seconds` has it.
        compare_whole: longer utterances are separated whole too, and both are told.
        report_dir: where a report with examples is written; None: nowhere.
        device_target: on which the network runs: results of another one are not gone on with.
        amp: none, or bfloat16 for the network's products: the same.
        name: what the results call the network; "": nothing but its path.
    """

    model_path: Path
    data_path: Path
    output_dir: Path
    batch_size: int = 1
    chunk_seconds: float = CHUNK_SECONDS
    overlap_seconds: float | None = None
    compare_whole: bool = False
    report_dir: Path | None = None
    device_target: str = "CPU"
    amp: str = "none"
    name: str = ""


@dataclass(frozen=True)
class Separation:
    """How an utterance goes through the network."""

    network: Separate
    chunking: Chunking
    sample_rate: int  # Hz
    batch_size: int
    compare_whole: bool

    def is_longer(self, num_samples: int) -> bool:
        """Whether an utterance of this length is cut."""
        return self.num_chunks(num_samples) > 1

    def num_chunks(self, num_samples: int) -> int:
        """Chunks of an utterance of this length."""
        return len(plan_chunks(num_samples, self.chunking))

    def in_chunks(self, mixture: Floats) -> Floats:
        """Tracks [C, T] of a mixture [T]."""
        pieces = separate_in_chunks(mixture, self.network, self.chunking, self.sample_rate, batch_size=self.batch_size)
        return np.concatenate(list(pieces), axis=1)

    def one(self, mixture: Floats) -> Floats:
        """Tracks [C, T] of a mixture [T] of any length."""
        return self.in_chunks(mixture) if self.is_longer(mixture.size) else self.network(mixture[np.newaxis])[0]


def evaluate(request: Request) -> dict[str, Any]:
    """Score a checkpoint on every utterance of a record file.

    Writes `per_utterance.csv`, in the records' order, and `metrics.json`, both at once when all is done. Until then
    the results are in `evaluation.partial.jsonl`, from which the same evaluation goes on.

    Returns:
        The content of `metrics.json`.

    Raises:
        UserError: a file cannot be used, the data's speakers or rate are not the model's, an option is out of
            range, or no utterance has a score.
    """
    if request.batch_size < 1:
        raise UserError(f"batch_size: found {request.batch_size}, expected at least 1")
    network, model = load_separate(request.model_path, request.amp)
    records = RecordFile(request.data_path)
    check_fit(records.index, request.data_path, model)
    rate = records.index.sample_rate
    chunking = Chunking.from_seconds(request.chunk_seconds, request.overlap_seconds, rate)
    separation = Separation(network, chunking, rate, request.batch_size, request.compare_whole)
    for folder in (request.output_dir, request.report_dir):
        if folder is not None:
            make_folder(folder)
    with unfinished_results(request.output_dir / UNFINISHED, make_key(request, records.index, chunking)) as unfinished:
        results = score_records(records, separation, unfinished)
        summary = {
            "name": request.name,
            "model_path": str(request.model_path),
            "model_sha256": sha256(request.model_path),
            "data_path": str(request.data_path),
            "amp": request.amp,
            **summarize(records.index, results, chunking, request.compare_whole),
        }
        rows = [to_row(records.index, result) for result in results]
        write_results(request.output_dir, rows, summary)
        if request.report_dir is not None:
            write_examples(request.report_dir, summary, rows, results, records=records, separate=separation.one)
        unfinished.remove()
    return summary


def check_fit(index: RecordIndex, data_path: Path, model: ModelConfig) -> None:
    """Raise `UserError` unless the data have the model's number of speakers and sample rate."""
    for what, found, expected in (
        ("speakers", index.num_speakers, model.num_speakers),
        ("Hz", index.sample_rate, model.sample_rate),
    ):
        if found != expected:
            raise UserError(f"{data_path}: found {found} {what}, expected {expected} {what} as the model has")


def make_key(request: Request, index: RecordIndex, chunking: Chunking) -> Key:
    """What every result depends on. Moved files are the same evaluation, an installed library is another."""
    return {
        "checkpoint": sha256(request.model_path),
        "data": index.digest,
        "batch_size": request.batch_size,
        "chunk_samples": chunking.chunk_samples,
        "overlap_samples": chunking.overlap_samples,
        "compare_whole": request.compare_whole,
        "device_target": request.device_target,
        "amp": request.amp,
        "pesq": pesq_is_installed(),
        "code": code_version(),
    }


def score_records(records: RecordFile, separation: Separation, unfinished: Unfinished) -> list[Result]:
    """Separate and score every record that has no result yet, with a progress bar; all in the records' order."""
    results = {result.record: result for result in unfinished.results}
    if unfinished.replaced:
        print(f"{unfinished.path}: found results of another checkpoint, data set or options: beginning anew")
    if results:
        print(f"going on: {len(results)} of {len(records)} utterances were scored before ({unfinished.path})")
    batches = plan_batches(records.index.num_samples, separation)
    batches = [batch for batch in batches if any(record not in results for record in batch)]
    separated = _separate(records, separation, batches, results)
    return score_all(
        records.index,
        separated,
        results,
        unfinished.append,
        is_separating=True,
        when_one_dies="a process that scores was killed (is the memory full?): the same command goes on from there",
    )


def plan_batches(num_samples: NDArray[np.int64], separation: Separation) -> list[list[int]]:
    """Record numbers in batches of equal length, the longest first, so that too little memory shows at once.

    An utterance that is cut is a batch of its own.
    """
    batches: list[list[int]] = []
    for record in np.argsort(-num_samples, kind="stable").tolist():
        last = batches[-1] if batches else []
        fits = last and len(last) < separation.batch_size and num_samples[last[0]] == num_samples[record]
        if fits and not separation.is_longer(num_samples[record]):
            last.append(record)
        else:
            batches.append([record])
    return batches


def _separate(
    records: RecordFile, separation: Separation, batches: Sequence[list[int]], done: Container[int]
) -> Iterator[Separated]:
    """Utterances as they come from the network, but for those that are done.

    The batches are always the same, so that every number is what it would be without an interruption.
    """
    utterances = records.read([record for batch in batches for record in batch])
    for batch in batches:
        raise_if_interrupted()
        audio = np.stack([next(utterances) for _ in batch])  # [B, 1 + C, T]
        num_samples = audio.shape[-1]
        is_longer = separation.is_longer(num_samples)
        tracks = separation.in_chunks(audio[0, 0])[np.newaxis] if is_longer else separation.network(audio[:, 0])
        whole = separation.network(audio[:, 0]) if is_longer and separation.compare_whole else [None] * len(batch)
        for record, one_audio, one_tracks, one_whole in zip(batch, audio, tracks, whole, strict=True):
            if record not in done:
                yield Separated(
                    record, one_audio, one_tracks, separation.sample_rate, separation.num_chunks(num_samples), one_whole
                )
