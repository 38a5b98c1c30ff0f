"""What the tests of separation share: a stand-in for the network with a known answer, and calls with short names."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from src.config import ModelConfig
from src.recordings.inputs import Input, plan_outputs
from src.recordings.passes import Network
from src.separation import separate_each
from src.stitching.chunks import Chunking

MODEL_RATE = 8000
WHOLE = Chunking()
Separate = Callable[[np.ndarray], np.ndarray]


def split_in_two(mixtures: np.ndarray) -> np.ndarray:
    """The sum of neighbours and the rest: [B, 2, T] whose sum is the mixture [B, T]. Looks back one sample."""
    low = lfilter([0.5, 0.5], [1.0], mixtures, axis=-1)
    return np.stack([low, mixtures - low], axis=1)


def low_and_high(mixtures: np.ndarray) -> np.ndarray:
    """The same with other gains and signs, which the gain rule undoes."""
    return (split_in_two(mixtures) * [[-3.0], [0.2]]).astype(np.float32)


def make_network(separate: Separate = low_and_high, chunking: Chunking = WHOLE, batch_size: int = 1) -> Network:
    return Network(separate, ModelConfig(sample_rate=MODEL_RATE), chunking, batch_size)


def run(
    paths: Sequence[Path],
    output_dir: Path,
    separate: Separate = low_and_high,
    chunking: Chunking = WHOLE,
    *,
    residual: bool = False,
    extension: str = "wav",
) -> None:
    """As separate.py does, with a stand-in for the network."""
    plan = plan_outputs([Input(path) for path in paths], output_dir, 2, residual=residual, extension=extension)
    separate_each(plan, output_dir, make_network(separate, chunking), extension)
