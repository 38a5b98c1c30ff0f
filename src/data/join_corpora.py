"""Several corpora made one: real speech and synthetic voices, say, for one training set.

usage: python -m src.data.join_corpora --output DIR CORPUS[:SPLIT,SPLIT] CORPUS[:SPLIT,SPLIT] ...

    python -m src.data.join_corpora --output runs/joined runs/demo-full/corpus runs/voices:train

takes all of the first corpus and only the training persons of the second. The splits are called train, valid and test
whatever they were called before. The recordings are linked (copied, where the file system cannot do that), so they take
no room; the tables and licences come along. What the folder held before of this kind is replaced.
"""

import csv
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from src.command_line import OptionParser, run
from src.data.corpus_folder import Corpus, Speaker, family, scan_corpus, write_table
from src.errors import UserError
from src.files import make_folder

MARKER = ".joined"
TABLES = ("speakers.csv", "origins.csv", "left_out.csv", "materials.csv")
SPEAKER_COLUMNS = ("speaker", "sex", "split", "source")

Row = dict[str, str]


@dataclass(frozen=True)
class Part:
    """What is taken from one corpus."""

    corpus: Corpus
    splits: tuple[str, ...]  # of `corpus`


def join_corpora(words: Sequence[str], output_dir: Path) -> Path:
    """Join corpora in a new folder.

    Args:
        words: folders, each with a colon and the splits to take after it, or none for all: `runs/voices:train,valid`.
        output_dir: the joined corpus.

    Raises:
        UserError: a corpus or split is missing; a split is neither of train, valid nor test; two corpora have a
            speaker of the same name; or the folder holds something else.
    """
    output_dir = Path(output_dir)
    parts = [read_part(word) for word in words]
    persons = list(_persons(parts))
    _check_names(persons)
    aside = output_dir.with_name(f".{output_dir.name}.part")
    if output_dir.exists() and any(output_dir.iterdir()) and not (output_dir / MARKER).exists():
        raise UserError(f"{output_dir}: exists and was not made by this program, expected another --output")
    shutil.rmtree(aside, ignore_errors=True)
    make_folder(aside)
    for _, split, speaker in tqdm(persons, desc="joining", unit="speaker"):
        _link(speaker, aside / split / speaker.name)
    _write_tables(parts, persons, aside)
    (aside / MARKER).write_text("\n".join(words) + "\n", encoding="utf-8")
    shutil.rmtree(output_dir, ignore_errors=True)
    aside.replace(output_dir)
    return output_dir


def read_part(word: str) -> Part:
    """`folder` or `folder:split,split`; a folder whose own name has a colon is taken as it is.

    Raises:
        UserError: no such corpus or split.
    """
    folder, colon, splits = word.rpartition(":")
    if not colon or Path(word).is_dir():
        corpus = scan_corpus(Path(word))
        return Part(corpus, tuple(corpus.splits))
    corpus = scan_corpus(Path(folder))
    wanted = [split for split in splits.split(",") if split]
    if not wanted:
        raise UserError(f"{word}: found no split after the colon, expected some, e.g. {folder}:train")
    names = [name for split in wanted for name in _matching(corpus, split)]
    return Part(corpus, tuple(dict.fromkeys(names)))


def _matching(corpus: Corpus, wanted: str) -> list[str]:
    """The split of that very name, or all of its family."""
    if wanted in corpus.splits:
        return [wanted]
    first = corpus.split_name(wanted)  # raises where there is none
    return [name for name in corpus.splits if family(name) == family(first)]


def _persons(parts: Iterable[Part]) -> Iterable[tuple[Part, str, Speaker]]:
    """Every speaker with the split's name in the joined corpus."""
    for part in parts:
        for name in part.splits:
            split = family(name)
            if split is None:
                raise UserError(f"{part.corpus.root / name}: found the split {name}, expected train, valid or test")
            for speaker in part.corpus.splits[name]:
                yield part, split, speaker


def _check_names(persons: Iterable[tuple[Part, str, Speaker]]) -> None:
    """The same name twice may be the same person, who then would be in two splits or mixed with herself."""
    seen: dict[str, tuple[Path, str]] = {}
    for part, split, speaker in persons:
        place = (part.corpus.root, split)
        other = seen.setdefault(speaker.name, place)
        if other != place:
            raise UserError(
                f"found a speaker {speaker.name} in {other[1]} of {other[0]} and in {place[1]} of {place[0]}, "
                "expected different names: rename one of the folders if they are not the same person"
            )


def _link(speaker: Speaker, folder: Path) -> None:
    """The utterances of a speaker in one folder; those of LibriSpeech's chapters have names of their own."""
    make_folder(folder)
    for utterance in speaker.utterances:
        target = folder / utterance.name
        if target.exists():
            raise UserError(f"{utterance}: found a second utterance of that name, expected different ones of a speaker")
        try:
            os.link(utterance.resolve(), target)
        except OSError:  # another file system, or one without links
            _copy(utterance, target)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror or error})") from error


def _write_tables(parts: Sequence[Part], persons: Sequence[tuple[Part, str, Speaker]], folder: Path) -> None:
    """The corpora's tables, one after another, with the columns of all of them; of the persons taken only."""
    taken = {(part.corpus.root, speaker.name): split for part, split, speaker in persons}
    for name in TABLES:
        rows: list[Row] = []
        for root in dict.fromkeys(part.corpus.root for part in parts):
            rows += _taken_rows(root, name, taken)
        if name == "speakers.csv":
            known = {row["speaker"] for row in rows}
            rows += [_speaker_row(split, speaker) for _, split, speaker in persons if speaker.name not in known]
        if rows:
            write_table(folder / name, list(dict.fromkeys(column for row in rows for column in row)), rows)
    for root in dict.fromkeys(part.corpus.root for part in parts):
        for notice in sorted((root / "licences").glob("*")):
            make_folder(folder / "licences")
            _copy(notice, folder / "licences" / notice.name)


def _taken_rows(root: Path, name: str, taken: dict[tuple[Path, str], str]) -> list[Row]:
    """The rows of one corpus' table, of the persons taken and with the new names of their splits."""
    rows = []
    for row in _read(root / name):
        split = taken.get((root, row.get("speaker", "")))
        if "speaker" not in row or split is not None:
            rows.append(row | {"split": split} if "split" in row and split else row)
    return rows


def _speaker_row(split: str, speaker: Speaker) -> Row:
    """Of a corpus without a table."""
    return dict(zip(SPEAKER_COLUMNS, (speaker.name, speaker.sex or "", split, speaker.origin or ""), strict=True))


def _read(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main(argv: Sequence[str] | None = None) -> None:
    """Join from the command line."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("corpora", nargs="+", metavar="CORPUS", help="a folder, with :SPLIT,SPLIT to take only those")
    parser.add_argument("--output", required=True, type=Path, help="folder of the joined corpus")
    options = parser.parse_args(argv)
    root = join_corpora(options.corpora, options.output)
    for split, speakers in scan_corpus(root).splits.items():
        print(f"{split}: {len(speakers)} speakers, {sum(len(speaker.utterances) for speaker in speakers)} utterances")


if __name__ == "__main__":
    run(main, "nothing was changed, the same command begins anew")
