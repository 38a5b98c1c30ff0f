"""Separate recordings of people who speak at the same time: one file a speaker.

    python separate.py meeting.flac talk.wav --output-dir separated
    python separate.py recordings 'more/**/*.mp3' --output-dir separated --residual --format flac
    arecord -f S16_LE -d 60 | python separate.py - --model_path runs/mine/best.ckpt --output-dir separated

Takes files that libsndfile reads (wav, flac, ogg, mp3, …), folders of them, patterns in quotes, and - for standard
input, of any length, at any sample rate and number of channels, which are averaged. Writes NAME_s1.wav, NAME_s2.wav,
… at the input's own length, sample rate and bit depth. Each track has one gain and sign for the whole recording,
chosen so that the tracks' sum fits the recording best. The tracks of a folder keep its structure.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.config import CHUNK_SECONDS, OVERLAP_SECONDS, PRECISIONS
from src.pretrained import OF_THE_PROGRAM, PRETRAINED
from src.runtime import prepare_environment, stop_when_terminated


def make_parser() -> OptionParser:
    """The options."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="audio file, folder, pattern, or -")
    parser.add_argument(
        "--model_path", type=Path, default=PRETRAINED, help=f"checkpoint of train.py ({OF_THE_PROGRAM})"
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="made if missing")
    parser.add_argument("--format", choices=("wav", "flac"), default="wav", help="of the outputs (%(default)s)")
    outputs = parser.add_mutually_exclusive_group()
    outputs.add_argument("--residual", action="store_true", help="write NAME_residual too: input minus all tracks")
    outputs.add_argument("--stems_only", "--stems-only", action="store_true", help="write tracks only (the default)")
    parser.add_argument(
        "--chunk_seconds",
        type=float,
        default=CHUNK_SECONDS,
        help="length of the chunks in which a recording is separated; 0: all of it at once (%(default)s)",
    )
    parser.add_argument(
        "--overlap_seconds",
        type=float,
        default=None,
        help=f"what neighbouring chunks share at least ({OVERLAP_SECONDS}, or a quarter of shorter chunks)",
    )
    parser.add_argument("--batch_size", type=int, default=1, help="chunks separated at once (%(default)s)")
    parser.add_argument(
        "--amp", choices=PRECISIONS, default="none", help="precision of the network's products (%(default)s)"
    )
    parser.add_argument("--device_target", "--device", default="CPU", help="CPU, Ascend or GPU (%(default)s)")
    parser.add_argument("--device_id", type=int, default=0)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options and separate."""
    options = make_parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text; stderr is so already
    prepare_environment()
    stop_when_terminated()
    from src.separation import separate_files  # loads numpy, after the environment is prepared

    separate_files(
        options.inputs,
        options.output_dir,
        options.model_path,
        residual=options.residual,
        extension=options.format,
        device=options.device_target,
        device_id=options.device_id,
        chunk_seconds=options.chunk_seconds,
        overlap_seconds=options.overlap_seconds,
        batch_size=options.batch_size,
        amp=options.amp,
    )


if __name__ == "__main__":
    run(main, "what is finished stays, of the rest nothing is left behind")
