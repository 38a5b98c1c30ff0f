"""One recording of any length through a network: in, separated, out again, each pass from disk to disk.

Pass 0 reads the input, averages its channels and brings it to the network's rate. Pass 1 separates that in chunks
and sums what `src.stitching.gains` needs for one gain and sign a track. Pass 2 scales the tracks and brings them back
to the input's rate and length. Between the passes everything lies in temporary files, so the memory needed does not
depend on the recording's length.

Letters in shapes: C tracks, T samples at the input's rate, T' at the network's, t samples of a block.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.audio import resampled_length
from src.audio_stream import SampleFile, Source, block_length, fitted, resampled
from src.config import ModelConfig
from src.errors import UserError
from src.recordings.remarks import LARGEST_SAMPLE, InputReport, Meter
from src.stitching.chunks import Chunking, Separate, separate_in_chunks
from src.stitching.gains import gains_from_products

Floats = NDArray[np.float64]

LOWEST_RATE, HIGHEST_RATE = 100, 10_000_000  # Hz; beyond lies no audio, and soxr leaves its range


@dataclass(frozen=True)
class Network:
    """What separates, and in which pieces."""

    separate: Separate
    model: ModelConfig
    chunking: Chunking
    batch_size: int = 1  # chunks that go through it together


# (stage, seconds of audio since the last call, seconds in all or None where that is not known)
OnProgress = Callable[[str, float, float | None], None]


def no_progress(_stage: str, _seconds: float, _total: float | None) -> None:
    """Tell nothing."""


def read_mixture(source: Source, mixture: SampleFile, model_rate: int, on_progress: OnProgress) -> InputReport:
    """Pass 0: the mean of the channels at the network's rate, ceil(T * model_rate / rate) samples, into `mixture`.

    Raises:
        UserError: the source cannot be used, for all the reasons of `open_audio` and `AudioReader.read`, or its
            samples or rate are far from those of audio; or the disk is full.
    """
    with source.open() as reader:
        rate = reader.sample_rate
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise UserError(
                f"{source.name}: found a sample rate of {rate} Hz, expected {LOWEST_RATE} to {HIGHEST_RATE}"
            )
        meter = Meter(reader.num_channels)
        seconds = reader.num_samples / rate if reader.num_samples else None
        length = block_length(reader.num_channels, model_rate / rate)

        def mono_blocks() -> Iterator[Floats]:
            while len(block := reader.read(length)):
                channels = np.ascontiguousarray(block.T)  # [channels, t]: several times as fast from here on
                _check_scale(source.name, channels)
                mono = channels.mean(axis=0)
                meter.add(channels, mono)
                on_progress("reading", len(block) / rate, seconds)
                yield mono[:, np.newaxis]

        for block in resampled(mono_blocks(), rate, model_rate):
            mixture.append(block[:, 0])
        report = InputReport(
            meter.num_samples, rate, reader.num_channels, reader.subtype, meter.rms, meter.clipped_runs
        )
    mixture.set_length(resampled_length(report.num_samples, rate, model_rate))
    return report


def _check_scale(name: str, channels: Floats) -> None:
    largest = max(channels.max(), -channels.min())
    if largest > LARGEST_SAMPLE:
        raise UserError(f"{name}: found samples up to {largest:.1g}, expected them between -1 and 1")


def separate_mixture(
    mixture: SampleFile, tracks: SampleFile, network: Network, scratch_dir: Path, on_progress: OnProgress
) -> Floats:
    """Pass 1: the network's tracks [T', C] into `tracks`; returns the factor of each [C], by the rule of `fit_gains`.

    Raises:
        UserError: the memory does not suffice, the network gives no numbers, or the disk is full.
    """
    model_rate, count = network.model.sample_rate, network.model.num_speakers
    seconds = len(mixture) / model_rate
    track_products, mixture_products = np.zeros((count, count)), np.zeros(count)
    pieces = separate_in_chunks(
        mixture,
        network.separate,
        network.chunking,
        model_rate,
        batch_size=network.batch_size,
        scratch_dir=str(scratch_dir),
        on_progress=lambda num_samples: on_progress("separating", num_samples / model_rate, seconds),
    )
    for piece in pieces:  # [C, t]
        values = piece.astype(np.float64)
        track_products += values @ values.T
        mixture_products += values @ mixture[len(tracks) : len(tracks) + piece.shape[1]]
        tracks.append(piece.T)
    return gains_from_products(track_products, mixture_products)


def scaled_tracks(
    tracks: SampleFile, gains: Floats, model_rate: int, report: InputReport, on_progress: OnProgress
) -> Iterator[Floats]:
    """Pass 2: the tracks with their gains, at the input's rate and length, in blocks [t, C]."""
    rate = report.sample_rate
    length = block_length(max(gains.size, report.num_channels), rate / model_rate)
    scaled = (block * gains for block in tracks.blocks(length))
    for block in fitted(resampled(scaled, model_rate, rate), report.num_samples):
        on_progress("writing", len(block) / rate, report.seconds)
        yield block


class Separated:
    """A recording that has been through passes 0 and 1."""

    def __init__(self, report: InputReport, blocks: Callable[[], Iterator[Floats]]) -> None:
        self.report = report
        self.blocks = blocks  # pass 2, any number of times: blocks [t, C], together [T, C]


@contextmanager
def separated(
    source: Source,
    network: Network,
    folder: Path,
    on_progress: OnProgress,
    on_report: Callable[[InputReport], None],
) -> Iterator[Separated]:
    """Passes 0 and 1; the result can be used as long as the block lasts.

    Args:
        source: the recording.
        network: what separates it.
        folder: for the temporary files: 4 (2 C + 1) bytes a sample at the network's rate.
        on_progress: told how far it is.
        on_report: called when all has been read and nothing separated; may raise `UserError`.

    Raises:
        UserError: as `read_mixture` and `separate_mixture`, or what `on_report` raises; it begins with the
            source's name.
    """
    with _told_with_name(source.name), SampleFile(folder, network.model.num_speakers) as tracks:
        with SampleFile(folder) as mixture:
            report = read_mixture(source, mixture, network.model.sample_rate, on_progress)
            on_report(report)
            gains = separate_mixture(mixture, tracks, network, folder, on_progress)
        yield Separated(report, lambda: scaled_tracks(tracks, gains, network.model.sample_rate, report, on_progress))


@contextmanager
def _told_with_name(name: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        if str(error).startswith(name):
            raise
        raise UserError(f"{name}: {error}") from error


def with_residual(blocks: Iterator[Floats], source: Source) -> Iterator[Floats]:
    """Blocks [t, C + 1]: the tracks, and what is missing from their sum to the mean of the source's channels."""
    with source.open() as reader:
        for block in blocks:
            mixture = reader.read(len(block))
            if len(mixture) < len(block):
                raise UserError(f"{source.name}: found fewer samples than before, expected a file at rest")
            mono = np.ascontiguousarray(mixture.T).mean(axis=0)  # as it was read the first time
            yield np.column_stack((block, mono - block.sum(axis=1)))
