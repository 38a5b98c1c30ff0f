"""A MINDIR file in the older of two forms, which MindSpore Lite 2.0 reads as well as MindSpore 2.10.

MindSpore 2.10 writes `mind_ir_version` 3, Lite 2.0 reads at most 1. In the newer form what a primitive is made with
(`transpose_b`, `axis`, …) is among the constant inputs of its nodes; in the older one it is attributes of the
primitive. Which arguments these are is told by the signatures of MindSpore's own classes: they are in `__init__`,
the true inputs in `__call__`.
"""

import inspect
from typing import Any

from mindspore.ops.auto_generate import gen_ops_prim
from mindspore.train.mind_ir_pb2 import ModelProto

from src.errors import UserError

OLD_VERSION = 1
REFERENCE = "REF::"  # before the name of a primitive, where a node tells its operation
CONSTANT = "Constant"
PLAIN = 1  # the prim_type of the older form


def to_old_version(content: bytes, output: str) -> bytes:
    """The same graph with `mind_ir_version` 1, and with a name for its only output, which MindSpore Lite tells.

    Raises:
        UserError: a node does not have the inputs that its operation's signature tells.
    """
    model = ModelProto()
    model.ParseFromString(content)
    primitives = {primitive.name: primitive for primitive in model.primitives}
    constants = {node.output[0]: node.attribute[0] for node in model.graph.node if node.op_type == CONSTANT}
    del model.primitives[:]
    for number, node in enumerate(model.graph.node):
        if node.op_type.startswith(REFERENCE):
            primitive = model.primitives.add()
            primitive.CopyFrom(primitives[node.op_type.removeprefix(REFERENCE)])
            primitive.name = f"{primitive.op_type}:{number}"  # one a node: those that shared one may differ now
            primitive.prim_type = PLAIN
            node.op_type = REFERENCE + primitive.name
            _inputs_to_attributes(node, primitive, constants)
    _drop_unused_constants(model.graph)
    _name_output(model.graph, output)
    model.mind_ir_version = OLD_VERSION
    return bytes(model.SerializeToString())


def _inputs_to_attributes(node: Any, primitive: Any, constants: dict[str, Any]) -> None:
    """Move the constants of the arguments of `__init__`, which are the last inputs."""
    inputs, arguments = _signature(primitive.op_type)
    if not arguments:
        return
    if len(node.input) != len(inputs) + len(arguments) or any(i not in constants for i in node.input[len(inputs) :]):
        raise UserError(
            f"{primitive.op_type}: found {len(node.input)} inputs in MindSpore's export, "
            f"expected {', '.join(inputs)} and the constants {', '.join(arguments)}"
        )
    for argument, name in zip(arguments, node.input[len(inputs) :], strict=True):
        attribute = primitive.attribute.add()
        attribute.CopyFrom(constants[name])
        attribute.name = argument
    del node.input[len(inputs) :]


def _signature(operation: str) -> tuple[list[str], list[str]]:
    """The names of the inputs and of the arguments; none for the operations that have kept the older form."""
    kind = getattr(gen_ops_prim, operation, None)
    if kind is None:
        return [], []
    inputs, arguments = (list(inspect.signature(method).parameters)[1:] for method in (kind.__call__, kind.__init__))
    return inputs, arguments


def _drop_unused_constants(graph: Any) -> None:
    """Those that have become attributes. (A node cannot be taken out, so the others are copied.)"""
    used = {name for node in graph.node for name in node.input}
    kept = [node for node in graph.node if node.op_type != CONSTANT or node.output[0] in used]
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)


def _name_output(graph: Any, name: str) -> None:
    """MindSpore Lite calls an output by the full name, here `domain`, of the node that computes it."""
    makers = {output: node for node in graph.node for output in node.output}
    node = makers[graph.output[0].name]
    while node.op_type.startswith(REFERENCE + "Depend"):  # which passes its first input on
        node = makers[node.input[0]]
    node.domain = name
