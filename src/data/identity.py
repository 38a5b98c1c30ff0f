"""Who speaks in a mixture: from LibriMix's `*_info.csv`, or from the mixture's name."""

import csv
import re
from dataclasses import replace
from pathlib import Path

from src.data.manifest import Utterance

WSJ_GAIN = re.compile(r"-?\d+(\.\d+)?")  # in wsj0-mix names: 011a0101_0.12_401c020r_-0.12
WSJ_UTTERANCE = re.compile(r"[0-9a-z]{8}")
WSJ_SPEAKER_LENGTH = 3

INFO_COLUMNS = ("ID", "sex", "corpus")  # speaker_1_ID and so on; the last one is ours, not LibriMix's
Persons = tuple[tuple[str, ...], ...]  # speakers, sexes and origins of a mixture's sources; () where unknown


def with_persons(utterances: tuple[Utterance, ...], root: Path, num_speakers: int) -> tuple[Utterance, ...]:
    """The same utterances with `speakers` and, where an `*_info.csv` near `root` has them, `sexes` and `origins`.

    They stay () where neither the tables nor, for the speakers, the name tells them.
    """
    known = _read_tables(root, num_speakers)
    return tuple(_with_persons(utterance, known, num_speakers) for utterance in utterances)


def speakers_from_id(mixture_id: str, num_speakers: int) -> tuple[str, ...]:
    """The speakers named in a mixture's ID, or () if it has another form.

    LibriMix joins LibriSpeech's `<speaker>-<chapter>-<number>` with underscores; wsj0-mix joins WSJ0's
    `<speaker: 3 letters><5 letters>` and gains in decibels.
    """
    parts = mixture_id.split("_")
    if num_speakers in (1, len(parts)) and all("-" in part[1:] for part in parts):  # 1: the first, of mix_single
        return tuple(part.split("-")[0] for part in parts[:num_speakers])
    names, gains = parts[0::2], parts[1::2]
    if len(names) == len(gains) == num_speakers and all(WSJ_GAIN.fullmatch(gain) for gain in gains):
        return tuple(name[:WSJ_SPEAKER_LENGTH] for name in names if WSJ_UTTERANCE.fullmatch(name))
    return ()


def _with_persons(utterance: Utterance, known: dict[str, Persons], num_speakers: int) -> Utterance:
    if utterance.id in known:
        speakers, sexes, origins = known[utterance.id]
        return replace(utterance, speakers=speakers, sexes=sexes, origins=origins)
    speakers = speakers_from_id(utterance.id, num_speakers)
    return replace(utterance, speakers=speakers if len(speakers) == num_speakers else ())


def _read_tables(root: Path, num_speakers: int) -> dict[str, Persons]:
    """Every `*_info.csv` in a metadata folder of the data set: mixture_ID, speaker_1_ID, speaker_1_sex, …"""
    known: dict[str, Persons] = {}
    for folder in (root, *root.parents[:2]):  # wav8k/min, wav8k, Libri2Mix
        for path in sorted((folder / "metadata").glob("**/*_info.csv")):
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    persons = _row_persons(row, num_speakers)
                    if persons[0]:
                        known.setdefault(row["mixture_ID"], persons)
    return known


def _row_persons(row: dict[str, str], num_speakers: int) -> Persons:
    numbers = range(1, num_speakers + 1)
    found = [tuple(row.get(f"speaker_{number}_{column}") or "" for number in numbers) for column in INFO_COLUMNS]
    return tuple(values if all(values) else () for values in found)
