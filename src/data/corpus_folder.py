"""A corpus of speech as it lies on disk: splits, speakers, utterances; LibriSpeech's own layout included.

<root>/<split>/<speaker>/<utterance>.flac              with an optional <root>/speakers.csv
<root>/<split>/<speaker>/<chapter>/<utterance>.flac    LibriSpeech, with an optional SPEAKERS.TXT
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.errors import UserError
from src.files import written_aside

AUDIO_SUFFIXES = {".flac", ".wav", ".ogg"}
FAMILIES = {"tr": "train", "dev": "valid", "cv": "valid", "val": "valid", "tt": "test"}
FAMILIES |= {name: name for name in ("train", "valid", "test")}
SEXES = {"F", "M"}
MOST_NAMES = 6  # in a message


@dataclass(frozen=True)
class Speaker:
    """A person with all utterances.

    Attributes:
        name: the folder's name.
        sex: F, M, or None where it is not known.
        utterances: paths of the audio files, sorted.
        origin: the corpus or package that the recordings come from, or None where it is not told.
    """

    name: str
    sex: str | None
    utterances: tuple[Path, ...]
    origin: str | None = None


@dataclass(frozen=True)
class Corpus:
    """Speech by split and speaker.

    Attributes:
        root: the folder.
        splits: for each split's name its speakers, sorted by name.
    """

    root: Path
    splits: Mapping[str, tuple[Speaker, ...]]

    def split_name(self, wanted: str) -> str:
        """The split that is meant by `wanted`: that very one, or the first of its family.

        The families are train*/tr, valid*/val/dev*/cv and test*/tt, so that "valid" finds LibriSpeech's dev-clean.

        Raises:
            UserError: there is none.
        """
        if wanted in self.splits:
            return wanted
        for name in sorted(self.splits):
            if family(name) is not None and family(name) == family(wanted):
                return name
        names = sorted(self.splits)
        found = ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if names[MOST_NAMES:] else "")
        raise UserError(f"{self.root}: no split for {wanted!r}, found {found}")

    def speakers(self, split: str, at_least: int = 1) -> tuple[Speaker, ...]:
        """The speakers of a split (see `split_name`).

        Raises:
            UserError: there is no such split, or it has fewer speakers than `at_least`.
        """
        name = self.split_name(split)
        found = self.splits[name]
        if len(found) < at_least:
            raise UserError(
                f"{self.root / name}: found {len(found)} speakers, expected at least {at_least} (one folder a speaker)"
            )
        return found


def family(split: str) -> str | None:
    """train, valid or test; None for a split of another kind."""
    return FAMILIES.get(split.replace("_", "-").split("-")[0].rstrip("0123456789"))


def scan_corpus(root: Path) -> Corpus:
    """Find the speech below a folder. Folders and files whose names start with a dot are passed over.

    Raises:
        UserError: the folder is missing, or there is no `<split>/<speaker>/` with audio below it.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder, expected a corpus of <split>/<speaker>/<utterance>.flac")
    if (root / "LibriSpeech").is_dir():  # what its archives unpack to
        root /= "LibriSpeech"
    table = _read_table(root)
    sexes, origins = _sexes(root, table), _origins(table)
    splits: dict[str, tuple[Speaker, ...]] = {}
    for folder in _folders(root):
        found = [(speaker.name, _audio_files(speaker)) for speaker in _folders(folder)]
        speakers = [Speaker(name, sexes.get(name), files, origins.get(name)) for name, files in found if files]
        if speakers:
            splits[folder.name] = tuple(speakers)
    if not splits:
        suffixes = ", ".join(sorted(AUDIO_SUFFIXES))
        raise UserError(
            f"{root}: found no speech, expected <split>/<speaker>/<utterance> with one of the endings {suffixes}"
        )
    return Corpus(root, splits)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _audio_files(folder: Path) -> tuple[Path, ...]:
    """The audio files of a speaker, in the folder itself and in folders below it."""
    below = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES]
    seen = [path for path in below if not any(part.startswith(".") for part in path.parts)]
    return tuple(folder / path for path in sorted(seen) if (folder / path).is_file())


def _read_table(root: Path) -> list[dict[str, str]]:
    """The rows of our speakers.csv; none where there is no such file."""
    if not (root / "speakers.csv").is_file():
        return []
    with (root / "speakers.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _origins(table: list[dict[str, str]]) -> dict[str, str]:
    """Where each speaker's recordings come from: the package, or else the source, as speakers.csv has it."""
    pairs = [(row.get("speaker") or "", row.get("package") or row.get("source") or "") for row in table]
    return {speaker: origin for speaker, origin in pairs if origin}


def _sexes(root: Path, table: list[dict[str, str]]) -> dict[str, str]:
    """Sex by speaker, from our speakers.csv or LibriSpeech's SPEAKERS.TXT."""
    if table:
        pairs = [(row.get("speaker") or "", row.get("sex") or "") for row in table]
        return {speaker: sex for speaker, sex in pairs if sex in SEXES}
    if (root / "SPEAKERS.TXT").is_file():
        return _read_librispeech_sexes(root / "SPEAKERS.TXT")
    return {}


def _read_librispeech_sexes(path: Path) -> dict[str, str]:
    """Lines such as `14   | F | train-clean-360  | 25.03 | Kristin LeMoine`; comments start with a semicolon."""
    text = path.read_text(encoding="utf-8", errors="replace")
    rows = [line.split("|") for line in text.splitlines() if not line.startswith(";")]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) >= 2 and row[1].strip() in SEXES}


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """A CSV file beside the splits, written aside and renamed; a row may lack columns. Raises `UserError`."""
    with written_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
