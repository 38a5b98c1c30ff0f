"""Audio files in, one file a speaker out.

The network runs on whole recordings, in mono and at its own rate; its tracks come back at the input's rate and
exact length. It leaves each track's gain and sign free, so `fit_gains` fixes them.

Letters in shapes: C speakers, T samples.
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from src.audio import PCM16_SCALE, make_folder, read_audio, resample, write_wav, written_aside
from src.errors import UserError
from src.gains import fit_gains
from src.inference import Separate, load_separate

Floats = NDArray[np.float64]


def separate_files(inputs: Sequence[Path], model_path: Path, output_dir: Path) -> None:
    """Separate each file into `<output_dir>/<name>_s1.wav` to `<name>_sC.wav` with a checkpoint's network.

    What is written is told on standard output. An input that cannot be used is told on standard error, and the
    others go on.

    Args:
        inputs: files that libsndfile reads, of any rate and number of channels (which are averaged).
        model_path: a checkpoint of train.py.
        output_dir: made if missing; files in it that have other names are left alone.

    Raises:
        UserError: the checkpoint or the output folder cannot be used, names clash, or, after all others are
            done, one or more inputs could not be separated.
    """
    separate, model = load_separate(model_path)
    outputs = plan_outputs(inputs, output_dir, model.num_speakers)
    separate_each(outputs, separate, model.sample_rate)


def plan_outputs(inputs: Sequence[Path], output_dir: Path, num_speakers: int) -> dict[Path, tuple[Path, ...]]:
    """The output paths of each input, checked: none is an input, none is another's, the folder can be written.

    Raises:
        UserError: one of these is not so.
    """
    planned: dict[Path, Path] = {}  # output -> its input
    taken = {path.resolve() for path in inputs}
    outputs = {}
    for path in inputs:
        outputs[path] = tuple(output_dir / f"{path.stem}_s{c + 1}.wav" for c in range(num_speakers))
        for output in outputs[path]:
            if output.resolve() in taken:
                raise UserError(f"{path}: its output {output} is an input too, expected another --output-dir")
            if planned.setdefault(output, path) != path:
                raise UserError(
                    f"{path}: its output {output} is also that of {planned[output]}, expected different names"
                )
    make_folder(output_dir)
    return outputs


def separate_each(outputs: dict[Path, tuple[Path, ...]], separate: Separate, model_rate: int) -> None:
    """Separate each input to its output paths; see `separate_files`."""
    failed = 0
    for path, output_paths in tqdm(outputs.items(), desc="separating", unit="file"):
        try:
            written_as_float = separate_file(path, output_paths, separate, model_rate)
        except UserError as error:
            failed += 1
            tqdm.write(f"error: {error}", file=sys.stderr)
            continue
        tqdm.write(f"{path} -> {', '.join(map(str, output_paths))}")
        for output in written_as_float:
            tqdm.write(f"{output}: goes beyond full scale, so it is written as 32-bit float")
    if failed:
        raise UserError(f"{failed} of {len(outputs)} inputs could not be separated, see the lines above")


def separate_file(path: Path, output_paths: Sequence[Path], separate: Separate, model_rate: int) -> list[Path]:
    """Separate one file; all its outputs appear together or not at all.

    Each is 16-bit PCM, or 32-bit float where a sample would exceed full scale.

    Returns:
        The outputs that are float.

    Raises:
        UserError: the input cannot be used, or an output cannot be written.
    """
    samples, rate = read_audio(path)  # [channels, T]
    mixture = samples.mean(axis=0)
    try:
        tracks = separate_recording(mixture, rate, separate, model_rate)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    are_float = [exceeds_full_scale(track) for track in tracks]
    with ExitStack() as stack:
        asides = [stack.enter_context(written_aside(output)) for output in output_paths]
        for aside, track, is_float in zip(asides, tracks, are_float, strict=True):
            write_wav(aside, track, rate, "FLOAT" if is_float else "PCM_16")
    return [output for output, is_float in zip(output_paths, are_float, strict=True) if is_float]


def separate_recording(mixture: Floats, rate: int, separate: Separate, model_rate: int) -> Floats:
    """Separate a mono recording [T] at any rate into tracks [C, T] at the same rate, gains and signs fixed."""
    at_model_rate = resample(mixture, rate, model_rate)  # [T at the model's rate]
    tracks = separate(at_model_rate[np.newaxis].astype(np.float32))[0]  # [C, T at the model's rate]
    tracks = fit_gains(tracks, at_model_rate)[:, np.newaxis] * tracks
    return np.asarray(resample(tracks, model_rate, rate, length=mixture.size), dtype=np.float64)


def exceeds_full_scale(samples: Floats) -> bool:
    """Whether 16 bits would clip these samples."""
    steps = np.rint(samples * PCM16_SCALE)
    return bool(steps.max() > PCM16_SCALE - 1 or steps.min() < -PCM16_SCALE)
