"""The manifest: one JSON file a set, which names every mixture, its sources and who speaks in them.

It is plain data, read without MindSpore, so that evaluation and tools need nothing but this file and
the audio beside it. Paths are relative to one root, and the root to the manifest's own folder: a data
set moved together with its manifest still reads.
"""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.files import written_aside

FORMAT = "gdprnn-manifest-1"


@dataclass(frozen=True)
class Utterance:
    """One mixture and the sources in it, in the order s1, s2, … of the data set."""

    id: str
    mixture: str  # audio file, relative to the manifest's root
    sources: tuple[str, ...]  # audio files, relative to the manifest's root
    num_samples: int = 0  # length of all these files; 0: not known yet
    speakers: tuple[str, ...] = ()  # one for each source; (): unknown
    sexes: tuple[str, ...] = ()  # "F" or "M", one for each source; (): unknown
    origins: tuple[str, ...] = ()  # the corpus or package that each source comes from; (): unknown


@dataclass(frozen=True)
class LeftOut:
    """A mixture that was found and is not used."""

    id: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """A set of mixtures. `root` is absolute here and made relative in the file."""

    sample_rate: int  # Hz
    num_speakers: int
    mixture_type: str  # mix_clean | mix_both | mix_single, LibriMix's names
    root: Path
    utterances: tuple[Utterance, ...]
    left_out: tuple[LeftOut, ...] = ()
    fingerprint: str = ""  # digest of the files it was made from, to tell whether they changed

    @property
    def hours(self) -> float:
        """Length of all mixtures together."""
        return sum(utterance.num_samples for utterance in self.utterances) / self.sample_rate / 3600

    def mixture_path(self, utterance: Utterance) -> Path:
        """Where the mixture's audio lies."""
        return self.root / utterance.mixture

    def source_paths(self, utterance: Utterance) -> list[Path]:
        """Where the audio of each source lies."""
        return [self.root / source for source in utterance.sources]


def write_manifest(path: Path | str, manifest: Manifest) -> None:
    """Write a manifest as JSON, one utterance a line, aside first and then under its name."""
    path = Path(path)
    head = {
        "format": FORMAT,
        "sample_rate": manifest.sample_rate,
        "num_speakers": manifest.num_speakers,
        "mixture_type": manifest.mixture_type,
        "root": os.path.relpath(manifest.root.resolve(), path.parent.resolve()),
        "fingerprint": manifest.fingerprint,
    }
    lines = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
    lines += [_list_text("utterances", manifest.utterances), _list_text("left_out", manifest.left_out)]
    with written_aside(path) as aside:
        aside.write_text("{" + ",\n ".join(lines) + "}\n", encoding="utf-8")


def read_manifest(path: Path | str) -> Manifest:
    """Read a manifest.

    Raises `UserError` if the file is missing, is not JSON, or is not a manifest of this format.
    """
    path = Path(path)
    values = _read_json(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else type(values).__name__
        raise UserError(f"{path}: not a manifest: found format {found!r}, expected {FORMAT!r}")
    try:
        manifest = _from_values(values, path)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: damaged manifest: {type(error).__name__} {error}") from None
    _check_counts(manifest, path)
    return manifest


def _from_values(values: dict[str, Any], path: Path) -> Manifest:
    return Manifest(
        sample_rate=int(values["sample_rate"]),
        num_speakers=int(values["num_speakers"]),
        mixture_type=str(values["mixture_type"]),
        root=(path.parent / values["root"]).resolve(),
        utterances=tuple(_utterance(entry) for entry in values["utterances"]),
        left_out=tuple(LeftOut(**entry) for entry in values["left_out"]),
        fingerprint=str(values.get("fingerprint", "")),
    )


def _utterance(entry: dict[str, Any]) -> Utterance:
    lists = {key: tuple(entry[key]) for key in ("sources", "speakers", "sexes")}
    origins = tuple(entry.get("origins", ()))  # an older manifest has none
    return Utterance(**{**entry, **lists, "origins": origins})


def _check_counts(manifest: Manifest, path: Path) -> None:
    for utterance in manifest.utterances:
        if len(utterance.sources) != manifest.num_speakers:
            raise UserError(
                f"{path}: utterance {utterance.id}: found {len(utterance.sources)} sources, "
                f"expected {manifest.num_speakers}"
            )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot read the manifest: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None


def _list_text(key: str, entries: tuple[Utterance, ...] | tuple[LeftOut, ...]) -> str:
    lines = [json.dumps(dataclasses.asdict(entry)) for entry in entries]
    return f'"{key}": [' + ",".join(f"\n  {line}" for line in lines) + "]"
