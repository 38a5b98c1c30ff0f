"""Network and loss against an independent PyTorch twin: outputs, gradients, and twenty steps of training.

One right gradient proves little: MindSpore 2.10 has an operator whose gradient is right at the first call and zero
afterwards. So gradients are taken several times, with another batch in between, and training is followed.

Everyday runs compare with stored results (`python -m tests.twin.make_reference`); where PyTorch is installed the
twin itself runs too. The twin computes in float64 and the product in float32. Measured on CPU, largest of all cases,
modes and parameters: 1e-7 for outputs, 6e-6 for gradients, 2.5e-4 dB for the losses of twenty steps.
"""

import numpy as np
import pytest
from mindspore import Tensor

from src.models import swave
from src.network_define import NetworkWithLoss
from src.optimizer import make_optimizer
from src.runtime import start
from src.trainonestep import TrainOneStepCell, Update
from tests.twin import cases, product
from tests.twin.cases import CASES, CHECKED_STEPS, TRAINING_CASE, TRAINING_STEPS, relative_error

TOLERANCE = 1e-4  # ||a - b|| / ||b|| for every tensor
TRAINING_TOLERANCE = 1e-3
NO_TORCH = "PyTorch is not installed: the live twin was not compared, only its stored results"


# "composed": in graph mode, the gated blocks made of MindSpore's operators also where there is one for them.
MODES = {"pynative": CASES, "graph": cases.COMPILED, "composed": cases.COMPILED}


def assert_close(found, expected, tolerance):
    errors = {name: relative_error(found[name], expected[name]) for name in expected}
    wrong = {name: error for name, error in errors.items() if not error <= tolerance}
    assert not wrong, f"relative errors above {tolerance}: {wrong}"
    assert found.keys() == expected.keys()


def stored(case):
    with np.load(case.stored) as file:
        return dict(file)


def stored_step(step):
    """Weights, and loss and gradients at these weights, before the update of this step."""
    kept = {k.removeprefix(f"{step}."): v for k, v in stored(TRAINING_CASE).items() if k.startswith(f"{step}.")}
    weights = {k.removeprefix("weight."): v for k, v in kept.items() if k.startswith("weight.")}
    return weights, {k: v for k, v in kept.items() if not k.startswith("weight.")}


@pytest.fixture(
    scope="module",
    params=[(mode, name) for mode, names in MODES.items() for name in names],
    ids=lambda param: f"{param[0]}-{param[1]}",
)
def compared(request):
    """A case, and the product's results; in graph mode also those after a call on another batch."""
    mode, name = request.param
    start("CPU", graph_mode=mode != "pynative")
    case = CASES[name]
    with pytest.MonkeyPatch.context() as patch:
        if mode == "composed":
            patch.setattr(swave, "fused_block_library", lambda _config: None)
        network = product.make_network(case)
    gradients = product.Gradients(network, product.make_loss(case))
    batch = product.tensors(case)
    first = product.forward_and_gradient(gradients, batch)
    if mode == "pynative":
        return case, (first,)
    product.forward_and_gradient(gradients, (batch[0] * 0.5, batch[1][:, ::-1] + batch[1], batch[2]))
    return case, (first, product.forward_and_gradient(gradients, batch))


def test_output_and_every_gradient_equal_the_stored_twin(compared):
    case, calls = compared
    for found in calls:
        assert_close(found, stored(case), TOLERANCE)


def test_output_and_every_gradient_equal_the_live_twin(compared):
    pytest.importorskip("torch", reason=NO_TORCH)
    from tests.twin import reference

    case, calls = compared
    expected = reference.forward_and_gradient(case, reference.make_twin(case))
    for found in calls:
        assert_close(found, expected, TOLERANCE)


@pytest.mark.parametrize("case", [*CASES.values(), TRAINING_CASE], ids=lambda case: case.name)
def test_the_stored_results_are_the_twins(case):
    pytest.importorskip("torch", reason=NO_TORCH)
    from tests.twin import reference

    if case is TRAINING_CASE:
        found = reference.train(case)
    else:
        found = reference.forward_and_gradient(case, reference.make_twin(case))
    assert_close(found, stored(case), 1e-6)


@pytest.fixture(scope="module")
def training():
    """Twenty steps in graph mode: by step the loss, and for some the weights and what the gradients are.

    Before each step the gradient is taken at the step's own weights, and before some once more at the twin's.
    """
    start("CPU", graph_mode=True)
    network, loss = product.make_network(TRAINING_CASE), product.make_loss(TRAINING_CASE)
    batch = product.tensors(TRAINING_CASE)
    update = Update(make_optimizer("adam", network), cases.CLIP_NORM)
    train_step = TrainOneStepCell(NetworkWithLoss(network, loss), update).set_train()
    controls = Tensor([cases.LEARNING_RATE, 0.0, 1.0])
    gradients = product.Gradients(network, loss)
    steps = {}
    for step in range(1, TRAINING_STEPS + 1):
        found = {"own": product.forward_and_gradient(gradients, batch)}
        if step in CHECKED_STEPS:
            found["weights"] = product.get_weights(network)
            product.set_weights(network, stored_step(step)[0])
            found["at_twins"] = product.forward_and_gradient(gradients, batch)
            product.set_weights(network, found["weights"])
        found["loss"], found["norm"] = (float(value.asnumpy()) for value in train_step(*batch, controls))
        steps[step] = found
    return steps


def test_twenty_losses_follow_the_stored_twin(training):
    found = [step["loss"] for step in training.values()]
    expected = stored(TRAINING_CASE)["losses"]
    assert len(found) == len(expected) == 20
    assert expected[0] - expected[-1] > 10  # dB: something was learned
    np.testing.assert_allclose(found[:10], expected[:10], rtol=0, atol=0.01)
    np.testing.assert_allclose(found[10:], expected[10:], rtol=0, atol=0.05)


@pytest.mark.parametrize("step", CHECKED_STEPS)
def test_gradients_during_training_equal_the_stored_twin_at_its_weights(training, step):
    found = training[step]["at_twins"]
    expected = stored_step(step)[1]
    assert_close({name: found[name] for name in expected}, expected, TRAINING_TOLERANCE)


@pytest.mark.parametrize("step", CHECKED_STEPS)
def test_gradients_during_training_equal_the_live_twin_at_the_same_weights(training, step):
    pytest.importorskip("torch", reason=NO_TORCH)
    from tests.twin import reference

    twin = reference.make_twin(TRAINING_CASE, training[step]["weights"])
    expected = reference.forward_and_gradient(TRAINING_CASE, twin)
    assert_close(training[step]["own"], expected, TRAINING_TOLERANCE)


@pytest.mark.parametrize("step", range(1, TRAINING_STEPS + 1))
def test_the_training_step_uses_the_gradients_that_were_checked(training, step):
    found = training[step]
    squares = [np.sum(np.square(v, dtype=np.float64)) for k, v in found["own"].items() if k.startswith("gradient.")]
    assert found["norm"] == pytest.approx(np.sqrt(sum(squares)), rel=1e-5)
    assert found["loss"] == pytest.approx(float(found["own"]["loss"]), abs=1e-4)


@pytest.mark.parametrize("merge", ["sum", "mean"])
def test_the_mapping_of_parameters_is_its_own_inverse(merge):
    from tests.twin import mapping

    weights = stored_step(2)[0]
    state = mapping.to_twin(weights, merge)
    assert "separator.rnn_model.rows_grnn.1.gate_rnn.bias_hh_l0_reverse" in state
    assert sum(value.size for value in state.values()) == sum(value.size for value in weights.values())
    back = mapping.to_product(state, merge)
    assert back.keys() == weights.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(back[name], value)


def test_two_examples_in_a_batch_do_not_see_each_other():
    start("CPU", graph_mode=False)
    case = CASES["two"]
    network = product.make_network(case)
    mixture = cases.batch(case)[0]
    together = network(Tensor(mixture)).asnumpy()
    for example in range(2):
        alone = network(Tensor(mixture[example : example + 1])).asnumpy()[0]
        assert relative_error(together[example], alone) < 1e-5
