"""Mixtures in LibriMix's own form, made from any corpus that `scan_corpus` reads.

usage: python -m src.data.librimix --corpus DIR --output DIR [--num_speakers 2] [--count SPLIT=NUMBER ...]

Written are `<output>/Libri{N}Mix/wav8k/min/<split>/{mix_clean,s1..sN}/<mixture_ID>.wav` and in
`.../min/metadata` LibriMix's mixture_<split>_mix_clean.csv, the gains (libri{N}mix_<split>.csv) and the speakers
(libri{N}mix_<split>_info.csv). Everything follows from the seed; a split that is finished is reused.
"""

import csv
import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from src.audio import write_wav, written_aside
from src.command_line import OptionParser, run
from src.data.corpus_folder import Corpus, scan_corpus
from src.data.librimix_rules import LOUDNESS_RANGE_LUFS, Utterance, at_one_rate, gains, mix, read_utterance
from src.data.pairing import Candidate, Pool, list_candidates
from src.errors import UserError

RECIPE = 1  # to be raised whenever the same arguments would give other mixtures
MARKER = ".librimix.json"
MIXTURE_TYPE = "mix_clean"
LIBRIMIX_NAMES = {"dev-clean": "dev", "test-clean": "test", "valid": "dev", "val": "dev"}
DEFAULT_COUNTS = ["train=3000", "valid=200", "test=300"]
CACHED_UTTERANCES = 4096  # of some 6 s each: every one is drawn a few times

Row = dict[str, Any]


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
    lines = [f"{c.path.relative_to(root)} {c.path.stat().st_size} {c.speaker} {c.sex}" for c in candidates]
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
    mixtures = tqdm(_mixtures(job, candidates), total=job.count, desc=f"mixing {job.split}", unit="mixture")
    for sources, factors, signals in mixtures:
        name = "_".join(source.name for source in sources)
        for track, samples in signals.items():
            write_wav(folder / track / f"{name}.wav", samples, job.sample_rate)
        _add_rows(tables, job, name, sources, factors, len(signals[MIXTURE_TYPE]))
    return tables


def _mixtures(
    job: Job, candidates: Sequence[Candidate]
) -> Iterator[tuple[list[Candidate], list[float], dict[str, Any]]]:
    """For each mixture its utterances, their gains and the signals by folder name."""
    generator = np.random.default_rng([job.seed, job.num_speakers, zlib.crc32(job.corpus_split.encode())])
    read = _cached_reader()
    pool = Pool(candidates, generator, lambda candidate: np.isfinite(read(candidate.path).loudness_lufs))
    for _ in range(job.count):
        sources = pool.draw(job.num_speakers)
        paths = [source.path for source in sources]
        utterances = at_one_rate([read(path) for path in paths], paths, job.sample_rate)
        factors = gains(utterances, generator.uniform(*LOUDNESS_RANGE_LUFS, size=job.num_speakers).tolist())
        mixture, tracks = mix(utterances, factors, job.sample_rate)  # [T], [C, T]
        yield sources, factors, {MIXTURE_TYPE: mixture, **{f"s{i + 1}": track for i, track in enumerate(tracks)}}


def _cached_reader() -> Callable[[Path], Utterance]:
    return lru_cache(CACHED_UTTERANCES)(read_utterance)


def _add_rows(
    tables: Tables, job: Job, name: str, sources: list[Candidate], factors: list[float], length: int
) -> None:
    mixture: Row = {"mixture_ID": name, "mixture_path": job.folder / MIXTURE_TYPE / f"{name}.wav"}
    gain: Row = {"mixture_ID": name}
    person: Row = {"mixture_ID": name}
    for number, (source, factor) in enumerate(zip(sources, factors, strict=True), start=1):
        mixture[f"source_{number}_path"] = job.folder / f"s{number}" / f"{name}.wav"
        gain[f"source_{number}_path"] = source.path.relative_to(job.corpus.root).as_posix()
        gain[f"source_{number}_gain"] = repr(factor)
        person[f"speaker_{number}_ID"] = source.speaker
        person[f"speaker_{number}_sex"] = source.sex or ""
    tables.mixtures.append({**mixture, "length": length})
    tables.gains.append(gain)
    tables.persons.append(person)


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
        "--count", nargs="+", default=DEFAULT_COUNTS, metavar="SPLIT=NUMBER", help=f"default: {' '.join(DEFAULT_COUNTS)}"
    )
    parser.add_argument("--seed", default=0, type=int, help="from which every choice follows (default: 0)")
    parser.add_argument("--sample_rate", default=8000, type=int, help="in Hz (default: 8000)")
    options = parser.parse_args(argv)
    counts = _read_counts(options.count)
    root = generate(
        options.corpus, options.output, options.num_speakers, counts, options.seed, options.sample_rate
    )
    tqdm.write(f"mixtures: {root}")


if __name__ == "__main__":
    run(main)
