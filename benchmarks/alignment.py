"""How often a track of a long recording changes its person.

usage: python -m benchmarks.alignment --corpus CORPUS [--model_path CKPT] [--minutes 10] [--recordings 8]

CORPUS is made by `python -m src.data.corpus --output CORPUS --full`. The conversations are of persons of its test set,
five speakers at once with one of the validation set. First a separator is tried that knows the sources and gives them
in a random order for every chunk, each with all others so many dB below it and with a noise of its own at -60 dB.
Then, with --model_path, a real network of two speakers. Printed are tables in Markdown: changes in a recording, by
what the order is decided from.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from benchmarks.conversations import Floats, converse, read_voices
from src.command_line import OptionParser, run
from src.config import CHUNK_SECONDS, OVERLAP_SECONDS
from src.errors import UserError
from src.runtime import prepare_environment, start
from src.stitching.alignment import Aligner, Order, search
from src.stitching.chunks import Chunk, Chunking, Separate, plan_chunks
from src.stitching.voiceprint import Voices

SAMPLE_RATE = 8000
LEAKAGE_DB = (0.0, 5.0, 10.0, 20.0)
NOISE_DB = -60.0
FRAME_SECONDS = 0.01
AUDIBLE_SECONDS = 0.25  # of speech in a chunk, from which on a person counts as heard in it
AUDIBLE_SHARE = 0.01  # of the mean power of a person who talks: speech, and no pause
METHODS = ("as separated", "overlap", "overlap and voice")

# The tracks [C, M] of a chunk, and who is on each of them [C].
Separated = Callable[[Chunk], tuple[Floats, Order]]


def leaking_oracle(sources: Floats, leakage_db: float, seed: int) -> Separated:
    """A separator that knows the sources [C, T], and knows of no order."""
    rng = np.random.default_rng(seed)
    share = 10 ** (-leakage_db / 20)
    tracks = (1 - share) * sources + share * sources.sum(axis=0)

    def separated(chunk: Chunk) -> tuple[Floats, Order]:
        order = rng.permutation(len(sources))
        part = tracks[order, chunk.start : chunk.stop]
        noise = rng.standard_normal(part.shape) * 10 ** (NOISE_DB / 20)
        return np.asarray(part + noise, dtype=np.float32), order

    return separated


def real_network(sources: Floats, separate: Separate) -> Separated:
    """A network; on which track a person is, is told by how much of her the tracks hold."""
    mixture = sources.sum(axis=0)

    def separated(chunk: Chunk) -> tuple[Floats, Order]:
        tracks = separate(mixture[np.newaxis, chunk.start : chunk.stop])[0]
        used = slice(chunk.use_start - chunk.start, chunk.use_stop - chunk.start)
        held = np.square(tracks[:, used] @ sources[:, chunk.use_start : chunk.use_stop].T)  # [tracks, persons]
        return tracks, linear_sum_assignment(held, maximize=True)[1]

    return separated


def audible(sources: Floats, chunks: Sequence[Chunk], sample_rate: int) -> NDArray[np.bool_]:
    """[chunks, C]: who is heard in the used part of each chunk."""
    frame = round(FRAME_SECONDS * sample_rate)
    whole = sources.shape[1] // frame * frame
    powers = np.square(sources[:, :whole]).reshape(len(sources), -1, frame).mean(axis=2)
    talks = powers > 0
    means = powers.sum(axis=1) / np.maximum(talks.sum(axis=1), 1)
    loud = powers > AUDIBLE_SHARE * means[:, np.newaxis]
    parts = [loud[:, chunk.use_start // frame : chunk.use_stop // frame].sum(axis=1) for chunk in chunks]
    return np.array(parts) * FRAME_SECONDS >= AUDIBLE_SECONDS


def count_changes(persons: Sequence[Order], heard: NDArray[np.bool_]) -> int:
    """How often the person who is heard on a track is another than the last one heard there.

    Args:
        persons: [C] for each chunk, who is on each track.
        heard: [chunks, C], by person.
    """
    changes = 0
    for on_track in np.array(persons).T:
        audible_ones = [person for person, now in zip(on_track, heard, strict=True) if now[person]]
        changes += sum(one != other for one, other in itertools.pairwise(audible_ones))
    return changes


def changes_by_method(sources: Floats, separated: Separated, chunking: Chunking, sample_rate: int) -> dict[str, int]:
    """Separate a conversation chunk by chunk, and count with every method."""
    mixture = sources.sum(axis=0)
    chunks = plan_chunks(mixture.size, chunking)
    aligner = Aligner(sample_rate, float(np.mean(np.square(mixture))))
    persons = []
    for chunk in chunks:
        tracks, who = separated(chunk)
        persons.append(who)
        used = slice(chunk.use_start - chunk.start, chunk.use_stop - chunk.start)
        aligner.add(chunk.start, mixture[chunk.start : chunk.stop], tracks, used)
    agreements, voices = aligner.evidence()
    unheard = [Voices(np.zeros_like(voice.precisions), voice.means) for voice in voices]
    own = [np.arange(len(sources))] * len(chunks)
    orders = dict(zip(METHODS, (own, search(agreements, unheard), search(agreements, voices)), strict=True))
    heard = audible(sources, chunks, sample_rate)
    return {
        method: count_changes([who[order] for who, order in zip(persons, chosen, strict=True)], heard)
        for method, chosen in orders.items()
    }


def conversations(
    corpus: Path, num_speakers: int, minutes: float, recordings: int
) -> Iterator[tuple[tuple[str, ...], Floats]]:
    """Who talks, and the sources [C, T]: all groups of persons in turn."""
    persons = sorted(path for path in (corpus / "test").iterdir() if path.is_dir())
    more = sorted(path for path in (corpus / "valid").iterdir() if path.is_dir())
    if len(persons) < 4 or not more:
        raise UserError(f"{corpus}: found {len(persons)} persons in its test set, expected the corpus made with --full")
    groups = list(itertools.combinations(persons, min(num_speakers, len(persons))))
    if num_speakers > len(persons):
        groups = [(*persons, one) for one in more]
    for number, group in zip(range(recordings), itertools.cycle(groups), strict=False):
        voices = read_voices(group, SAMPLE_RATE)
        seed = 1000 * num_speakers + number
        yield tuple(path.name for path in group), converse(voices, 60 * minutes, SAMPLE_RATE, seed)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--model_path", type=Path, help="checkpoint of train.py, two speakers at 8 kHz")
    parser.add_argument("--minutes", type=float, default=10.0, help="of a recording (%(default)s)")
    parser.add_argument("--recordings", type=int, default=8, help="for every number of speakers (%(default)s)")
    parser.add_argument("--chunk_seconds", type=float, default=CHUNK_SECONDS)
    parser.add_argument("--overlap_seconds", type=float, default=OVERLAP_SECONDS)
    options = parser.parse_args(argv)
    chunking = Chunking.from_seconds(options.chunk_seconds, options.overlap_seconds, SAMPLE_RATE)
    _print_head("speakers", "leakage")
    for num_speakers in (2, 3, 5):
        counts: dict[float, list[dict[str, int]]] = {level: [] for level in LEAKAGE_DB}
        made = conversations(options.corpus, num_speakers, options.minutes, options.recordings)
        for _, sources in tqdm(made, total=options.recordings, desc=f"{num_speakers} speakers", unit="recording"):
            for level, rows in counts.items():
                rows.append(changes_by_method(sources, leaking_oracle(sources, level, 0), chunking, SAMPLE_RATE))
        for level, rows in counts.items():
            _print_row([str(num_speakers), f"{level:g} dB"], rows)
    if options.model_path:
        _try_network(options.model_path, options.corpus, options.minutes, options.recordings, chunking)


def _try_network(model_path: Path, corpus: Path, minutes: float, recordings: int, chunking: Chunking) -> None:
    prepare_environment()
    start()
    from src.inference import load_separate

    separate, model = load_separate(model_path)
    if (model.num_speakers, model.sample_rate) != (2, SAMPLE_RATE):
        raise UserError(f"{model_path}: found another network, expected one for 2 speakers at {SAMPLE_RATE} Hz")
    print()
    _print_head("network", "persons")
    for persons, sources in conversations(corpus, 2, minutes, recordings):
        counts = changes_by_method(sources, real_network(sources, separate), chunking, SAMPLE_RATE)
        _print_row([model_path.name, " and ".join(persons)], [counts])


def _print_head(*names: str) -> None:
    print("| " + " | ".join([*names, *METHODS]) + " |")
    print("| --- " * (len(names) + len(METHODS)) + "|", flush=True)


def _print_row(names: Sequence[str], counts: Sequence[dict[str, int]]) -> None:
    means = [f"{np.mean([count[method] for count in counts]):.1f}" for method in METHODS]
    print("| " + " | ".join([*names, *means]) + " |", flush=True)


if __name__ == "__main__":
    run(main)
