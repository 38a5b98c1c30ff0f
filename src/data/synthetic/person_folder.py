"""One synthetic person's folder: the utterances that are there, and a record of what they are."""

import io
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import soundfile

from src.audio import to_pcm16
from src.data.clips import SAMPLE_RATE
from src.data.synthetic.persons import SyntheticPerson
from src.data.synthetic.registry_files import ALL_FILES
from src.data.synthetic.speech import Utterance
from src.errors import UserError
from src.files import written_aside

RECIPE = 1  # to be raised whenever the same seed and files would give other utterances
RECORD_NAME = ".synthetic.json"


class PersonFolder:
    """`<root>/<split>/<speaker>` with its record; whatever is added is on the disk before it is told of.

    Attributes:
        person: who speaks.
        seed: of the corpus.
        path: the folder.
        utterances: rows of the record: name, text, speed, tokens_per_second, num_samples.
    """

    def __init__(self, root: Path, person: SyntheticPerson, seed: int) -> None:
        """Find what is there.

        Raises:
            UserError: the folder was not made by this program, or for another corpus.
        """
        self.person, self.seed = person, seed
        self.path = root / person.split / person.speaker
        self._key = {"recipe": RECIPE, "seed": seed, "person": _plain(asdict(person))}
        self._key["files"] = [file.sha256 for file in ALL_FILES]
        record = read_record(self.path)
        if record is None and self.path.exists() and any(not path.name.startswith(".") for path in self.path.iterdir()):
            raise UserError(f"{self.path}: exists and was not made by this program, expected another --output")
        if record is not None and record["key"] != self._key:
            raise UserError(f"{self.path}: found a person of another seed or version, expected another --output")
        self.utterances: list[dict[str, Any]] = record["utterances"] if record else []

    @property
    def tokens_per_second(self) -> float | None:
        """How fast the person speaks at speed 1; None before the first utterance."""
        return float(self.utterances[0]["tokens_per_second"]) if self.utterances else None

    def num_missing(self, count: int) -> int:
        """How many of the first `count` utterances are not there; a lost file's and all after it are made again.

        Raises:
            UserError: there are more than `count`.
        """
        if len(self.utterances) > count:
            raise UserError(
                f"{self.path}: found {len(self.utterances)} utterances, expected at most {count} of each person: "
                "more --hours, or another --output"
            )
        lost = (index for index, row in enumerate(self.utterances) if not self._file(row["name"]).is_file())
        self.utterances = self.utterances[: next(lost, len(self.utterances))]
        return count - len(self.utterances)

    def add(self, utterance: Utterance) -> None:
        """Write the next utterance and enter it in the record.

        Raises:
            UserError: it cannot be written, for example because the disk is full.
        """
        name = f"{self.person.speaker}-{len(self.utterances) + 1:04d}"
        if not self.utterances:
            self._write_record()  # so that the folder is known as this program's from its first file on
        content = io.BytesIO()
        soundfile.write(content, to_pcm16(utterance.samples), SAMPLE_RATE, subtype="PCM_16", format="FLAC")
        with written_aside(self._file(name)) as aside:
            aside.write_bytes(content.getvalue())
        self.utterances.append(
            {
                "name": name,
                "text": utterance.text,
                "speed": utterance.speed,
                "tokens_per_second": utterance.tokens_per_second,
                "num_samples": len(utterance.samples),
            }
        )
        self._write_record()

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.flac"

    def _write_record(self) -> None:
        with written_aside(self.path / RECORD_NAME) as aside:
            record = {"key": self._key, "utterances": self.utterances}
            aside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a folder, or None where there is none that can be read."""
    with suppress(OSError, ValueError):
        record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
        if isinstance(record, dict) and record.keys() == {"key", "utterances"}:
            return record
    return None


def check_no_others(root: Path, folders: Sequence[PersonFolder]) -> None:
    """Raise `UserError` where a corpus with other persons is: hours of work are not thrown away."""
    wanted = {folder.path for folder in folders}
    others = [path for path in sorted(root.glob("*/*")) if path not in wanted and read_record(path) is not None]
    if others:
        raise UserError(
            f"{root}: found {len(others)} persons more than the {len(folders)} of this command, such as "
            f"{others[0].name}: expected more --persons, or another --output"
        )


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value))
