"""The C++ programs, built once a session, and exported networks for them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from src.config import Config, ModelConfig

ROOT = Path(__file__).parents[2]
BUILD_SH = ROOT / "ascend310_infer/build.sh"
TINY = {"num_filters": 16, "kernel_size": 4, "hidden_size": 8, "num_pairs": 1, "chunk_frames": 20}


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the programs keep converted networks, instead of the cache of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@dataclass(frozen=True)
class ExportedNetwork:
    """An exported network and what it was made of."""

    path: Path  # the MINDIR; its description lies beside it
    checkpoint: Path
    model: ModelConfig
    chunk_seconds: float

    @property
    def description(self) -> Path:
        return Path(f"{self.path}.json")

    def copy_to(self, folder: Path) -> Path:
        """A copy of both files, to be damaged."""
        shutil.copy(self.description, folder)
        return Path(shutil.copy(self.path, folder))


@pytest.fixture(scope="session")
def cpp_build() -> Path:
    """The folder of the programs, built by build.sh, whose unit tests have passed; skips without a compiler.

    GDPRNN_BUILD_DIR names another folder than ascend310_infer/build.
    """
    for tool in ("cmake", os.environ.get("CXX", "c++")):
        if shutil.which(tool) is None:
            pytest.skip(f"found no {tool}, which builds the C++ program")
    folder = Path(os.environ.get("GDPRNN_BUILD_DIR", BUILD_SH.parent / "build"))
    command = ["bash", str(BUILD_SH), "--tests", "--build-dir", str(folder)]
    environment = {"PYTHON": sys.executable, **os.environ}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def gdprnn_infer(cpp_build: Path) -> Path:
    """The program."""
    return cpp_build / "gdprnn_infer"


@pytest.fixture(scope="session")
def export_tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ExportedNetwork]:
    """Exports a tiny network of fixed random weights; the same settings give the same files."""
    made: dict[tuple, ExportedNetwork] = {}

    def export(chunk_seconds: float = 1.0, batch_size: int = 1, **settings: int) -> ExportedNetwork:
        key = (chunk_seconds, batch_size, *sorted(settings.items()))
        if key not in made:
            made[key] = _export(tmp_path_factory.mktemp("exported"), chunk_seconds, batch_size, settings)
        return made[key]

    return export


def _export(folder: Path, chunk_seconds: float, batch_size: int, settings: dict[str, int]) -> ExportedNetwork:
    import export
    from src import checkpoint
    from src.models.swave import Swave
    from src.runtime import seed_everything

    seed_everything(0)
    model = ModelConfig(**{**TINY, **settings})
    network = Swave(model)
    path = folder / "tiny.ckpt"
    checkpoint.save(path, network.get_parameters(), Config(model=model), {})
    export.main(
        [
            *("--ckpt_path", str(path), "--file_name", str(folder / "tiny"), "--file_format", "MINDIR"),
            *("--seconds", str(chunk_seconds), "--batch_size", str(batch_size)),
        ]
    )
    return ExportedNetwork(folder / "tiny.mindir", path, model, chunk_seconds)


@pytest.fixture(scope="session")
def exported(export_tiny: Callable[..., ExportedNetwork]) -> ExportedNetwork:
    """A network of two speakers at 8 kHz in chunks of a second."""
    return export_tiny()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def runner(program: Path) -> Run:
    """Runs a program with options; further arguments are those of `subprocess.run`."""
    environment = {name: value for name, value in os.environ.items() if name != "GLOG_v"}  # set for MindSpore

    def run(*options: object, **settings: object) -> "subprocess.CompletedProcess[str]":
        words: Sequence[str] = [str(program), *map(str, options)]
        settings = {"capture_output": True, "text": True, "env": environment, **settings}
        return subprocess.run(words, check=False, **settings)

    return run


@pytest.fixture(scope="session")
def run_infer(gdprnn_infer: Path, cache_home: Path) -> Run:
    """Runs gdprnn_infer with options."""
    return runner(gdprnn_infer)


@pytest.fixture(scope="session")
def convert(cpp_build: Path, cache_home: Path) -> Run:
    """Runs gdprnn_convert with options."""
    return runner(cpp_build / "gdprnn_convert")
