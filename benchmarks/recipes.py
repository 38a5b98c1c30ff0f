"""Which recipe learns most in equal CPU time: trains each of a table and scores it on persons it has never heard.

    python -m benchmarks.recipes --data runs/demo-full/data --work runs/recipes [--minutes 12] [--every 3]
        [--only r2 r3]

DATA holds train.mindrecord and valid.mindrecord (preprocess.py). Each recipe of benchmarks/recipes_table.py is a
process of its own on one thread, one after the other; its CPU time counts, so it may be paused from outside. Every
recipe is scored on the same pieces of the validation persons. recipes.csv and recipes.md in WORK hold the points and
the table. The same command goes on where it stopped; with more minutes, so do recipes that were done. Test persons
have no part in this. What was found is in docs/recipes.md.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from benchmarks.performance import header
from benchmarks.recipes_points import Point, read_points, recipe_table, write_points
from benchmarks.recipes_table import RECIPES
from src.command_line import OptionParser, run
from src.errors import UserError
from src.files import make_folder, written_aside


def gather(work: Path) -> list[Point]:
    """The points of all recipes, in the table's order."""
    return [point for name in RECIPES for point in read_points(work / name / "points.csv")]


def write_results(work: Path) -> str:
    """recipes.csv and recipes.md; returns the table."""
    points = gather(work)
    write_points(work / "recipes.csv", points)
    text = recipe_table(points, {name: recipe.text for name, recipe in RECIPES.items()})
    with written_aside(work / "recipes.md") as aside:
        aside.write_text(f"{header()}\n\n{text}\n", encoding="utf-8")
    return text


def train(name: str, data: Path, work: Path, minutes: float, every: float) -> None:
    """One recipe in a process of its own; what it prints goes to WORK/NAME/log.txt."""
    make_folder(work / name)
    command = [sys.executable, "-m", "benchmarks.recipes_worker", name, str(data), str(work), str(minutes), str(every)]
    log = work / name / "log.txt"
    with log.open("a", encoding="utf-8") as file:
        code = subprocess.run(command, stdout=file, stderr=file, check=False).returncode
    if code != 0:
        raise UserError(f"{name}: ended with status {code}, see {log}")


def main(argv: Sequence[str] | None = None) -> None:
    """Train, score, write and print."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.mindrecord and valid.mindrecord")
    parser.add_argument("--work", type=Path, default=Path("runs/recipes"), help="folder for results (%(default)s)")
    parser.add_argument("--minutes", type=float, default=12.0, help="CPU time of each recipe (%(default)s)")
    parser.add_argument("--every", type=float, default=3.0, help="minutes between scores (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES), help="names; all")
    options = parser.parse_args(argv)
    work, data = options.work.resolve(), options.data.resolve()
    make_folder(work)
    for name in tqdm(options.only, unit="recipe"):
        train(name, data, work, options.minutes, options.every)
        write_results(work)
    print(write_results(work))


if __name__ == "__main__":
    run(main)
