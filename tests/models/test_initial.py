import numpy as np
import pytest
from mindspore import Tensor, set_seed

from src.config import ModelConfig
from src.metrics import si_snr
from src.models.initial import start_as_mask
from src.models.swave import Swave
from src.runtime import start

CONFIGS = [
    ModelConfig(num_filters=128, kernel_size=16, hidden_size=32, num_pairs=1, chunk_frames=20),
    ModelConfig(num_filters=72, kernel_size=8, hidden_size=20, num_pairs=2, num_speakers=3, chunk_frames=20),
]


@pytest.fixture(scope="module", autouse=True)
def pynative_mode():
    start("CPU", graph_mode=False)


def tracks_of(config, mixture, masked):
    set_seed(0)
    network = Swave(config)
    if masked:
        start_as_mask(network, np.random.default_rng(0))
    network.set_train(False)
    return network(Tensor(mixture[None])).asnumpy()[0]


@pytest.mark.parametrize("config", CONFIGS, ids=["two speakers", "three speakers, overlapping frames"])
def test_every_track_begins_close_to_the_mixture(config):
    mixture = np.random.default_rng(1).normal(size=2000).astype(np.float32)
    begun = si_snr(mixture, tracks_of(config, mixture, masked=True))
    drawn = si_snr(mixture, tracks_of(config, mixture, masked=False))
    assert begun.min() > 5, begun  # dB; 6.4 and more were measured
    assert drawn.max() < 0, drawn


def test_the_same_seed_gives_the_same_values():
    mixture = np.random.default_rng(1).normal(size=500).astype(np.float32)
    first, second = (tracks_of(CONFIGS[0], mixture, masked=True) for _ in range(2))
    np.testing.assert_array_equal(first, second)
