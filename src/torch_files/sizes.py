"""The configuration of a network in a PyTorch file: from its weights' shapes, its arguments and the user's options.

Each letter may be told by several of them, and all that tell it must tell the same.
"""

import re
from collections.abc import Mapping

from src.config import ModelConfig
from src.errors import UserError
from src.torch_files.names import BLOCKS, ENCODER, HEAD_BIAS, torch_shapes
from src.torch_files.package import Tensors, describe, listed

Number = int | float
Told = dict[str, dict[str, Number]]  # letter -> who tells it -> value

FIELDS = {
    "N": "num_filters",
    "L": "kernel_size",
    "H": "hidden_size",
    "R": "num_pairs",
    "C": "num_speakers",
    "sr": "sample_rate",
    "segment": "segment_seconds",
}
NORMALIZE = "input_normalize"  # the argument that gives the network its normalisations
NORMALIZATION = re.compile(re.escape(BLOCKS) + r"\.(rows|cols)_normalization\.")
LARGEST = 1e9  # number that makes sense for one of them
FIRST_PAIR = f"{BLOCKS}.rows_grnn.0.rnn.weight_hh_l0"  # [4H, H]
PAIR = re.compile(re.escape(BLOCKS) + r"\.rows_grnn\.(\d{1,9})\.")


def find_model(
    tensors: Tensors, arguments: Mapping[object, object], options: Mapping[str, Number | None]
) -> ModelConfig:
    """The network that these weights are of, every name and shape checked.

    Args:
        tensors: the state dict.
        arguments: of PyTorch's network, by the letters of `FIELDS` and `input_normalize`; others are passed over.
        options: the user's, by the letters of `FIELDS`; None where not given.

    Raises:
        UserError: two of them contradict each other, a letter is told by none, the network is none of this program,
            or a weight is missing, surplus or of another shape. The file's name is left to the caller.
    """
    _refuse_normalizations(tensors, arguments)
    told: Told = {letter: {} for letter in FIELDS}
    for letter, value in _from_shapes(tensors).items():
        told[letter]["in the weights' shapes"] = value
    for letter in FIELDS:
        if letter in arguments:
            told[letter]["in the file's kwargs"] = _number(letter, arguments[letter])
        option = options.get(letter)
        if option is not None:
            told[letter][f"in --{letter}"] = option
    values = {letter: _agreed(letter, told[letter]) for letter in FIELDS}
    model = ModelConfig(**{FIELDS[letter]: value for letter, value in values.items()})  # type: ignore[arg-type]
    _check_shapes(tensors, torch_shapes(model))
    return model


def segment_for(model: ModelConfig) -> float:
    """The `segment` in seconds with which PyTorch's network cuts chunks of this network's K frames.

    K = int(sqrt(2 * sr * segment / (L/2))) there; a network here may have another K than follows from its segment.
    """
    if not model.chunk_frames:
        return model.segment_seconds
    middle = (model.chunk_frames + 0.5) ** 2 / 2 * model.hop_samples / model.sample_rate
    return float(f"{middle:.6g}")


def _refuse_normalizations(tensors: Tensors, arguments: Mapping[object, object]) -> None:
    # They divide by what they measure in every example, so that even weights of 1 and biases of 0 change the output.
    found = [name for name in tensors if NORMALIZATION.match(name)]
    if found or arguments.get(NORMALIZE):
        what = f"the normalisations {listed(found)}" if found else f"{NORMALIZE} in the file's kwargs"
        raise UserError(
            f"found {what}, expected a network without: the one here has none, and would give other tracks "
            f"with the same weights; only networks trained with {NORMALIZE}=False can be converted"
        )


def _from_shapes(tensors: Tensors) -> dict[str, Number]:
    for name, axes in ((ENCODER, 3), (FIRST_PAIR, 2), (HEAD_BIAS, 1)):
        if name not in tensors:
            raise UserError(f"found no '{name}' among the weights {listed(list(tensors))}, expected this network's")
        shape = tensors[name].shape
        if len(shape) != axes or 0 in shape:
            raise UserError(f"'{name}' has shape {shape}, expected {axes} axes with values")
    channels, _, kernel = tensors[ENCODER].shape
    outputs = tensors[HEAD_BIAS].shape[0]
    pairs = {match[1] for match in map(PAIR.match, tensors) if match}
    if outputs % channels:
        raise UserError(
            f"'{HEAD_BIAS}' has {outputs} values, expected a multiple of N = {channels}: N for each speaker"
        )
    hidden = tensors[FIRST_PAIR].shape[1]
    return {"N": channels, "L": kernel, "H": hidden, "R": len(pairs), "C": outputs // channels}


def _number(letter: str, value: object) -> Number:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LARGEST
    if not (is_number and isinstance(value, int | float)) or (letter != "segment" and value != int(value)):
        found = value if is_number or isinstance(value, bool | float) else describe(value)
        raise UserError(f"{letter} in the file's kwargs: found {found}, expected a number that fits")
    return float(value) if letter == "segment" else int(value)


def _agreed(letter: str, told: dict[str, Number]) -> Number:
    if not told:
        what = {"sr": "sample rate in Hz", "segment": "segment in seconds"}[letter]
        raise UserError(f"found no {what} in the file, expected that of its training: give it as --{letter}")
    if len(set(told.values())) > 1:
        found = " and ".join(f"{value:g} {where}" for where, value in told.items())
        raise UserError(f"{letter}: found {found}, expected the same")
    return next(iter(told.values()))


def _check_shapes(tensors: Tensors, expected: dict[str, tuple[int, ...]]) -> None:
    missing = [name for name in expected if name not in tensors]
    if missing:
        raise UserError(f"found no {listed(missing)} among the weights, expected shape {expected[missing[0]]}")
    surplus = [name for name in tensors if name not in expected]
    if surplus:
        raise UserError(f"found surplus weights {listed(surplus)}, expected only those of this network")
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise UserError(f"'{name}' has shape {tensors[name].shape}, expected {shape}")
