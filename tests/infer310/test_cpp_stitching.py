"""The C++ numerics against the Python ones, number by number, on the same evidence and the same recordings."""

import dataclasses
import itertools
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from src.stitching.alignment import Aligner, search
from src.stitching.chunks import Chunking, fade_in, plan_chunks, separate_in_chunks
from src.stitching.gains import fit_gains, gains_from_products
from src.stitching.voiceprint import Voices, mel_bands
from tests.synthetic import voice

Floats = np.ndarray


@pytest.fixture(scope="module")
def ask(cpp_build, tmp_path_factory):
    """Gives questions to stitching_check, and its answers."""
    program = cpp_build / "stitching_check"

    def answers(folder: Path | None = None, **questions: Sequence[Any]) -> dict[str, Any]:
        folder = folder or tmp_path_factory.mktemp("case")
        (folder / "case.json").write_text(json.dumps(questions, default=lambda array: array.tolist()))
        done = subprocess.run([program, folder], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads((folder / "result.json").read_text())

    return answers


# assignment


def tied_matrices(rng: np.random.Generator) -> list[Floats]:
    """Square ones of all sizes up to 10: real numbers, few different integers, all equal, with equal rows."""
    matrices = []
    for size in range(1, 11):
        for _ in range(60):
            matrices.append(rng.standard_normal((size, size)))
            matrices.append(rng.integers(-1, 2, (size, size)).astype(float))
            matrices.append(rng.integers(0, 5, (size, size)) / 7)
            matrices.append(rng.standard_normal((size, size))[rng.integers(0, size, size)])
            matrices.append(rng.standard_normal((size, size))[:, rng.integers(0, size, size)])
            matrices.append(rng.standard_normal((size, size)) * (rng.uniform(size=(size, size)) > 0.6))
        matrices += [np.full((size, size), value) for value in (0.0, -3.0, 0.1)]
    return matrices


def test_assignments_are_scipys_also_where_many_are_equally_good(ask):
    matrices = tied_matrices(np.random.default_rng(0))
    found = ask(assignments=matrices)["assignments"]
    for matrix, order in zip(matrices, found, strict=True):
        np.testing.assert_array_equal(order, linear_sum_assignment(matrix, maximize=True)[1], err_msg=str(matrix))


# plans and tables


def test_plans_are_the_same(ask):
    lengths = [2, 3, 4, 5, 8, 9, 15, 16, 31]
    plans = [
        (num_samples, length, overlap)
        for length in lengths
        for overlap in range(length // 2 + 1)
        for num_samples in range(1, 3 * length + 4)
    ]
    plans += [(600 * 8000 + 1, 63999, 31999), (10**12, 10**10 + 1, 4 * 10**9 + 1), (5, 0, 0), (5, 2**62, 2**61)]
    for asked, found in zip(plans, ask(plans=plans)["plans"], strict=True):
        chunks = plan_chunks(asked[0], Chunking(*asked[1:]))
        assert found == [list(dataclasses.astuple(chunk)) for chunk in chunks], asked


def test_fades_are_the_same(ask):
    lengths = [0, 1, 2, 7, 1000, 16_001]
    for length, found in zip(lengths, ask(fades=lengths)["fades"], strict=True):
        np.testing.assert_array_equal(np.float32(found), fade_in(length))


@pytest.mark.parametrize("sample_rate", [1000, 8000, 11_025, 16_000, 44_100, 48_000])
def test_mel_bands_are_the_same(ask, sample_rate):
    frame = round(0.064 * sample_rate)
    (found,) = ask(mel_bands=[[sample_rate, frame]])["mel_bands"]
    np.testing.assert_allclose(found, mel_bands(sample_rate, frame), rtol=1e-10, atol=1e-12)


# gains


ALIKE = (3, 4)  # kinds of tracks whose gains are known to about 1e-16 / GAIN_RIDGE only


def product_cases(rng: np.random.Generator) -> list[tuple[int, Floats, Floats]]:
    """(kind, tracks [C, T], mixture [T]): sources, leaking ones, mixtures of each other, equal ones and silent ones."""
    cases = []
    for count, number in itertools.product(range(1, 11), range(40)):
        kind = number % 5
        sources = rng.standard_normal((count, 500)) * 10 ** rng.uniform(-2, 0, (count, 1))
        mixture = sources.sum(axis=0) + 10 ** rng.uniform(-6, 0) * rng.standard_normal(500)
        tracks = [
            sources,
            sources + 0.5 * mixture,
            rng.standard_normal((count, count)) @ sources,
            (mixture + 10 ** rng.uniform(-8, -1) * sources),
            np.outer(rng.choice([-2.0, 0.5, 3.0], count), mixture),
        ][kind] * rng.choice([-1, 1], (count, 1))
        if number % 4 == 0:
            tracks[rng.integers(count)] = 0
        cases.append((kind, tracks, mixture * (number != 7)))
    return cases


def test_gains_are_the_same(ask):
    cases = product_cases(np.random.default_rng(1))
    products = [(tracks @ tracks.T, tracks @ mixture) for _, tracks, mixture in cases]
    found = ask(gains=[{"track_products": first, "mixture_products": second} for first, second in products])["gains"]
    bounded = 0
    for (kind, *_), (first, second), gains in zip(cases, products, found, strict=True):
        expected = gains_from_products(first, second)
        np.testing.assert_allclose(gains, expected, rtol=1e-8 if kind in ALIKE else 1e-9)
        with np.errstate(invalid="ignore"):
            bounded += np.isclose(np.abs(expected), 0.1 * np.abs(second) / np.diag(first)).any()
    assert bounded > 50  # so the bounds are met


# the search for orders


def evidence(rng: np.random.Generator, count: int, num_chunks: int, size: int = 6) -> tuple[list[Floats], list[Voices]]:
    """As vague as the search's own tests have it, with silent overlaps and unheard voices."""
    people = 0.35 * rng.standard_normal((count, size))
    voices = []
    for _ in range(num_chunks):
        precisions = rng.uniform(0.1, 8.0, count) * (rng.uniform(size=count) > 0.25)
        means = people[rng.permutation(count)] + rng.standard_normal((count, size)) / np.sqrt(precisions + 0.5)[:, None]
        voices.append(Voices(precisions, means))
    strength = rng.choice([0.0, 0.02, 0.2], (num_chunks - 1, 1, 1))
    return list(strength * rng.uniform(size=(num_chunks - 1, count, count))), voices


def as_question(agreements: Sequence[Floats], voices: Sequence[Voices]) -> dict[str, Any]:
    return {"agreements": list(agreements), "voices": [dataclasses.asdict(each) for each in voices]}


@pytest.mark.parametrize("count", [2, 3, 5, 6, 8])
def test_the_search_finds_the_same_orders(ask, count):
    rng = np.random.default_rng(count)
    cases = [evidence(rng, count, num_chunks) for num_chunks in (1, 2, 3, 8, 30) for _ in range(12)]
    unheard = Voices(np.zeros(count), np.zeros((count, 6)))
    cases += [([np.zeros((count, count))] * 9, [unheard] * 10), ([np.full((count, count), 0.1)] * 9, [unheard] * 10)]
    found = ask(searches=[as_question(*case) for case in cases])["searches"]
    moved = 0
    for case, orders in zip(cases, found, strict=True):
        np.testing.assert_array_equal(orders, search(*case))
        moved += (np.array(orders) != np.arange(count)).any()
    assert moved > 40


# recordings


@dataclass
class Case:
    """A recording [T], and what a network gives for each of its chunks [C, M]."""

    mixture: Floats
    separated: list[Floats]
    sample_rate: int
    chunking: Chunking
    batch_size: int = 1

    @property
    def num_tracks(self) -> int:
        return len(self.separated[0])


def talk(rng: np.random.Generator, count: int, seconds: float, sample_rate: int) -> Floats:
    """Sources [C, T]: a voice each (of 8 kHz, so twice as fast at 16 kHz), who pause for seconds and for long."""
    num_samples = round(seconds * sample_rate)
    pitches = np.linspace(90, 260, count) * rng.uniform(0.97, 1.03, count)
    seconds_of_voice = num_samples / 8000
    sources = np.stack([voice(pitch, seconds_of_voice, int(rng.integers(1000))) for pitch in pitches])
    for source in sources:
        for _ in range(int(seconds / 6)):
            start = int(rng.integers(num_samples))
            source[start : start + int(rng.exponential(2.5) * sample_rate)] = 0
    return sources


def shuffled(rng: np.random.Generator, tracks: Floats, case: dict[str, Any]) -> Case:
    """A case from the tracks [C, T] of the whole: each chunk's in an order, with signs and noise of its own."""
    chunking, noise = case["chunking"], case.get("noise", 1e-3)
    separated = []
    for chunk in plan_chunks(tracks.shape[1], chunking):
        part = tracks[rng.permutation(len(tracks)), chunk.start : chunk.stop] * rng.choice([-1, 1], (len(tracks), 1))
        separated.append(np.float32(part + noise * rng.standard_normal(part.shape)))
    return Case(case["mixture"], separated, case["sample_rate"], chunking, case.get("batch_size", 1))


def talking(count: int, sample_rate: int, seed: int, leakage: float = 0.2, seconds: float = 21, **more: Any) -> Case:
    rng = np.random.default_rng([count, sample_rate, seed])
    sources = talk(rng, count, seconds, sample_rate)
    mixture = sources.sum(axis=0)
    tracks = (1 - leakage) * sources + leakage * mixture
    chunking = Chunking.from_seconds(4.0, 1.0, sample_rate)
    return shuffled(rng, tracks, {"mixture": mixture, "sample_rate": sample_rate, "chunking": chunking, **more})


def with_silence(seconds: float, noise: float = 0.0) -> Case:
    """All stop talking for longer than some chunks."""
    rng = np.random.default_rng(int(seconds))
    sources = talk(rng, 2, 40, 8000)
    sources[:, 12 * 8000 : int((12 + seconds) * 8000)] = 0
    chunking = Chunking.from_seconds(4.0, 1.0, 8000)
    case = {"mixture": sources.sum(axis=0), "sample_rate": 8000, "chunking": chunking, "noise": noise}
    return shuffled(rng, sources, case)


def of_noise(count: int, num_samples: int, chunking: Chunking, batch_size: int = 1) -> Case:
    """Nothing to be recognized, and awkward lengths."""
    rng = np.random.default_rng([count, num_samples])
    mixture = np.float32(0.1 * rng.standard_normal(num_samples))
    tracks = rng.standard_normal((count, num_samples))
    return shuffled(
        rng, tracks, {"mixture": mixture, "sample_rate": 8000, "chunking": chunking, "batch_size": batch_size}
    )


def of_equal_tracks(num_tracks: int, scales: Sequence[float]) -> Case:
    """The network gives the mixture on all of its tracks."""
    mixture = talk(np.random.default_rng(5), 2, 12, 8000).sum(axis=0)
    chunking = Chunking.from_seconds(4.0, 1.0, 8000)
    chunks = plan_chunks(mixture.size, chunking)
    tracks = np.outer(np.resize(scales, num_tracks), mixture).astype(np.float32)
    return Case(mixture, [tracks[:, chunk.start : chunk.stop] for chunk in chunks], 8000, chunking)


CASES = {
    **{
        f"{count} talk at {rate} Hz, {seed}": lambda count=count, rate=rate, seed=seed: talking(count, rate, seed)
        for count in (2, 3, 5, 6, 8)
        for rate in (8000, 16_000)
        for seed in (0, 1)
    },
    "2 talk at 11025 Hz": lambda: talking(2, 11_025, 0, seconds=12),
    "2 talk at 44100 Hz": lambda: talking(2, 44_100, 0, seconds=8),
    "much leaks": lambda: talking(2, 8000, 3, leakage=0.7),
    "all leaks": lambda: talking(3, 8000, 4, leakage=0.97),
    "louder than full scale": lambda: talking(2, 8000, 5, noise=30.0),
    "batches of 3": lambda: talking(2, 8000, 6, batch_size=3),
    "a batch for all": lambda: talking(2, 8000, 7, batch_size=100),
    "a pause of digital silence": lambda: with_silence(15.0),
    "a pause with a little noise": lambda: with_silence(11.0, noise=1e-6),
    "digital silence": lambda: of_noise(2, 9000, Chunking(4000, 1000)),
    "noise": lambda: of_noise(3, 100_001, Chunking(7001, 3333)),
    "shorter than a frame": lambda: of_noise(2, 1000, Chunking(300, 101)),
    "chunks of a few samples": lambda: of_noise(2, 40, Chunking(9, 4), batch_size=4),
    "chunks without an overlap": lambda: of_noise(2, 3 * 5000, Chunking(5000, 0)),
    "one chunk": lambda: of_noise(4, 5000, Chunking(5000, 1000)),
    "one chunk, shorter": lambda: of_noise(2, 4999, Chunking(5000, 1000)),
    "not in chunks": lambda: of_noise(2, 5000, Chunking()),
    "equal tracks": lambda: of_equal_tracks(2, [1.0]),
    "equal tracks but for their sign": lambda: of_equal_tracks(3, [0.5, -0.5]),
}


def asked(case: Case, folder: Path) -> dict[str, Any]:
    """The question; its files are written to the folder."""
    case.mixture.astype("<f4").tofile(folder / "recording.bin")
    np.concatenate([tracks.ravel() for tracks in case.separated]).astype("<f4").tofile(folder / "separated.bin")
    return {
        "recording": "recording.bin",
        "separated": "separated.bin",
        "stitched": "stitched.bin",
        "sample_rate": case.sample_rate,
        "num_tracks": case.num_tracks,
        "chunk_samples": case.chunking.chunk_samples,
        "overlap_samples": case.chunking.overlap_samples,
        "batch_size": case.batch_size,
        "mean_power": float(np.mean(np.square(case.mixture, dtype=np.float64))),
    }


def expected_alignment(case: Case) -> Aligner:
    aligner = Aligner(case.sample_rate, float(np.mean(np.square(case.mixture, dtype=np.float64))))
    for chunk, tracks in zip(plan_chunks(case.mixture.size, case.chunking), case.separated, strict=True):
        used = slice(chunk.use_start - chunk.start, chunk.use_stop - chunk.start)
        aligner.add(chunk.start, case.mixture[chunk.start : chunk.stop], tracks, used)
    return aligner


def expected_pieces(case: Case, progress: list[int], batches: list[int]) -> list[Floats]:
    given = iter(case.separated)

    def separate(mixtures: Floats) -> Floats:
        batches.append(len(mixtures))
        return np.stack([next(given) for _ in mixtures])

    pieces = separate_in_chunks(
        case.mixture, separate, case.chunking, case.sample_rate, batch_size=case.batch_size, on_progress=progress.append
    )
    return [piece.copy() for piece in pieces]


def read_pieces(path: Path, num_tracks: int, lengths: Sequence[int]) -> list[Floats]:
    samples = np.fromfile(path, "<f4")
    ends = np.cumsum([num_tracks * length for length in lengths])
    return [part.reshape(num_tracks, -1) for part in np.split(samples, ends)[:-1]]


@pytest.mark.parametrize("name", CASES)
def test_recordings_are_aligned_and_stitched_alike(ask, tmp_path, name):
    case = CASES[name]()
    (found,) = ask(tmp_path, recordings=[asked(case, tmp_path)])["recordings"]
    if len(case.separated) > 1:
        aligner = expected_alignment(case)
        agreements, voices = aligner.evidence()
        np.testing.assert_allclose(found["agreements"], agreements, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(found["precisions"], [each.precisions for each in voices])
        np.testing.assert_allclose(found["means"], [each.means for each in voices], rtol=1e-7, atol=1e-9)
        alignment = aligner.result()
        np.testing.assert_array_equal(found["orders"], alignment.orders)
        np.testing.assert_array_equal(found["signs"], alignment.signs)
    progress: list[int] = []
    batches: list[int] = []
    expected = expected_pieces(case, progress, batches)
    assert (found["progress"], found["batches"]) == (progress, batches)
    assert found["pieces"] == [piece.shape[1] for piece in expected]
    pieces = read_pieces(tmp_path / "stitched.bin", case.num_tracks, found["pieces"])
    for piece, right in zip(pieces, expected, strict=True):
        np.testing.assert_array_equal(piece, right)
    whole = np.concatenate(pieces, axis=1).astype(np.float64)
    (products,) = ask(gains=[{"track_products": whole @ whole.T, "mixture_products": whole @ case.mixture}])["gains"]
    np.testing.assert_allclose(products, fit_gains(np.concatenate(expected, axis=1), case.mixture), rtol=1e-9)
