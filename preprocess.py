"""Data set -> JSON manifests -> MindRecord.

Reads mixtures and their sources from LibriMix's folders (with or without its metadata), or from the older
{tr,cv,tt}/{mix,s1,s2} folders, checks every file, and writes train, valid and test sets for train.py and
evaluate.py, each as NAME.mindrecord, NAME.mindrecord.db and NAME.json. Utterances stay whole.

  python preprocess.py --in-dir Libri2Mix --out-dir data --sample-rate 8000 \\
      --train_name train.mindrecord --valid_name valid.mindrecord --test_name test.mindrecord
"""

from collections.abc import Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.runtime import interrupts_held_back

MIXTURE_TYPES = ("mix_clean", "mix_both", "mix_single")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options and prepare the data set."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--mode", choices=["dataset"], default="dataset", help="what to prepare")
    parser.add_argument("--in-dir", type=Path, required=True, help="a Libri*Mix folder, or one above or below it")
    parser.add_argument("--out-dir", type=Path, required=True, help="where to write")
    parser.add_argument("--sample-rate", type=int, default=8000, help="of the files, in Hz (default 8000)")
    parser.add_argument("--train_name", default="train.mindrecord", help="default train.mindrecord")
    parser.add_argument("--valid_name", default="valid.mindrecord", help="default valid.mindrecord")
    parser.add_argument("--test_name", default="test.mindrecord", help="default test.mindrecord")
    parser.add_argument("--mixture_type", choices=MIXTURE_TYPES, default="mix_clean", help="default mix_clean")
    options = parser.parse_args(argv)
    names = {"train": options.train_name, "valid": options.valid_name, "test": options.test_name}
    with interrupts_held_back():  # loads libraries, after the options are known to be right
        from src.data.preprocess import Request, preprocess

    preprocess(Request(options.in_dir, options.out_dir, options.sample_rate, names, options.mixture_type))


if __name__ == "__main__":
    run(main)
