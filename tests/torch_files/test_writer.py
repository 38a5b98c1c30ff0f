"""State dicts written without PyTorch."""

import pickletools
import zipfile

import numpy as np
import pytest

from src.errors import UserError
from src.torch_files.reader import opened
from src.torch_files.writer import write_state_dict

ARRAYS = {
    "a.weight": np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32),
    "a.bias": np.array([1.5], np.float32),
    "kernel": np.arange(24, dtype=np.float32).reshape(4, 3, 2, 1),
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
}


def test_what_is_written_is_read_back_to_the_bit(tmp_path):
    write_state_dict(tmp_path / "new" / "weights.pth", ARRAYS)
    with opened(tmp_path / "new" / "weights.pth") as root:
        assert list(root) == list(ARRAYS)
        for name, view in root.items():
            np.testing.assert_array_equal(view.as_float32(), ARRAYS[name])
    assert [child.name for child in (tmp_path / "new").iterdir()] == ["weights.pth"]


def test_storages_are_aligned_and_equal_weights_make_equal_bytes(tmp_path):
    paths = [tmp_path / "first.pth", tmp_path / "second.pth"]
    for path in paths:
        write_state_dict(path, ARRAYS)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    data = paths[0].read_bytes()
    assert data.index(ARRAYS["a.weight"].tobytes()) % 64 == 0
    with zipfile.ZipFile(paths[0]) as archive:
        assert archive.testzip() is None
        pickletools.dis(archive.read("archive/data.pkl"), out=(tmp_path / "listing").open("w"))


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_state_dict(tmp_path / "file" / "weights.pth", ARRAYS)


def test_pytorch_reads_it_with_weights_only(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its reader was not tried")
    write_state_dict(tmp_path / "weights.pth", ARRAYS)
    for mapped in (False, True):
        state = torch.load(tmp_path / "weights.pth", weights_only=True, mmap=mapped)
        assert list(state) == list(ARRAYS)
        for name, value in state.items():
            np.testing.assert_array_equal(value.numpy(), ARRAYS[name])
            assert value.is_contiguous()
            assert not value.requires_grad
