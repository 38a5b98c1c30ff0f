"""One person's folder of the demo corpus: from the recordings in unpacked packages to utterances and their origins."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from src.audio import read_audio, resample, to_pcm16
from src.data.clips import (
    SAMPLE_RATE,
    Piece,
    Samples,
    group_pieces,
    joined,
    piece_starts,
    speech_pieces,
    speech_threshold_db,
)
from src.data.debian import Package
from src.data.speakers import ClipSource, Person
from src.errors import UserError

RECIPE = 1  # to be raised whenever the same packages would give other utterances
RECORD_NAME = ".speaker.json"
NOTHING: Samples = np.empty(0)


@dataclass(frozen=True)
class Clip:
    """One recording as it lies in a package."""

    source: ClipSource
    package: Package
    path: Path  # where it is
    file: str  # the same inside the package


@dataclass
class SpeakerRecord:
    """What is told of a person beside the audio; the corpus' tables are made of these."""

    recipe: int
    packages: list[str]  # name, version and checksum: the same person from other packages is built anew
    speaker: dict[str, Any]  # the row of speakers.csv
    origins: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)


def find_clips(person: Person, packages: dict[str, Package], cache_dir: Path) -> list[Clip]:
    """A person's recordings, ordered by package and path.

    Links to folders are not followed, so that every recording is met once, at its real place.

    Raises:
        UserError: a package holds no recording that the table describes.
    """
    clips: list[Clip] = []
    for source in person.sources:
        package = packages[source.package]
        root = package.folder(cache_dir)
        files = sorted(file for file in _files(root) if re.fullmatch(source.pattern, file))
        if not files:
            raise UserError(
                f"package {package.name} {package.version}: found no recording of {person.speaker}, "
                f"expected files like {source.pattern}"
            )
        clips += [Clip(source, package, root / file, file) for file in files]
    return clips


def _files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file():
                yield path.relative_to(root).as_posix()


def read_clip(path: Path) -> Samples:
    """One recording as float64 [T] at 8 kHz: the mean of its channels, resampled. `.gsm` is headerless GSM 06.10.

    Raises:
        UserError: the file cannot be read.
    """
    if path.suffix != ".gsm":
        samples, sample_rate = read_audio(path)
        return np.asarray(resample(samples.mean(axis=0), sample_rate, SAMPLE_RATE))
    try:
        raw, _ = soundfile.read(path, format="RAW", subtype="GSM610", samplerate=8000, channels=1)
    except soundfile.SoundFileError as error:
        raise UserError(f"{path}: unreadable, expected GSM 06.10 ({error})") from error
    return np.asarray(raw, dtype=np.float64)


def packages_key(person: Person, packages: dict[str, Package]) -> list[str]:
    """What a person's utterances depend on, besides the recipe."""
    chosen = [packages[source.package] for source in person.sources]
    return [f"{package.name} {package.version} {package.checksum}" for package in chosen]


def read_record(folder: Path) -> SpeakerRecord | None:
    """The record of a finished speaker folder, or None where there is none that can be read."""
    try:
        return SpeakerRecord(**json.loads((folder / RECORD_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def build_speaker(
    person: Person, clips: list[Clip], key: list[str], folder: Path, on_clip: Callable[[], None]
) -> SpeakerRecord:
    """Write a person's utterances aside, then give the folder its name.

    Args:
        person: the row of the table.
        clips: the recordings, from `find_clips`.
        key: from `packages_key`.
        folder: `<root>/<split>/<speaker>`; what was there is replaced.
        on_clip: called after each recording; may raise to stop early.

    Raises:
        UserError: a folder that was not made here is in the way; or there is hardly any speech.
    """
    if folder.exists() and read_record(folder) is None:
        raise UserError(f"{folder}: exists and was not made by this program, expected another --output")
    record = SpeakerRecord(RECIPE, key, {})
    pieces = _all_pieces(person, clips, record, on_clip)
    groups, alone = group_pieces(pieces)
    if not groups:
        raise UserError(f"{person.speaker}: found less than 3 s of speech in {', '.join(key)}, expected minutes")
    for clip in dict.fromkeys(piece.origin for piece in alone):
        _leave_out(record, person, clip, "rest too short for an utterance of 3 s")
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    num_samples = sum(_write_utterance(aside, person, group, index + 1, record) for index, group in enumerate(groups))
    record.speaker = _speaker_row(person, clips, len(groups), num_samples)
    (aside / RECORD_NAME).write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    aside.replace(folder)
    return record


def _all_pieces(person: Person, clips: list[Clip], record: SpeakerRecord, on_clip: Callable[[], None]) -> list[Piece]:
    heard: list[tuple[Clip, Samples]] = []
    for clip, copy_of in _with_first_copies(clips):
        samples, reason = _read_or_reason(clip) if copy_of is None else (NOTHING, f"byte-identical to {copy_of}")
        if reason is None:
            heard.append((clip, samples))
        else:
            _leave_out(record, person, clip, reason)
        on_clip()
    threshold_db = speech_threshold_db([samples for _, samples in heard])
    pieces: list[Piece] = []
    for clip, samples in heard:
        found = speech_pieces(samples, clip, threshold_db)
        if not found:
            _leave_out(record, person, clip, "no speech of 0.15 s or more")
        pieces += found
    return pieces


def _read_or_reason(clip: Clip) -> tuple[Samples, str | None]:
    try:
        return read_clip(clip.path), None
    except UserError as error:
        return NOTHING, str(error).removeprefix(f"{clip.path}: ")


def _with_first_copies(clips: list[Clip]) -> Iterator[tuple[Clip, str | None]]:
    """The clips, each with the earlier file that it equals byte for byte, or None."""
    seen: dict[bytes, str] = {}
    for clip in clips:
        digest = hashlib.sha256(clip.path.read_bytes()).digest()
        first = seen.setdefault(digest, clip.file)
        yield clip, None if first == clip.file else first


def _leave_out(record: SpeakerRecord, person: Person, clip: Clip, reason: str) -> None:
    package = clip.package
    row = {"speaker": person.speaker, "package": package.name, "version": package.version, "file": clip.file}
    record.left_out.append({**row, "reason": reason})


def _write_utterance(folder: Path, person: Person, pieces: list[Piece], number: int, record: SpeakerRecord) -> int:
    """Write one utterance and note its origins; returns its length in samples."""
    name = f"{person.speaker}-{number:04d}"
    samples = joined(pieces)
    soundfile.write(folder / f"{name}.flac", to_pcm16(samples), SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    for start, piece in zip(piece_starts(pieces), pieces, strict=True):
        clip: Clip = piece.origin
        record.origins.append(
            {
                "split": person.split,
                "speaker": person.speaker,
                "utterance": name,
                "start_seconds": round(start / SAMPLE_RATE, 4),
                "seconds": round(len(piece.samples) / SAMPLE_RATE, 4),
                "package": clip.package.name,
                "version": clip.package.version,
                "licence": clip.source.licence,
                "file": clip.file,
            }
        )
    return len(samples)


def _speaker_row(person: Person, clips: list[Clip], num_utterances: int, num_samples: int) -> dict[str, Any]:
    packages = list(dict.fromkeys(clip.package for clip in clips))
    return {
        "speaker": person.speaker,
        "sex": person.sex,
        "split": person.split,
        "language": " ".join(dict.fromkeys(source.language for source in person.sources)),
        "source": " ".join(dict.fromkeys(source.registry for source in person.sources)),
        "package": " ".join(package.name for package in packages),
        "version": " ".join(package.version for package in packages),
        "licence": " ".join(dict.fromkeys(source.licence for source in person.sources)),
        "num_utterances": num_utterances,
        "seconds": round(num_samples / SAMPLE_RATE, 2),
    }
