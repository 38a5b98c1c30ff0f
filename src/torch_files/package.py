"""Where in a PyTorch file the weights are, and what it tells of the network.

Known are a plain state dict, one under `state_dict` or `model`, and a dictionary whose `model` is {`class`, `args`,
`kwargs`, `state`}, with `optimizer`, `history`, `best_state` and `args` beside it; also that `model` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from src.errors import UserError
from src.torch_files.names import ENCODER
from src.torch_files.pickles import Record
from src.torch_files.tensors import TensorView

BEST, LAST = "best", "last"
MOST_NAMES, MOST_LETTERS = 3, 100  # in a message

Tensors = dict[str, TensorView]


@dataclass(frozen=True)
class Package:
    """What a file holds of a network."""

    last: object  # state dict at the end of the training, or the only one
    best: object = None  # of the best epoch, where the file keeps it
    arguments: Mapping[object, object] = field(default_factory=dict)  # of the network, by name: N, L, H, …
    unnamed_arguments: int = 0  # further ones without names
    where: str = "the state dict"


class Chosen(NamedTuple):
    """One state dict of a file."""

    tensors: Tensors  # by name, without a prefix that all of them share
    where: str  # what it is called in the file


def find_package(root: object) -> Package:
    """What the object of a file is, by its keys.

    Raises:
        UserError: it is something else. The file's name is left to the caller.
    """
    if isinstance(root, dict):
        model = root.get("model")
        if _is_serialized(model):
            return _serialized(model, best=root.get("best_state") or None, where="model.state")
        if _is_serialized(root):
            return _serialized(root, where="state")
        for key in ("state_dict", "model"):
            if _has_tensors(root.get(key)):
                return Package(root[key], root.get("best_state") or None, where=key)
        if _has_tensors(root):
            return Package(root)
    raise UserError(
        f"found {describe(root)}, expected a state dict, or a dictionary with one under 'model' or 'state_dict': "
        f"in PyTorch, save it with torch.save(model.state_dict(), …)"
    )


def choose(package: Package, wanted: str | None) -> Chosen:
    """The state dict `best` or `last`; unless told, the best where the file has it, for that is what one uses.

    Raises:
        UserError: the best is wanted and there is none, or the state dict holds something else than tensors.
    """
    if wanted == BEST and package.best is None:
        raise UserError("found no best_state, expected one because of --weights best: leave that out")
    take_best = package.best is not None and wanted != LAST
    state = package.best if take_best else package.last
    if isinstance(state, dict) and _has_tensors(state.get("state")):
        state = state["state"]  # it has arguments of its own beside it
    where = "best_state" if take_best else package.where
    if not isinstance(state, dict) or not state:
        raise UserError(f"{where}: found {describe(state)}, expected a dictionary of tensors")
    tensors: Tensors = {}
    for name, tensor in state.items():
        if not (isinstance(name, str) and isinstance(tensor, TensorView)):
            raise UserError(f"{where}: found {describe(tensor)} under {_short(name)}, expected a tensor")
        tensors[name] = tensor
    return Chosen(_without_prefix(tensors), where)


def describe(value: object) -> str:
    """What a value is, in a few words that a file cannot make long."""
    if isinstance(value, Record):
        return f"an object of {_one_line(str(value))}"
    if isinstance(value, dict):
        keys = ", ".join(map(_short, list(value)[:MOST_NAMES]))
        more = ", …" if len(value) > MOST_NAMES else ""
        return f"a dictionary with {keys}{more}" if value else "an empty dictionary"
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


def listed(names: Sequence[object]) -> str:
    """The first names in quotes, and how many more."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(map(_short, names[:MOST_NAMES])) + more


def _short(value: object) -> str:
    if not isinstance(value, str):
        return f"a key of type {type(value).__name__}"
    return f"'{_one_line(value)}'"


def _one_line(text: str) -> str:
    """Short and without line breaks or codes for the screen, whatever a file has there."""
    return text[:MOST_LETTERS].encode("unicode_escape").decode("ascii") + ("…" if len(text) > MOST_LETTERS else "")


def _is_serialized(value: object) -> bool:
    return isinstance(value, dict) and "state" in value and ("kwargs" in value or "class" in value)


def _serialized(model: object, best: object = None, where: str = "") -> Package:
    assert isinstance(model, dict)
    arguments, unnamed = model.get("kwargs", {}), model.get("args", ())
    return Package(
        model["state"],
        best,
        arguments if isinstance(arguments, dict) else {},
        len(unnamed) if isinstance(unnamed, tuple | list) else 0,
        where,
    )


def _has_tensors(value: object) -> bool:
    return isinstance(value, dict) and any(isinstance(item, TensorView) for item in value.values())


def _without_prefix(tensors: Tensors) -> Tensors:
    """Without `module.` or the like, which wrappers put before every name; as they are where not all begin alike."""
    prefixes = {name.removesuffix(ENCODER) for name in tensors if name.endswith(ENCODER)}
    prefix = prefixes.pop() if len(prefixes) == 1 else ""
    if prefix and all(name.startswith(prefix) for name in tensors):
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
