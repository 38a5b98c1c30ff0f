"""Score a checkpoint on a test set from preprocess.py.

    python evaluate.py --model_path runs/mine/best.ckpt --data-dir data --batch_size 4 --output runs/mine
    python evaluate.py --data-dir data --output scores

Writes per_utterance.csv and metrics.json into the output folder: SI-SNR and SDR (BSS-eval v3) in dB, STOI and, where
the library pesq is installed, PESQ of whole utterances, and their improvements over the mixture. The same command
goes on with an evaluation that was stopped.
"""

from collections.abc import Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.config import CHUNK_SECONDS, OVERLAP_SECONDS, PRECISIONS
from src.data.names import find_records
from src.pretrained import OF_THE_PROGRAM, PRETRAINED
from src.runtime import prepare_environment, start


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options, evaluate, and print the means."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument(
        "--model_path", type=Path, default=PRETRAINED, help=f"checkpoint of train.py ({OF_THE_PROGRAM})"
    )
    parser.add_argument(
        "--data-dir", type=Path, required=True, help="folder with test.mindrecord, or a .mindrecord file"
    )
    parser.add_argument("--test_name", default="test.mindrecord", help="file in that folder (%(default)s)")
    parser.add_argument(
        "--batch_size", type=int, default=1, help="most utterances of equal length at once (%(default)s)"
    )
    parser.add_argument(
        "--chunk_seconds",
        type=float,
        default=CHUNK_SECONDS,
        help="longer utterances are separated in chunks; 0: all are separated at once (%(default)s)",
    )
    parser.add_argument(
        "--overlap_seconds",
        type=float,
        help=f"that neighbouring chunks share ({OVERLAP_SECONDS}, or a quarter of shorter chunks)",
    )
    parser.add_argument(
        "--compare_whole", action="store_true", help="separate those longer ones whole as well, and compare"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/evaluate"), help="folder (%(default)s)")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write a report with examples to this folder")
    parser.add_argument("--name", default="", help="what metrics.json and the report call the network")
    parser.add_argument(
        "--amp", choices=PRECISIONS, default="none", help="precision of the network's products (%(default)s)"
    )
    parser.add_argument("--device_target", "--device", default="CPU", help="CPU, Ascend or GPU (%(default)s)")
    parser.add_argument("--device_id", type=int, default=0)
    options = parser.parse_args(argv)
    data_path = find_records(options.data_dir, options.test_name)

    prepare_environment()
    start(options.device_target, options.device_id)
    from src.evaluation import Request, evaluate  # loads mindspore, after the options are known to be right
    from src.scores.table import format_summary

    print(f"network: {options.model_path}")
    request = Request(
        options.model_path,
        data_path,
        options.output,
        batch_size=options.batch_size,
        chunk_seconds=options.chunk_seconds,
        overlap_seconds=options.overlap_seconds,
        compare_whole=options.compare_whole,
        report_dir=options.report,
        device_target=options.device_target,
        amp=options.amp,
        name=options.name,
    )
    print(format_summary(evaluate(request)))


if __name__ == "__main__":
    run(main)
