"""The conversion of checkpoints against PyTorch itself, where it is installed."""

import argparse

import numpy as np
import pytest
from mindspore import Parameter, Tensor

from src import checkpoint
from src.config import Config
from src.convert_torch import main, read_torch_file
from src.inference import load_separate
from src.models.swave import Swave
from tests.torch_files.handmade import arguments
from tests.twin import cases, mapping
from tests.twin.cases import CASES

torch = pytest.importorskip("torch", reason="PyTorch is not installed: its own files were not tried")

from tests.twin.torch_twin import TorchTwin  # noqa: E402

LARGER = cases.Case("larger", cases._model(2, 64, 8, 20, 3), 4000)
COMPARED = {name: case for name, case in {**CASES, "larger": LARGER}.items() if not case.model.normalize_level}
CASE = CASES["two"]


def make_twin(case):
    model = case.model
    torch.manual_seed(5)
    return TorchTwin(
        num_speakers=model.num_speakers,
        num_filters=model.num_filters,
        kernel_size=model.kernel_size,
        hidden_size=model.hidden_size,
        num_pairs=model.num_pairs,
        chunk_frames=model.chunk_frames,
    )


def trained(twin):
    """An optimizer after one step, whose state a file of training holds."""
    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-3)
    twin(torch.randn(1, 200)).square().mean().backward()
    optimizer.step()
    return optimizer.state_dict()


def save(twin, case, path):
    """What training writes, with all that real files hold beside the weights."""
    optimizer = trained(twin)
    model = {"class": TorchTwin, "args": (), "kwargs": arguments(case.model), "state": twin.state_dict()}
    history = [{"train": -1.5, "valid": np.float64(-1.0)}]
    settings = argparse.Namespace(lr=1e-3, folder=path.parent)
    rest = {"optimizer": optimizer, "history": history, "best_state": None, "args": settings}
    torch.save({"model": model, **rest}, path)


def differences(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("name", COMPARED)
def test_both_give_the_same_tracks_there_and_back(name, tmp_path):
    case = COMPARED[name]
    twin = make_twin(case)
    save(twin, case, tmp_path / "best.th")
    main([str(tmp_path / "best.th"), str(tmp_path / "best.ckpt")])
    mixture = cases.batch(case)[0]
    with torch.no_grad():
        expected = twin(torch.from_numpy(mixture))[:, -1].numpy()
    difference = differences(load_separate(tmp_path / "best.ckpt")[0](mixture), expected)
    print(f"{name}: {difference:.1e} of the peak")
    assert difference <= 1e-4

    main([str(tmp_path / "best.ckpt"), str(tmp_path / "back.pth")])
    state = torch.load(tmp_path / "back.pth", weights_only=True)
    assert all(torch.equal(state[name], value) for name, value in twin.state_dict().items())
    again = make_twin(case)
    again.load_state_dict(state)
    with torch.no_grad():
        np.testing.assert_array_equal(again(torch.from_numpy(mixture))[:, -1].numpy(), expected)


@pytest.mark.parametrize("name", ["two", "two_wide"])
def test_a_trained_network_of_this_program_gives_the_same_tracks_in_pytorch(name, tmp_path):
    case = CASES[name]
    network = Swave(case.model)
    weights = cases.weights({p.name: p.shape for p in network.get_parameters()}, seed=3)
    parameters = [Parameter(Tensor(value), name=name) for name, value in weights.items()]
    checkpoint.save(tmp_path / "own.ckpt", parameters, Config(model=case.model), {})
    main([str(tmp_path / "own.ckpt"), str(tmp_path / "own.pth"), "--level_outside"])
    twin = make_twin(case)
    twin.load_state_dict(torch.load(tmp_path / "own.pth", weights_only=True))
    mixture = cases.batch(case)[0]
    level = np.sqrt(np.square(mixture).mean(1))[:, None] if case.model.normalize_level else 1.0
    with torch.no_grad():
        found = twin(torch.from_numpy(mixture / level))[:, -1].numpy() * np.reshape(level, (-1, 1, 1))
    assert differences(found, load_separate(tmp_path / "own.ckpt")[0](mixture)) <= 1e-4


@pytest.mark.parametrize("options", [{"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}])
@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "float64"])
def test_every_form_and_type_that_pytorch_writes(options, kind, tmp_path):
    twin = make_twin(CASE).to(getattr(torch, kind))
    model = {"class": TorchTwin, "args": (), "kwargs": arguments(CASE.model), "state": twin.state_dict()}
    torch.save({"model": model, "best_state": dict(twin.named_parameters())}, tmp_path / "best.th", **options)
    network = read_torch_file(tmp_path / "best.th", None, {})
    expected = mapping.to_product({name: value.float().numpy() for name, value in twin.state_dict().items()})
    assert network.where == "best_state"
    for name, value in expected.items():
        np.testing.assert_array_equal(network.weights[name], value)


def test_views_of_one_storage(tmp_path):
    state = make_twin(CASE).state_dict()
    flat = torch.cat([value.flatten() for value in state.values()])
    pieces = flat.split([value.numel() for value in state.values()])
    views = {name: piece.view(value.shape) for (name, value), piece in zip(state.items(), pieces, strict=True)}
    slope = "separator.rnn_model.output.1.weight"
    views[slope] = state[slope].transpose(0, 1).contiguous().transpose(0, 1)
    torch.save(views, tmp_path / "views.pth")
    found = read_torch_file(tmp_path / "views.pth", None, {"sr": 8000, "segment": 4.0})
    expected = mapping.to_product({name: value.numpy() for name, value in state.items()})
    for name, value in expected.items():
        np.testing.assert_array_equal(found.weights[name], value)
