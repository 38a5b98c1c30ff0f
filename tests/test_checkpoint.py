import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src import checkpoint
from src.config import Config, ModelConfig, to_json
from src.errors import UserError
from src.models.swave import Swave

SMALL = ModelConfig(num_filters=16, kernel_size=4, hidden_size=4, num_pairs=1, chunk_frames=10)


@pytest.fixture
def saved(tmp_path):
    """A checkpoint of a small network, with the network."""
    network = Swave(SMALL)
    path = tmp_path / "network.ckpt"
    checkpoint.save(path, network.get_parameters(), Config(model=SMALL), {"epochs_done": 3})
    return path, network


def test_weights_configuration_and_progress_come_back(saved):
    path, network = saved
    values, config, progress, version = checkpoint.read(path)
    assert version.startswith("0.2.0")
    assert config == Config(model=SMALL)
    assert progress == {"epochs_done": 3}
    assert sorted(values) == sorted(p.name for p in network.get_parameters())
    for parameter in network.get_parameters():
        np.testing.assert_array_equal(values[parameter.name].asnumpy(), parameter.asnumpy())


def test_a_loaded_network_separates_as_the_saved_one(saved):
    path, network = saved
    mixture = Tensor(np.random.default_rng(0).normal(size=(1, 300)), ms.float32)
    network.set_train(False)
    loaded, _ = checkpoint.load_network(path)
    np.testing.assert_array_equal(loaded(mixture).asnumpy(), network(mixture).asnumpy())


def test_a_checkpoint_can_be_read_written_over_and_leaves_nothing_else(saved):
    path, network = saved
    assert path.stat().st_mode & 0o777 == 0o644
    checkpoint.save(path, network.get_parameters(), Config(model=SMALL), {"epochs_done": 4})
    assert checkpoint.read(path)[2] == {"epochs_done": 4}
    assert [child.name for child in path.parent.iterdir()] == ["network.ckpt"]


@pytest.mark.parametrize("damage", ["cut", "flip", "text", "empty"])
def test_a_damaged_file_is_one_clear_line(saved, damage):
    path, _ = saved
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[len(content) // 2] ^= 0xFF
    elif damage == "text":
        content = bytearray(b"not a checkpoint at all")
    else:
        content = bytearray()
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a readable checkpoint") as caught:
        checkpoint.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"none\.ckpt: no such checkpoint"):
        checkpoint.read(tmp_path / "none.ckpt")


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"x")
    with pytest.raises(UserError, match=r"found a file ending in '\.pth', expected a checkpoint ending in '\.ckpt'"):
        checkpoint.read(path)


@pytest.mark.parametrize(
    ("with_checksum", "message"),
    [
        (True, r"found no configuration in this checkpoint, expected one written by train\.py"),
        (False, r"its checksum is missing or wrong: damaged, or not written by train\.py"),
    ],
)
def test_a_checkpoint_of_other_software(tmp_path, with_checksum, message):
    path = tmp_path / "other.ckpt"
    ms.save_checkpoint([{"name": "weight", "data": Tensor([1.0])}], str(path), crc_check=with_checksum)
    with pytest.raises(UserError, match=message):
        checkpoint.read(path)


def test_another_shape_is_refused_before_anything_changes(saved):
    path, _ = saved
    values = checkpoint.read(path).values
    wider = Swave(ModelConfig(num_filters=16, kernel_size=4, hidden_size=6, num_pairs=1, chunk_frames=10))
    before = {p.name: p.asnumpy().copy() for p in wider.get_parameters()}
    with pytest.raises(UserError, match=r"has shape \(2, 16, 16\), expected \(2, 24, 16\)"):
        checkpoint.load_into(values, wider.get_parameters(), path)
    for parameter in wider.get_parameters():
        np.testing.assert_array_equal(parameter.asnumpy(), before[parameter.name])


def test_a_deeper_network_is_refused(saved):
    path, _ = saved
    values = checkpoint.read(path).values
    deeper = Swave(ModelConfig(num_filters=16, kernel_size=4, hidden_size=4, num_pairs=2, chunk_frames=10))
    with pytest.raises(UserError, match=r"found no '.*1.*' in this checkpoint"):
        checkpoint.load_into(values, deeper.get_parameters(), path)


def test_a_folder_that_cannot_be_written(saved, tmp_path):
    _, network = saved
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the checkpoint"):
        checkpoint.save(tmp_path / "file" / "a.ckpt", network.get_parameters(), Config(model=SMALL), {})


@pytest.mark.parametrize("flip", [False, True])
def test_a_file_without_its_checksum_is_damaged(saved, flip):
    path, _ = saved
    content = bytearray(path.read_bytes())[:-17]  # MindSpore itself would read it, and may crash
    if flip:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not a readable checkpoint: its checksum is missing or wrong"):
        checkpoint.read(path)


def test_a_checkpoint_of_the_first_version_is_read(tmp_path):
    path, network = tmp_path / "old.ckpt", Swave(SMALL)
    texts = {"config": to_json(Config(model=SMALL)), "progress": "{}"}
    entries = [{"name": p.name, "data": p} for p in network.get_parameters()]
    checkpoint.ms.save_checkpoint(entries, str(path), append_dict=texts, crc_check=True)
    assert checkpoint.read(path).version == "0.1"
    checkpoint.load_network(path)


def test_averages_are_what_one_gets_where_there_are_any(tmp_path):
    network, averaged = Swave(SMALL), Swave(SMALL)
    for parameter in averaged.get_parameters():
        parameter.name = checkpoint.AVERAGE + parameter.name
    path = tmp_path / "averaged.ckpt"
    checkpoint.save(path, [*network.get_parameters(), *averaged.get_parameters()], Config(model=SMALL), {})
    loaded, _ = checkpoint.load_network(path)
    for found, expected in zip(loaded.get_parameters(), averaged.get_parameters(), strict=True):
        np.testing.assert_array_equal(found.asnumpy(), expected.asnumpy())
