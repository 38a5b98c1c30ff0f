"""Small data sets of noise that swells and fades like speech, for the tests of this folder."""

import csv
from pathlib import Path

import numpy as np
import soundfile

import preprocess as script
from src.audio import to_pcm16
from src.data.loading import Loaded
from src.data.manifest import Manifest, Utterance, read_manifest
from src.data.records import RecordFile, record_writer
from src.data.voice import measure

RATE = 8000


def make_sources(seed, num_speakers, num_samples):
    """float [C, T], loud enough to be measured, small enough not to clip when added."""
    rng = np.random.default_rng(seed)
    swell = 1.2 + np.sin(np.arange(num_samples) * 2 * np.pi * 3 / RATE + rng.uniform(0, 6, (num_speakers, 1)))
    noise = rng.normal(size=(num_speakers, num_samples))
    return 0.02 * swell * noise * rng.uniform(0.5, 1.5, (num_speakers, 1))


def write_split(root, split, names, *, mixture_folder="mix_clean", num_speakers=2, rate=RATE, num_samples=6000):
    """Write `<root>/<split>/{mixture_folder,s1,…}/<name>.wav`; each name has samples of its own."""
    for number, name in enumerate(names):
        sources = make_sources([number, num_speakers], num_speakers, num_samples + 100 * number)
        rows = {mixture_folder: sources.sum(axis=0), **{f"s{c + 1}": row for c, row in enumerate(sources)}}
        for folder, samples in rows.items():
            path = Path(root, split, folder, f"{name}.wav")
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, rate, subtype="PCM_16")


def write_metadata(root, split, names, *, mixture_type="mix_clean", num_speakers=2, was="/made/on/another/machine"):
    """LibriMix's CSV, with paths of the machine that made it, in reverse order."""
    path = Path(root, "metadata", f"mixture_{split}_{mixture_type}.csv")
    path.parent.mkdir(exist_ok=True)
    folders = [mixture_type, *(f"s{c + 1}" for c in range(num_speakers))]
    columns = ["mixture_path", *(f"source_{c + 1}_path" for c in range(num_speakers))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["mixture_ID", *columns, "length"])
        for name in reversed(names):
            length = soundfile.info(str(Path(root, split, "s1", f"{name}.wav"))).frames
            writer.writerow([name, *(f"{was}/{split}/{folder}/{name}.wav" for folder in folders), length])
    return path


def names(count, persons=4):
    """Mixture IDs as LibriMix's, of `persons` different speakers, two in each."""
    return [
        f"{n % persons}-7-{n:04d}_{(n + 1 + n // persons % (persons - 1)) % persons}-9-{n:04d}" for n in range(count)
    ]


def write_records(path, lengths, speakers=None, *, num_speakers=2, mixture_type="mix_clean"):
    """A MindRecord pair with one mixture of each length (in samples). Returns the int16 samples in it."""
    manifest = Manifest(RATE, num_speakers, mixture_type, Path(path).parent, ())
    kept = []
    with record_writer(path, manifest) as writer:
        for number, num_samples in enumerate(lengths):
            sources = make_sources([number], num_speakers, num_samples)
            pcm = to_pcm16(sources)
            pcm = np.concatenate([pcm.sum(axis=0, dtype=np.int16)[None], pcm])
            persons = speakers[number] if speakers else (f"p{number % 3}", f"q{number % 4}")
            utterance = Utterance(f"mix{number}", "", (), num_samples, tuple(persons), ())
            voices = tuple(measure(row / 32768, RATE) for row in pcm[1:])
            writer.write(Loaded(utterance, pcm, voices, False))
            kept.append(pcm)
    return kept


def convert(in_dir, out_dir, *options):
    """Run preprocess.py. Returns the manifests by name."""
    script.main(["--in-dir", str(in_dir), "--out-dir", str(out_dir), *options])
    return {path.stem: read_manifest(path) for path in Path(out_dir).glob("*.json")}


def stored(out_dir, name):
    """The audio in a record file, by ID: float32 [1 + C, T]."""
    records = RecordFile(Path(out_dir, f"{name}.mindrecord"))
    return dict(zip(records.index.ids, records.read(range(len(records))), strict=True))


def read(path):
    return soundfile.read(path, dtype="float32")[0]
