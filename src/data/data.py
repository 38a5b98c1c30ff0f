"""The batched data set for training and validation, from MindRecord files.

Letters of the shapes: B examples of a batch, C sources, T samples of a crop.

MindDataset reads the records in the plan's order, beside it runs the plan's row number, and a Python function
cuts and mixes. Only a few records are in memory at any time.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import mindspore.dataset as ds
import numpy as np
from numpy.typing import NDArray

from src.config import DataConfig
from src.data.chain import add_noise_floor, code, equalize, reverberate
from src.data.formants import move_formants
from src.data.mixing import Example, Pcm, Samples, cut_mixture, cut_source, mix
from src.data.plan import Plan, Voices, dynamic_plan, static_plan
from src.data.records import READING_WORKERS, RecordFile
from src.errors import UserError

Rows = NDArray[np.int64]
MakeExample = Callable[[int, Sequence[Pcm]], Example]
Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]  # [B, T], [B, C, T], [B]
MIXING_WORKERS = 2  # threads
VALIDATION_PLACES = (0.5, 0.25, 0.75, 0.0, 1.0)  # the middle, unless a source is silent there


class TrainingData:
    """Training examples of a record file, cut anew or mixed anew in every epoch.

    Args:
        path: a .mindrecord file from preprocess.py.
        config: how to cut and mix.
        batch_size: B, examples of one process.
        seed: with the epoch, it decides every random choice.
        shard: (rank, number of processes). The processes' batches together are the batch that a single
            process with batch size B * processes would get.
        num_epochs: of the whole training, over which the configuration's `pitch_ratio` goes from first to last.
        num_speakers: C of the network; the file's own by default. It may differ from the file's when mixing
            on the fly.
        sample_rate: of the network in Hz, to be compared with the file's.

    Raises `UserError` if the file cannot be read or does not fit the network or the configuration.
    """

    def __init__(
        self,
        path: Path | str,
        config: DataConfig,
        batch_size: int,
        seed: int,
        shard: tuple[int, int] = (0, 1),
        *,
        num_epochs: int = 1,
        num_speakers: int | None = None,
        sample_rate: int | None = None,
    ) -> None:
        self.records = RecordFile(path)
        self.num_speakers = num_speakers or self.records.index.num_speakers
        self.num_samples = round(config.segment_seconds * self.records.index.sample_rate)
        self._config, self._batch_size, self._seed = config, batch_size, seed
        self._rank, self._num_ranks = shard
        self._num_epochs = num_epochs
        _check_fits(self.records, None if config.dynamic_mixing else num_speakers, sample_rate)
        self._voices = self._checked_voices() if config.dynamic_mixing else None
        self._check_batches()

    @property
    def examples_per_epoch(self) -> int:
        """How many rows an epoch's plan has."""
        wanted = self._config.dynamic_examples if self._config.dynamic_mixing else 0
        return wanted or len(self.records)

    @property
    def batches_per_epoch(self) -> int:
        """Batches of one process in an epoch.

        The rows that do not fill a batch of all processes are left out: others in every epoch.
        """
        return self.examples_per_epoch // (self._batch_size * self._num_ranks)

    def plan(self, epoch: int) -> Plan:
        """Every random choice of an epoch."""
        if self._voices is None:
            return static_plan(len(self.records), self._seed, epoch)
        progress = min(1.0, epoch / max(1, self._num_epochs - 1))
        return dynamic_plan(self._voices, self.num_speakers, self._config, self._seed, epoch, progress=progress)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """This process's batches of an epoch: mixture [B, T], sources [B, C, T], number of true samples [B].

        `first_batch` skips as many batches without reading them.
        """
        plan = self.plan(epoch)
        rows = self._rows_of_this_rank(first_batch)
        make = self._mix_example if self._config.dynamic_mixing else self._cut_example
        examples = _examples(self.records, plan.records[rows], rows, partial(make, plan))
        return _batches(examples, self._batch_size)

    def _rows_of_this_rank(self, first_batch: int) -> NDArray[np.int64]:
        shape = (self.batches_per_epoch, self._num_ranks, self._batch_size)
        rows = np.arange(np.prod(shape)).reshape(shape)
        return rows[first_batch:, self._rank].ravel()

    def _cut_example(self, plan: Plan, row: int, recordings: Sequence[Pcm]) -> Example:
        loudness_lufs = self.records.index.loudness_lufs[plan.records[row, 0]]
        return cut_mixture(recordings[0], loudness_lufs, plan.places[row, 0], self.num_samples)

    def _mix_example(self, plan: Plan, row: int, recordings: Sequence[Pcm]) -> Example:
        records, sources = plan.records[row], plan.sources[row]
        loudness_lufs = self.records.index.loudness_lufs[records, sources]  # [C]
        pieces = [
            self._make_source(plan, (row, c), recording[1 + sources[c]], loudness_lufs[c])
            for c, recording in enumerate(recordings)
        ]
        return mix(pieces, plan.targets_lufs[row] - loudness_lufs)

    def _make_source(self, plan: Plan, place: tuple[int, int], source: Pcm, loudness_lufs: float) -> Samples:
        """Cut what stands at a place of the plan out of a whole source [n], and send it through its chain: [T]."""
        rate = self.records.index.sample_rate
        speed = plan.speeds[place]
        piece = cut_source(source, loudness_lufs, plan.places[place], speed, self.num_samples)
        piece = move_formants(piece, plan.formants[place] / speed, rate)
        piece = reverberate(piece, plan.rt60_seconds[place], plan.direct_db[place], rate, plan.room_seeds[place])
        piece = equalize(piece, plan.equalizers_db[place], plan.bandwidths[place])
        piece = add_noise_floor(piece, plan.noise_floors_db[place], plan.noise_seeds[place])
        return code(piece, plan.coders[place], plan.coder_bits[place], rate)

    def _checked_voices(self) -> Voices:
        index = self.records.index
        if index.mixture_type != "mix_clean":
            raise UserError(
                f"{self.records.path}: mixing on the fly adds speech alone: found {index.mixture_type}, "
                f"expected mix_clean"
            )
        unknown = sum(1 for speakers in index.speakers if not speakers)
        if unknown:
            raise UserError(
                f"{self.records.path}: mixing on the fly must know who speaks: "
                f"found {unknown} of {len(self.records)} mixtures without speakers"
            )
        voices = Voices(index)
        if voices.num_persons < self.num_speakers:
            raise UserError(
                f"{self.records.path}: mixing on the fly: found {voices.num_persons} different persons, "
                f"expected at least {self.num_speakers}"
            )
        return voices

    def _check_batches(self) -> None:
        if self.batches_per_epoch == 0:
            raise UserError(
                f"{self.records.path}: found {self.examples_per_epoch} examples an epoch, "
                f"expected at least one batch of {self._batch_size * self._num_ranks}"
            )


def validation_batches(
    path: Path | str,
    batch_size: int,
    segment_seconds: float,
    *,
    num_speakers: int | None = None,
    sample_rate: int | None = None,
) -> Iterator[tuple[Batch, int]]:
    """One piece of every record, always the same: its middle, or where no source is silent.

    Yields batches as `TrainingData` does, and how many of a batch's examples count: the last batch is filled
    up with copies of its last example, so that every batch has the same shape.

    Raises `UserError` as `TrainingData` does.
    """
    records = RecordFile(path)
    _check_fits(records, num_speakers, sample_rate)
    num_samples = round(segment_seconds * records.index.sample_rate)
    rows = np.arange(len(records))

    def cut(row: int, recordings: Sequence[Pcm]) -> Example:
        return cut_mixture(recordings[0], records.index.loudness_lufs[row], np.array(VALIDATION_PLACES), num_samples)

    missing = -len(records) % batch_size
    filled = np.concatenate([rows, np.repeat(rows[-1:], missing)])
    batches = _batches(_examples(records, filled[:, None], filled, cut), batch_size)
    return ((batch, min(batch_size, len(records) - i * batch_size)) for i, batch in enumerate(batches))


def _examples(records: RecordFile, wanted: Rows, rows: Rows, make: MakeExample) -> Iterator[Example]:
    """`make(row, recordings)` for every row, in order; wanted [rows, M]: the M records that each needs."""
    step = len(records)  # MindDataset takes no more positions than there are records
    for start in range(0, len(rows), step):
        pipeline = _pipeline(records, wanted[start : start + step], rows[start : start + step], make)
        for mixture, sources, num_samples in pipeline.create_tuple_iterator(num_epochs=1, output_numpy=True):
            yield mixture, sources, np.int32(num_samples)


def _pipeline(records: RecordFile, wanted: Rows, rows: Rows, make: MakeExample) -> Any:
    columns = [f"audio_{m}" for m in range(wanted.shape[1])]
    streams = [records.dataset(order, column) for order, column in zip(wanted.T, columns, strict=True)]
    row_numbers = ds.NumpySlicesDataset(rows, column_names=["row"], shuffle=False)

    def to_example(row: NDArray[np.int64], *audio: NDArray[np.bytes_]) -> Example:
        return make(int(row), [records.unpack(blob) for blob in audio])

    return ds.zip((row_numbers, *streams)).map(
        to_example,
        input_columns=["row", *columns],
        output_columns=["mixture", "sources", "num_samples"],
        num_parallel_workers=min(MIXING_WORKERS, READING_WORKERS),
        python_multiprocessing=False,
    )


def _batches(examples: Iterator[Example], batch_size: int) -> Iterator[Batch]:
    batch: list[Example] = []
    for example in examples:
        batch.append(example)
        if len(batch) == batch_size:
            mixtures, sources, num_samples = zip(*batch, strict=True)
            yield np.stack(mixtures), np.stack(sources), np.array(num_samples, dtype=np.int32)
            batch = []


def _check_fits(records: RecordFile, num_speakers: int | None, sample_rate: int | None) -> None:
    index = records.index
    if num_speakers is not None and index.num_speakers != num_speakers:
        raise UserError(
            f"{records.path}: found mixtures of {index.num_speakers} speakers, expected {num_speakers} "
            f"as in the network (num_speakers, C)"
        )
    if sample_rate is not None and index.sample_rate != sample_rate:
        raise UserError(
            f"{records.path}: found a sample rate of {index.sample_rate} Hz, expected {sample_rate} Hz "
            f"as in the network (sample_rate, sr)"
        )
