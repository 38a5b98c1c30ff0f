"""Storages and tensors of PyTorch's files: described first, checked, and read only when their values are wanted."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from src.torch_files.pickles import Arguments, Global, MalformedFileError, Record

Floats = NDArray[np.float32]

MOST_AXES = 32  # of a tensor, as in NumPy
BFLOAT16 = "BFloat16Storage"  # the upper halves of float32 values
TYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    BFLOAT16: np.dtype("<u2"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
    "ComplexFloatStorage": np.dtype("<c8"),
    "ComplexDoubleStorage": np.dtype("<c16"),
}
FLOATING = ("FloatStorage", "HalfStorage", BFLOAT16, "DoubleStorage")


@dataclass(frozen=True, eq=False)
class Storage:
    """A run of values of one type in the file, which tensors are views of."""

    kind: str  # a key of TYPES
    key: str  # its name in the file
    num_values: int
    fetch: Callable[[], bytes]  # all its bytes

    @property
    def num_bytes(self) -> int:
        """How many bytes it has in the file."""
        return self.num_values * TYPES[self.kind].itemsize


@dataclass(frozen=True, eq=False)
class TensorView:
    """A tensor: where in a storage its values are. Offset and strides count values, and stay inside the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Of its values, at the storage's type."""
        return math.prod(self.shape) * TYPES[self.storage.kind].itemsize

    def as_float32(self) -> Floats:
        """A copy of the values, row after row, at the tensor's shape; float64 is rounded, and may become infinite.

        Raises:
            MalformedFileError: they are no floating-point values, or the file has not all of them.
        """
        kind = self.storage.kind
        if kind not in FLOATING:
            raise MalformedFileError(f"found values of a {kind}, expected floating-point numbers")
        content = self.storage.fetch()
        if len(content) != self.storage.num_bytes:  # a view of less would read other memory
            raise MalformedFileError(f"found {len(content)} bytes, expected {self.storage.num_bytes}")
        stored = np.frombuffer(content, TYPES[kind])
        if not math.prod(self.shape):
            return np.zeros(self.shape, np.float32)
        steps = tuple(stride * stored.itemsize for stride in self.strides)
        view = np.lib.stride_tricks.as_strided(stored[self.offset :], self.shape, steps, writeable=False)
        if kind == BFLOAT16:
            return np.ascontiguousarray(view.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # of what is infinite the caller tells more than NumPy's warning
            return np.array(view, np.float32, order="C")


def storage_kind(kind: object) -> str | None:
    """The key in TYPES of a storage's class, None for one that is not known here."""
    known = isinstance(kind, Global) and kind.module in ("torch", "torch.cuda") and kind.name in TYPES
    return kind.name if known and isinstance(kind, Global) else None


def is_count(value: object) -> TypeGuard[int]:
    """Whether it is a whole number from 0, and no truth value."""
    return type(value) is int and value >= 0


def make_tensor(arguments: Arguments) -> object:
    """What `torch._utils._rebuild_tensor_v2` would make: of a storage, an offset, a shape and strides.

    A tensor in a storage that is not known becomes a `Record`.

    Raises:
        MalformedFileError: the tensor would reach beyond its storage.
    """
    if len(arguments) < 4 or not isinstance(arguments[0], Storage):
        return Record(Global("torch", "Tensor"), arguments)
    storage, (offset, shape, strides) = arguments[0], arguments[1:4]
    if not (isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= MOST_AXES):
        raise MalformedFileError("found a tensor whose shape and strides do not fit, expected one stride for each axis")
    counts = [value for value in (offset, *shape, *strides) if is_count(value)]
    if len(counts) != 1 + 2 * len(shape):
        raise MalformedFileError(
            f"found a tensor with offset {_number(offset)}, shape {_numbers(shape)} and strides {_numbers(strides)}, "
            f"expected whole numbers from 0"
        )
    return _checked(TensorView(storage, counts[0], tuple(counts[1 : 1 + len(shape)]), tuple(counts[1 + len(shape) :])))


def _checked(view: TensorView) -> TensorView:
    """The same. Raises `MalformedFileError` if it reaches beyond its storage, or repeats values of it."""
    storage, shape = view.storage, view.shape
    count = math.prod(shape)
    last = view.offset + sum((size - 1) * stride for size, stride in zip(shape, view.strides, strict=True))
    if count and last >= storage.num_values:
        raise MalformedFileError(
            f"found a tensor that reaches to value {_number(last)} of storage '{storage.key}', "
            f"expected less than its {storage.num_values} values"
        )
    if count > storage.num_values:
        raise MalformedFileError(
            f"found a tensor of shape {_numbers(shape)} in storage '{storage.key}' of {storage.num_values} values, "
            f"expected no more values than that"
        )
    return view


def make_parameter(arguments: Arguments) -> object:
    """What `torch._utils._rebuild_parameter` would make: here the tensor itself."""
    return arguments[0] if arguments else None


def make_dictionary(arguments: Arguments) -> object:
    """What `collections.OrderedDict` would make; Python 2 gave it a list of pairs."""
    pairs = arguments[0] if arguments else []
    is_list = isinstance(pairs, list) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs)
    if not is_list or len(arguments) > 1:
        return Record(Global("collections", "OrderedDict"), arguments)
    assert isinstance(pairs, list)
    return {key: value for key, value in pairs if isinstance(key, str)}


def _number(value: object) -> str:
    """For a message, whatever a file has there."""
    return str(value) if type(value) is int and abs(value) < 10**20 else type(value).__name__


def _numbers(values: tuple[object, ...]) -> str:
    return f"({', '.join(map(_number, values))})"


MAKERS: dict[Global, Callable[[Arguments], object]] = {
    Global("torch._utils", "_rebuild_tensor"): make_tensor,
    Global("torch._utils", "_rebuild_tensor_v2"): make_tensor,
    Global("torch._utils", "_rebuild_parameter"): make_parameter,
    Global("torch._utils", "_rebuild_parameter_with_state"): make_parameter,
    Global("collections", "OrderedDict"): make_dictionary,
}
