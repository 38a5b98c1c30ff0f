"""From a data set's folders to JSON manifests and MindRecord files.

For each of train, valid and test: find the mixtures, read and check their audio in worker processes, write
the MindRecord pair and the manifest aside, and rename them when they are complete. A set whose files have
not changed since is not made again.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from src.data.layout import FAMILIES, Layout, count_speakers, find_layout, find_manifest
from src.data.loading import PEAK_LIMIT, load_all
from src.data.manifest import LeftOut, Manifest, Utterance, read_manifest, write_manifest
from src.data.record_index import read_index
from src.errors import UserError
from src.runtime import load_mindspore

PACKED_RATIO = 3  # a flac file may unpack to about so many times its size
NUM_REASONS = 5  # of the left out mixtures, shown by name


@dataclass(frozen=True)
class Request:
    """What preprocess.py was asked for."""

    in_dir: Path
    out_dir: Path
    sample_rate: int  # Hz
    names: dict[str, str]  # train, valid, test -> name of the .mindrecord file
    mixture_type: str = "mix_clean"


def preprocess(request: Request) -> None:
    """Make all sets that the data set has, and print a summary.

    Raises `UserError` if the data set is missing or ambiguous, has files of another sample rate, or has a
    set of which nothing can be used.
    """
    _check_names(request.names)
    layout = find_layout(request.in_dir, request.sample_rate, request.mixture_type)
    num_speakers = count_speakers(layout)
    print(f"{layout.root}: {layout.mixture_type}, {num_speakers} speakers, {request.sample_rate} Hz")
    for family in FAMILIES:
        if family in layout.splits:
            _make_set(request, layout, family, num_speakers)
        else:
            print(f"{family}: none in this data set")


def manifest_path(records: Path) -> Path:
    """The manifest that belongs to a record file: train.mindrecord -> train.json."""
    return records.with_suffix(".json")


def _check_names(names: dict[str, str]) -> None:
    files = [name for text in names.values() for name in (text, Path(text).with_suffix(".json").name)]
    if len(set(files)) < len(files) or any(Path(name).name != name for name in files):
        given = ", ".join(f"--{family}_name {name}" for family, name in names.items())
        raise UserError(f"found {given}; expected file names that differ, without a folder, not ending in .json")


def _make_set(request: Request, layout: Layout, family: str, num_speakers: int) -> None:
    manifest = find_manifest(layout, family, num_speakers, request.sample_rate)
    manifest = dataclasses.replace(manifest, fingerprint=_fingerprint(manifest))
    records = request.out_dir / request.names[family]
    earlier = _finished(records, manifest)
    note = "unchanged, used again" if earlier else ""
    made = earlier or _write_set(records, manifest, family)
    _print_summary(records, made, note)


def _fingerprint(manifest: Manifest) -> str:
    """A digest of all that the result depends on: the settings, and every file's name, size and time."""
    digest = hashlib.sha256()
    facts = [manifest.sample_rate, manifest.num_speakers, manifest.mixture_type]
    digest.update(json.dumps([facts, [dataclasses.astuple(entry) for entry in manifest.left_out]]).encode())
    for utterance in manifest.utterances:
        digest.update(json.dumps(dataclasses.astuple(utterance)).encode())
        for path in (manifest.mixture_path(utterance), *manifest.source_paths(utterance)):
            status = path.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _finished(records: Path, wanted: Manifest) -> Manifest | None:
    """The manifest of an earlier run, if it and its record file are still what this run would make."""
    try:
        earlier = read_manifest(manifest_path(records))
        ids = read_index(records).ids if records.is_file() else ()
    except UserError:
        return None
    complete = ids == tuple(utterance.id for utterance in earlier.utterances)
    same = earlier.fingerprint == wanted.fingerprint and earlier.root == wanted.root
    return earlier if complete and same else None


def _write_set(records: Path, manifest: Manifest, family: str) -> Manifest:
    """Read, check and write everything; the manifest that comes back says what was used and what was not."""
    load_mindspore()  # here: it takes seconds, and is not always needed
    from src.data.records import record_writer

    used: list[Utterance] = []
    num_scaled = 0
    left_out = list(manifest.left_out)
    results = tqdm(load_all(manifest), desc=family, total=len(manifest.utterances), unit="mixture")
    with record_writer(records, manifest, _largest_bytes(manifest)) as writer:
        for result in results:
            if isinstance(result, LeftOut):
                left_out.append(result)
            else:
                writer.write(result)
                used.append(result.utterance)
                num_scaled += result.was_scaled
        if not used:
            reason = f"{left_out[0].id}: {left_out[0].reason}" if left_out else "the folders are empty"
            raise UserError(f"{manifest.root}: {family}: found no mixture that can be used ({reason})")
    complete = dataclasses.replace(manifest, utterances=tuple(used), left_out=tuple(left_out))
    write_manifest(manifest_path(records), complete)
    if num_scaled:
        print(f"{family}: {num_scaled} mixtures above full scale, scaled to a peak of {PEAK_LIMIT}")
    return complete


def _largest_bytes(manifest: Manifest) -> int:
    def estimate(utterance: Utterance) -> int:
        path = manifest.mixture_path(utterance)
        ratio = 1 if path.suffix.lower() == ".wav" else PACKED_RATIO
        return (1 + manifest.num_speakers) * path.stat().st_size * ratio

    return max((estimate(utterance) for utterance in manifest.utterances), default=0)


def _print_summary(records: Path, manifest: Manifest, note: str) -> None:
    seconds = [utterance.num_samples / manifest.sample_rate for utterance in manifest.utterances]
    persons = {person for utterance in manifest.utterances for person in utterance.speakers}
    print(
        f"{records}{f' ({note})' if note else ''}: {len(seconds)} mixtures, {manifest.hours:.2f} h, "
        f"{min(seconds):.1f} to {max(seconds):.1f} s, {len(persons) or 'unknown'} persons, "
        f"{len(manifest.left_out)} left out"
    )
    for entry in manifest.left_out[:NUM_REASONS]:
        print(f"  left out: {entry.id}: {entry.reason}")
    if len(manifest.left_out) > NUM_REASONS:
        print(f"  … and {len(manifest.left_out) - NUM_REASONS} more, all in {manifest_path(records)}")
