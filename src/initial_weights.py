"""The weights that a training run begins with: random ones, the mixture itself, or those of a checkpoint."""

import dataclasses

import numpy as np

from src import checkpoint
from src.config import Config, ModelConfig
from src.errors import UserError
from src.models.initial import deepened, start_as_mask
from src.models.swave import Swave

LENGTHS = ("segment_seconds", "chunk_frames")  # of the model's configuration: what its weights do not depend on


def set_initial_weights(network: Swave, config: Config) -> None:
    """Give a new network the weights that `config.training.initial_values` tells; call before it is compiled.

    With `random` it keeps those that it was made with. Of a checkpoint with moving averages these are taken.

    Raises:
        UserError: the checkpoint cannot be read, or is of another network; fewer pairs of blocks are allowed.
    """
    settings = config.training
    if settings.initial_checkpoint:
        path = settings.initial_checkpoint
        stored = checkpoint.read(path)
        _check_same_network(config.model, stored.config.model, path)
        values = deepened(checkpoint.for_use(stored), config.model.num_pairs)
        checkpoint.load_into(values, network.get_parameters(), path)
    elif settings.initial_values == "mask":
        start_as_mask(network, np.random.default_rng(settings.seed))


def misfits(wanted: ModelConfig, found: ModelConfig) -> list[str]:
    """The fields of the network's configuration that keep a network from beginning with the weights of another.

    The weights mean the same with other lengths of segments and chunks, and may be of fewer pairs of blocks.
    """
    names = [field.name for field in dataclasses.fields(wanted) if field.name not in LENGTHS]
    unlike = [name for name in names if getattr(wanted, name) != getattr(found, name)]
    return [name for name in unlike if name != "num_pairs" or found.num_pairs > wanted.num_pairs]


def _check_same_network(wanted: ModelConfig, found: ModelConfig, path: str) -> None:
    for name in misfits(wanted, found):
        ours, theirs = getattr(wanted, name), getattr(found, name)
        raise UserError(f"{path}: found model.{name} = {theirs}, expected {ours}, as this run has it")
