"""Export a checkpoint's network, for the C++ program in ascend310_infer/ and for other runtimes.

    python export.py --file_name net --file_format MINDIR
    python export.py --ckpt_path runs/mine/best.ckpt --file_name net --file_format ONNX --seconds 8
    python export.py --describe net_310p.mindir --converted_from net.onnx

The file takes mixtures of one length and their true lengths, and gives the tracks that the checkpoint gives for the
true samples. It is compared with the checkpoint before it gets its name. What a program has to know to run it is in
a .json beside it; the last form writes that for a file which Ascend's converter has made of an exported one.
"""

from collections.abc import Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.config import CHUNK_SECONDS
from src.pretrained import OF_THE_PROGRAM, PRETRAINED
from src.runtime import prepare_environment, start, stop_when_terminated


def make_parser() -> OptionParser:
    """The options."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--ckpt_path", type=Path, default=PRETRAINED, help=f"checkpoint of train.py ({OF_THE_PROGRAM})")
    parser.add_argument("--file_name", type=Path, help="file to write, with or without its extension")
    parser.add_argument("--file_format", type=str.upper, default="MINDIR", help="MINDIR or ONNX (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=CHUNK_SECONDS, help="length of the chunks that it separates (%(default)s)"
    )
    parser.add_argument("--batch_size", type=int, default=1, help="chunks that it separates at once (%(default)s)")
    parser.add_argument(
        "--device_target", "--device", default="CPU", help="CPU, or Ascend: LSTMs in float16 (%(default)s)"
    )
    parser.add_argument("--ema", action="store_true", help="fail unless there is a moving average of the weights")
    parser.add_argument("--check_audio", type=Path, help="recording for the comparison (else one of two people)")
    parser.add_argument("--describe", type=Path, metavar="FILE", help="converted file to write a description for")
    parser.add_argument("--converted_from", type=Path, metavar="FILE", help="exported file that it was made of")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options, export, and tell what was written."""
    parser = make_parser()
    options = parser.parse_args(argv)
    needed = ("describe", "converted_from") if options.describe else ("file_name",)
    for name in needed:
        if getattr(options, name) is None:
            parser.error(f"the following arguments are required: --{name}")
    prepare_environment()
    stop_when_terminated()
    start("CPU")  # on which files for every device are written
    from src.exporting import Request, describe_converted, export  # loads mindspore

    if options.describe:
        described, path = describe_converted(options.describe, options.converted_from), options.describe
    else:
        request = Request(
            options.ckpt_path,
            options.file_name,
            file_format=options.file_format,
            seconds=options.seconds,
            batch_size=options.batch_size,
            device_target=options.device_target,
            require_average=options.ema,
            check_audio=options.check_audio,
        )
        described, path = export(request, tell), request.path
    tell(described.summary(path))


def tell(line: str) -> None:
    """Print it now: exporting takes a while."""
    print(line, flush=True)


if __name__ == "__main__":
    run(main, "nothing is left behind, and a file that was there before still is")
