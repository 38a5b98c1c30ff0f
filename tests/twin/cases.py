"""What the product and the twin are compared on: networks, weights and examples, each a function of a seed.

Neither MindSpore nor PyTorch is needed here.
"""

import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from src.config import ModelConfig

STORED = Path(__file__).parent / "stored"
TRAINING_STEPS = 20
CHECKED_STEPS = (2, 10, 20)  # the gradient at step n is that at the weights after n - 1 updates
LEARNING_RATE = 1e-3
CLIP_NORM = 5.0

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A network and a batch for it; the seed follows from the name."""

    name: str
    model: ModelConfig
    num_samples: int
    true_lengths: tuple[int, ...] = field(default=())  # shorter examples are zero-padded; (): two full ones

    @property
    def stored(self) -> Path:
        """Where the twin's results are kept."""
        return STORED / f"{self.name}.npz"


def _model(num_speakers: int, num_filters: int, kernel_size: int, chunk_frames: int, num_pairs: int, **more):
    return ModelConfig(
        num_speakers=num_speakers,
        num_filters=num_filters,
        kernel_size=kernel_size,
        chunk_frames=chunk_frames,
        num_pairs=num_pairs,
        hidden_size=6,
        **more,
    )


TWO = _model(2, 16, 4, 10, 2)  # decoded frames of 4 samples, 2 apart
TWO_SHALLOW = _model(2, 16, 4, 10, 1)
TWO_WIDE = _model(2, 12, 4, 6, 1, normalize_level=True)  # of 3 samples, 2 apart: the hop does not divide them
THREE = _model(3, 32, 8, 8, 2)  # of 4 samples, 4 apart: side by side
THREE_SHALLOW = _model(3, 32, 8, 8, 1)

CASES = {
    case.name: case
    for case in (
        Case("two", TWO, 160),
        Case("two_odd_padded", TWO, 133, (133, 90)),
        Case("two_one_kernel", TWO_SHALLOW, 4),
        Case("two_less_than_a_chunk", TWO_SHALLOW, 13),
        Case("two_wide", TWO_WIDE, 101),
        Case("three", THREE, 203, (150, 203)),
        Case("three_one_kernel", THREE_SHALLOW, 8),
    )
}
COMPILED = ("two_odd_padded", "two_less_than_a_chunk", "two_wide", "three", "three_one_kernel")  # seconds each
TRAINING_CASE = Case("training", _model(2, 16, 4, 20, 2), 500)


def weights(shapes: dict[str, tuple[int, ...]], seed: int = 1) -> Arrays:
    """Weights by name in about the range of the usual initial values, whatever the order of the names."""
    return {name: _weight(name, shape, seed) for name, shape in shapes.items()}


def _weight(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if name == "head.slope":
        return rng.uniform(0.1, 0.4, shape).astype(np.float32)
    fan_in = shape[-1] if name.endswith("weight") or "weight_" in name else 16
    return (rng.uniform(-1, 1, shape) / np.sqrt(fan_in)).astype(np.float32)


def batch(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mixture [B, T], sources [B, C, T] and true lengths [B]: smooth noise at about the level of speech.

    The mixture is the sources' sum and a little noise, so that it tells more than they do.
    """
    rng = np.random.default_rng([7, zlib.crc32(case.name.encode())])
    lengths = np.array(case.true_lengths or (case.num_samples,) * 2, np.int32)
    white = rng.standard_normal((len(lengths), case.model.num_speakers, case.num_samples + 2))
    sources = 0.05 * (white[..., 2:] + white[..., 1:-1] - 0.5 * white[..., :-2])
    mixture = sources.sum(1) + 0.01 * rng.standard_normal(sources[:, 0].shape)
    valid = np.arange(case.num_samples) < lengths[:, None]
    return (mixture * valid).astype(np.float32), (sources * valid[:, None]).astype(np.float32), lengths


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """||found - expected|| / ||expected||, in float64."""
    difference = np.asarray(found, np.float64) - np.asarray(expected, np.float64)
    return float(np.linalg.norm(difference) / np.linalg.norm(np.asarray(expected, np.float64)))
