"""Files of torch.save read without PyTorch: values, and every way in which a file can lie."""

import contextlib
import io
import pickle
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest

from src.errors import UserError
from src.torch_files.pickles import Global, MalformedFileError
from src.torch_files.reader import OLD_MAGIC, OLD_START, is_torch_file, opened
from src.torch_files.tensors import Storage as FileStorage
from src.torch_files.tensors import TensorView
from tests.torch_files.handmade import Call, Named, Pickler, Storage, bfloat16, content, tensor

VALUES = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


def read(path):
    """The object, with arrays in place of tensors."""
    with opened(path) as root:
        return {name: value.as_float32() if isinstance(value, TensorView) else value for name, value in root.items()}


def read_parts(parts, tmp_path):
    return read(parts.write(tmp_path / "file.pth"))


def refusal(path):
    with pytest.raises(UserError) as caught, opened(path) as root:
        for value in root.values():
            value.as_float32()
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_values_of_every_floating_type_come_back(protocol, tmp_path):
    halves = VALUES.astype(np.float16)
    shorts = (VALUES.view(np.uint32) >> 16 << 16).view(np.float32)
    written = {
        "float": tensor(VALUES),
        "half": tensor(halves),
        "bfloat16": bfloat16(shorts),
        "double": tensor(VALUES.astype(np.float64)),
        "scalar": tensor(np.float32(1.5)),
        "empty": tensor(np.zeros((0, 3), np.float32)),
    }
    found = read_parts(content(written, protocol), tmp_path)
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    for name, expected in (("float", VALUES), ("half", halves), ("bfloat16", shorts), ("double", VALUES)):
        np.testing.assert_array_equal(found[name], expected.astype(np.float32))
    assert found["scalar"] == 1.5
    assert found["empty"].shape == (0, 3)


def test_views_of_a_shared_storage(tmp_path):
    storage = Storage(np.arange(20, dtype=np.float32))
    written = {
        "transposed": tensor(None, storage, 2, (1, 3), (3, 4)),
        "every third": tensor(None, storage, 1, (3,), (6,)),
        "last": tensor(None, storage, 19, (5, 7), (1, 1)),
    }
    parts = content(written)
    assert len(parts.storages) == 1
    found = read_parts(parts, tmp_path)
    np.testing.assert_array_equal(found["transposed"], np.arange(2, 14).reshape(4, 3).T)
    np.testing.assert_array_equal(found["every third"], np.arange(1, 19, 3))
    assert found["last"] == [[19]]
    assert all(array.flags.c_contiguous and array.flags.writeable for array in found.values())


def test_parameters_and_ordered_dictionaries_are_what_they_hold(tmp_path):
    parameter = Call(Named("torch._utils", "_rebuild_parameter"), tensor(VALUES), True, {})
    pairs = Call(Named("collections", "OrderedDict"), [["a", 1]])
    root = Call(Named("collections", "OrderedDict"), state={"_metadata": {}})
    found = read_parts(content({"weight": parameter, "pairs": pairs, "empty": root}), tmp_path)
    np.testing.assert_array_equal(found["weight"], VALUES)
    assert (found["pairs"], found["empty"]) == ({"a": 1}, {})


LIES = {
    "more values": ({"num_values": 13}, {}, "found 48 bytes for storage '0', expected 52"),
    "fewer values": ({"num_values": 11}, {}, "found 48 bytes for storage '0', expected 44"),
    "endless values": ({"num_values": 2**62}, {}, "expected 18446744073709551616 for its"),
    "negative": ({"num_values": -12}, {}, "a number of values from 0"),
    "text": ({"num_values": "12"}, {}, "a number of values from 0"),
    "truth": ({"num_values": True}, {}, "a number of values from 0"),
    "another type": ({"kind": "DoubleStorage"}, {}, "found 48 bytes for storage '0', expected 96"),
    "no such storage": ({"key": "9"}, {}, "found no storage '9'"),
    "path": ({"key": "../version"}, {}, "found no storage '../version'"),
    "offset": ({}, {"offset": 1}, "reaches to value 12 of storage '0', expected less than its 12"),
    "negative offset": ({}, {"offset": -1}, "offset -1"),
    "endless offset": ({}, {"offset": 2**70}, "reaches to value int of"),
    "stride": ({}, {"strides": (4, 2)}, "reaches to value 14"),
    "negative stride": ({}, {"strides": (-4, 1)}, "strides (-4, 1)"),
    "overflowing stride": ({}, {"strides": (2**63, 1)}, "reaches to value 18446744073709551619"),
    "one stride": ({}, {"strides": (1,)}, "one stride for each axis"),
    "shape": ({}, {"shape": (4, 4)}, "reaches to value 15"),
    "negative shape": ({}, {"shape": (-3, 4)}, "shape (-3, 4)"),
    "shape of texts": ({}, {"shape": ("3", 4), "strides": (1, 1)}, "shape (str, 4)"),
    "repeated values": ({}, {"shape": (10**6, 10**6), "strides": (0, 0)}, "expected no more values"),
    "many axes": ({}, {"shape": (1,) * 99, "strides": (1,) * 99}, "one stride for each axis"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_storage_or_tensor_that_lies_is_refused(lie, tmp_path):
    of_storage, of_tensor, message = LIES[lie]
    storage = Storage(VALUES, **of_storage)
    written = tensor(VALUES, storage, **of_tensor)
    assert message in refusal(content({"weight": written}).write(tmp_path / "file.pth"))


def test_whole_numbers_are_no_weights(tmp_path):
    assert "LongStorage" in refusal_of_values(content({"weight": tensor(np.arange(3))}), tmp_path)


def refusal_of_values(parts, tmp_path):
    return refusal(parts.write(tmp_path / "file.pth"))


def test_a_big_endian_file_is_refused(tmp_path):
    parts = content({"weight": tensor(VALUES)})
    parts.byteorder = b"big"
    assert "big-endian" in refusal_of_values(parts, tmp_path)


def test_a_file_that_tells_no_order_of_bytes_is_read(tmp_path):
    parts = content({"weight": tensor(VALUES)})
    parts.byteorder = None
    np.testing.assert_array_equal(read_parts(parts, tmp_path)["weight"], VALUES)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    parts = content({"weight": tensor(VALUES)})
    parts.compression = zipfile.ZIP_DEFLATED
    parts.storages["0"] = b"\0" * 10**6
    assert "compressed" in refusal_of_values(parts, tmp_path)


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    parts = content({"weight": tensor(VALUES)})
    parts.extra = {"best/data/1": b"\0" * 10_000}
    path = parts.write(tmp_path / "file.pth")
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
    data = bytearray(path.read_bytes())
    for name in ("best/data/0", "best/version"):  # both claim the bytes of the large one
        record = data.rindex(name.encode()) - 46
        data[record + 16 : record + 28] = data[data.rindex(b"best/data/1") - 30 : data.rindex(b"best/data/1") - 18]
        data[record + 42 : record + 46] = entries["best/data/1"].header_offset.to_bytes(4, "little")
    path.write_bytes(data)
    assert "more bytes than the file's" in refusal(path)


def test_an_archive_of_something_else_is_told(tmp_path):
    path = tmp_path / "file.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "0 data.pkl" in refusal(path)
    parts = content({})
    parts.extra = {"best/constants.pkl": b"N."}
    assert "TorchScript" in refusal_of_values(parts, tmp_path)


def test_persistent_ids_of_something_else_are_refused(tmp_path):
    for number, data in enumerate((b"NQ.", b"X\x07\x00\x00\x00storage\x85Q.", b"Pcos\n.", b"cos\nsystem\nQ.")):
        parts = content({})
        parts.pickle = data
        assert "persistent id" in refusal(parts.write(tmp_path / f"{number}.pth"))


def test_a_storage_of_an_unknown_type_is_a_record(tmp_path):
    with opened(content([tensor(VALUES, Storage(VALUES, "QInt8Storage"))]).write(tmp_path / "file.pth")) as root:
        assert not isinstance(root[0], TensorView)


def test_a_damaged_name_inside_the_archive_is_told(tmp_path):
    path = content({"weight": tensor(VALUES)}).write(tmp_path / "file.pth")
    data = path.read_bytes()
    start = data.rindex(b"PK\x01\x02")
    flagged = data[: start + 9] + b"\x08" + data[start + 10 :]  # its last name is in UTF-8, which it is not
    path.write_bytes(flagged.replace(b"best/version", b"best/\xff\xffrsion"))
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("part", [0.01, 0.3, 0.5, 0.9, 0.99, 0.999])
def test_a_truncated_file_is_told(part, tmp_path):
    path = content({"weight": tensor(np.zeros(1000, np.float32))}).write(tmp_path / "file.pth")
    data = path.read_bytes()
    path.write_bytes(data[: max(4, int(part * len(data)))])
    assert "not a readable PyTorch file" in refusal(path)


def test_a_flipped_bit_of_a_weight_is_noticed(tmp_path):
    path = content({"weight": tensor(VALUES)}).write(tmp_path / "file.pth")
    data = bytearray(path.read_bytes())
    data[data.index(VALUES.tobytes()) + 5] ^= 1
    path.write_bytes(data)
    assert "damaged" in refusal(path)


def test_damage_never_raises_anything_else(tmp_path):
    rng = np.random.default_rng(1)
    path = content({"weight": tensor(VALUES), "more": [1, "a", Call(Named("x", "y"))]}).write(tmp_path / "file.pth")
    old = tmp_path / "old.pth"
    old.write_bytes(old_form({"weight": tensor(VALUES)}))
    for whole in (path, old):
        data = whole.read_bytes()
        for _ in range(700):
            damaged = bytearray(data)
            for place in rng.integers(4, len(data), 2):
                damaged[place] = rng.integers(256)
            whole.write_bytes(damaged)
            with contextlib.suppress(UserError), opened(whole) as root:
                if isinstance(root, dict) and isinstance(root.get("weight"), TensorView):
                    root["weight"].as_float32()


@dataclass
class OldClass:
    """A network's class, which the old form keeps with its source."""

    named: Named


class OldStorage(Storage):
    def persistent_id(self, key):
        return (*super().persistent_id(key), None)


class OldPickler(Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, OldClass):
            return ("module", obj.named, "network.py", "import os; os.system('true')")
        return super().persistent_id(obj)


def old_form(root, little=True, version=1001, counts=None):
    """What torch.save wrote before PyTorch 1.6: pickles, then storages."""
    stream = io.BytesIO()
    for value in (OLD_MAGIC, version, {"protocol_version": version, "little_endian": little}):
        pickle.dump(value, stream, 2)
    pickler = OldPickler(stream, 2)
    values = {name: replace_storage(value) for name, value in root.items()}
    pickler.dump(values)
    keys = [str(number) for number in range(len(pickler.storages))]
    pickle.dump(keys, stream, 2)
    for storage, count in zip(pickler.storages, counts or [s.values.size for s in pickler.storages], strict=True):
        stream.write(count.to_bytes(8, "little") + storage.values.tobytes())
    return stream.getvalue()


def replace_storage(value):
    if isinstance(value, OldClass):
        return value
    function, (storage, *rest) = value.reduced
    return Call(function, OldStorage(storage.values), *rest)


def test_the_form_before_pytorch_1_6_is_read(tmp_path):
    path = tmp_path / "old.pth"
    written = {"class": OldClass(Named("a", "Network")), "weight": tensor(VALUES)}
    path.write_bytes(old_form(written | {"half": tensor(VALUES.T.astype(np.float16))}))
    assert path.read_bytes().startswith(OLD_START)
    found = read(path)
    np.testing.assert_array_equal(found["weight"], VALUES)
    np.testing.assert_array_equal(found["half"], VALUES.T.astype(np.float16))
    assert found["class"] == Global("a", "Network")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"little": False}, "big-endian"),
        ({"version": 1000}, "save it anew"),
        ({"counts": [13]}, "found 13 values for storage '0', expected 12"),
        ({"counts": [2**62]}, "expected 12"),
    ],
)
def test_an_old_file_that_lies_is_refused(changes, message, tmp_path):
    path = tmp_path / "old.pth"
    path.write_bytes(old_form({"weight": tensor(VALUES)}, **changes))
    assert message in refusal(path)


@pytest.mark.parametrize("missing", [1, 4, 48, 60, 200])
def test_a_truncated_old_file_is_told(missing, tmp_path):
    path = tmp_path / "old.pth"
    path.write_bytes(old_form({"weight": tensor(VALUES)})[:-missing])
    with pytest.raises(UserError, match="not a readable PyTorch file"), opened(path):
        pass


def test_a_pickle_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    parts = content({"weight": tensor(VALUES), "text": "x" * 2000})
    monkeypatch.setattr("src.torch_files.reader.MOST_BYTES", 1000)
    assert "found a pickle of more than" in refusal_of_values(parts, tmp_path)


def test_a_storage_that_gives_less_than_it_claims_is_not_read_beyond():
    view = TensorView(FileStorage("FloatStorage", "0", 12, lambda: b"\0" * 44), 0, (3, 4), (4, 1))
    with pytest.raises(MalformedFileError, match="found 44 bytes, expected 48"):
        view.as_float32()


def test_what_a_pytorch_file_starts_with(tmp_path):
    assert is_torch_file(content({}).write(tmp_path / "file.pth").read_bytes()[:16])
    assert is_torch_file(old_form({})[:16])
    assert not is_torch_file(pickle.dumps({"weight": 1}))
    assert not is_torch_file(b"")
