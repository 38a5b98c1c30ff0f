"""The model card of a checkpoint, from measured files alone; what was not measured is said to be missing.

usage: python -m benchmarks.model_card --checkpoint CKPT --runs RUN [RUN ...] [--corpora NAME=FOLDER ...]
           [--scores NAME=FOLDER ...] [--speed FILE] [--preparation FILE] [--output docs/model_card.md]

CKPT was made by `python -m src.publish`. RUN are output folders of train.py, in the order in which they were trained.
The corpora are those that the mixtures were made from; their speakers.csv tells persons and licences. Scores are
output folders of evaluate.py with --model_path CKPT, one a test set. Names are for the card, with spaces if you like.
The speed is measured by benchmarks.separation_speed. The preparation is a shell script with the commands that made the
data. Paths of this machine do not get into the card.
"""

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.model_card_origin import corpora, limits, network, training
from benchmarks.model_card_scores import failures, scores
from benchmarks.model_card_sources import (
    Sources,
    named,
    read_corpora,
    read_json,
    read_network,
    read_run,
    read_scores,
    shown,
)
from src.command_line import OptionParser, run
from src.errors import UserError
from src.files import written_aside
from src.pretrained import OF_THE_PROGRAM, PRETRAINED
from src.runtime import prepare_environment

CHAPTERS: dict[str, Callable[[Sources], list[str]]] = {
    "What it is": network,
    "Scores": scores,
    "Where it fails": failures,
    "Intended use and limits": limits,
    "Data": corpora,
    "Training": training,
}


def make_parser() -> OptionParser:
    """The options."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--checkpoint", type=Path, default=PRETRAINED, help=f"published checkpoint ({OF_THE_PROGRAM})")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, metavar="RUN", help="output folders of train.py")
    for name, meaning in (("corpora", "corpora of the mixtures"), ("scores", "output folders of evaluate.py")):
        parser.add_argument(f"--{name}", nargs="+", action="extend", default=[], metavar="NAME=FOLDER", help=meaning)
    parser.add_argument("--speed", type=Path, help="file of benchmarks.separation_speed")
    parser.add_argument("--preparation", type=Path, help="shell script that made the data")
    parser.add_argument("--output", type=Path, default=Path("docs/model_card.md"), help="(%(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options, read everything, write the card."""
    options = make_parser().parse_args(argv)
    prepare_environment()
    words = ["python", "-m", "benchmarks.model_card", *(sys.argv[1:] if argv is None else argv)]
    found = read_network(options.checkpoint)
    sources = Sources(
        network=found,
        runs=[read_run(folder, found) for folder in options.runs],
        persons=read_corpora(named(options.corpora)),
        scores=read_scores(named(options.scores), found),
        speed=_read_speed(options.speed, found.sha256),
        preparation=_read_text(options.preparation),
        command=shlex.join(map(shown, words)),
    )
    with written_aside(options.output) as aside:
        aside.write_text(card(sources), encoding="utf-8")
    print(options.output)


def card(sources: Sources) -> str:
    """The whole page in Markdown."""
    lines = [f"# Model card: {sources.network.path.stem}", ""]
    lines += ["Written by a command from measured files, see the end; not edited by hand.", ""]
    for title, chapter in CHAPTERS.items():
        lines += [f"## {title}", "", *chapter(sources), ""]
    lines += ["## This card", "", "```bash", sources.command, "```"]
    return "\n".join(lines) + "\n"


def _read_speed(path: Path | None, sha256: str) -> dict[str, object] | None:
    if path is None:
        return None
    values = read_json(path)
    if values.get("model_sha256") != sha256:
        raise UserError(f"{path}: found the speed of another checkpoint: measure it anew")
    return values


def _read_text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


if __name__ == "__main__":
    run(main, "nothing is written")
