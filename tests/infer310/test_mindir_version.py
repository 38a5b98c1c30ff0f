"""The older form of MINDIR: what moves where, and that MindSpore computes the same from it."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from mindspore.train.mind_ir_pb2 import ModelProto

from src.config import ModelConfig
from src.errors import UserError
from src.infer310.mindir_version import OLD_VERSION, to_old_version
from src.models.exported import ExportedSwave
from src.models.exported_lstm import for_ascend, for_lite
from src.models.swave import Swave
from src.runtime import start

# What the networks consist of; MindSpore Lite 2.0 was seen to load and compute those of the form for CPUs rightly.
LOADED_BY_LITE = {
    *("Add", "Cast", "Concat", "Depend", "Div", "LSTM", "Load", "MakeTuple", "MatMul", "Maximum", "Minimum", "Mul"),
    *("ReLU", "ReduceSum", "Reshape", "Sqrt", "StridedSlice", "Sub", "Transpose", "TupleGetItem", "UpdateState"),
}


class Mixed(nn.Cell):
    """Two joins along different axes, which share one primitive in the newer form, and a product."""

    def __init__(self):
        super().__init__()
        self.weight = ms.Parameter(Tensor(np.arange(6).reshape(2, 3), ms.float32))
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, values):
        rows = ops.cat((values, values * 2.0), 0)  # [4, 3]
        return ops.cat((rows, rows[:, 1:]), 1) + self.matmul(rows, self.weight).sum()


@pytest.fixture(autouse=True)
def graph_mode():
    start("CPU")


def export(cell, *inputs, folder):
    path = folder / "network.mindir"
    ms.export(cell, *inputs, file_name=str(path), file_format="MINDIR")
    path.chmod(0o600)
    return path.read_bytes()


def parse(content):
    model = ModelProto()
    model.ParseFromString(content)
    return model


def attributes(model, operation):
    """Of every node with this operation: its number of inputs and its primitive's attributes."""
    found = []
    for node in model.graph.node:
        for primitive in model.primitives:
            if node.op_type == f"REF::{primitive.name}" and primitive.op_type == operation:
                found.append((len(node.input), {attribute.name: attribute.i for attribute in primitive.attribute}))
    return found


def test_what_a_primitive_is_made_with_becomes_its_attributes(tmp_path):
    raw = export(Mixed(), Tensor(np.ones((2, 3), np.float32)), folder=tmp_path)
    assert parse(raw).mind_ir_version > OLD_VERSION
    model = parse(to_old_version(raw, "result"))
    assert model.mind_ir_version == OLD_VERSION
    assert attributes(model, "MatMul") == [(2, {"transpose_a": 0, "transpose_b": 1})]
    assert [(inputs, made_with["axis"]) for inputs, made_with in attributes(model, "Concat")] == [(1, 0), (1, 1)]
    ((inputs, made_with),) = attributes(model, "StridedSlice")
    assert inputs == 4
    assert {"begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"} <= set(made_with)


def test_every_input_is_still_made_by_a_node_and_every_constant_is_used(tmp_path):
    model = parse(to_old_version(export(Mixed(), Tensor(np.ones((2, 3), np.float32)), folder=tmp_path), "result"))
    made = [name for node in model.graph.node for name in node.output]
    given = {value.name for value in (*model.graph.input, *model.graph.parameter)}
    used = {name for node in model.graph.node for name in node.input}
    assert used <= given | set(made)
    assert {node.output[0] for node in model.graph.node if node.op_type == "Constant"} <= used
    assert len({primitive.name for primitive in model.primitives}) == len(model.primitives)


def test_the_node_that_computes_the_output_has_its_name(tmp_path):
    raw = export(Mixed(), Tensor(np.ones((2, 3), np.float32)), folder=tmp_path)
    model = parse(to_old_version(raw, "result"))
    (named,) = [node for node in model.graph.node if node.domain == "result"]
    assert named.op_type.startswith("REF::Add")
    assert not any(node.domain == "result" for node in parse(raw).graph.node)


def test_mindspore_loads_it_and_computes_the_same(tmp_path):
    cell, values = Mixed(), Tensor(np.random.default_rng(0).standard_normal((2, 3)), ms.float32)
    path = tmp_path / "old.mindir"
    path.write_bytes(to_old_version(export(cell, values, folder=tmp_path), "result"))
    loaded = nn.GraphCell(ms.load(str(path)))
    np.testing.assert_array_equal(loaded(values).asnumpy(), cell(values).asnumpy())


@pytest.mark.parametrize("make_lstm", [for_lite, for_ascend])
def test_the_whole_network(tmp_path, make_lstm):
    config = ModelConfig(num_filters=12, kernel_size=4, hidden_size=3, num_pairs=1, normalize_level=True)
    exported = ExportedSwave(Swave(config).set_train(False), 2, 97, make_lstm)
    inputs = Tensor(np.zeros((2, 97), np.float32)), Tensor([1, 1], ms.int32)
    model = parse(to_old_version(export(exported, *inputs, folder=tmp_path), "tracks"))
    operations = {primitive.op_type for primitive in model.primitives}
    if make_lstm is for_lite:
        assert operations <= LOADED_BY_LITE
        assert len(attributes(model, "LSTM")) == 4
    else:
        assert operations - LOADED_BY_LITE == {"DynamicRNN", "ReverseV2"}
        assert "LSTM" not in operations
        assert len(attributes(model, "DynamicRNN")) == 8
    halves = [parameter for parameter in model.graph.parameter if parameter.data_type == 10]  # float16
    assert len(halves) == (0 if make_lstm is for_lite else 2 * 8)


def test_inputs_that_do_not_fit_the_signature(tmp_path):
    model = parse(export(Mixed(), Tensor(np.ones((2, 3), np.float32)), folder=tmp_path))
    (node,) = [node for node in model.graph.node if node.op_type.startswith("REF::MatMul")]
    del node.input[-1]
    with pytest.raises(UserError, match="MatMul: found 3 inputs in MindSpore's export, expected input, mat2 and the"):
        to_old_version(model.SerializeToString(), "result")
