"""The cache of converted networks, from which gdprnn_infer starts sooner; and what its code takes of memory."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.synthetic import voice

RATE = 8000


@pytest.fixture
def talk(tmp_path):
    soundfile.write(tmp_path / "talk.wav", voice(110, 3.0, seed=1) + voice(220, 3.0, seed=2), RATE, subtype="FLOAT")
    return tmp_path / "talk.wav"


@pytest.fixture
def separate(run_infer, exported, talk, tmp_path):
    """Separates `talk` with the cache in the folder `home` and gives the tracks [C, T]."""

    def run(*options, home=tmp_path / "home", runs=run_infer, **variables):
        environment = {name: value for name, value in os.environ.items() if name not in ("GLOG_v", "XDG_CACHE_HOME")}
        environment |= {"XDG_CACHE_HOME": str(home), **variables}
        command = ("--model", exported.path, "--input", talk, "--output", tmp_path / "out", "--engine", "mindspore")
        result = runs(*command, *options, env=environment)
        assert (result.returncode, result.stderr) == (0, ""), result.stderr
        return np.stack([soundfile.read(tmp_path / f"out/talk_s{number}.wav")[0] for number in (1, 2)])

    return run


def kept(home: Path) -> list[str]:
    """All files below a folder, by their paths in it."""
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


def state(home: Path) -> dict[str, tuple[int, bytes]]:
    return {name: ((home / name).stat().st_ino, (home / name).read_bytes()) for name in kept(home)}


def test_the_first_run_keeps_the_converted_network_and_later_ones_use_it(separate, exported, tmp_path):
    expected = separate("--no-cache")
    assert not (tmp_path / "home").exists()
    assert np.abs(separate() - expected).max() <= 1e-5 * np.abs(expected).max()
    sha256 = json.loads(exported.description.read_text())["sha256"]
    names = kept(tmp_path / "home")
    assert len(names) == 2
    assert re.fullmatch(rf"gdprnn/{sha256}-[0-9a-z._-]+\.ms", names[0])
    assert names[1] == f"{names[0]}.json"
    first = state(tmp_path / "home")
    assert np.abs(separate() - expected).max() <= 1e-5 * np.abs(expected).max()
    assert state(tmp_path / "home") == first


def test_it_is_the_cached_network_that_runs(separate, export_tiny, convert, tmp_path):
    """Another network of the same shapes in its place gives other tracks."""
    before = separate()
    path = tmp_path / "home" / kept(tmp_path / "home")[0]
    other = export_tiny(num_pairs=2)
    assert convert(other.path, path).returncode == 0
    assert np.abs(separate() - before).max() > 1e-3 * np.abs(before).max()


@pytest.mark.parametrize(
    ("damaged", "damage"), [("", "changed"), ("", "short"), (".json", "changed"), (".json", "gone")]
)
def test_a_damaged_one_is_made_anew(separate, tmp_path, damaged, damage):
    expected = separate()
    name = kept(tmp_path / "home")[0]
    path = tmp_path / "home" / f"{name}{damaged}"
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "short":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        place = whole.index(b'"sha256": "') + 12 if damaged else len(whole) // 2
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert np.array_equal(separate(), expected)
    assert kept(tmp_path / "home") == [name, f"{name}.json"]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("home", ["file", "file/below", "relative"])
def test_where_nothing_can_be_kept_the_mindir_is_used(separate, tmp_path, home):
    expected = separate("--no-cache")
    (tmp_path / "file").write_text("")
    where = Path(home) if home == "relative" else tmp_path / home
    assert np.array_equal(separate(home=where, HOME=str(tmp_path / "file")), expected)
    assert not Path(home).exists()


def test_without_xdg_cache_home_it_is_below_home(separate, tmp_path):
    separate(home="", HOME=str(tmp_path / "someone"))
    assert {Path(name).parent for name in kept(tmp_path / "someone")} == {Path(".cache/gdprnn")}


def test_without_the_converter_the_mindir_is_used(separate, cpp_build, tmp_path):
    for name in ("gdprnn_infer", "gdprnn_infer_mindspore"):
        shutil.copy(cpp_build / name, tmp_path)

    def run(*options, env):
        return subprocess.run(
            [tmp_path / "gdprnn_infer", *options], env=env, capture_output=True, text=True, check=False
        )

    assert np.array_equal(separate(runs=run), separate("--no-cache"))
    assert kept(tmp_path / "home") == []


def test_two_first_runs_at_once(gdprnn_infer, exported, talk, tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "home")}
    command = [gdprnn_infer, "--model", exported.path, "--input", talk, "--engine", "mindspore", "--output"]
    jobs = [subprocess.Popen([*command, tmp_path / name], env=environment) for name in ("one", "two")]
    assert [job.wait(timeout=120) for job in jobs] == [0, 0]
    assert len(kept(tmp_path / "home")) == 2
    assert not list(tmp_path.glob("home/gdprnn/.*"))


def test_few_networks_are_kept(separate, tmp_path):
    folder = tmp_path / "home/gdprnn"
    folder.mkdir(parents=True)
    for number in range(10):
        for name in (f"old{number}.ms", f"old{number}.ms.json"):
            (folder / name).touch()
            os.utime(folder / name, (number, number))
    (folder / "notes.txt").touch()
    separate()
    names = [path.name for path in folder.iterdir() if path.name.startswith("old")]
    assert sorted(names) == [f"old{number}.ms{end}" for number in range(3, 10) for end in ("", ".json")]
    assert (folder / "notes.txt").exists()


def test_pages_of_the_runtime_that_are_not_needed_are_given_back(gdprnn_infer, exported, talk, tmp_path):
    """The runtime's libraries take 190 MB when they are loaded; while a network runs it is a small part of that."""
    soundfile.write(tmp_path / "long.wav", np.tile(soundfile.read(talk)[0], 400), RATE)
    command = [gdprnn_infer, "--model", exported.path, "--input", tmp_path / "long.wav", "--output", tmp_path / "out"]
    command += ["--engine", "mindspore"]
    job = subprocess.Popen(command)
    try:
        while not list(tmp_path.glob("out/.*")):  # until its hidden folder is there, it has no network yet
            assert job.poll() is None
        status = Path(f"/proc/{job.pid}/status").read_text()
    finally:
        job.terminate()
        job.wait(timeout=60)
    resident = re.search(r"^RssFile:\s+(\d+) kB$", status, re.MULTILINE)
    assert resident is not None
    assert int(resident[1]) < 60_000
