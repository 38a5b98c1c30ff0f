"""Make a small checkpoint for others of one that a run keeps: the weights for use, and what they are.

    python -m src.publish runs/mine/best.ckpt checkpoints/gdprnn_2spk_8k.ckpt

The file has the moving average of the weights where the run kept one, and else the weights; the configuration without
the paths of the data; and how far the run had come. It has no state of the optimizer, so no run goes on from it. Every
program takes it as it takes a checkpoint of train.py.

Weights are stored as float16, in half the bytes, and are float32 again where they are read. Before that the network
with the rounded weights is compared with the other on a recording of two people: if what rounding changes is not far
below the tracks, nothing is written. --float32 keeps every bit.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.command_line import OptionParser, run
from src.config import Config
from src.errors import UserError
from src.files import make_folder
from src.runtime import prepare_environment, start, stop_when_terminated

# How far below the tracks what rounding changes has to be. From 40 dB on a track with an SI-SNR of 12 dB loses less
# than 0.01 dB, 10 * log10(1 + 10 ** (-28 / 10)).
LEAST_DISTANCE_DB = 40.0
SPEECH_SECONDS = 4.0  # of the recording that is compared
PROGRESS = ("epochs_done", "steps_done", "seconds", "cpu_seconds", "num_processes", "best_si_snri_db")

Weights = dict[str, NDArray[np.floating[Any]]]


def make_parser() -> OptionParser:
    """The options."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("source", type=Path, metavar="IN", help="checkpoint of train.py")
    parser.add_argument("target", type=Path, metavar="OUT", help="file to write, ending in .ckpt")
    parser.add_argument("--float32", action="store_true", help="store the weights as they are, in twice the bytes")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options, publish, and tell what was written."""
    options = make_parser().parse_args(argv)
    stop_when_terminated()
    print(publish(options.source, options.target, rounded=not options.float32))


def publish(source: Path, target: Path, *, rounded: bool = True) -> str:
    """Write `target`, whole or not at all.

    Args:
        source: a checkpoint of train.py.
        target: the file; its folder is made if it is missing.
        rounded: store the weights as float16.

    Returns:
        A line that tells what was written.

    Raises:
        UserError: a file cannot be read or written, weights are not finite, or rounding them changes the tracks.
    """
    if target.suffix != ".ckpt":
        raise UserError(f"{target}: found a name ending in '{target.suffix}', expected one ending in '.ckpt'")
    prepare_environment()
    start("CPU")
    from mindspore import Parameter, Tensor

    from src import checkpoint

    stored = checkpoint.read(source)
    kind = "average" if checkpoint.averages(stored) else "trained"
    cell = checkpoint.build_network(stored, source)
    weights = {parameter.name: parameter.asnumpy() for parameter in cell.get_parameters()}
    _check_finite(weights, source)
    distance_db = None
    if rounded:
        weights = {name: _round(values, name, source) for name, values in weights.items()}
        distance_db = _distance_db(stored, weights, source)
        if distance_db < LEAST_DISTANCE_DB:
            raise UserError(
                f"{source}: what rounding the weights to float16 changes is {distance_db:.1f} dB below the tracks, "
                f"expected at least {LEAST_DISTANCE_DB:g} dB: choose --float32"
            )
    make_folder(target.parent)
    entries = [Parameter(Tensor(values), name=name) for name, values in weights.items()]
    made = _made_of(stored.progress, stored.version, source, kind)
    checkpoint.save(target, entries, _without_paths(stored.config), made)
    return _told(target, weights, kind, distance_db)


def _check_finite(weights: Mapping[str, NDArray[Any]], path: Path) -> None:
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise UserError(f"{path}: found NaN or infinite values in '{name}', expected finite weights")


def _round(values: NDArray[Any], name: str, path: Path) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        largest = float(np.abs(values).max())
        raise UserError(f"{path}: found {largest:.3g} in '{name}', expected no more than float16 holds: use --float32")
    return half


def _distance_db(stored: Any, weights: Weights, path: Path) -> float:
    """How far what rounding changes is below the track that it changes most, for two people who speak at once."""
    from mindspore import Tensor

    from src import checkpoint
    from src.audio import read_mono
    from src.infer310.comparison import TWO_PEOPLE
    from src.inference import as_separate

    model = stored.config.model
    speech = read_mono(TWO_PEOPLE, model.sample_rate)[: round(SPEECH_SECONDS * model.sample_rate)]
    tracks = []
    for values in (stored.values, {name: Tensor(array) for name, array in weights.items()}):
        network = checkpoint.build_network(stored._replace(values=values), path)
        tracks.append(as_separate(network, model, path)(speech[np.newaxis])[0])
    before, after = tracks  # [C, T]
    return power_ratio_db(before, after - before)


def power_ratio_db(tracks: NDArray[Any], changes: NDArray[Any]) -> float:
    """Of tracks [C, T] and what changes in them [C, T]: the smallest ratio of the powers, infinite without a change."""
    powers = [np.square(each, dtype=np.float64).sum(axis=1) for each in (tracks, changes)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = 10 * np.log10(powers[0] / powers[1])
    return float(np.min(np.where(powers[1] == 0, math.inf, ratios)))


def _without_paths(config: Config) -> Config:
    data, training = config.data, config.training
    if training.initial_checkpoint:
        training = dataclasses.replace(training, initial_values=Path(training.initial_checkpoint).name)
    return dataclasses.replace(config, data=dataclasses.replace(data, train="", valid=""), training=training)


def _made_of(progress: Mapping[str, Any], version: str, source: Path, kind: str) -> dict[str, Any]:
    """What the published checkpoint tells of the run."""
    kept = {name: progress[name] for name in PROGRESS if name in progress}
    return {"published_from": source.name, "trained_with": version, "weights": kind, **kept}


def _told(target: Path, weights: Weights, kind: str, distance_db: float | None) -> str:
    count = sum(values.size for values in weights.values())
    size = f"{target.stat().st_size / 1e6:.2f} MB"
    if distance_db is None:
        return f"{target}: {count} {kind} weights as float32, {size}"
    change = "changes nothing" if math.isinf(distance_db) else f"changes the tracks by {-distance_db:.1f} dB"
    return f"{target}: {count} {kind} weights as float16, {size}; rounding {change}"


if __name__ == "__main__":
    run(main, "nothing is left behind, and a file that was there before still is")
