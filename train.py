"""Train a separation network on MindRecord files from preprocess.py.

    python train.py --config configs/demo_2spk_8k.yaml --train_dir data --valid_dir data --output_dir runs/mine

Options stand above the recipe file, which stands above the defaults in src/config.py. The letters are the
paper's: N channels, L encoder kernel in samples, H LSTM units, R pairs of blocks, C speakers.
Started again with the same options, a run goes on from its last finished epoch.
"""

from collections.abc import Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.config import Config, load_config, override
from src.runtime import prepare_environment, start


def parse(argv: Sequence[str] | None) -> tuple[Config, Path, str, int]:
    """Options to (configuration, output folder, device target, device id)."""
    parser = OptionParser(__doc__)
    parser.add_argument("--config", help="YAML recipe")
    parser.add_argument("--train_dir", help="training set: a .mindrecord file, or a folder with train.mindrecord")
    parser.add_argument("--valid_dir", help="validation set: a .mindrecord file, or a folder with valid.mindrecord")
    parser.add_argument("--output_dir", default="runs/train", help="for checkpoints and history (%(default)s)")
    parser.add_argument("--segment", type=float, help="length of a training crop in seconds")
    parser.add_argument("--sr", type=int, help="sample rate in Hz")
    for letter, meaning in (
        ("N", "channels of the encoder"),
        ("L", "encoder kernel in samples"),
        ("H", "units of each LSTM direction"),
        ("R", "pairs of blocks"),
        ("C", "speakers"),
    ):
        parser.add_argument(f"--{letter}", type=int, help=meaning)
    parser.add_argument("--lr", type=float, help="peak learning rate")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch_size", type=int, help="examples a step")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--dynamic_mixing", action="store_true", default=None, help="mix anew in every epoch")
    parser.add_argument("--device_target", default="CPU", help="CPU, Ascend or GPU (%(default)s)")
    parser.add_argument("--device_id", type=int, default=0)
    options = parser.parse_args(argv)

    config = load_config(options.config) if options.config else Config()
    model = {
        "num_filters": options.N,
        "kernel_size": options.L,
        "hidden_size": options.H,
        "num_pairs": options.R,
        "num_speakers": options.C,
        "sample_rate": options.sr,
        "segment_seconds": options.segment,
    }
    data = {
        "train": record_path(options.train_dir, "train"),
        "valid": record_path(options.valid_dir, "valid"),
        "segment_seconds": options.segment,
        "dynamic_mixing": options.dynamic_mixing,
    }
    training = {
        "learning_rate": options.lr,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "seed": options.seed,
    }
    for section, values in (("model", model), ("data", data), ("training", training)):
        config = override(config, section, **values)
    return config, Path(options.output_dir), options.device_target, options.device_id


def record_path(given: str | None, split: str) -> str | None:
    """The record file meant by a file or by a folder that holds `<split>.mindrecord`."""
    if given is None or not Path(given).is_dir():
        return given
    return str(Path(given) / f"{split}.mindrecord")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options and train."""
    config, output_dir, device_target, device_id = parse(argv)
    prepare_environment()
    start(device_target, device_id)
    from src.training import train  # mindspore is loaded only once the options are known to be right

    progress = train(config, output_dir)
    print(f"trained {progress.epochs_done} epochs in {progress.seconds / 60:.1f} minutes")
    print(f"best validation SI-SNRi: {progress.best_si_snri_db:.2f} dB, {output_dir / 'best.ckpt'}")


if __name__ == "__main__":
    run(main)
