"""The ONNX file as readers find it."""

import importlib.util

import mindspore as ms
import numpy as np
import onnx
import pytest
from mindspore import Tensor

from src.config import ModelConfig
from src.errors import UserError
from src.infer310 import onnx_file
from src.models.exported import ExportedSwave
from src.models.exported_lstm import for_onnx
from src.models.swave import Swave
from src.runtime import start


def test_weights_stand_beside_the_lstms_and_the_output_has_its_name(tmp_path):
    start("CPU")
    config = ModelConfig(num_filters=12, kernel_size=4, hidden_size=3, num_pairs=1)
    exported = ExportedSwave(Swave(config).set_train(False), 1, 98, for_onnx)
    raw, path = tmp_path / "raw.onnx", tmp_path / "net.onnx"
    inputs = Tensor(np.zeros((1, 98), np.float32)), Tensor([1], ms.int32)
    ms.export(exported, *inputs, file_name=str(raw), file_format="ONNX")
    onnx_file.tidy(raw, path, "tracks")
    model = onnx.load(path)
    assert [value.name for value in model.graph.input] == ["mixture", "num_samples"]
    assert [value.name for value in model.graph.output] == ["tracks"]
    assert [entry.domain for entry in model.opset_import] == [""]
    weights = {value.name: tuple(value.dims) for value in model.graph.initializer}
    lstms = [node for node in model.graph.node if node.op_type == "LSTM"]
    assert len(lstms) == 8
    assert {weights[node.input[1]] for node in lstms} == {(1, 12, 12), (1, 12, 13)}  # along, and across: closable
    assert {weights[node.input[2]] for node in lstms} == {(1, 12, 3)}
    assert not [name for name, shape in weights.items() if shape == (0,)]  # of slices that take everything
    assert set(weights) <= {name for node in model.graph.node for name in node.input}
    session = onnx_file.open_session(path, 1)
    feeds = {"mixture": np.ones((1, 98), np.float32), "num_samples": np.array([50], np.int32)}
    np.testing.assert_allclose(
        session.run(["tracks"], feeds)[0],
        exported(Tensor(feeds["mixture"]), Tensor(feeds["num_samples"])).asnumpy(),
        atol=1e-6,
    )


def test_missing_libraries_are_told_with_the_command_that_gets_them(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(UserError, match=r"found no onnxruntime, .*: pip install onnxruntime 'numpy<2'$"):
        onnx_file.require_libraries()
