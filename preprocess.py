"""A data set for training and evaluation, or inputs for the C++ program; --mode says which.

--mode dataset, the default: data set -> JSON manifests -> MindRecord.
Reads mixtures and their sources from LibriMix's folders (with or without its metadata), or from the older
{tr,cv,tt}/{mix,s1,s2} folders, checks every file, and writes train, valid and test sets for train.py and
evaluate.py, each as NAME.mindrecord, NAME.mindrecord.db and NAME.json. Utterances stay whole.

  python preprocess.py --in-dir Libri2Mix --out-dir data --sample-rate 8000 \\
      --train_name train.mindrecord --valid_name valid.mindrecord --test_name test.mindrecord

--mode infer310: a test set -> .bin files and index.json for ascend310_infer. Its own options:
python preprocess.py --mode infer310 --help
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.data.names import MIXTURE_TYPES
from src.runtime import interrupts_held_back, prepare_environment

INFER310 = """Inputs for the C++ program of ascend310_infer: --mode infer310.

Reads the mixtures of a test set and writes each of them whole as a .bin file of float32 samples, and index.json, which
names them. postprocess.py scores what the program makes of them. The same command goes on after an interruption.

  python preprocess.py --mode infer310 --test_dir data --out_dir inputs

The other mode, dataset, is the default and makes the data set itself: python preprocess.py --help
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options of the mode and do its work."""
    words = sys.argv[1:] if argv is None else list(argv)
    parsers = {"dataset": dataset_parser(), "infer310": infer310_parser()}
    for parser in parsers.values():
        parser.add_argument("--mode", choices=list(parsers), default="dataset", help="what to prepare (dataset)")
    mode = chosen_mode(words) if chosen_mode(words) in parsers else "dataset"
    for word in words:
        for other, parser in parsers.items():
            if parser.knows(word) and not parsers[mode].knows(word):
                parsers[mode].error(f"{word}: an option of --mode {other}, found with --mode {mode}")
    options = parsers[mode].parse_args(words)
    if mode == "infer310":
        prepare_inputs(options)
    else:
        prepare_data_set(options)


def chosen_mode(words: Sequence[str]) -> str:
    """The value that the command line gives to --mode, whatever it is."""
    mode = "dataset"
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word == "--mode" or word.startswith("--mode="):
            mode = word.partition("=")[2] or following
    return mode


def dataset_parser() -> OptionParser:
    """The options of the mode that makes the data set."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--in-dir", type=Path, required=True, help="a Libri*Mix folder, or one above or below it")
    parser.add_argument("--out-dir", type=Path, required=True, help="where to write")
    parser.add_argument("--sample-rate", type=int, default=8000, help="of the files, in Hz (default 8000)")
    parser.add_argument("--train_name", default="train.mindrecord", help="default train.mindrecord")
    parser.add_argument("--valid_name", default="valid.mindrecord", help="default valid.mindrecord")
    parser.add_argument("--test_name", default="test.mindrecord", help="default test.mindrecord")
    parser.add_argument("--mixture_type", choices=MIXTURE_TYPES, default="mix_clean", help="default mix_clean")
    return parser


def infer310_parser() -> OptionParser:
    """The options of the mode that makes the C++ program's inputs."""
    parser = OptionParser(INFER310)
    parser.add_argument(
        "--test_dir",
        type=Path,
        required=True,
        help="the test set: a .mindrecord file, a folder with one, or a folder of audio files (LibriMix, or "
        "{tr,cv,tt}/{mix,s1,s2,…}), of which the test split is taken",
    )
    parser.add_argument("--out-dir", type=Path, required=True, help="where to write")
    parser.add_argument("--test_name", default="test.mindrecord", help="record file in that folder (%(default)s)")
    parser.add_argument("--sample-rate", type=int, help="that the test set must have, in Hz (audio files: 8000)")
    parser.add_argument("--mixture_type", choices=MIXTURE_TYPES, help="that it must have (audio files: mix_clean)")
    parser.add_argument(
        "--check", action="store_true", help="write nothing: fail unless the inputs are of this test set"
    )
    return parser


def prepare_data_set(options: argparse.Namespace) -> None:
    """Mode dataset."""
    names = {"train": options.train_name, "valid": options.valid_name, "test": options.test_name}
    with interrupts_held_back():  # loads libraries, after the options are known to be right
        from src.data.preprocess import Request, preprocess

    preprocess(Request(options.in_dir, options.out_dir, options.sample_rate, names, options.mixture_type))


def prepare_inputs(options: argparse.Namespace) -> None:
    """Mode infer310."""
    prepare_environment()
    with interrupts_held_back():
        from src.data.open_set import open_test_set
        from src.infer310.inputs import check_inputs, write_inputs

    records = open_test_set(options.test_dir, options.sample_rate, options.mixture_type, options.test_name)
    index = (check_inputs if options.check else write_inputs)(records, options.out_dir)
    seconds = sum(entry.num_samples for entry in index.inputs) / index.sample_rate
    print(f"{options.out_dir}: {len(index.inputs)} inputs, {seconds:.1f} s of audio, {index.sample_rate} Hz")


if __name__ == "__main__":
    run(main)
