"""What benchmarks/model_card.py reads: the checkpoint, the runs it comes from, corpora, scores. Nothing is guessed."""

import csv
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.config import Config
from src.data.manifest import Manifest, read_manifest
from src.data.preprocess import manifest_path
from src.errors import UserError
from src.files import sha256
from src.pretrained import ROOT
from src.run_folder import BEST, HISTORY, LATEST, SITTINGS
from src.scores.summary import PER_UTTERANCE, SUMMARY

MISSING = "not measured"  # what the card says then

Row = dict[str, str]
ABSOLUTE = re.compile(r"(?<![\w.…])/(?:[\w.@+-]+/)+")  # the folders of a path from the root


@dataclass(frozen=True)
class Network:
    """The checkpoint that the card is about."""

    path: Path
    sha256: str
    num_bytes: int
    config: Config
    progress: dict[str, Any]
    weights: dict[str, np.ndarray]  # by name, as they are stored
    version: str

    @property
    def num_parameters(self) -> int:
        """All of them."""
        return sum(values.size for values in self.weights.values())

    @property
    def stored_as(self) -> str:
        """Such as float16."""
        return " and ".join(sorted({str(values.dtype) for values in self.weights.values()}))


@dataclass(frozen=True)
class RunFolder:
    """A training run."""

    path: Path
    config: Config
    history: list[dict[str, Any]]  # one entry an epoch
    sittings: list[dict[str, Any]]  # empty for runs of an older version
    num_processes: int
    published: tuple[str, int] | None  # the file that holds the network's weights, and after which epoch

    @property
    def cpu_hours(self) -> float | None:
        """Of the first process; None where the run, or its beginning, did not count them."""
        if not self.history or not all("cpu_seconds" in entry for entry in self.history):
            return None
        return float(self.history[-1]["cpu_seconds"]) / 3600


@dataclass(frozen=True)
class Person:
    """A line of a corpus' speakers.csv."""

    corpus: str  # as the card calls it
    row: Row

    def get(self, column: str) -> str:
        """What the table says; "" where it says nothing."""
        return (self.row.get(column) or "").strip()


@dataclass(frozen=True)
class Scores:
    """An evaluation of the network."""

    name: str
    folder: Path
    summary: dict[str, Any]
    rows: list[Row]  # scored utterances of per_utterance.csv

    @property
    def persons(self) -> list[str]:
        """Who speaks, each once."""
        return sorted({person for row in self.rows for person in split(row, "speakers")})


@dataclass(frozen=True)
class Sources:
    """Everything that the card is made from."""

    network: Network
    runs: list[RunFolder]
    persons: list[Person]
    scores: list[Scores]
    speed: Mapping[str, Any] | None
    preparation: str  # a shell script
    command: str  # that makes the card


def split(row: Mapping[str, str], column: str) -> list[str]:
    """The values of several sources; none where the column is missing or empty."""
    text = row.get(column) or ""
    return text.split(";") if text else []


def shown(text: object) -> str:
    """A path or a command without the folders of this machine."""
    return ABSOLUTE.sub("…/", str(text).replace(f"{ROOT}/", ""))


def named(words: Iterable[str]) -> dict[str, Path]:
    """NAME=FOLDER as a dictionary. Raises `UserError` for another form, a name given twice or a missing folder."""
    found: dict[str, Path] = {}
    for word in words:
        name, separator, folder = word.rpartition("=")
        if not separator or not name.strip() or name in found:
            raise UserError(f"found '{word}', expected NAME=FOLDER, each name once")
        if not Path(folder).is_dir():
            raise UserError(f"{folder}: no such folder, expected that of '{name}'")
        found[name] = Path(folder)
    return found


def read_network(path: Path) -> Network:
    """The checkpoint. Raises `UserError` as `checkpoint.read`."""
    from src import checkpoint  # loads mindspore

    stored = checkpoint.read(path)
    return Network(
        path,
        sha256(path),
        path.stat().st_size,
        stored.config,
        stored.progress,
        _weights(stored),
        stored.version,
    )


def _weights(stored: Any) -> dict[str, np.ndarray]:
    """Those with which one separates; of a run's checkpoint also the optimizer's state, if it keeps no average."""
    from src import checkpoint

    return {name: value.asnumpy() for name, value in (checkpoint.averages(stored) or stored.values).items()}


def read_run(folder: Path, network: Network) -> RunFolder:
    """A run, and which of its files holds the network's weights.

    Raises:
        UserError: it has no checkpoint or no history, or the network could not have begun with its weights.
    """
    from src import checkpoint
    from src.initial_weights import misfits

    files = [
        path for path in (folder / BEST, *sorted(folder.glob("best-epoch*.ckpt")), folder / LATEST) if path.exists()
    ]
    if not files:
        raise UserError(f"{folder}: found no checkpoint, expected the output folder of train.py")
    stored = [checkpoint.read(path) for path in files]
    config = stored[0].config
    if misfits(network.config.model, config.model):
        raise UserError(f"{folder}: found a network of other sizes than that of {network.path}")
    published = None
    for path, each in zip(files, stored, strict=True):
        if published is None and _same_weights(_weights(each), network.weights):
            published = (path.name, int(each.progress.get("epochs_done", 0)))
    return RunFolder(
        folder,
        config,
        list(read_lines(folder / HISTORY)),
        list(read_lines(folder / SITTINGS)) if (folder / SITTINGS).exists() else [],
        int(stored[-1].progress.get("num_processes", 1)),
        published,
    )


def _same_weights(of_run: Mapping[str, np.ndarray], published: Mapping[str, np.ndarray]) -> bool:
    """Whether these are the published weights, as far as their precision goes."""
    return all(
        name in of_run and np.array_equal(of_run[name].astype(values.dtype), values)
        for name, values in published.items()
    )


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """A file with a line of JSON an entry. Raises `UserError` if there is none, or it is something else."""
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path}: found a line that is no JSON: {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """A file with one JSON object. Raises `UserError` if there is none, or it is something else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: found {type(values).__name__}, expected an object")
    return values


def read_table(path: Path) -> list[Row]:
    """A table with a head. Raises `UserError` if it cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def read_corpora(folders: Mapping[str, Path]) -> list[Person]:
    """The persons of all corpora; of one who is in several, the first corpus counts.

    Raises:
        UserError: a corpus has no speakers.csv.
    """
    persons: dict[str, Person] = {}
    for name, folder in folders.items():
        for row in read_table(folder / "speakers.csv"):
            persons.setdefault(row["speaker"], Person(name, row))
    return list(persons.values())


def read_manifests(runs: Sequence[RunFolder], split_name: str) -> list[Manifest] | None:
    """What the runs were trained on (`train`) or chosen by (`valid`), each once; None if one is not there any more."""
    records = dict.fromkeys(getattr(run.config.data, split_name) for run in runs)
    paths = [manifest_path(Path(each)) for each in records if each]
    if not paths or len(paths) < len(records) or not all(path.is_file() for path in paths):
        return None
    return [read_manifest(path) for path in paths]


def read_scores(folders: Mapping[str, Path], network: Network) -> list[Scores]:
    """Evaluations of this very file.

    Raises:
        UserError: a file is missing, is of another checkpoint, or the table and the means do not belong together.
    """
    return [_read_scores(name, folder, network) for name, folder in folders.items()]


def _read_scores(name: str, folder: Path, network: Network) -> Scores:
    summary = read_json(folder / SUMMARY)
    if summary.get("model_sha256") != network.sha256:
        found = str(summary.get("model_sha256"))[:12]
        raise UserError(
            f"{folder / SUMMARY}: found scores of another checkpoint (SHA-256 {found}…), "
            f"expected those of {network.path} ({network.sha256[:12]}…): evaluate it anew"
        )
    rows = [row for row in read_table(folder / PER_UTTERANCE) if not row.get("not_scored")]
    values = [float(row["si_snri_db"]) for row in rows]
    if len(rows) != summary["num_utterances"] or abs(np.mean(values) - summary["si_snri_db"]) > 1e-3:
        raise UserError(f"{folder}: found a {PER_UTTERANCE} that is not of its {SUMMARY}: evaluate anew")
    return Scores(name, folder, summary, rows)


def changed_settings(config: Config) -> dict[str, dict[str, Any]]:
    """By section, what differs from the defaults; paths are left out."""
    plain, default = dataclasses.asdict(config), dataclasses.asdict(Config())
    return {
        section: {
            key: value
            for key, value in plain[section].items()
            if value != default[section][key] and (section, key) not in (("data", "train"), ("data", "valid"))
        }
        for section in plain
    }


def persons_of(sources: Sources, split_name: str) -> tuple[set[str], bool]:
    """Who is in the runs' training or validation sets, and whether that is known from their manifests."""
    manifests = read_manifests(sources.runs, split_name)
    found = {person for each in manifests or () for entry in each.utterances for person in entry.speakers}
    return found, bool(found)
