"""Write a state dict as `torch.save` does, in its zip form, without PyTorch.

What is written is what `torch.load(..., weights_only=True)` of PyTorch 1.13 and later admits. Equal weights make equal
bytes: the pickle is put together opcode by opcode (see the standard library's `pickletools`), dates are fixed.
"""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from src.files import written_aside
from src.torch_files.tensors import Floats

FOLDER = "archive"
VERSION = b"3\n"  # of the zip form: what PyTorch writes for a state dict
ALIGNMENT = 64  # bytes: PyTorch can map storages that start at multiples of it into memory
LOCAL_HEADER_BYTES = 30  # of a zip entry, before its name
PADDING_MARK = struct.unpack("<H", b"FB")[0]  # the extra field with which PyTorch fills up to the alignment
DICTIONARY = b"ccollections\nOrderedDict\n)R"  # an empty one


def write_state_dict(path: Path, arrays: Mapping[str, Floats]) -> None:
    """Write float32 arrays by name, each with a storage of its own; `path` is whole or as it was before.

    Raises:
        UserError: the file cannot be written.
    """
    with written_aside(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "data.pkl", _state_pickle(arrays))
        _add(archive, "byteorder", b"little")
        for key, array in enumerate(arrays.values()):
            _add(archive, f"data/{key}", np.ascontiguousarray(array, "<f4").tobytes())
        _add(archive, "version", VERSION)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(f"{FOLDER}/{name}")  # dated 1980-01-01
    assert archive.fp is not None
    start = archive.fp.tell() + LOCAL_HEADER_BYTES + len(entry.filename) + 4  # 4: the extra field's own header
    padding = -start % ALIGNMENT
    entry.extra = struct.pack("<HH", PADDING_MARK, padding) + b"Z" * padding
    archive.writestr(entry, content)


def _state_pickle(arrays: Mapping[str, Floats]) -> bytes:
    items = b"".join(_text(name) + _tensor(str(key), array.shape) for key, (name, array) in enumerate(arrays.items()))
    return b"\x80\x02" + DICTIONARY + b"(" + items + b"u."


def _tensor(key: str, shape: tuple[int, ...]) -> bytes:
    """The call of torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)."""
    count = int(np.prod(shape))
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu") + _number(count) + b"tQ"
    arguments = storage + _number(0) + _numbers(shape) + _numbers(strides) + b"\x89" + DICTIONARY
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _numbers(values: "tuple[int, ...] | list[int]") -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"
