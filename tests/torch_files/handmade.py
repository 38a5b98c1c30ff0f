"""PyTorch files put together by hand, without PyTorch and without the writer that is tested."""

import io
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from tests.twin import cases, mapping

KINDS = {"f4": "FloatStorage", "f2": "HalfStorage", "f8": "DoubleStorage", "i8": "LongStorage"}


class Named:
    """A global of the pickle by its names only; called nowhere but in the file."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):
        raise AssertionError("only its names are written")


class Call:
    """An object that a reader makes by calling something, and then gives a state."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced

    def __call__(self):
        raise AssertionError("what it makes is called in the file only")


@dataclass
class Storage:
    """Values of one type; `kind`, `num_values` and `key` can be made to lie."""

    values: np.ndarray
    kind: str = ""
    num_values: int | None = None
    key: str = ""

    def persistent_id(self, key):
        kind = self.kind or KINDS[self.values.dtype.str[1:]]
        count = self.values.size if self.num_values is None else self.num_values
        return ("storage", Named("torch", kind), self.key or key, "cpu", count)


@dataclass
class Content:
    """What a file consists of, for a test to change."""

    pickle: bytes
    storages: dict[str, bytes]
    byteorder: bytes | None = b"little"
    compression: int = zipfile.ZIP_STORED
    extra: dict[str, bytes] = field(default_factory=dict)

    def write(self, path):
        with zipfile.ZipFile(path, "w", self.compression) as archive:
            archive.writestr("best/data.pkl", self.pickle)
            if self.byteorder is not None:
                archive.writestr("best/byteorder", self.byteorder)
            for key, values in self.storages.items():
                archive.writestr(f"best/data/{key}", values)
            for name, value in {"best/version": b"3\n", **self.extra}.items():
                archive.writestr(name, value)
        return path


class Pickler(pickle._Pickler):  # the one in Python, whose steps can be replaced
    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def __init__(self, stream, protocol):
        super().__init__(stream, protocol)
        self.storages = []

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        if not any(obj is known for known in self.storages):
            self.storages.append(obj)
        return obj.persistent_id(str([known is obj for known in self.storages].index(True)))

    def save_named(self, named):
        if self.proto < 4:
            self.write(f"c{named.module}\n{named.name}\n".encode())
        else:
            self.save(named.module)
            self.save(named.name)
            self.write(pickle.STACK_GLOBAL)
        self.memoize(named)

    dispatch[Named] = save_named


def content(root, protocol=2):
    """The parts of a file that holds `root`."""
    stream = io.BytesIO()
    pickler = Pickler(stream, protocol)
    pickler.dump(root)
    values = {str(key): storage.values.tobytes() for key, storage in enumerate(pickler.storages)}
    return Content(stream.getvalue(), values)


def tensor(values, storage=None, offset=0, strides=None, shape=None):
    """The call by which torch.save stores a tensor; by default with a storage of its own."""
    values = np.asarray(values)
    shape = values.shape if shape is None else shape
    if strides is None:
        strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    storage = Storage(np.ascontiguousarray(values)) if storage is None else storage
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, offset, tuple(shape), strides, False, OrderedDict())


def bfloat16(values):
    """A tensor of values that bfloat16 can hold."""
    halves = (np.asarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return tensor(values, Storage(halves, kind="BFloat16Storage"))


def state_arrays(case, seed=1):
    """The PyTorch state dict of a case of the twin, as arrays."""
    from src.models.swave import Swave

    weights = cases.weights({p.name: p.shape for p in Swave(case.model).get_parameters()}, seed)
    return mapping.to_twin(weights)


def state_dict(arrays):
    """An ordered dictionary of tensors, as in the files of training."""
    return OrderedDict((name, tensor(value)) for name, value in arrays.items())


def arguments(model):
    """The kwargs of PyTorch's network. Its segment gives the same chunks as the model's own number of frames."""
    segment = (model.chunk_frames + 0.5) ** 2 / 2 * model.hop_samples / model.sample_rate
    return {
        "N": model.num_filters,
        "L": model.kernel_size,
        "H": model.hidden_size,
        "R": model.num_pairs,
        "C": model.num_speakers,
        "sr": model.sample_rate,
        "segment": segment,
        "input_normalize": False,
    }


def package(arrays, kwargs, best=None, **more):
    """The dictionary that training of the public implementation writes."""
    moments = {"step": 7, "exp_avg": tensor(np.zeros(3, np.float32))}
    return {
        "model": {
            "class": Named("separation.models", "Network"),
            "args": (),
            "kwargs": kwargs,
            "state": state_dict(arrays),
        },
        "optimizer": {"state": {0: moments, 1: moments}, "param_groups": [{"lr": 5e-4, "params": [0, 1]}]},
        "history": [{"train": -3.5, "valid": Call(Named("numpy.core.multiarray", "scalar"), b"12345678")}],
        "best_state": None if best is None else state_dict(best),
        "args": Call(Named("omegaconf.dictconfig", "DictConfig"), state={"_content": {"lr": 5e-4}}),
        **more,
    }
