"""A checkpoint as a plain function on arrays of any length: what evaluation and separation share.

Letters in shapes: B batch, C speakers, T samples.
"""

from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from src.checkpoint import load_network
from src.config import PRECISIONS, ModelConfig
from src.errors import UserError
from src.runtime import free_memory_bytes
from src.stitching.chunks import Floats, Separate

# What one frame of the encoder adds to the peak on a CPU. With the operators of src/kernels, for each channel and for
# each LSTM unit: fitted within 6 % of eight peaks of tests/models/measure_separation.py, 555 to 1138 MB, of which 580
# MB are the process; a batch of four took 12 % less. N and H 64 and 128, R 1 to 6, 1 to 120 s, Intel Xeon with AMX,
# 2 cores, MindSpore 2.10, 2026-11-30.
FUSED_BYTES_PER_FRAME_AND_CHANNEL = 28
FUSED_BYTES_PER_FRAME_AND_UNIT = 9
# With MindSpore's own operators, measured at H = 64 and 128, for each LSTM unit.
BYTES_PER_FRAME_AND_UNIT = 720
# The same for exporting, where the exported network and the checkpoint's run one after the other in one process:
# 3.6 GB for 4 s and 11.4 GB for 16 s at N = H = 128, L = 8, R = 6. Measured again on 2026-11-30, with the operators of
# src/kernels in the checkpoint's network, at N = H = 64: 1950 at R = 6, but 540 at R = 1.
EXPORT_BYTES_PER_FRAME_AND_UNIT = 2500


def load_separate(model_path: Path | str, amp: str = "none") -> tuple[Separate, ModelConfig]:
    """The network of a checkpoint as a function on arrays, and its configuration.

    The graph is compiled once, at the first call, for every length and batch size. Compiled length by length
    it would take some seconds and 150 MB for each. `amp`: none, or bfloat16 for the network's products, whose sums
    stay in float32.

    Raises:
        UserError: the checkpoint is missing, damaged, or of another kind, or the device or the network's sizes are
            not for `amp`; from the function also where the memory does not suffice, or the network gives no numbers.
    """
    if amp not in PRECISIONS:
        raise UserError(f"amp: found '{amp}', expected one of {', '.join(PRECISIONS)}")
    network, config = load_network(model_path)
    network.compute_in(amp)
    return as_separate(network, config.model, model_path), config.model


def as_separate(network: nn.Cell, model: ModelConfig, model_path: Path | str) -> Separate:
    """The same of a network that is loaded already; `model_path` is for errors."""
    network.set_inputs(ms.Tensor(shape=[None, None], dtype=ms.float32))

    def separate(mixtures: Floats) -> Floats:
        check_memory(mixtures.size, model, bytes_per_frame(model, network.is_fused))
        tracks: Floats = network(ms.Tensor(mixtures, ms.float32)).asnumpy()
        if not np.isfinite(tracks).all():
            raise UserError(f"{model_path}: the network's output is NaN or infinite, expected finite weights")
        return tracks

    return separate


def bytes_per_frame(model: ModelConfig, is_fused: bool) -> int:
    """What a frame of the encoder takes; `is_fused`: with the operators of src/kernels."""
    if is_fused:
        channels, units = model.num_filters, model.hidden_size
        return FUSED_BYTES_PER_FRAME_AND_CHANNEL * channels + FUSED_BYTES_PER_FRAME_AND_UNIT * units
    return BYTES_PER_FRAME_AND_UNIT * model.hidden_size


def check_memory(num_samples: int, model: ModelConfig, frame_bytes: int, option: str = "--chunk_seconds") -> None:
    """Raise `UserError` where the network would clearly take more memory than is free, and so be killed.

    `frame_bytes`: what a frame of the encoder takes. `option`: what a user can make smaller.
    """
    needed = num_samples // model.hop_samples * frame_bytes
    free = free_memory_bytes()
    if needed > free:
        seconds = num_samples / model.sample_rate
        raise UserError(
            f"found {seconds:.0f} s of audio to separate at once, expected at most about "
            f"{seconds * free / needed:.0f} s with {free / 1e9:.1f} GB of memory free: "
            f"choose smaller {option} or --batch_size"
        )
