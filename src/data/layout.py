"""Finding mixtures on disk: LibriMix's folders, or the older {tr,cv,tt}/{mix,s1,s2,…}.

A mixture and its sources belong together by the metadata's row, or, where there is no metadata, by the file
name that they share; never by their order or their length. No audio is opened here.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from src.data.identity import with_persons
from src.data.manifest import LeftOut, Manifest, Utterance
from src.errors import UserError

FAMILIES = {  # folder names of the splits that make up each set
    "train": re.compile(r"(train|tr)([-_].+)?"),
    "valid": re.compile(r"(dev|cv|valid|val)([-_].+)?"),
    "test": re.compile(r"(test|tt)([-_].+)?"),
}
AUDIO_SUFFIXES = (".wav", ".flac")
OLD_MIXTURE_FOLDER = "mix"
RATE_FOLDER = re.compile(r"wav\d+k")
LEVELS_BELOW = 4  # Libri2Mix/wav8k/min/train-100, seen from the folder above
SOURCE_FOLDER = re.compile(r"s([1-9]\d*)")
SOURCE_COLUMN = re.compile(r"source_(\d+)_path")


@dataclass(frozen=True)
class Layout:
    """A data set: one folder with the splits in it."""

    root: Path
    mixture_type: str  # mix_clean | mix_both | mix_single
    splits: dict[str, tuple[str, ...]]  # train, valid, test -> names of the split folders found for it


@dataclass(frozen=True)
class Found:
    """The mixtures of one set, before any audio was opened; paths relative to the layout's root."""

    utterances: tuple[Utterance, ...]
    left_out: tuple[LeftOut, ...]


def find_layout(folder: Path | str, sample_rate: int, mixture_type: str) -> Layout:
    """Look for the splits in `folder` itself, in its wav8k/min and the like, and in a Libri*Mix folder below.

    Raises `UserError` if the folder is missing, has no splits, or has several data sets.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder, expected a data set (--in-dir)")
    rate_folder = f"wav{sample_rate // 1000}k"
    for pattern in ("", "min", "max", f"{rate_folder}/min", f"{rate_folder}/max"):
        for below in ("", "Libri*Mix"):
            roots = [root for root in _glob(folder, below, pattern) if _splits(root, mixture_type)]
            if len(roots) > 1:
                names = ", ".join(str(root.relative_to(folder)) for root in roots)
                raise UserError(f"{folder}: found several data sets: {names}; expected one, give its folder")
            if roots:
                return Layout(roots[0], mixture_type, _splits(roots[0], mixture_type))
    raise UserError(f"{folder}: {_what_is_there(folder, rate_folder, mixture_type)}")


def split_layout(folder: Path, family: str, mixture_type: str) -> Layout | None:
    """A data set of one split, given by the split's own folder; None if it is no such folder."""
    folder = folder.resolve()
    if _mixture_folder(folder, mixture_type) is None:
        return None
    return Layout(folder.parent, mixture_type, {family: (folder.name,)})


def count_speakers(layout: Layout) -> int:
    """How many sources the mixtures of all splits have. Raises `UserError` if the splits differ in that."""
    splits = [split for family in layout.splits.values() for split in family]
    counts = {split: len(source_folders(layout, split)) for split in splits}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count} in {split}" for split, count in counts.items())
        raise UserError(f"{layout.root}: found different numbers of speakers: {found}; expected the same in all")
    return next(iter(counts.values()))


def find_manifest(layout: Layout, family: str, num_speakers: int, sample_rate: int) -> Manifest:
    """All mixtures of a set ("train", "valid" or "test") and who speaks in them. Raises as `find_utterances` does."""
    found = find_utterances(layout, family)
    root = layout.root.resolve()
    return Manifest(
        sample_rate=sample_rate,
        num_speakers=num_speakers,
        mixture_type=layout.mixture_type,
        root=root,
        utterances=with_persons(found.utterances, root, num_speakers),
        left_out=found.left_out,
    )


def find_utterances(layout: Layout, family: str) -> Found:
    """All mixtures of a set ("train", "valid" or "test"), sorted by split and ID.

    Raises `UserError` if two of them have the same ID, or if splits have different numbers of speakers.
    """
    found = [_find_in_split(layout, split) for split in layout.splits[family]]
    utterances = tuple(utterance for part in found for utterance in part.utterances)
    _check_unique(layout, family, utterances)
    return Found(utterances, tuple(entry for part in found for entry in part.left_out))


def source_folders(layout: Layout, split: str) -> list[str]:
    """Names s1, s2, … in a split's folder; only s1 for mix_single, which is one speaker in noise.

    Raises `UserError` if there are none or one in between is missing.
    """
    folder = layout.root / split
    numbers = sorted(int(match[1]) for path in folder.iterdir() if (match := SOURCE_FOLDER.fullmatch(path.name)))
    expected = list(range(1, max(len(numbers), 1) + 1))
    if numbers != expected:
        found = ", ".join(f"s{number}" for number in numbers) or "none"
        raise UserError(f"{folder}: found the source folders {found}, expected s1, s2, … without a gap")
    return ["s1"] if layout.mixture_type == "mix_single" else [f"s{number}" for number in numbers]


def _glob(folder: Path, below: str, pattern: str) -> list[Path]:
    parents = sorted(folder.glob(below)) if below else [folder]
    return [path for parent in parents if (path := parent / pattern).is_dir()]


def _splits(root: Path, mixture_type: str) -> dict[str, tuple[str, ...]]:
    """The split folders in `root` that hold such mixtures, grouped; {} if there are none."""
    names = [path.name for path in sorted(root.iterdir()) if _mixture_folder(path, mixture_type)]
    grouped = {family: tuple(name for name in names if pattern.fullmatch(name)) for family, pattern in FAMILIES.items()}
    return {family: found for family, found in grouped.items() if found}


def _mixture_folder(split: Path, mixture_type: str) -> Path | None:
    names = [mixture_type] + [OLD_MIXTURE_FOLDER] * (mixture_type == "mix_clean")
    return next((split / name for name in names if (split / name).is_dir()), None)


def _what_is_there(folder: Path, rate_folder: str, mixture_type: str) -> str:
    for path in _folders_below(folder, LEVELS_BELOW):
        name = path.relative_to(folder)
        if path.name != rate_folder and RATE_FOLDER.fullmatch(path.name):
            return f"found {name}, expected {rate_folder} (--sample-rate)"
        if _is_split(path):
            inside = ", ".join(sorted(child.name for child in path.iterdir() if child.is_dir())) or "no folders"
            return f"found {name} with {inside} in it, expected {mixture_type} (--mixture_type)"
    return f"found no splits, expected {rate_folder}/min/train-100, … or tr, cv, tt in it"


def _folders_below(folder: Path, levels: int) -> Iterator[Path]:
    """Folders down to so many levels, but none inside a split, where the many files are."""
    for path in sorted(child for child in folder.iterdir() if child.is_dir()):
        yield path
        if levels > 1 and not _is_split(path):
            yield from _folders_below(path, levels - 1)


def _is_split(path: Path) -> bool:
    return any(pattern.fullmatch(path.name) for pattern in FAMILIES.values())


def _find_in_split(layout: Layout, split: str) -> Found:
    folder = _mixture_folder(layout.root / split, layout.mixture_type)
    assert folder is not None
    sources = source_folders(layout, split)
    on_disk = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in AUDIO_SUFFIXES}
    metadata = layout.root / "metadata" / f"mixture_{split}_{layout.mixture_type}.csv"
    if not metadata.is_file():
        return _pair_by_name(layout, on_disk, [f"{split}/{name}" for name in sources])
    named = _read_metadata(layout, split, metadata, len(sources))
    unnamed = sorted(set(on_disk) - {Path(entry.mixture).stem for entry in named.utterances})
    unnamed = [name for name in unnamed if name not in {entry.id for entry in named.left_out}]
    return Found(named.utterances, named.left_out + tuple(LeftOut(n, f"not in {metadata.name}") for n in unnamed))


def _pair_by_name(layout: Layout, mixtures: dict[str, Path], folders: list[str]) -> Found:
    utterances, left_out = [], []
    for name, path in sorted(mixtures.items()):
        sources = [f"{folder}/{path.name}" for folder in folders]
        missing = [source for source in sources if not (layout.root / source).is_file()]
        if missing:
            left_out.append(LeftOut(name, f"{', '.join(missing)}: no such file"))
        else:
            utterances.append(Utterance(name, path.relative_to(layout.root).as_posix(), tuple(sources)))
    return Found(tuple(utterances), tuple(left_out))


def _read_metadata(layout: Layout, split: str, path: Path, num_sources: int) -> Found:
    """LibriMix's mixture_<split>_<type>.csv: mixture_ID, mixture_path, source_1_path, …, length."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = _source_columns(path, reader.fieldnames or [], num_sources)
        rows = list(reader)
    utterances, left_out = [], []
    for row in rows:
        files = [_locate(layout, split, row[column] or "") for column in ("mixture_path", *columns)]
        missing = [name for name in files if not (layout.root / name).is_file()]
        if missing:
            left_out.append(LeftOut(row["mixture_ID"], f"{', '.join(missing)}: no such file"))
        else:
            length = _length(path, row)
            utterances.append(Utterance(row["mixture_ID"], files[0], tuple(files[1:]), length))
    return Found(tuple(sorted(utterances, key=lambda entry: entry.id)), tuple(left_out))


def _source_columns(path: Path, fields: Sequence[str], num_sources: int) -> list[str]:
    numbers = sorted(int(match[1]) for field in fields if (match := SOURCE_COLUMN.fullmatch(field)))
    if not {"mixture_ID", "mixture_path"} <= set(fields):
        raise UserError(f"{path}: found the columns {', '.join(fields)}, expected mixture_ID, mixture_path, …")
    if numbers != list(range(1, num_sources + 1)):
        raise UserError(f"{path}: found {len(numbers)} source columns, expected {num_sources} as in the folders")
    return [f"source_{number}_path" for number in numbers]


def _length(path: Path, row: dict[str, str]) -> int:
    text = row.get("length") or "0"
    try:
        return int(float(text))
    except ValueError:
        raise UserError(f"{path}: {row['mixture_ID']}: found length '{text}', expected a number") from None


def _locate(layout: Layout, split: str, written: str) -> str:
    """A path of the metadata, relative to the root.

    The metadata's paths are absolute on the machine that made it. The file of the same folder and name in
    this data set comes first, so that a copy is read and not the original that it was made from.
    """
    path = PurePath(written)
    here = f"{split}/{path.parent.name}/{path.name}"
    if (layout.root / here).is_file() or not (layout.root / path).is_file():
        return here
    return path.as_posix()  # absolute, or relative to the root


def _check_unique(layout: Layout, family: str, utterances: tuple[Utterance, ...]) -> None:
    seen: set[str] = set()
    for utterance in utterances:
        if utterance.id in seen:
            splits = ", ".join(layout.splits[family])
            raise UserError(f"{layout.root}: found the mixture ID {utterance.id} twice in {splits}, expected once")
        seen.add(utterance.id)
