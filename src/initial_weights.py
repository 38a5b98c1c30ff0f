"""The weights that a training run begins with: random ones, the mixture itself, or those of a checkpoint."""

import dataclasses

import numpy as np

from src import checkpoint
from src.config import Config
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
        _check_same_network(config, stored.config, path)
        values = deepened(checkpoint.for_use(stored), config.model.num_pairs)
        checkpoint.load_into(values, network.get_parameters(), path)
    elif settings.initial_values == "mask":
        start_as_mask(network, np.random.default_rng(settings.seed))


def _check_same_network(wanted: Config, found: Config, path: str) -> None:
    """Raise `UserError` unless weights of the one network mean the same in the other, which may have more pairs."""
    for field in dataclasses.fields(wanted.model):
        ours, theirs = getattr(wanted.model, field.name), getattr(found.model, field.name)
        fits = theirs < ours if field.name == "num_pairs" else field.name in LENGTHS
        if ours != theirs and not fits:
            raise UserError(f"{path}: found model.{field.name} = {theirs}, expected {ours}, as this run has it")
