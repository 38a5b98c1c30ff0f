"""The gated block in one operator against the same block made of MindSpore's operators: outputs, gradients, threads."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from src.config import ModelConfig
from src.errors import UserError
from src.kernels.library import find_library, load_library
from src.models.fused_block import FusedBlock
from src.models.swave import MulCat
from src.runtime import start, usable_cores

NO_LIBRARY = "there is no compiler for the operators: MindSpore's own are used, and tested elsewhere"
NO_HALF = "this processor has no products in bfloat16"
# S, K, B, N, H: fewer sequences than a vector has lanes, several groups of them, and sizes that fill no tile.
SHAPES = [(6, 5, 1, 4, 6), (37, 20, 1, 64, 64), (4, 9, 2, 24, 34), (1, 1, 1, 2, 2)]
HALF_SHAPES = [(37, 20, 1, 64, 32), (4, 9, 2, 32, 96)]


@pytest.fixture(scope="module")
def library():
    start("CPU")
    path = find_library()
    if path is None:
        pytest.skip(NO_LIBRARY)
    yield path
    load_library(path).SetNumThreads(usable_cores())


@pytest.fixture(scope="module")
def half_library(library):
    if load_library(library).HalfMultiple() == 0:
        pytest.skip(NO_HALF)
    return library


class Composed(nn.Cell):
    """The block's sum with its input, as src.models.swave has it without the library."""

    def __init__(self, block, along):
        super().__init__()
        self.block, self.along = block, along

    def construct(self, chunks):
        outer, inner, batch, channels = chunks.shape
        if self.along:
            rows = chunks.swapaxes(0, 1).reshape(inner, outer * batch, channels)
            return chunks + self.block(rows).reshape(inner, outer, batch, channels).swapaxes(0, 1)
        return chunks + self.block(chunks.reshape(outer, inner * batch, channels)).reshape(chunks.shape)


class Fused(nn.Cell):
    """The same by the operator."""

    def __init__(self, library, block, along, half=False):
        super().__init__()
        channels, hidden = block.output.weight.shape[0], block.lstm.hidden_size
        self.block = block
        self.fused = FusedBlock(library, ModelConfig(num_filters=channels, hidden_size=hidden, kernel_size=2), along)
        if half:
            self.fused.round_to_bfloat16()

    def construct(self, chunks):
        return self.fused(chunks, self.block.weights())


class Gradients(nn.Cell):
    """(chunks, factors) -> gradients of sum(block(chunks) * factors) by the chunks, and by the weights."""

    def __init__(self, network, weights):
        super().__init__()

        def weighted(chunks, factors):
            return (network(chunks) * factors).sum()

        self.gradients = ops.grad(weighted, 0, ParameterTuple(weights))

    def construct(self, chunks, factors):
        return self.gradients(chunks, factors)


def noise(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def results(network, block, chunks, train=True):
    """Output and gradients by everything, of a second call: MindSpore has operators whose second gradient is wrong."""
    network.set_train(train)
    gradients = Gradients(network, block.weights())
    gradients(Tensor(0.5 * chunks), Tensor(chunks))
    by_chunks, by_weights = gradients(Tensor(chunks), Tensor(noise(chunks.shape, 1)))
    return [array.asnumpy() for array in (network(Tensor(chunks)), by_chunks, *by_weights)]


def assert_near(found, expected, tolerance):
    errors = [np.abs(a - b).max() / (np.abs(b).max() or 1.0) for a, b in zip(found, expected, strict=True)]
    assert max(errors) < tolerance, errors


@pytest.fixture
def immediately():
    """Without compiling graphs, which takes a second each."""
    start("CPU", graph_mode=False)
    yield
    start("CPU")


@pytest.mark.parametrize("along", [True, False], ids=["along", "across"])
def test_output_and_gradients_are_those_of_mindspores_operators_in_a_graph(library, along):
    check_output_and_gradients(library, SHAPES[0], along)


@pytest.mark.usefixtures("immediately")
@pytest.mark.parametrize("along", [True, False], ids=["along", "across"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_and_gradients_are_those_of_mindspores_operators(library, shape, along):
    check_output_and_gradients(library, shape, along)


def check_output_and_gradients(library, shape, along):
    block = MulCat(*shape[3:])
    chunks = noise(shape[:4], 0)
    expected = results(Composed(block, along), block, chunks)
    for train in (True, False):  # what the gradient needs is kept, or computed again
        assert_near(results(Fused(library, block, along), block, chunks, train), expected, 5e-6)


@pytest.mark.usefixtures("immediately")
@pytest.mark.parametrize("along", [True, False], ids=["along", "across"])
@pytest.mark.parametrize("shape", HALF_SHAPES, ids=str)
def test_in_bfloat16_they_are_near(half_library, shape, along):
    block = MulCat(*shape[3:])
    chunks = noise(shape[:4], 0)
    expected = results(Composed(block, along), block, chunks)
    kept = results(Fused(half_library, block, along, half=True), block, chunks)
    assert_near(kept, expected, 0.02)
    with pytest.raises(AssertionError):  # it did round
        assert_near(kept, expected, 1e-5)
    again = results(Fused(half_library, block, along, half=True), block, chunks, train=False)
    assert_near(again, kept, 1e-6)


@pytest.mark.usefixtures("immediately")
@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_the_number_of_threads_changes_only_the_order_of_sums(library, half, request):
    if half:
        request.getfixturevalue("half_library")
    block = MulCat(32, 32)
    chunks = noise((150, 11, 1, 32), 0)
    network = Fused(library, block, along=True, half=half)
    found = {}
    for threads in (1, 2, 3, 7):
        load_library(library).SetNumThreads(threads)
        found[threads] = results(network, block, chunks)
        again = results(network, block, chunks)
        assert all(np.array_equal(a, b) for a, b in zip(found[threads], again, strict=True))
        assert np.array_equal(found[threads][0], found[1][0])
        assert_near(found[threads], found[1], 5e-6)


@pytest.mark.usefixtures("immediately")
@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_saturated_gates_give_numbers_and_nan_stays_nan(library, half, request):
    if half:
        request.getfixturevalue("half_library")
    block = MulCat(32, 32)
    network = Fused(library, block, along=True, half=half)
    chunks = 1e6 * noise((3, 4, 1, 32), 0)
    assert all(np.isfinite(array).all() for array in results(network, block, chunks))
    chunks[1, 2, 0, 5] = np.nan
    found = network(Tensor(chunks)).asnumpy()
    assert np.isnan(found[1]).any()
    assert np.isfinite(found[[0, 2]]).all()  # other sequences know nothing of it


@pytest.mark.usefixtures("immediately")
@pytest.mark.parametrize("gate", range(4), ids=["input", "forget", "cell", "output"])
def test_each_gate_does_what_it_is_named_for(library, gate):
    """A cell of one unit in float64 by hand, whose gates are pulled apart by their biases; forward direction."""
    block = MulCat(2, 2)
    for parameter in block.get_parameters():
        parameter.set_data(Tensor(0.3 * noise(parameter.shape, 3)))
    bias = np.zeros((2, 8), np.float32)
    bias[:, 2 * gate : 2 * gate + 2] = 3.0
    block.lstm.bias_ih.set_data(Tensor(bias))
    chunks = noise((1, 6, 1, 2), 4)
    assert_near(
        [Fused(library, block, along=True)(Tensor(chunks)).asnumpy()],
        [by_hand(block, chunks[0, :, 0])[None, :, None]],
        1e-6,
    )


def by_hand(block, sequence):
    """The block's sum with its input for one sequence [T, N], in float64."""

    def value(parameter: Parameter):
        return parameter.asnumpy().astype(np.float64)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def lstm(cell):
        outputs = []
        for direction in range(2):
            hidden = memory = np.zeros(cell.hidden_size)
            steps = sequence if direction == 0 else sequence[::-1]
            states = []
            for step in steps:
                gates = value(cell.weight_ih)[direction] @ step + value(cell.weight_hh)[direction] @ hidden
                gates += value(cell.bias_ih)[direction] + value(cell.bias_hh)[direction]
                entry, forget, candidate, out = np.split(gates, 4)
                memory = sigmoid(forget) * memory + sigmoid(entry) * np.tanh(candidate)
                hidden = sigmoid(out) * np.tanh(memory)
                states.append(hidden)
            outputs.append(np.array(states if direction == 0 else states[::-1]))
        return np.concatenate(outputs, 1)

    def linear(layer, rows):
        return rows @ value(layer.weight).T + value(layer.bias)

    product = linear(block.projection, lstm(block.lstm)) * linear(block.gate_projection, lstm(block.gate_lstm))
    return sequence + linear(block.output, np.concatenate((product, sequence), 1))


def test_a_length_that_is_not_known_when_the_graph_is_compiled(library):
    block = MulCat(4, 6)
    network = Fused(library, block, along=True).set_train(False)
    network.set_inputs(Tensor(shape=[None, None, None, 4], dtype=ms.float32))
    for shape in ((6, 5, 1, 4), (40, 3, 2, 4)):
        chunks = noise(shape, 0)
        expected = Composed(block, along=True)(Tensor(chunks)).asnumpy()
        assert_near([network(Tensor(chunks)).asnumpy()], [expected], 5e-6)


def test_sizes_that_do_not_fit_bfloat16_are_told(half_library):
    with pytest.raises(UserError, match=r"found N = 24, H = 32, expected multiples of 32 for bfloat16"):
        Fused(half_library, MulCat(24, 32), along=True, half=True)
