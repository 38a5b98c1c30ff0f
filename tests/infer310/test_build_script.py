"""build.sh: what it says when something is missing, and where it takes MindSpore's runtime from."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.infer310.conftest import BUILD_SH

# In place of Python with pip: `download` copies a wheel into the folder after --dest, or fails.
STAND_IN_PIP = """#!/bin/sh
case "$*" in
*"pip --version") {version} ;;
*"pip download"*) while [ "$1" != --dest ]; do shift; done; {download} ;;
esac
"""


@pytest.fixture
def build(tmp_path):
    """Runs build.sh with options, in a build folder of its own and an empty cache."""
    if shutil.which("cmake") is None or shutil.which(os.environ.get("CXX", "c++")) is None:
        pytest.skip("found no cmake or no compiler, which build the C++ program")

    def run(*options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHON": sys.executable, "GDPRNN_CACHE": str(tmp_path / "cache"), **variables}
        environment = {name: value for name, value in environment.items() if name != "LITE_HOME" or name in variables}
        command = ["bash", str(BUILD_SH), "--build-dir", str(tmp_path / "build"), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return run


def stand_in_pip(tmp_path: Path, download: str, version: str = "exit 0") -> str:
    path = tmp_path / "python"
    path.write_text(STAND_IN_PIP.format(download=download, version=version))
    path.chmod(0o755)
    return str(path)


def check_failure(result, message: str) -> None:
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}"), result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fast"], "found '--fast', which is no option of build.sh"),
        (["--type"], "--type: found no value after it"),
        (["--type", "Quick"], "--type: found 'Quick', expected Release or Debug"),
        (["--arch", "mips"], "--arch: found 'mips', expected x86_64 or aarch64"),
    ],
)
def test_wrong_options(build, options, message):
    check_failure(build(*options), message)


def test_help_tells_the_defaults():
    result = subprocess.run(["bash", BUILD_SH, "--help"], capture_output=True, text=True, check=True)
    assert "Release or Debug (Release)" in result.stdout


def test_without_pip(build, tmp_path):
    python = stand_in_pip(tmp_path, "exit 1", version="exit 1")
    check_failure(build(PYTHON=python), f"{python} has no pip, which is needed to get mindspore-lite 2.0.0")


def test_without_a_network(build, tmp_path):
    python = stand_in_pip(tmp_path, "echo 'ERROR: No matching distribution found' >&2; exit 1")
    result = build(PYTHON=python)
    check_failure(result, "mindspore-lite 2.0.0 was not fetched (ERROR: No matching distribution found): check")
    assert list((tmp_path / "cache/mindspore_lite").iterdir()) == []


def test_a_wheel_with_another_checksum_is_not_used(build, tmp_path):
    with zipfile.ZipFile(tmp_path / "wheel", "w") as wheel:
        wheel.writestr("mindspore_lite/include/api/model.h", "")
    name = "mindspore_lite-2.0.0-cp37-none-any.whl"
    python = stand_in_pip(tmp_path, f'cp {tmp_path / "wheel"} "$2/{name}"')
    result = build(PYTHON=python)
    assert "found a file with SHA-256" in result.stderr
    check_failure(result, "mindspore-lite 2.0.0 for ")
    assert list((tmp_path / "cache/mindspore_lite").iterdir()) == []


def test_an_sdk_that_is_none(build, tmp_path):
    check_failure(
        build(LITE_HOME=str(tmp_path / "sdk")), f"{tmp_path}/sdk/runtime/lib/libmindspore-lite.so: no such file"
    )


def test_an_sdk_in_the_official_layout(cpp_build, tmp_path):
    """Made of the runtime that the other tests use: its headers and libraries below `runtime`, with the SDK's names."""
    cached = [line for line in (cpp_build / "CMakeCache.txt").read_text().splitlines() if "GDPRNN_CACHE" in line]
    cache = Path(cached[0].split("=")[1] or BUILD_SH.parents[1] / ".cache")
    wheel = next(path for path in (cache / "mindspore_lite").iterdir() if path.name.endswith(os.uname().machine))
    runtime = tmp_path / "sdk/runtime"
    (runtime / "third_party/glog").mkdir(parents=True)
    (runtime / "include").symlink_to(wheel / "include")
    shutil.copytree(wheel / "lib", runtime / "lib", copy_function=os.symlink)
    (runtime / "lib/libmindspore-lite.so").symlink_to(wheel / "lib/libmindspore-extendrt_python.so")
    (runtime / "lib/libmindspore_glog.so.0").rename(runtime / "third_party/glog/libmindspore_glog.so.0")
    command = ["cmake", "-S", BUILD_SH.parent, "-B", tmp_path / "build", f"-DLITE_HOME={tmp_path / 'sdk'}"]
    subprocess.run(command, capture_output=True, check=True)
    linking = (tmp_path / "build/CMakeFiles/gdprnn_infer.dir/link.txt").read_text()
    for word in ("lib/libmindspore-lite.so", "third_party/glog/libmindspore_glog.so.0"):
        assert f" {runtime}/{word}" in linking
    for folder in ("lib", "third_party/glog"):
        assert f"{runtime}/{folder}" in linking.split("-Wl,-rpath,", 1)[1]
