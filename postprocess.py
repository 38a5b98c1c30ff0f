"""Score what ascend310_infer's program has made of a test set.

    python postprocess.py --bin_path outputs --test_dir data

Reads outputs/index.json and the .bin files that it names, takes the references from the test set that preprocess.py
--mode infer310 was given, and tells what evaluate.py tells of a checkpoint: the same table, per_utterance.csv and
metrics.json. MindSpore is needed only where the test set is a MindRecord file.
"""

from collections.abc import Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.data.names import MIXTURE_TYPES
from src.runtime import interrupts_held_back, prepare_environment


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options, score, and print the means."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--bin_path", type=Path, required=True, help="folder with the outputs and their index.json")
    parser.add_argument(
        "--test_dir",
        type=Path,
        required=True,
        help="the test set: a .mindrecord file, a folder with one, or a folder of audio files",
    )
    parser.add_argument("--test_name", default="test.mindrecord", help="record file in that folder (%(default)s)")
    parser.add_argument("--mixture_type", choices=MIXTURE_TYPES, help="of audio files (mix_clean)")
    parser.add_argument("--output", type=Path, help="folder for the results (that of --bin_path)")
    options = parser.parse_args(argv)
    prepare_environment()
    with interrupts_held_back():  # loads libraries, after the options are known to be right
        from src.data.open_set import open_test_set
        from src.infer310.outputs import open_outputs, score_outputs
        from src.scores.table import format_summary

    outputs = open_outputs(options.bin_path)
    records = open_test_set(options.test_dir, outputs.index.sample_rate, options.mixture_type, options.test_name)
    print(format_summary(score_outputs(outputs, records, options.output or options.bin_path)))


if __name__ == "__main__":
    run(main, after_interrupt="nothing was written, the same command begins anew")
