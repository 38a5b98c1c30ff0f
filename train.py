"""Train a separation network on MindRecord files from preprocess.py.

    python train.py --config configs/demo_2spk_8k.yaml --train_dir data --valid_dir data --output_dir runs/mine
    python train.py --config configs/gdprnn_2spk_8k.yaml --dry_run

Options stand above the recipe file, which stands above the defaults in src/config.py. The letters are the
paper's: N channels, L encoder kernel in samples, H LSTM units, R pairs of blocks, C speakers.
Started again with the same options, a run goes on from its last checkpoint, however it was stopped.
Several processes: scripts/run_distribute_train.sh.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.config import Config, load_config, override
from src.data.names import find_records
from src.errors import UserError
from src.runtime import prepare_environment, start, stop_when_terminated

# Options beside the letters, by section of the configuration: name, field, type, help.
DATA_AND_MODEL = (
    ("segment", "segment_seconds", float, "length of a training crop in seconds"),
    ("sr", "sample_rate", int, "sample rate in Hz"),
)
LETTERS = (
    ("N", "num_filters", int, "channels of the encoder"),
    ("L", "kernel_size", int, "encoder kernel in samples"),
    ("H", "hidden_size", int, "units of each LSTM direction"),
    ("R", "num_pairs", int, "pairs of blocks"),
    ("C", "num_speakers", int, "speakers"),
)
COURSE = (
    ("lr", "learning_rate", float, "peak learning rate"),
    ("epochs", "epochs", int, "epochs of the whole run"),
    ("batch_size", "batch_size", int, "examples that one process takes at once"),
    ("accumulation", "accumulation", int, "batches for one update"),
    ("optimizer", "optimizer", str, "adam, adamw or muon"),
    ("weight_decay", "weight_decay", float, "of adamw and muon"),
    ("initial_values", "initial_values", str, "random, mask, or a checkpoint whose weights a new run begins with"),
    ("schedule", "schedule", str, "of the learning rate: constant, step, piecewise, plateau or cosine"),
    ("ema", "average_decay", float, "keep a moving average of the weights with this decay, e.g. 0.999"),
    ("amp", "amp", str, "precision: none, bfloat16 or float16 (not on a CPU)"),
    ("early_stopping", "early_stopping_epochs", int, "stop after so many epochs without a better validation score"),
    ("save_minutes", "save_minutes", float, "minutes between checkpoints inside an epoch"),
    ("seed", "seed", int, "of initial weights, order, crops and mixtures"),
)


def make_parser() -> OptionParser:
    """All options; those of the configuration are None where they are not given."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--config", help="YAML recipe")
    parser.add_argument("--train_dir", help="training set: a .mindrecord file, or a folder with train.mindrecord")
    parser.add_argument("--valid_dir", help="validation set: a .mindrecord file, or a folder with valid.mindrecord")
    parser.add_argument(
        "--output_dir", type=Path, default=Path("runs/train"), help="for checkpoints and history (%(default)s)"
    )
    for name, _, kind, meaning in (*DATA_AND_MODEL, *LETTERS, *COURSE):
        parser.add_argument(f"--{name}", type=kind, help=meaning)
    parser.add_argument("--dynamic_mixing", action="store_true", default=None, help="mix anew in every epoch")
    parser.add_argument("--recompute", action="store_true", default=None, help="less memory, more time")
    parser.add_argument("--restart", action="store_true", help="begin anew; the run that is there is moved aside")
    parser.add_argument("--dry_run", action="store_true", help="tell the costs and try one update; needs no data")
    parser.add_argument("--device_target", default="CPU", help="CPU, Ascend or GPU (%(default)s)")
    parser.add_argument("--device_id", type=int, help="(DEVICE_ID, or 0)")
    return parser


def configure(options: argparse.Namespace) -> Config:
    """The recipe with the options above it."""
    config = load_config(options.config) if options.config else Config()
    given = vars(options)
    model = {field: given[name] for name, field, *_ in (*DATA_AND_MODEL, *LETTERS)}
    data = {
        "train": record_path(options.train_dir, "train"),
        "valid": record_path(options.valid_dir, "valid"),
        "segment_seconds": options.segment,
        "dynamic_mixing": options.dynamic_mixing,
    }
    training = {field: given[name] for name, field, *_ in COURSE} | {"recompute": options.recompute}
    for section, values in (("model", model), ("data", data), ("training", training)):
        config = override(config, section, **values)
    return config


def record_path(given: str | None, split: str) -> str | None:
    """The record file meant by a file or by a folder that holds `<split>.mindrecord`."""
    return None if given is None else str(find_records(Path(given), f"{split}.mindrecord"))


def device_of_environment() -> int:
    """DEVICE_ID, which launchers of several processes set. Raises `UserError` if it is no number."""
    text = os.environ.get("DEVICE_ID", "0")
    if not (text.isascii() and text.isdecimal()):
        raise UserError(f"DEVICE_ID: found '{text}', expected the number of a device")
    return int(text)


def command_line(words: Sequence[str], num_processes: int) -> str:
    """What starts this training, for whoever asks later."""
    script = ["bash", "scripts/run_distribute_train.sh", str(num_processes), "True"]
    return shlex.join([*(script if num_processes > 1 else ["python", "train.py"]), *words])


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options and train."""
    options = make_parser().parse_args(argv)
    config = configure(options)
    device_id = device_of_environment() if options.device_id is None else options.device_id
    prepare_environment()
    start(options.device_target, device_id)  # mindspore is loaded only once the options are known to be right
    if options.dry_run:
        from src.dry_run import dry_run

        dry_run(config)
        return
    from src.ranks import join_ranks
    from src.training import train

    ranks = join_ranks(options.device_target)
    stop_when_terminated()
    words = sys.argv[1:] if argv is None else argv
    progress = train(
        config, options.output_dir, ranks, restart=options.restart, command=command_line(words, ranks.size)
    )
    if ranks.is_first:
        print(f"trained {progress.epochs_done} epochs in {progress.seconds / 60:.1f} minutes")
        print(f"best validation SI-SNRi: {progress.best_si_snri_db:.2f} dB, {options.output_dir / 'best.ckpt'}")


if __name__ == "__main__":
    run(main)
