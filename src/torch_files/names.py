"""The weights of the network under PyTorch's names and under this program's.

PyTorch's names are those of checkpoints of the public implementation. What differs besides the names:

- here an LSTM keeps both directions in one array [2, ...]; PyTorch keeps them apart, the second with `_reverse`;
- here encoder and output layer are matrices [N, L] and [C*N, N], PyTorch's are kernels [N, 1, L] and [C*N, N, 1, 1];
- where two chunks overlap, PyTorch's network takes their sum and this one their mean. The output layer is the last
  before that and linear after its PReLU, so that doubling its weight and bias gives the sum, to the bit.

Letters in shapes: N channels, L kernel, H LSTM units, C speakers.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from src.config import ModelConfig
from src.torch_files.tensors import Floats

Shape = tuple[int, ...]

ENCODER = "encoder.conv.weight"  # [N, 1, L]
BLOCKS = "separator.rnn_model"
SLOPE = f"{BLOCKS}.output.0.weight"  # [1], of the PReLU
HEAD_WEIGHT, HEAD_BIAS = f"{BLOCKS}.output.1.weight", f"{BLOCKS}.output.1.bias"  # [C*N, N, 1, 1], [C*N]
SUM_OVER_MEAN = 2.0  # every frame lies in two chunks

SIDES = (("along", "rows_grnn"), ("across", "cols_grnn"))
LSTMS = (("lstm", "rnn"), ("gate_lstm", "gate_rnn"))
LINEARS = (("projection", "rnn_proj"), ("gate_projection", "gate_rnn_proj"), ("output", "block_projection"))
LSTM_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def torch_shapes(model: ModelConfig) -> dict[str, Shape]:
    """Every name that PyTorch's state dict has for this network, with its shape."""
    channels, hidden, outputs = model.num_filters, model.hidden_size, model.num_speakers * model.num_filters
    gates = 4 * hidden
    lstm_shapes = dict(zip(LSTM_KINDS, ((gates, channels), (gates, hidden), (gates,), (gates,)), strict=True))
    inputs = {"rnn_proj": 2 * hidden, "gate_rnn_proj": 2 * hidden, "block_projection": 2 * channels}
    shapes: dict[str, Shape] = {ENCODER: (channels, 1, model.kernel_size)}
    for _, name in _pairs_of_names(LSTMS, LSTM_KINDS, model.num_pairs):
        shapes[f"{name}_l0"] = shapes[f"{name}_l0_reverse"] = lstm_shapes[name.rpartition(".")[2]]
    for _, name in _pairs_of_names(LINEARS, ("weight", "bias"), model.num_pairs):
        _, layer, kind = name.rsplit(".", 2)
        shapes[name] = (channels, inputs[layer]) if kind == "weight" else (channels,)
    return {**shapes, SLOPE: (1,), HEAD_WEIGHT: (outputs, channels, 1, 1), HEAD_BIAS: (outputs,)}


def from_torch(state: Mapping[str, Floats], num_pairs: int) -> dict[str, Floats]:
    """This program's arrays by name, of a state dict with the names and shapes of `torch_shapes`."""
    weights = {"encoder.weight": state[ENCODER][:, 0]}
    for ours, theirs in _pairs_of_names(LSTMS, LSTM_KINDS, num_pairs):
        weights[ours] = np.stack((state[f"{theirs}_l0"], state[f"{theirs}_l0_reverse"]))
    for ours, theirs in _pairs_of_names(LINEARS, ("weight", "bias"), num_pairs):
        weights[ours] = state[theirs]
    weights["head.slope"] = state[SLOPE]
    weights["head.weight"] = _scaled(state[HEAD_WEIGHT][:, :, 0, 0], SUM_OVER_MEAN)
    weights["head.bias"] = _scaled(state[HEAD_BIAS], SUM_OVER_MEAN)
    return weights


def to_torch(weights: Mapping[str, Floats], num_pairs: int) -> dict[str, Floats]:
    """The inverse of `from_torch`."""
    state = {ENCODER: weights["encoder.weight"][:, None]}
    for ours, theirs in _pairs_of_names(LSTMS, LSTM_KINDS, num_pairs):
        state[f"{theirs}_l0"], state[f"{theirs}_l0_reverse"] = weights[ours]
    for ours, theirs in _pairs_of_names(LINEARS, ("weight", "bias"), num_pairs):
        state[theirs] = weights[ours]
    state[SLOPE] = weights["head.slope"]
    state[HEAD_WEIGHT] = _scaled(weights["head.weight"], 1 / SUM_OVER_MEAN)[:, :, None, None]
    state[HEAD_BIAS] = _scaled(weights["head.bias"], 1 / SUM_OVER_MEAN)
    return state


def _scaled(values: Floats, factor: float) -> Floats:
    with np.errstate(over="ignore"):  # the caller refuses what became infinite
        return values * np.float32(factor)


def _pairs_of_names(
    layers: tuple[tuple[str, str], ...], kinds: tuple[str, ...], num_pairs: int
) -> Iterator[tuple[str, str]]:
    """This program's and PyTorch's names of these layers in all blocks."""
    for our_side, their_side in SIDES:
        for pair in range(num_pairs):
            for our_layer, their_layer in layers:
                for kind in kinds:
                    ours = f"{our_side}.{pair}.{our_layer}.{kind}"
                    yield ours, f"{BLOCKS}.{their_side}.{pair}.{their_layer}.{kind}"
