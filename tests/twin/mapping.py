"""From the product's parameters to the PyTorch state dict and back, both as NumPy arrays by name.

Three things differ besides the names:
- a product LSTM keeps both directions in one array [2, ...], PyTorch keeps them apart (`_reverse`);
- the product's 1x1 convolution is a matrix [C*N, N], PyTorch's a kernel [C*N, N, 1, 1];
- where two chunks overlap, the product takes their mean and the paper their sum. The output layer is the last
  before the merge and is linear after its PReLU, so half the product's weight AND bias give the same sum.
  `merge="mean"` is for a twin that takes the mean as well, and leaves weight and bias as they are.
"""

import numpy as np

Arrays = dict[str, np.ndarray]

BLOCKS = (("along", "rows_grnn"), ("across", "cols_grnn"))
LSTMS = (("lstm", "rnn"), ("gate_lstm", "gate_rnn"))
LINEARS = (("projection", "rnn_proj"), ("gate_projection", "gate_rnn_proj"), ("output", "block_projection"))
HEAD_FACTOR = {"sum": 0.5, "mean": 1.0}  # the twin's output layer over the product's


def to_twin(product: Arrays, merge: str = "sum") -> Arrays:
    """The state dict of the twin that computes what the product does with these weights."""
    state = {"encoder.conv.weight": product["encoder.weight"][:, None]}
    for ours, theirs in _block_names(product):
        for our_name, their_name in _lstm_names(ours, theirs):
            state[their_name], state[f"{their_name}_reverse"] = product[our_name]
        for our_name, their_name in _linear_names(ours, theirs):
            state[their_name] = product[our_name]
    state["separator.rnn_model.output.0.weight"] = product["head.slope"]
    state["separator.rnn_model.output.1.weight"] = HEAD_FACTOR[merge] * product["head.weight"][:, :, None, None]
    state["separator.rnn_model.output.1.bias"] = HEAD_FACTOR[merge] * product["head.bias"]
    return state


def to_product(state: Arrays, merge: str = "sum") -> Arrays:
    """The inverse of `to_twin`."""
    return _to_product(state, 1 / HEAD_FACTOR[merge])


def gradients_to_product(gradients: Arrays, merge: str = "sum") -> Arrays:
    """Gradients by the twin's parameters -> gradients by the product's.

    With w_twin = h * w_product, dLoss/dw_product = h * dLoss/dw_twin: the factor of `to_twin`, not its inverse.
    """
    return _to_product(gradients, HEAD_FACTOR[merge])


def _to_product(state: Arrays, head_factor: float) -> Arrays:
    product = {"encoder.weight": state["encoder.conv.weight"][:, 0]}
    for ours, theirs in _block_names(state):
        for our_name, their_name in _lstm_names(ours, theirs):
            product[our_name] = np.stack([state[their_name], state[f"{their_name}_reverse"]])
        for our_name, their_name in _linear_names(ours, theirs):
            product[our_name] = state[their_name]
    product["head.slope"] = state["separator.rnn_model.output.0.weight"]
    product["head.weight"] = head_factor * state["separator.rnn_model.output.1.weight"][:, :, 0, 0]
    product["head.bias"] = head_factor * state["separator.rnn_model.output.1.bias"]
    return product


def _block_names(arrays: Arrays) -> list[tuple[str, str]]:
    count = sum(name.endswith((".gate_projection.bias", ".gate_rnn_proj.bias")) for name in arrays) // 2
    return [
        (f"{ours}.{pair}", f"separator.rnn_model.{theirs}.{pair}") for ours, theirs in BLOCKS for pair in range(count)
    ]


def _lstm_names(ours: str, theirs: str) -> list[tuple[str, str]]:
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [(f"{ours}.{a}.{kind}", f"{theirs}.{b}.{kind}_l0") for a, b in LSTMS for kind in kinds]


def _linear_names(ours: str, theirs: str) -> list[tuple[str, str]]:
    return [(f"{ours}.{a}.{kind}", f"{theirs}.{b}.{kind}") for a, b in LINEARS for kind in ("weight", "bias")]
