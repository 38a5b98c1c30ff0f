"""An ONNX file as it leaves MindSpore, made tidy, and run with onnxruntime.

MindSpore computes the weights of every LSTM inside the graph, from one long array, and calls the output by a number.
onnxruntime folds what is constant, so that the weights stand where other readers (Ascend's among them) look for them.
"""

import importlib.util
from pathlib import Path
from typing import Any

from src.errors import UserError

STANDARD = ""  # the domain of ONNX's own operations


def require_libraries() -> None:
    """Raise `UserError` unless onnx and onnxruntime are installed."""
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"file_format ONNX: found no {' and no '.join(missing)}, with which the file is finished and checked: "
            f"pip install {' '.join(missing)} 'numpy<2'"
        )


def tidy(source: Path, target: Path, output: str) -> None:
    """Write `source` with constants folded and its only output called `output` to `target`."""
    import onnx
    import onnxruntime

    options = _options(1)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # ONNX's own operations only
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    model = onnx.load(target)
    _drop_empty_slices(model.graph)
    (last,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = [output if name == last.name else name for name in node.output]
    last.name = output
    standard = [entry for entry in model.opset_import if entry.domain == STANDARD]
    del model.opset_import[:]  # onnxruntime names its own domains too, used or not
    model.opset_import.extend(standard)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def _drop_empty_slices(graph: Any) -> None:
    """MindSpore writes a slice that takes everything as one along no axes, which MindSpore Lite cannot read."""
    empty = {value.name for value in graph.initializer if list(value.dims) == [0]}
    instead = {
        node.output[0]: node.input[0] for node in graph.node if node.op_type == "Slice" and node.input[1] in empty
    }
    for node in [node for node in graph.node if node.output[0] in instead]:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [instead.get(name, name) for name in node.input]
    used = {name for node in graph.node for name in node.input}
    for value in [value for value in graph.initializer if value.name not in used]:
        graph.initializer.remove(value)


def open_session(path: Path, num_threads: int) -> Any:
    """An onnxruntime session on the CPU."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), _options(num_threads), providers=["CPUExecutionProvider"])


def _options(num_threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    return options
