"""What a corpus of synthetic voices sounds like, in figures; and how long it takes to make.

usage: python -m benchmarks.voices CORPUS [--cache DIR]

CORPUS is made by `python -m src.data.synthetic_voices` (any other corpus of 8 kHz can be measured too). Printed are
tables in Markdown: length, level and silence of the utterances; pitch; and whether persons can be told apart. For the
last, an utterance is its mean mel spectrum and pitch, whitened by how the utterances of one person vary; an utterance
is given to the person whose others it is nearest to. With --cache, the folder of what the synthesis needs, also the
time of a sentence on one thread.
"""

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from src.audio import read_audio
from src.command_line import OptionParser, run
from src.data.clips import frame_levels_db
from src.data.corpus_folder import scan_corpus
from src.data.voice import median_pitch_hz
from src.errors import UserError
from src.stitching.voiceprint import mel_bands

Floats = NDArray[np.float64]

FRAME_SECONDS = 0.064
SILENT_DB = -40.0  # below a clip's loud frames
FULL_SCALE = 0.999
WITHIN_SHRINKAGE = 0.1  # towards the diagonal: persons have few utterances
TEXTS = (  # of different lengths, for the time
    "The cat slept.",
    "The old captain found a lantern near the bridge.",
    "Many years ago, a curious shepherd bought the golden trumpet across the narrow valley.",
    "Many years ago, a curious shepherd bought the golden trumpet across the narrow valley, and the giant secretly "
    "stole an umbrella of the princess.",
)


@dataclass(frozen=True)
class Heard:
    """One utterance."""

    split: str
    speaker: str
    sex: str
    kind: str  # voice or mixture
    seconds: float
    rms: float
    peak: float
    silent: float  # share of the frames
    pitch_hz: float
    spectrum: Floats  # mean log mel bands without their level


def listen(root: Path) -> list[Heard]:
    """Measure every utterance of a corpus."""
    table = root / "speakers.csv"
    rows = list(csv.DictReader(table.open(encoding="utf-8"))) if table.is_file() else []
    voices = {row["speaker"]: row.get("voices") or "" for row in rows}
    found = [
        (split, speaker, path)
        for split, speakers in scan_corpus(root).splits.items()
        for speaker in speakers
        for path in speaker.utterances
    ]
    heard = []
    for split, speaker, path in tqdm(found, desc="measuring", unit="utterance"):
        samples, sample_rate = read_audio(path)
        mono = samples.mean(axis=0)
        levels = frame_levels_db(mono)
        heard.append(
            Heard(
                split,
                speaker.name,
                speaker.sex or "U",
                "mixture" if "+" in voices.get(speaker.name, "") else "voice",
                len(mono) / sample_rate,
                float(np.sqrt(np.mean(mono**2))),
                float(np.abs(mono).max()),
                float(np.mean(levels < SILENT_DB)),
                median_pitch_hz(mono, sample_rate),
                _spectrum(mono, sample_rate),
            )
        )
    return heard


def _spectrum(samples: Floats, sample_rate: int) -> Floats:
    """Mean log mel bands over the louder half of the frames, without their mean."""
    size = round(FRAME_SECONDS * sample_rate)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.abs(np.fft.rfft(frames * np.hanning(size))) ** 2
    loud = power[power.sum(axis=1) >= np.median(power.sum(axis=1))]
    bands = np.log(loud @ mel_bands(sample_rate, size).T + 1e-9).mean(axis=0)
    return np.asarray(bands - bands.mean())


def print_form(heard: Sequence[Heard]) -> None:
    """Length, level, silence."""
    print("| split | persons | utterances | minutes | seconds of one | RMS | highest peak | clipped | silent frames |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for split in dict.fromkeys(each.split for each in heard):
        chosen = [each for each in heard if each.split == split]
        seconds = np.array([each.seconds for each in chosen])
        rms = np.array([each.rms for each in chosen])
        silent = np.array([each.silent for each in chosen])
        print(
            f"| {split} | {len({each.speaker for each in chosen})} | {len(chosen)} | {seconds.sum() / 60:.1f} "
            f"| {seconds.min():.1f} to {seconds.max():.1f}, mean {seconds.mean():.2f} "
            f"| {rms.min():.3f} to {rms.max():.3f} "
            f"| {max(each.peak for each in chosen):.2f} | {sum(each.peak > FULL_SCALE for each in chosen)} "
            f"| mean {silent.mean():.0%}, most {silent.max():.0%} |"
        )


def print_pitch(heard: Sequence[Heard]) -> None:
    """Median pitch of each person, over the persons; and how much the utterances of one vary."""
    print(
        "\n| split | sex | persons | pitch of a person: lowest, quartiles, highest (Hz) | within a person (semitones) |"
    )
    print("| --- | --- | --- | --- | --- |")
    for split, sex in sorted({(each.split, each.sex) for each in heard}, reverse=True):
        persons = _by_person([each for each in heard if (each.split, each.sex) == (split, sex)])
        medians = [np.median([each.pitch_hz for each in group]) for group in persons.values()]
        spread = [np.std(12 * np.log2([each.pitch_hz for each in group])) for group in persons.values()]
        places = ", ".join(f"{value:.0f}" for value in np.percentile(medians, [0, 25, 50, 75, 100]))
        print(f"| {split} | {sex} | {len(persons)} | {places} | {np.median(spread):.1f} |")


def print_differences(heard: Sequence[Heard]) -> None:
    """Whether persons can be told apart."""
    persons = {name: group for name, group in _by_person(heard).items() if len(group) >= 2}
    if len(persons) < 2:
        return
    groups = [np.stack([_features(each) for each in group]) for group in persons.values()]
    whiten = _whitening(groups)
    groups = [group @ whiten for group in groups]
    centres = np.stack([group.mean(axis=0) for group in groups])
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1) + np.diag(np.full(len(centres), np.inf))
    print("\n| kind | persons | given to the right person | nearest other person | typical other person |")
    print("| --- | --- | --- | --- | --- |")
    kinds = [group[0].kind for group in persons.values()]
    for kind in dict.fromkeys(kinds):
        chosen = [index for index, each in enumerate(kinds) if each == kind]
        right = [_is_right(index, number, groups, centres) for index in chosen for number in range(len(groups[index]))]
        others = distances[chosen]  # of either kind
        print(
            f"| {kind} | {len(chosen)} | {np.mean(right):.0%} of {len(right)} | {np.median(others.min(axis=1)):.1f} "
            f"| {np.median(others[np.isfinite(others)]):.1f} |"
        )
    print("\nDistances are in standard deviations of a person's own utterances.")


def _by_person(heard: Sequence[Heard]) -> dict[str, list[Heard]]:
    persons: dict[str, list[Heard]] = {}
    for each in heard:
        persons.setdefault(f"{each.split}/{each.speaker}", []).append(each)
    return persons


def _features(each: Heard) -> Floats:
    return np.append(each.spectrum[1:], 12 * np.log2(each.pitch_hz))


def _whitening(groups: Sequence[Floats]) -> Floats:
    """What makes the utterances of one person vary by one in every direction."""
    inside = np.concatenate([group - group.mean(axis=0) for group in groups])
    freedom = sum(len(group) - 1 for group in groups)
    covariance = inside.T @ inside / freedom
    covariance = (1 - WITHIN_SHRINKAGE) * covariance + WITHIN_SHRINKAGE * np.diag(np.diag(covariance))
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)).T)


def _is_right(person: int, utterance: int, groups: Sequence[Floats], centres: Floats) -> bool:
    """Whether an utterance is nearest to the others of its person."""
    others = np.delete(groups[person], utterance, axis=0).mean(axis=0)
    places = centres.copy()
    places[person] = others
    return int(np.argmin(np.linalg.norm(places - groups[person][utterance], axis=1))) == person


def print_times(cache_dir: Path) -> None:
    """Time of a sentence by its length, one thread; processor time, for others may be at work."""
    from src.data.synthetic.material import read_material
    from src.data.synthetic.pronunciation import tokens
    from src.data.synthetic.registry_files import ALL_FILES, fetch_files
    from src.data.synthetic.speech import MODEL_RATE, load_speaker

    material = read_material(fetch_files(ALL_FILES, cache_dir))
    began = time.process_time()
    speak = load_speaker(material.model, 1)
    print(f"\nLoading the network: {time.process_time() - began:.1f} s of processor time\n")
    print("| tokens | seconds of speech | processor time / length |")
    print("| --- | --- | --- |")
    for text in TEXTS:
        numbers = tokens(material.dictionaries["us"].phonemes(text), material.vocabulary)
        ratios = []
        for _ in range(3):
            began = time.process_time()
            clip = speak(numbers, material.voices["af_heart"][len(numbers)], 1.0)
            ratios.append((time.process_time() - began) / (len(clip) / MODEL_RATE))
        print(f"| {len(numbers)} | {len(clip) / MODEL_RATE:.1f} | {np.median(ratios):.2f} |")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure from the command line."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("corpus", type=Path, help="folder of the corpus")
    parser.add_argument("--cache", type=Path, help="folder of what the synthesis needs: also measure its time")
    options = parser.parse_args(argv)
    heard = listen(options.corpus)
    if not heard:
        raise UserError(f"{options.corpus}: found no utterance, expected some")
    print_form(heard)
    print_pitch(heard)
    print_differences(heard)
    if options.cache:
        print_times(options.cache)


if __name__ == "__main__":
    run(main)
