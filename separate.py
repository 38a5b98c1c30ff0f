"""Separate recordings of people who speak at the same time: one wav file a speaker.

    python separate.py meeting.flac talk.wav --model_path runs/demo/best.ckpt --output-dir separated

Takes any file that libsndfile reads (wav, flac, ogg, mp3, …), at any sample rate and number of channels, which
are averaged, and writes NAME_s1.wav, NAME_s2.wav, … at the input's own length and sample rate. Each track has one
gain and sign for the whole recording, chosen so that the tracks' sum fits the recording best.
"""

from collections.abc import Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.runtime import prepare_environment, start


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options and separate."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help="audio file")
    parser.add_argument("--model_path", type=Path, required=True, help="checkpoint of train.py")
    parser.add_argument("--output-dir", type=Path, required=True, help="made if missing")
    parser.add_argument("--device_target", default="CPU", help="CPU, Ascend or GPU (%(default)s)")
    parser.add_argument("--device_id", type=int, default=0)
    options = parser.parse_args(argv)

    prepare_environment()
    start(options.device_target, options.device_id)
    from src.separation import separate_files  # loads mindspore, after the options are known to be right

    separate_files(options.inputs, options.model_path, options.output_dir)


if __name__ == "__main__":
    run(main)
