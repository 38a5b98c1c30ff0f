"""Mixtures in LibriMix's own form, made from any corpus that `scan_corpus` reads.

usage: python -m src.data.librimix --corpus DIR --output DIR [--num_speakers 2] [--count SPLIT=NUMBER ...]

Written are `<output>/Libri{N}Mix/wav8k/min/<split>/{mix_clean,s1..sN}/<mixture_ID>.wav` and in
`.../min/metadata` LibriMix's mixture_<split>_mix_clean.csv, the gains (libri{N}mix_<split>.csv) and the speakers
(libri{N}mix_<split>_info.csv). The last one has a column more than LibriMix's where the corpus tells the origin of
a speaker's recordings: speaker_N_corpus. Everything follows from the seed; a split that is finished is reused.
"""

import csv
import hashlib
import json
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from src.audio import write_wav
from src.command_line import OptionParser, run
from src.data.corpus_folder import Corpus, scan_corpus
from src.data.librimix_rules import LOUDNESS_RANGE_LUFS, UtteranceReader, at_one_rate, gains, mix
from src.data.pairing import Candidate, Pool, list_candidates
from src.errors import UserError
from src.files import written_aside

RECIPE = 2  # to be raised whenever the same arguments would give other mixtures or tables
MARKER = ".librimix.json"
MIXTURE_TYPE = "mix_clean"
LIBRIMIX_NAMES = {"dev-clean": "dev", "test-clean": "test", "valid": "dev", "val": "dev"}
DEFAULT_COUNTS = ["train=3000", "valid=200", "test=300"]

Row = dict[str, Any]
Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """The mixtures of one split, and where they go."""

    corpus: Corpus
    corpus_split: str
    root: Path  # .../Libri{N}Mix/wav8k/min
    num_speakers: int
    count: int
    seed: int
    sample_rate: int  # Hz

    @property
    def split(self) -> str:
        """LibriMix's name of the split."""
        return librimix_split(self.corpus_split)

    @property
    def folder(self) -> Path:
        """Where the finished mixtures lie."""
        return self.root / self.split


@dataclass(frozen=True)
class Mixture:
    """One mixture, ready to be written.

    Attributes:
        name: the mixture_ID.
        sources: what was mixed.
        gains: the factor on each source.
        signals: float64 [T] by folder name: mix_clean, s1, s2, …
    """

    name: str
    sources: list[Candidate]
    gains: list[float]
    signals: dict[str, Samples]


@dataclass(frozen=True)
class Tables:
    """The rows of the three metadata files, a mixture a row."""

    mixtures: list[Row]
    gains: list[Row]
    persons: list[Row]


def generate(
    corpus_dir: Path,
    out_dir: Path,
    num_speakers: int,
    counts: Mapping[str, int],
    seed: int,
    *,
    sample_rate: int = 8000,
) -> Path:
    """Make the mixtures of several splits, or reuse them where the same were made before.

    Args:
        corpus_dir: a corpus as `scan_corpus` reads it.
        out_dir: where `Libri{N}Mix` is made.
        num_speakers: N, different persons in each mixture.
        counts: number of mixtures by split; a name stands for itself or its family (`Corpus.split_name`).
        seed: from which every choice follows.
        sample_rate: of the mixtures, in Hz; no utterance may have a lower one.

    Returns:
        `<out_dir>/Libri{N}Mix/wav8k/min`.

    Raises:
        UserError: no such corpus or split; too few speakers or utterances; an unreadable utterance; or a
            folder is in the way that was not made here.
    """
    corpus = scan_corpus(Path(corpus_dir))
    root = Path(out_dir).resolve() / f"Libri{num_speakers}Mix" / f"wav{sample_rate // 1000}k" / "min"
    jobs = [
        Job(corpus, corpus.split_name(wanted), root, num_speakers, count, seed, sample_rate)
        for wanted, count in counts.items()
    ]
    for job in jobs:
        _generate_split(job)
    return root


def librimix_split(name: str) -> str:
    """What LibriMix calls a corpus' split: train-clean-100 -> train-100, dev-clean and valid -> dev."""
    return LIBRIMIX_NAMES.get(name, name.replace("train-clean-", "train-"))


def _generate_split(job: Job) -> None:
    candidates = list_candidates(job.corpus.speakers(job.corpus_split, at_least=job.num_speakers))
    marker = _marker(job, candidates)
    if _is_done(job, marker):
        return
    aside = job.folder.with_name(f".{job.split}.part")
    _remove(aside)
    tables = _write_mixtures(job, candidates, aside)
    (aside / MARKER).write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")
    _write_tables(job, tables)
    _remove(job.folder)
    aside.replace(job.folder)


def _marker(job: Job, candidates: Sequence[Candidate]) -> Row:
    """What the mixtures depend on."""
    root = job.corpus.root
    lines = [f"{c.path.relative_to(root)} {c.path.stat().st_size} {c.speaker} {c.sex} {c.origin}" for c in candidates]
    return {
        "recipe": RECIPE,
        "corpus": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "split": job.corpus_split,
        "num_speakers": job.num_speakers,
        "count": job.count,
        "seed": job.seed,
        "sample_rate": job.sample_rate,
    }


def _is_done(job: Job, marker: Row) -> bool:
    if not job.folder.exists():
        return False
    try:
        found = json.loads((job.folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(
            f"{job.folder}: exists and was not made by this generator, expected an empty place: "
            "choose another --output, or remove it"
        ) from None
    return bool(found == marker)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _write_mixtures(job: Job, candidates: Sequence[Candidate], folder: Path) -> Tables:
    tables = Tables([], [], [])
    with_origins = any(candidate.origin for candidate in candidates)
    for mixture in tqdm(_mixtures(job, candidates), total=job.count, desc=f"mixing {job.split}", unit="mixture"):
        for track, samples in mixture.signals.items():
            write_wav(folder / track / f"{mixture.name}.wav", samples, job.sample_rate)
        _add_rows(tables, job, mixture, with_origins)
    return tables


def _mixtures(job: Job, candidates: Sequence[Candidate]) -> Iterator[Mixture]:
    generator = np.random.default_rng([job.seed, job.num_speakers, zlib.crc32(job.corpus_split.encode())])
    reader = UtteranceReader()
    pool = Pool(candidates, generator, lambda candidate: reader.is_usable(candidate.path))
    for _ in range(job.count):
        sources = _draw(pool, job)
        paths = [source.path for source in sources]
        utterances = at_one_rate([reader.read(path) for path in paths], paths, job.sample_rate)
        factors = gains(utterances, generator.uniform(*LOUDNESS_RANGE_LUFS, size=job.num_speakers).tolist())
        mixture, tracks = mix(utterances, factors, job.sample_rate)  # [T], [C, T]
        signals = {MIXTURE_TYPE: mixture} | {f"s{number}": track for number, track in enumerate(tracks, start=1)}
        yield Mixture("_".join(source.name for source in sources), sources, factors, signals)


def _draw(pool: Pool, job: Job) -> list[Candidate]:
    try:
        return pool.draw(job.num_speakers)
    except UserError as error:
        raise UserError(f"{job.corpus.root / job.corpus_split}: {error}, expected {job.count} mixtures") from None


def _add_rows(tables: Tables, job: Job, mixture: Mixture, with_origins: bool) -> None:
    paths: Row = {"mixture_ID": mixture.name, "mixture_path": _final_path(job, MIXTURE_TYPE, mixture)}
    gains_row: Row = {"mixture_ID": mixture.name}
    persons: Row = {"mixture_ID": mixture.name}
    for number, (source, gain) in enumerate(zip(mixture.sources, mixture.gains, strict=True), start=1):
        paths[f"source_{number}_path"] = _final_path(job, f"s{number}", mixture)
        gains_row[f"source_{number}_path"] = source.path.relative_to(job.corpus.root).as_posix()
        gains_row[f"source_{number}_gain"] = repr(gain)
        persons[f"speaker_{number}_ID"] = source.speaker
        persons[f"speaker_{number}_sex"] = source.sex or ""
        if with_origins:
            persons[f"speaker_{number}_corpus"] = source.origin or ""
    tables.mixtures.append({**paths, "length": len(mixture.signals[MIXTURE_TYPE])})
    tables.gains.append(gains_row)
    tables.persons.append(persons)


def _final_path(job: Job, track: str, mixture: Mixture) -> Path:
    return job.folder / track / f"{mixture.name}.wav"


def _write_tables(job: Job, tables: Tables) -> None:
    stem = f"libri{job.num_speakers}mix_{job.corpus_split}"
    files = {
        f"mixture_{job.split}_{MIXTURE_TYPE}.csv": tables.mixtures,
        f"{stem}.csv": tables.gains,
        f"{stem}_info.csv": tables.persons,
    }
    for name, rows in files.items():
        with written_aside(job.root / "metadata" / name) as aside, aside.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _read_counts(words: Sequence[str]) -> dict[str, int]:
    """`train=3000 test=300` as a dictionary."""
    counts: dict[str, int] = {}
    for word in words:
        split, _, number = word.partition("=")
        if not split or not number.isdecimal() or int(number) < 1:
            raise UserError(f"--count: found {word!r}, expected SPLIT=NUMBER such as train=3000")
        counts[split] = int(number)
    return counts


def main(argv: Sequence[str] | None = None) -> None:
    """Make mixtures from the command line."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--corpus", required=True, type=Path, help="folder of the speech")
    parser.add_argument("--output", required=True, type=Path, help="folder in which Libri{N}Mix is made")
    parser.add_argument("--num_speakers", default=2, type=int, help="speakers in each mixture (default: 2)")
    parser.add_argument(
        "--count",
        nargs="+",
        action="extend",
        metavar="SPLIT=NUMBER",
        help=f"default: {' '.join(DEFAULT_COUNTS)}",
    )
    parser.add_argument("--seed", default=0, type=int, help="from which every choice follows (default: 0)")
    parser.add_argument("--sample_rate", default=8000, type=int, help="in Hz (default: 8000)")
    options = parser.parse_args(argv)
    counts = _read_counts(options.count or DEFAULT_COUNTS)
    root = generate(
        options.corpus, options.output, options.num_speakers, counts, options.seed, sample_rate=options.sample_rate
    )
    tqdm.write(f"mixtures: {root}")


if __name__ == "__main__":
    run(main)
