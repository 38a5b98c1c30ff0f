"""The trained network that comes with the program: where it lies, and what is told where it is missing.

For entry scripts, so it loads no library.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRETRAINED_NAME = "checkpoints/gdprnn_2spk_8k.ckpt"  # two speakers, 8 kHz
PRETRAINED = ROOT / PRETRAINED_NAME
OF_THE_PROGRAM = f"{PRETRAINED_NAME}, which comes with the program"  # for --help


def why_missing(path: Path) -> str:
    """The end of an error's line for a checkpoint that is not there: advice, if it is the program's own."""
    if path != PRETRAINED:
        return ""
    return ": this copy of the program comes without its trained network: name another checkpoint"
