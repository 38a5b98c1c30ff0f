"""Recordings in, one track a speaker out: from Python with `Separator`, from the command line with `separate_files`.

Importing this neither loads mindspore nor does anything else; making a `Separator` does.

Letters in shapes: C speakers, T samples.
"""

import numbers
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from src.audio import PathLike
from src.audio_stream import ArraySource, FileSource, Source
from src.config import CHUNK_SECONDS
from src.errors import UserError
from src.pretrained import PRETRAINED
from src.recordings.hidden_folder import hidden_folder, put_in_place
from src.recordings.inputs import Input, Planned, expand_inputs, open_input, plan_outputs
from src.recordings.passes import Network, OnProgress, no_progress, separated, with_residual
from src.recordings.remarks import InputReport
from src.recordings.screen import ProgressBar, Remarks, tell
from src.recordings.track_files import Track, check_rate, choose_format, write_tracks
from src.runtime import interruptible, prepare_environment, start
from src.stitching.chunks import Chunking


class Separator:
    """A trained network, ready to separate recordings of any length, at any sample rate.

    Each track has one gain and sign for the whole recording, by the rule of `src.stitching.gains.fit_gains`. What a
    listener should know of an input (it is clipped, silent, …) is told on standard error.
    """

    def __init__(
        self,
        model_path: PathLike = PRETRAINED,
        *,
        device: str = "CPU",
        device_id: int = 0,
        chunk_seconds: float = CHUNK_SECONDS,
        overlap_seconds: float | None = None,
        batch_size: int = 1,
        amp: str = "none",
    ) -> None:
        """Load a network.

        Args:
            model_path: a checkpoint of train.py; by default the one that comes with the program.
            device: CPU, Ascend or GPU.
            device_id: which of them.
            chunk_seconds: longer recordings are separated in chunks of this length; 0: all at once.
            overlap_seconds: what neighbouring chunks share at least, at most half of a chunk; by default
                OVERLAP_SECONDS of src/config.py, or a quarter of shorter chunks.
            batch_size: chunks that go through the network together.
            amp: "bfloat16" for products in bfloat16, on a CPU with avx512_bf16 or AMX and for N and H in 32s.

        Raises:
            UserError: the checkpoint or the device cannot be used or do not allow `amp`, or a number is out of its
                range.
        """
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise UserError(f"batch_size: found {batch_size}, expected a whole number, at least 1")
        prepare_environment()
        start(device, device_id)
        from src.inference import load_separate  # loads mindspore

        separate, model = load_separate(Path(model_path), amp)
        chunking = Chunking.from_seconds(chunk_seconds, overlap_seconds, model.sample_rate)
        self.network = Network(separate, model, chunking, batch_size)
        self._remarks = Remarks(model)

    def __call__(self, audio: PathLike | ArrayLike, sample_rate: int | None = None) -> NDArray[np.float32]:
        """Separate a file or samples.

        Args:
            audio: the path of a file, or samples, floating point with full scale at 1.0, [T] or [channels, T].
            sample_rate: of the samples, in Hz; a file tells its own.

        Returns:
            The tracks, float32 [C, T], at the input's sample rate and length.

        Raises:
            UserError: the input cannot be used, or the memory does not suffice.
        """
        with interruptible():
            return separate_array(to_source(audio, sample_rate), self.network, self._remarks)

    def separate_file(
        self, path: PathLike, output_dir: PathLike, residual: bool = False, format: str = "wav"
    ) -> list[Path]:
        """Separate a file into `<output_dir>/<name>_s1.wav` to `<name>_sC.wav`, which appear together or not at all.

        Args:
            path: the file, of any rate, length and number of channels (which are averaged).
            output_dir: made if missing; files in it that have other names are left alone.
            residual: write `<name>_residual.wav` too, the input minus the sum of the tracks.
            format: "wav" or "flac". The bit depth is the input's. What would exceed full scale is 32-bit float wav.

        Returns:
            The files written.

        Raises:
            UserError: the input cannot be used, an output cannot be written, or the memory does not suffice.
        """
        count = self.network.model.num_speakers
        plan = plan_outputs([Input(Path(path))], Path(output_dir), count, residual=residual, extension=format)
        with interruptible():
            tracks, _ = separate_planned(plan[0], Path(output_dir), self.network, self._remarks, extension=format)
        return [track.final for track in tracks]


def to_source(audio: PathLike | ArrayLike, sample_rate: int | None) -> Source:
    """A file or samples, checked as far as they can be before they are read; see `Separator.__call__`."""
    if isinstance(audio, str | os.PathLike):
        if sample_rate is not None:
            raise UserError(f"sample_rate: found {sample_rate} beside {audio}, expected none: a file tells its own")
        return FileSource(Path(audio))
    try:
        samples = np.atleast_2d(np.asarray(audio))
    except ValueError:
        raise UserError("the array: found rows of different lengths, expected [T] or [channels, T]") from None
    if not np.issubdtype(samples.dtype, np.floating):
        raise UserError(f"the array: found {samples.dtype} samples, expected floating point with full scale at 1.0")
    if samples.ndim != 2 or samples.size == 0 or len(samples) > max(samples.shape[1], 8):
        raise UserError(f"the array: found shape {np.shape(audio)}, expected [T] or [channels, T] with T > 0")
    if not np.isfinite(samples).all():
        raise UserError("the array: found NaN or infinite samples, expected finite samples only")
    if not (isinstance(sample_rate, numbers.Real) and sample_rate == sample_rate // 1):
        raise UserError(f"sample_rate: found {sample_rate}, expected that of the array, in whole Hz")
    return ArraySource(samples, int(sample_rate))


def separate_array(source: Source, network: Network, remarks: Remarks) -> NDArray[np.float32]:
    """The tracks of a recording, float32 [C, T]; see `Separator.__call__`."""

    def on_report(report: InputReport) -> None:
        remarks.about(source.name, report)

    with (
        hidden_folder(Path(tempfile.gettempdir())) as folder,
        separated(source, network, folder, no_progress, on_report) as result,
    ):
        tracks = np.empty((network.model.num_speakers, result.report.num_samples), np.float32)
        place = 0
        for block in result.blocks():
            tracks[:, place : place + len(block)] = block.T
            place += len(block)
    return tracks


def separate_planned(
    planned: Planned,
    output_dir: Path,
    network: Network,
    remarks: Remarks,
    *,
    extension: str = "wav",
    on_progress: OnProgress = no_progress,
) -> tuple[list[Track], float]:
    """Separate one input to its output files, which appear together or not at all.

    Returns:
        The files, and the seconds of audio.

    Raises:
        UserError: the input cannot be used, an output cannot be written, or the memory does not suffice.
    """

    def on_report(report: InputReport) -> None:
        check_rate(report.sample_rate, extension)
        remarks.about(planned.input.name, report)

    with hidden_folder(output_dir) as folder:
        source = open_input(planned.input, folder)
        with separated(source, network, folder, on_progress, on_report) as result:
            report = result.report
            has_residual = len(planned.stems) > network.model.num_speakers
            form = choose_format(report.subtype, extension)
            tracks = write_tracks(
                [Track(stem, folder, form) for stem in planned.stems],
                lambda: with_residual(result.blocks(), source) if has_residual else result.blocks(),
                report.num_samples,
                report.sample_rate,
            )
        put_in_place({track.path: track.final for track in tracks})
    for track in tracks:
        if track.form != form:
            tell(f"note: {track.final}: goes beyond full scale, so it is written as 32-bit float wav")
    return tracks, report.seconds


def separate_files(
    inputs: Sequence[str],
    output_dir: Path,
    model_path: Path,
    *,
    residual: bool = False,
    extension: str = "wav",
    **settings: Any,
) -> None:
    """Separate recordings into `<output_dir>/<name>_s1.wav` to `<name>_sC.wav` with a checkpoint's network.

    What is written is told on standard output. An input that cannot be used is told on standard error, and the
    others go on.

    Args:
        inputs: files, folders, patterns, or `-` for standard input; see `expand_inputs`.
        output_dir: made if missing; files in it that have other names are left alone.
        model_path: a checkpoint of train.py.
        residual: write `<name>_residual.wav` too, the input minus the sum of the tracks.
        extension: "wav" or "flac".
        settings: of `Separator`.

    Raises:
        UserError: the checkpoint or the output folder cannot be used, names clash, or, after all others are
            done, one or more inputs could not be separated.
    """
    recordings, problems = expand_inputs(inputs)
    for problem in problems:
        tell(f"error: {problem}")
    if recordings:
        network = Separator(model_path, **settings).network
        plan = plan_outputs(recordings, output_dir, network.model.num_speakers, residual=residual, extension=extension)
        separate_each(plan, output_dir, network, extension, len(problems))
    else:
        raise_if_failed(len(problems), len(problems))


def separate_each(
    plan: Sequence[Planned], output_dir: Path, network: Network, extension: str = "wav", num_failed: int = 0
) -> None:
    """Separate each input to its output files; see `separate_files`. `num_failed` inputs have failed before."""
    remarks = Remarks(network.model)
    num_inputs = len(plan) + num_failed
    for planned in plan:
        bar = ProgressBar(planned.input.name)
        began = time.perf_counter()
        try:
            tracks, seconds = separate_planned(
                planned, output_dir, network, remarks, extension=extension, on_progress=bar
            )
        except UserError as error:
            num_failed += 1
            tell(f"error: {error}")
            continue
        finally:
            bar.close()
        factor = (time.perf_counter() - began) / seconds
        paths = ", ".join(str(track.final) for track in tracks)
        with suppress(OSError):  # nobody reads it, as behind `| head`; the work goes on
            tqdm.write(f"{planned.input.name} -> {paths}  ({seconds:.1f} s of audio, {factor:.2f} x real time)")
    raise_if_failed(num_failed, num_inputs)


def raise_if_failed(num_failed: int, num_inputs: int) -> None:
    """Raise the `UserError` that ends a program in which something failed."""
    if num_failed:
        raise UserError(f"{num_failed} of {num_inputs} inputs could not be separated, see the lines above")
