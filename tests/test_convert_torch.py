"""Checkpoints of the public PyTorch implementation to this program's and back, without PyTorch."""

import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from src import checkpoint
from src.config import Config
from src.convert_torch import main
from src.errors import UserError
from src.inference import load_separate
from src.models.swave import Swave
from src.torch_files.reader import opened
from tests.torch_files import handmade
from tests.torch_files.handmade import Call, Named, Storage, arguments, bfloat16, package, state_arrays, tensor
from tests.twin import cases
from tests.twin.cases import CASES

ROOT = Path(__file__).parent.parent
CASE = CASES["two"]
COMPARED = [name for name, case in CASES.items() if not case.model.normalize_level]
TRAINED_WITH = ["--sr", "8000", "--segment", "0.0138"]  # the same K as in CASE
SLOPE = "separator.rnn_model.output.0.weight"
FIRST = "separator.rnn_model.rows_grnn.0.rnn.weight_ih_l0"
BIAS = "separator.rnn_model.output.1.bias"


@pytest.fixture(scope="module")
def arrays():
    return state_arrays(CASE)


@pytest.fixture
def folder(tmp_path):
    """Where IN and OUT are, as short names."""
    (tmp_path / "in").mkdir()
    return tmp_path


def write(root, folder, name="talk.th", protocol=2):
    return handmade.content(root, protocol).write(folder / "in" / name)


def convert(source, target, *options):
    main([str(source), str(target), *options])
    return target


def refusal(source, target, *options):
    """The line with which a file is refused. Nothing is written, and what was there stays."""
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(b"before")
    with pytest.raises(UserError) as caught:
        convert(source, target, *options)
    assert [child.name for child in target.parent.iterdir()] == [target.name]
    assert target.read_bytes() == b"before"
    message = str(caught.value)
    assert "\n" not in message
    assert str(source) in message
    return message


def stored_weights(path):
    return {name: value.asnumpy() for name, value in checkpoint.read(path).values.items()}


def expected_weights(case=CASE, seed=1):
    return cases.weights({p.name: p.shape for p in Swave(case.model).get_parameters()}, seed)


@pytest.mark.parametrize("name", COMPARED)
def test_the_converted_network_gives_the_tracks_of_the_stored_twin(name, folder):
    case = CASES[name]
    source = write(package(state_arrays(case), arguments(case.model)), folder)
    separate, model = load_separate(convert(source, folder / "out.ckpt"))
    assert not model.normalize_level
    with np.load(case.stored) as stored:
        expected = stored["tracks"][:, -1]
    found = separate(cases.batch(case)[0])
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("protocol", [2, 4])
def test_weights_and_configuration_of_a_file_of_training(protocol, arrays, folder, capsys):
    source = write(package(arrays, arguments(CASE.model)), folder, protocol=protocol)
    stored = checkpoint.read(convert(source, folder / "new" / "out.ckpt"))
    model = stored.config.model
    assert (model.num_filters, model.kernel_size, model.hidden_size) == (16, 4, 6)
    assert (model.num_pairs, model.num_speakers, model.sample_rate) == (2, 2, 8000)
    assert (model.resolved_chunk_frames, model.normalize_level) == (10, False)
    assert stored.progress == {"converted_from": "talk.th", "weights": "model.state"}
    for name, value in expected_weights().items():
        np.testing.assert_array_equal(stored.values[name].asnumpy(), value)
    told = capsys.readouterr().out
    assert "those in model.state" in told
    assert "N=16, L=4, H=6, R=2, C=2, sr=8000" in told


def test_the_best_state_is_taken_unless_told_otherwise(arrays, folder, capsys):
    source = write(package(arrays, arguments(CASE.model), best=state_arrays(CASE, seed=2)), folder)
    for options, seed, where in (((), 2, "best_state"), (("--weights", "last"), 1, "model.state")):
        found = stored_weights(convert(source, folder / "out.ckpt", *options))
        np.testing.assert_array_equal(found["encoder.weight"], expected_weights(seed=seed)["encoder.weight"])
        assert f"those in {where}" in capsys.readouterr().out


def test_an_empty_best_state_is_none(arrays, folder):
    source = write(package(arrays, arguments(CASE.model), best={}), folder)
    assert checkpoint.read(convert(source, folder / "out.ckpt")).progress["weights"] == "model.state"


def test_the_best_state_must_be_there_if_it_is_wanted(arrays, folder):
    source = write(package(arrays, arguments(CASE.model)), folder)
    assert "no best_state" in refusal(source, folder / "out" / "out.ckpt", "--weights", "best")


def wrapped(arrays, form):
    state = handmade.state_dict(arrays)
    return {
        "bare": state,
        "module.": {f"module.{name}": value for name, value in state.items()},
        "state_dict": {"state_dict": {f"net.{name}": value for name, value in state.items()}, "epoch": 3},
        "model": {"model": state, "best_state": {}},
        "model alone": {"class": Named("a", "b"), "args": (), "kwargs": {}, "state": state},
        "metadata": Call(
            Named("collections", "OrderedDict"), [[name, value] for name, value in state.items()], state={"_m": 1}
        ),
        "best with arguments": package(arrays, {}, best=None)
        | {"best_state": {"class": Named("a", "b"), "kwargs": {}, "state": state}},
    }[form]


@pytest.mark.parametrize(
    "form", ["bare", "module.", "state_dict", "model", "model alone", "metadata", "best with arguments"]
)
def test_other_forms_with_options_for_what_the_file_does_not_tell(form, arrays, folder):
    source = write(wrapped(arrays, form), folder)
    found = stored_weights(convert(source, folder / "out.ckpt", *TRAINED_WITH))
    for name, value in expected_weights().items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_weights_of_other_types_become_float32(kind, arrays, folder):
    make = bfloat16 if kind == "bfloat16" else lambda value: tensor(value.astype(kind))
    source = write({name: make(value) for name, value in arrays.items()}, folder)
    found = stored_weights(convert(source, folder / "out.ckpt", *TRAINED_WITH))
    tolerance = {"float16": 1e-3, "bfloat16": 1e-2, "float64": 0}[kind]
    for name, value in expected_weights().items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=1e-4 * (tolerance > 0))


def without(arrays, *names):
    return {name: value for name, value in arrays.items() if name not in names}


def with_nan(value):
    return np.where(np.arange(value.size).reshape(value.shape) == 1, np.nan, value).astype(np.float32)


NORMALIZATION = "separator.rnn_model.rows_normalization.0"
ONES = np.ones(16, np.float32)
# By name: what becomes of the arrays and the arguments, and what the line says.
REFUSED = {
    "missing": (lambda a: without(a, FIRST, SLOPE), {}, (f"found no '{FIRST}', '{SLOPE}'", "expected shape (24, 16)")),
    "no encoder": (lambda a: without(a, "encoder.conv.weight"), {}, ("found no 'encoder.conv.weight'",)),
    "many missing": (
        lambda a: {n: v for n, v in a.items() if "gate_rnn." not in n}, {}, ("and 29 more among the weights",)
    ),
    "surplus": (lambda a: a | {"decoder.weight": ONES}, {}, ("surplus weights 'decoder.weight'",)),
    "second layer": (lambda a: a | {FIRST[:-1] + "1": ONES}, {}, ("surplus weights", "weight_ih_l1")),
    "shape": (lambda a: a | {FIRST: a[FIRST].T}, {}, (f"'{FIRST}' has shape (16, 24), expected (24, 16)",)),
    "many slopes": (lambda a: a | {SLOPE: ONES}, {}, (f"'{SLOPE}' has shape (16,), expected (1,)",)),
    "speakers": (lambda a: a | {BIAS: a[BIAS][:-1]}, {}, (f"'{BIAS}' has 31 values, expected a multiple of N = 16",)),
    "NaN": (lambda a: a | {FIRST: with_nan(a[FIRST])}, {}, ("NaN or infinite values in 'along.0.lstm.weight_ih'",)),
    "infinite": (
        lambda a: a | {BIAS: (a[BIAS] * 0 + 1e300).astype(np.float64)}, {}, ("NaN or infinite", "'head.bias'")
    ),
    "whole numbers": (lambda a: a | {SLOPE: np.array([1])}, {}, (f"'{SLOPE}'", "LongStorage")),
    "normalisation": (
        lambda a: a | {f"{NORMALIZATION}.weight": ONES, f"{NORMALIZATION}.bias": 0 * ONES},
        {},
        (f"the normalisations '{NORMALIZATION}.weight', '{NORMALIZATION}.bias'", "input_normalize=False"),
    ),
    "input_normalize": (lambda a: a, {"input_normalize": True}, ("input_normalize in the file's kwargs",)),
    "N": (lambda a: a, {"N": 32}, ("N: found 16 in the weights' shapes and 32 in the file's kwargs",)),
    "R": (lambda a: a, {"R": 6}, ("R: found 2 in the weights' shapes and 6 in the file's kwargs",)),
    "text": (lambda a: a, {"sr": "8000"}, ("sr in the file's kwargs: found a value of type str",)),
    "object": (lambda a: a, {"sr": Call(Named("os", "system"), "true")}, ("found an object of os.system",)),
    "half": (lambda a: a, {"sr": 8000.5}, ("sr in the file's kwargs: found 8000.5",)),
    "endless": (lambda a: a, {"sr": 10**400}, ("sr in the file's kwargs",)),
    "no segment": (lambda a: a, {"segment": 0}, ("segment",)),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_not_of_this_network_is_refused(name, arrays, folder):
    change, kwargs, words = REFUSED[name]
    source = write(package(change(arrays), arguments(CASE.model) | kwargs), folder)
    message = refusal(source, folder / "out" / "out.ckpt")
    assert message.startswith(f"{source}: ")
    for word in words:
        assert word in message


def test_what_only_the_user_can_tell_is_asked_for(arrays, folder):
    source, target = write(handmade.state_dict(arrays), folder), folder / "out" / "out.ckpt"
    assert "give it as --sr" in refusal(source, target)
    assert "give it as --segment" in refusal(source, target, "--sr", "8000")


def test_options_that_contradict_the_file_are_refused(arrays, folder):
    source, target = write(package(arrays, arguments(CASE.model)), folder), folder / "out" / "out.ckpt"
    assert "sr: found 8000 in the file's kwargs and 16000 in --sr" in refusal(source, target, "--sr", "16000")
    assert "found --level_outside" in refusal(source, target, "--level_outside")
    assert "H: found 6 in the weights' shapes and 6 in the file's kwargs and 128 in --H" in refusal(
        source, target, "--H", "128"
    )


def test_arguments_that_are_not_known_are_told(arrays, folder, capsys):
    root = package(arrays, arguments(CASE.model) | {"causal": True})
    root["model"]["args"] = (1, 2)
    convert(write(root, folder), folder / "out.ckpt")
    told = capsys.readouterr().err
    assert "'causal' in kwargs" in told
    assert "2 arguments without names" in told


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ([1], "found a value of type list"),
        ({}, "found an empty dictionary"),
        ({"epoch": 1, "loss": 2}, "found a dictionary with 'epoch', 'loss'"),
        (Call(Named("posix", "system"), "true"), "found an object of posix.system"),
        ({"model": Call(Named("a", "Network"), state={})}, "found a dictionary with 'model'"),
        ({"a": tensor(ONES), "b\n\x1b[31m": 1}, "found a value of type int under 'b\\n\\x1b[31m'"),
        ({"a": tensor(ONES), 5: tensor(ONES)}, "a key of type int"),
    ],
)
def test_a_file_of_something_else_is_told(root, words, folder):
    assert words in refusal(write(root, folder), folder / "out" / "out.ckpt")


def test_what_a_hostile_file_names_is_not_run(arrays, folder):
    marker = folder / "executed"
    run = Call(Named("os", "system"), f"touch {marker}")
    evaluate = Call(Named("builtins", "eval"), f"open({str(marker)!r}, 'w')")
    nested = Call(Call(Named("functools", "partial"), Named("os", "system"), f"touch {marker}"))
    root = package(arrays, arguments(CASE.model), args=run, history=[evaluate, nested])
    root["model"]["class"] = Call(Named("builtins", "getattr"), run, "__setstate__", state={"__class__": evaluate})
    found = stored_weights(convert(write(root, folder), folder / "out.ckpt"))
    np.testing.assert_array_equal(found["encoder.weight"], expected_weights()["encoder.weight"])
    assert not marker.exists()
    refusal(write(run, folder, "root.th"), folder / "out" / "out.ckpt")
    refusal(write(arrays | {FIRST: run}, folder, "weight.th"), folder / "out" / "out.ckpt")
    assert not marker.exists()


def test_a_small_file_that_claims_many_weights_is_refused(arrays, folder, monkeypatch):
    monkeypatch.setattr("src.convert_torch.MOST_FREE_BYTES", 0)
    shared = Storage(np.zeros(10**5, np.float32))
    many = {f"b.{number}": tensor(None, shared, 0, (1,), (10**5,)) for number in range(50)}
    monkeypatch.setattr("src.torch_files.sizes._check_shapes", lambda *_: None)
    source = write(handmade.state_dict(arrays) | many, folder)
    assert "expected no more than it holds" in refusal(source, folder / "out" / "out.ckpt", *TRAINED_WITH)


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02}.", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
def test_a_file_of_neither_program_is_refused(content, folder):
    source = folder / "in" / "talk.th"
    source.write_bytes(content)
    assert "neither a file of torch.save nor a checkpoint" in refusal(source, folder / "out" / "out.pth")


def test_files_that_are_not_there_or_have_wrong_names_are_told(arrays, folder):
    source = write(handmade.state_dict(arrays), folder)
    assert "No such file" in refusal(folder / "in" / "none.th", folder / "out" / "out.ckpt")
    assert "cannot be read" in refusal(folder / "in", folder / "out" / "out.ckpt")
    for target in (folder / "out.pth", folder, source):
        with pytest.raises(UserError, match="expected"):
            convert(source, target, *TRAINED_WITH)
    lightning = write(handmade.state_dict(arrays), folder, "talk.ckpt")
    with pytest.raises(UserError, match="expected another file"):
        convert(lightning, lightning, *TRAINED_WITH)
    assert convert(lightning, folder / "out.ckpt", *TRAINED_WITH).is_file()


def test_a_truncated_file_leaves_nothing_behind(arrays, folder):
    source = write(package(arrays, arguments(CASE.model)), folder)
    source.write_bytes(source.read_bytes()[:-400])
    assert "not a readable PyTorch file" in refusal(source, folder / "out" / "out.ckpt")


# The way back


def saved(folder, model=CASE.model, averaged=None):
    """A checkpoint with the case's weights, and their moving averages where a seed is given."""
    network = Swave(model)
    weights = cases.weights({p.name: p.shape for p in network.get_parameters()})
    parameters = [Parameter(Tensor(value), name=name) for name, value in weights.items()]
    if averaged:
        averages = cases.weights({p.name: p.shape for p in network.get_parameters()}, averaged)
        parameters += [Parameter(Tensor(v), name=checkpoint.AVERAGE + n) for n, v in averages.items()]
    path = folder / "in" / "network.ckpt"
    checkpoint.save(path, parameters, Config(model=model), {})
    return path


def read_state(path):
    with opened(path) as root:
        return {name: view.as_float32() for name, view in root.items()}


@pytest.mark.parametrize("averaged", [None, 2])
def test_a_checkpoint_becomes_a_plain_state_dict_of_the_weights_that_are_used(averaged, folder, capsys):
    target = convert(saved(folder, averaged=averaged), folder / "new" / "weights.pth")
    expected = state_arrays(CASE, seed=averaged or 1)
    found = read_state(target)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
    told = capsys.readouterr().out
    assert f"{'average' if averaged else 'trained'} weights" in told
    segment = float(told.split("segment=")[1].split(",")[0])
    assert int(np.sqrt(2 * 8000 * segment / (CASE.model.kernel_size / 2))) == CASE.model.chunk_frames


def test_there_and_back_is_the_same_to_the_bit(folder):
    checkpoint_path = saved(folder)
    first = convert(checkpoint_path, folder / "first.pth")
    again = convert(first, folder / "again.ckpt", *TRAINED_WITH)
    second = convert(again, folder / "second.pth")
    assert first.read_bytes() == second.read_bytes()
    before, after = stored_weights(checkpoint_path), stored_weights(again)
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


def test_a_network_that_normalises_its_level_is_refused(folder):
    source = saved(folder, CASES["two_wide"].model)
    assert "normalize_level" in refusal(source, folder / "out" / "weights.pth")


def test_its_weights_are_written_for_a_user_who_normalises(folder, capsys):
    source = saved(folder, CASES["two_wide"].model)
    found = read_state(convert(source, folder / "weights.pth", "--level-outside"))
    np.testing.assert_array_equal(found[FIRST], state_arrays(CASES["two_wide"])[FIRST])
    assert "divide each mixture by its RMS" in capsys.readouterr().err
    convert(saved(folder), folder / "weights.pth", "--level-outside")
    assert "RMS" not in capsys.readouterr().err


def test_a_checkpoint_needs_no_options_and_another_name_for_its_target(folder):
    source = saved(folder)
    assert "found --sr" in refusal(source, folder / "out" / "weights.pth", "--sr", "8000")
    assert "found --weights" in refusal(source, folder / "out" / "weights.pth", "--weights", "last")
    with pytest.raises(UserError, match="found the name of a checkpoint"):
        convert(source, folder / "out.ckpt")


def test_a_damaged_or_hopeless_checkpoint_is_refused(folder):
    source = saved(folder)
    data = source.read_bytes()
    source.write_bytes(data[:-50])
    assert "not a readable checkpoint" in refusal(source, folder / "out" / "weights.pth")
    network = Swave(CASE.model)
    network.head.bias.set_data(Tensor(np.full(32, np.nan), ms.float32))
    checkpoint.save(source, network.get_parameters(), Config(model=CASE.model), {})
    assert "NaN or infinite values in 'head.bias'" in refusal(source, folder / "out" / "weights.pth")


def test_the_program_ends_with_the_status_of_a_mistake_and_one_line(folder):
    source = write([1], folder)
    command = [sys.executable, "-m", "src.convert_torch", str(source), str(folder / "out.ckpt")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {source}: found a value of type list, expected a state dict, or a dictionary with one under 'model' "
        f"or 'state_dict': in PyTorch, save it with torch.save(model.state_dict(), …)\n"
    )
    assert not (folder / "out.ckpt").exists()


def test_neither_pytorch_nor_mindspore_is_loaded_to_read_or_refuse_a_file(folder):
    source = write([1], folder)
    program = (
        "import sys\nsys.modules['torch'] = sys.modules['mindspore'] = None  # their import fails\n"
        f"from src.convert_torch import main\nmain([{str(source)!r}, 'out.ckpt'])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "UserError" in done.stderr.splitlines()[-1]
