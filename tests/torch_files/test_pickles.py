"""Nothing that a pickle names is ever run; the ways in which the standard library's reader would are tried."""

import collections
import contextlib
import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.torch_files.pickles import Global, MalformedFileError, Record, read_pickle
from tests.torch_files.handmade import Call, Named, content

MARKER = "executed"


def read(data, makers=None, persistent=None):
    def no_id(value):
        raise MalformedFileError("found a persistent id")

    return read_pickle(io.BytesIO(data), makers or {}, persistent or no_id)


VALUES = {
    "a": [1, -2, 2**40, -(2**90), True, False, None, 1.5, "text", "ünï"],
    "b": {"tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), 5: [[], {}]},
    "long": list(range(2000)),
    "many": {str(number): number for number in range(2000)},
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back(protocol):
    values = VALUES if protocol < 3 else {**VALUES, "bytes": b"bytes"}  # which are a call before
    assert read(pickle.dumps(values, protocol)) == values


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_shared_values_stay_shared(protocol):
    shared = ["x"]
    first, second = read(pickle.dumps((shared, shared), protocol))
    assert first is second


@pytest.mark.parametrize("protocol", [4, 5])
def test_sets_become_lists(protocol):
    found = read(pickle.dumps([{1, 2}, frozenset((3,))], protocol))
    assert [sorted(values) for values in found] == [[1, 2], [3]]


@pytest.mark.parametrize("protocol", [2, 4])
def test_unknown_objects_become_records_of_what_they_are_made_of(protocol):
    found = read(content(Call(Named("some.package", "Thing"), 1, "a", state={"x": 2}), protocol).pickle)
    assert isinstance(found, Record)
    assert (found.made_by, found.arguments, found.state) == (Global("some.package", "Thing"), (1, "a"), {"x": 2})


def test_known_globals_are_made_by_the_caller_only():
    data = content(Call(Named("known", "Thing"), 1, 2), 2).pickle
    assert read(data, {Global("known", "Thing"): sum}) == 3


@pytest.mark.parametrize("protocol", [2, 4])
def test_lists_and_dictionaries_of_unknown_kinds_keep_their_items(protocol):
    found = read(pickle.dumps([collections.deque([1, 2]), collections.defaultdict(list, a=1)], protocol))
    assert [record.items for record in found] == [[1, 2], [("a", 1)]]


def called(module, name):
    return f"c{module}\n{name}\n".encode()


def text(value):
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def hostile(folder):
    """By name, pickles that run a program when the standard library reads them."""
    marker = str(folder / MARKER)
    run = f"touch {marker}"
    system = called("os", "system")
    module = called("importlib", "import_module") + b"(" + text("os") + b"tR"
    return {
        "os.system": system + b"(" + text(run) + b"tR.",
        "protocol 0": b"cos\nsystem\n(S" + repr(run).encode() + b"\ntR.",
        "protocol 4": b"\x80\x04" + text("os") + text("system") + b"\x93" + text(run) + b"\x85R.",
        "eval": called("builtins", "eval") + b"(" + text(f"open({marker!r}, 'w')") + b"tR.",
        "nested": called("builtins", "getattr") + b"(" + module + text("system") + b"tR(" + text(run) + b"tR.",
        "partial": called("functools", "partial") + b"(" + system + text(run) + b"tR)R.",
        "partial's state": called("functools", "partial") + b"(" + system + b"tR(" + system
        + b"(" + text(run) + b"t}NtbN0)R.",
        "copyreg": called("copyreg", "__newobj__") + b"(" + called("zipfile", "ZipFile") + b"tR("
        + system + b"(" + text(run) + b"tRt.",
        "class called by INST": b"(S" + repr(run).encode() + b"\nios\nsystem\n.",
        "class called by OBJ": b"(" + system + text(run) + b"o.",
        "keys": b"}" + system + b"(" + text(run) + b"tRNs.",
    }  # fmt: skip


NAMES = list(hostile(Path()))


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_pickle_runs_in_the_standard_library_and_not_here(name, tmp_path):
    data, marker = hostile(tmp_path)[name], tmp_path / MARKER
    found = read(data)
    assert not marker.exists()
    assert found is not None
    program = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
    subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=False)
    assert marker.exists(), "the pickle is harmless: it shows nothing"


def test_what_a_pickle_sets_on_something_known_changes_nothing():
    def maker(arguments):
        return {}

    state = b"}" + text("__code__") + b"Ns"
    known = called("known", "maker")
    read(known + state + b"b0" + known + b")R" + state + b"b.", {Global("known", "maker"): maker})
    assert maker.__code__ is not None
    assert not vars(maker)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"\x80\x02",
        b"]",
        b"0.",
        b"a.",
        b"K\x01K\x02a.",
        b"K\x01K\x02K\x03s.",
        b"t.",
        b"h\x05.",
        b"(K\x01d.",
        b"\x94.",
        b"K\x01K\x02\x93.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"X\xff\xff\xff\x7fabc.",
        b"X\x01\x00\x00\x00\xff.",
        b"\x97.",
        b"\xff\xfe",
        b"I" + b"9" * 5000 + b"\n.",
        b"Ptext\n.",
        b"NQ.",
    ],
)
def test_a_malformed_pickle_is_told(data):
    with pytest.raises(MalformedFileError, match="found"):
        read(data)


def test_a_key_that_takes_for_ever_to_hash_is_not_hashed():
    doubled = b")" + b"2\x86" * 60  # a tuple of twice the tuple before, sixty times
    assert len(read(b"}" + doubled + b"Ns.")) == 1


def test_deep_nesting_is_no_trouble():
    read(b"N" + b"\x85" * 200_000 + b".")
    read(b"(" * 100_000 + b"N." + b"")


def test_a_pickle_that_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr("src.torch_files.pickles.MOST_BYTES", 1000)
    assert read(b"}0" * 400 + b"N.") is None
    with pytest.raises(MalformedFileError, match="more than"):
        read(b"}0" * 600 + b"N.")


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_damage_never_raises_anything_else():
    rng = np.random.default_rng(0)
    data = pickle.dumps(VALUES, 2)[:3000]
    for _ in range(1500):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            damaged[place] = rng.integers(256)
        with contextlib.suppress(MalformedFileError):
            read(bytes(damaged), {Global("a", "b"): lambda arguments: None}, lambda value: None)
