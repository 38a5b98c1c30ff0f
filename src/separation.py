"""Audio files in, one file a speaker out.

The network runs on whole recordings, in mono and at its own rate; its tracks come back at the input's rate and
exact length. It leaves each track's gain and sign free, so `fit_gains` fixes them.

Letters in shapes: C speakers, T samples.
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import nnls
from tqdm import tqdm

from src.audio import PCM16_SCALE, make_folder, read_audio, resample, write_wav, written_aside
from src.errors import UserError
from src.inference import Separate, load_separate

Floats = NDArray[np.float64]

SIGN_RIDGE = 0.1  # of a track's power
GAIN_RIDGE = 1e-6  # of a track's power: what differs by less than -60 dB between tracks counts as equal
SMALLEST_PART = 0.1  # of the gain that a track would get if it were the only one


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


def fit_gains(tracks: NDArray[Any], mixture: NDArray[Any]) -> Floats:
    """One gain a track, with its sign, by least squares: the tracks' sum fits the mixture best.

    For tracks that are well separated this is plain least squares, whatever gains and signs they came with.
    Where tracks resemble each other plain least squares would mute a track, or turn it upside down, because
    another one holds the mixture already. Two bounds keep every track audible and upright:
    - the sign is that of a ridge regression, which lets a track that resembles others follow the mixture;
    - the size is at least a tenth of what would fit the mixture best without the other tracks.
    Equal tracks get equal gains. A silent track, or any track of a silent mixture, gets 0.

    Args:
        tracks: [C, T], of any gain and sign.
        mixture: [T].

    Returns:
        [C], to be multiplied with the tracks.
    """
    tracks = np.asarray(tracks, dtype=np.float64)
    mixture = np.asarray(mixture, dtype=np.float64)
    return gains_from_products(tracks @ tracks.T, tracks @ mixture)


def gains_from_products(track_products: Floats, mixture_products: Floats) -> Floats:
    """The rule of `fit_gains` from inner products, which can be summed over pieces of a recording.

    Args:
        track_products: [C, C], of the tracks with each other.
        mixture_products: [C], of the tracks with the mixture.

    Returns:
        [C].
    """
    norms = np.sqrt(np.diag(track_products))
    gains = np.zeros(norms.size)
    heard = norms > 0
    if not heard.any():
        return gains
    unit = norms[heard]
    alikeness = track_products[np.ix_(heard, heard)] / np.outer(unit, unit)  # [C, C], ones on the diagonal
    fit = mixture_products[heard] / unit
    signs = np.where(np.linalg.solve(_with_ridge(alikeness, SIGN_RIDGE), fit) < 0, -1.0, 1.0)
    smallest = SMALLEST_PART * np.abs(fit)
    sizes = _bounded_least_squares(np.outer(signs, signs) * alikeness, signs * fit, smallest)
    gains[heard] = signs * sizes / unit
    return gains


def _with_ridge(products: Floats, ridge: float) -> Floats:
    return products + ridge * np.eye(len(products))


def _bounded_least_squares(products: Floats, targets: Floats, smallest: Floats) -> Floats:
    """Minimize a'Ga - 2a'b over a >= smallest, for products G [C, C], with a ridge, and targets b [C]."""
    factor = np.linalg.cholesky(_with_ridge(products, GAIN_RIDGE))  # G = F F', so it is |F'a - F^-1 b|^2
    goal = solve_triangular(factor, targets, lower=True)
    above, _ = nnls(factor.T, goal - factor.T @ smallest)
    return np.asarray(smallest + above, dtype=np.float64)
