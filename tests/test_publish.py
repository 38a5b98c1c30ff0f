"""Small checkpoints for others: what is in them, what rounding may change, and what is refused."""

import dataclasses

import numpy as np
import pytest
from mindspore import Parameter, Tensor

from src import checkpoint, publish
from src.audio import read_mono
from src.config import Config, DataConfig, ModelConfig
from src.errors import UserError
from src.infer310.comparison import TWO_PEOPLE
from src.inference import load_separate
from src.models.swave import Swave
from src.pretrained import PRETRAINED, ROOT
from src.progress import Progress

SMALL = ModelConfig(num_filters=16, kernel_size=4, hidden_size=4, num_pairs=1, chunk_frames=10)
CONFIG = Config(
    model=SMALL, data=DataConfig(train="/home/me/data/train.mindrecord", valid="/home/me/data/v.mindrecord")
)
PROGRESS = {
    "epochs_done": 7,
    "steps_done": 700,
    "seconds": 3600.0,
    "cpu_seconds": 7000.0,
    "num_processes": 1,
    "best_si_snri_db": 8.5,
    "train_digest": "abc",
    "history": [{"epoch": 1}],
}


@pytest.fixture(scope="module", autouse=True)
def a_network_that_was_never_trained_may_change_more():
    """Its faint tracks are 38.8 dB above what rounding changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "LEAST_DISTANCE_DB", 20.0)
        yield


@pytest.fixture(scope="module")
def network():
    return Swave(SMALL)


@pytest.fixture(scope="module")
def run(network, tmp_path_factory):
    """The checkpoint of a run that keeps averages, which are twice the weights, and an optimizer's state."""
    weights = list(network.get_parameters())
    doubled = [Parameter(Tensor(2 * weight.asnumpy()), name=f"average.{weight.name}") for weight in weights]
    moments = [Parameter(Tensor(weight.asnumpy()), name=f"moment.{weight.name}") for weight in weights]
    path = tmp_path_factory.mktemp("run") / "best.ckpt"
    checkpoint.save(path, [*weights, *doubled, *moments], CONFIG, PROGRESS)
    return path


@pytest.fixture(scope="module")
def published(run, tmp_path_factory):
    """The file, and what was told."""
    target = tmp_path_factory.mktemp("out") / "new" / "small.ckpt"
    return target, publish.publish(run, target)


def test_what_is_published(run, network, published):
    target, told = published
    stored = checkpoint.read(target)
    assert stored.config == dataclasses.replace(CONFIG, data=DataConfig())  # no paths of the machine
    assert b"/home/me" not in target.read_bytes()
    expected = {weight.name: 2 * weight.asnumpy() for weight in network.get_parameters()}
    assert stored.values.keys() == expected.keys()
    for name, values in expected.items():
        found = stored.values[name].asnumpy()
        assert found.dtype == np.float16
        np.testing.assert_array_equal(found, values.astype(np.float16))
    kept = {name: PROGRESS[name] for name in publish.PROGRESS}
    assert stored.progress == {
        "published_from": "best.ckpt",
        "trained_with": checkpoint.read(run).version,
        "weights": "average",
        **kept,
    }
    count = sum(values.size for values in expected.values())
    assert told.startswith(f"{target}: {count} average weights as float16, ")
    assert "rounding changes the tracks by -" in told
    assert target.stat().st_size < 0.3 * run.stat().st_size
    assert [path.name for path in target.parent.iterdir()] == ["small.ckpt"]


def test_a_published_network_is_loaded_as_float32(network, published):
    loaded, config = checkpoint.load_network(published[0])
    assert config.model == SMALL
    for found, wanted in zip(loaded.get_parameters(), network.get_parameters(), strict=True):
        assert found.asnumpy().dtype == np.float32
        np.testing.assert_allclose(found.asnumpy(), 2 * wanted.asnumpy(), rtol=2**-11, atol=1e-7)


def test_every_bit_where_that_is_wanted(run, network, tmp_path, capsys):
    publish.main([str(run), str(tmp_path / "small.ckpt"), "--float32"])
    told = capsys.readouterr().out
    assert "average weights as float32" in told and "rounding" not in told
    for name, found in checkpoint.read(tmp_path / "small.ckpt").values.items():
        wanted = next(weight for weight in network.get_parameters() if weight.name == name)
        np.testing.assert_array_equal(found.asnumpy(), 2 * wanted.asnumpy())


def test_publishing_what_is_published_changes_nothing(published, tmp_path):
    first, second = published[0], tmp_path / "second.ckpt"
    assert "rounding changes nothing" in publish.publish(first, second)
    for name, values in checkpoint.read(first).values.items():
        np.testing.assert_array_equal(checkpoint.read(second).values[name].asnumpy(), values.asnumpy())


def with_weight(network, value, path):
    """A checkpoint in which the first weight has one other value."""
    weights = [Parameter(Tensor(weight.asnumpy()), name=weight.name) for weight in network.get_parameters()]
    changed = weights[0].asnumpy().copy()
    changed.flat[0] = value
    weights[0].set_data(Tensor(changed))
    checkpoint.save(path, weights, CONFIG, PROGRESS)
    return path


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "found NaN or infinite values in"), (1e6, r"found 1e\+06 in .*no more than float16 holds")],
)
def test_weights_that_cannot_be_rounded(network, tmp_path, value, message):
    source = with_weight(network, value, tmp_path / "odd.ckpt")
    with pytest.raises(UserError, match=message):
        publish.publish(source, tmp_path / "out" / "small.ckpt")
    assert not (tmp_path / "out").exists()


def test_rounding_that_can_be_heard_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "LEAST_DISTANCE_DB", 200.0)
    with pytest.raises(UserError, match=r"dB below the tracks, expected at least 200 dB: choose --float32"):
        publish.publish(run, tmp_path / "out" / "small.ckpt")
    assert not (tmp_path / "out").exists()


def test_the_smallest_ratio_counts():
    tracks = np.array([[1.0, -1.0], [10.0, 10.0], [0.0, 0.0]])
    changes = np.array([[0.1, 0.1], [0.1, 0.1], [0.0, 0.0]])
    assert publish.power_ratio_db(tracks, changes) == pytest.approx(20.0)
    assert publish.power_ratio_db(tracks, 0 * changes) == np.inf
    assert publish.power_ratio_db(0 * tracks, changes) == -np.inf


def test_a_name_that_no_program_would_take(run, tmp_path):
    with pytest.raises(UserError, match=r"small\.pth: found a name ending in '\.pth', expected one ending in '\.ckpt'"):
        publish.main([str(run), str(tmp_path / "small.pth")])


# the program's own


def test_where_it_is_expected():
    assert PRETRAINED == ROOT / "checkpoints/gdprnn_2spk_8k.ckpt"
    assert (ROOT / "separate.py").is_file()


@pytest.mark.skipif(not PRETRAINED.exists(), reason="this copy of the program comes without its trained network")
def test_the_networks_file_is_small_for_two_people_and_gives_two_different_tracks():
    stored = checkpoint.read(PRETRAINED)
    assert (stored.config.model.num_speakers, stored.config.model.sample_rate) == (2, 8000)
    assert (stored.config.data.train, stored.config.data.valid) == ("", "")
    assert stored.progress["published_from"].endswith(".ckpt")
    assert PRETRAINED.stat().st_size < 20e6
    one, two = load_separate(PRETRAINED)[0](read_mono(TWO_PEOPLE, 8000)[np.newaxis])[0]
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.8  # 1 where both are the mixture


def test_a_copy_without_it_says_so_in_one_line(tmp_path, monkeypatch):
    missing = tmp_path / "checkpoints" / "gdprnn_2spk_8k.ckpt"
    monkeypatch.setattr("src.pretrained.PRETRAINED", missing)
    with pytest.raises(UserError) as caught:
        checkpoint.read(missing)
    expected = "this copy of the program comes without its trained network: name another checkpoint"
    assert str(caught.value) == f"{missing}: no such checkpoint: {expected}"
    with pytest.raises(UserError) as caught:
        checkpoint.read(tmp_path / "other.ckpt")
    assert str(caught.value).endswith("other.ckpt: no such checkpoint")


def test_a_published_file_is_no_run_to_go_on_with(published):
    stored = checkpoint.read(published[0])
    with pytest.raises(UserError, match="which this one cannot go on with"):
        Progress.from_dict(stored.progress, published[0], stored.version)
