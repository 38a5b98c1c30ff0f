"""A configuration tried without data: what it is, what it costs, and one update on noise."""

import dataclasses
import math
import time

import mindspore as ms
import numpy as np
import yaml

from src.config import Config
from src.data.data import Batch
from src.errors import UserError
from src.health import Health
from src.models.costs import multiply_adds, num_parameters, training_bytes
from src.models.fused_block import fused_block_library
from src.runtime import free_memory_bytes, seed_everything, usable_cores
from src.stepper import Stepper

NOISE_RMS = 0.05  # about the level of speech


def dry_run(config: Config) -> None:
    """Print the resolved configuration, parameters, multiply-adds and memory, and make one update on a random batch.

    Raises `UserError` if the memory does not suffice, or the loss is not finite.
    """
    model, settings = config.model, config.training
    num_samples = round(config.data.segment_seconds * model.sample_rate)
    print(yaml.safe_dump(_plain(config), sort_keys=False, default_flow_style=None), end="")
    print(f"parameters: {num_parameters(model):,}")
    forward = multiply_adds(model, num_samples)
    print(f"multiply-adds: {forward:,} to separate {config.data.segment_seconds:g} s")
    fused = fused_block_library(model) is not None
    needed = training_bytes(model, settings, num_samples, fused=fused, num_cores=usable_cores())
    examples = f"{settings.batch_size} examples of {config.data.segment_seconds:g} s"
    print(f"memory: about {needed / 1e9:.1f} GB for updates of {examples} on a CPU")
    _check_memory(needed)

    seed_everything(settings.seed)
    stepper = Stepper(config)
    stepper.begin_training()
    batches = [_noise(config, number, num_samples) for number in range(settings.accumulation)]
    scale = Health.of_precision(settings.amp).loss_scale
    began = time.monotonic()
    result = stepper.take(batches, settings.learning_rate, settings.average_decay, scale)
    print(f"first step: {time.monotonic() - began:.1f} s, most of it to compile the graph")
    print(f"gradient norm: {result.gradient_norm:.4f}")
    print(f"loss: {result.loss_db:.4f} dB")
    if not (math.isfinite(result.loss_db) and math.isfinite(result.gradient_norm)):
        raise UserError(f"found a loss of {result.loss_db} on random numbers, expected a finite one")


def _noise(config: Config, number: int, num_samples: int) -> Batch:
    rng = np.random.default_rng([config.training.seed, number])
    shape = (config.training.batch_size, config.model.num_speakers, num_samples)
    sources = (NOISE_RMS * rng.standard_normal(shape)).astype(np.float32)
    return sources.sum(1), sources, np.full(len(sources), num_samples, np.int32)


def _plain(config: Config) -> dict[str, dict[str, object]]:
    sections = dataclasses.asdict(config)
    return {
        section: {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
        for section, fields in sections.items()
    }


def _check_memory(needed: int) -> None:
    free = free_memory_bytes()
    if ms.get_context("device_target") == "CPU" and needed > free:
        raise UserError(
            f"found {free / 1e9:.1f} GB of memory free, expected about {needed / 1e9:.1f} GB: "
            f"a smaller --batch_size (with --accumulation for the same updates) or --recompute needs less"
        )
