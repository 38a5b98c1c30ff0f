"""build.sh: what it says when something is missing, and where it takes MindSpore's runtime from."""

import fcntl
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
def start_build(tmp_path):
    """Starts build.sh with options, in a build folder of its own and an empty cache."""
    if shutil.which("cmake") is None or shutil.which(os.environ.get("CXX", "c++")) is None:
        pytest.skip("found no cmake or no compiler, which build the C++ program")

    def start(*options: str, **variables: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "PYTHON": sys.executable, "GDPRNN_CACHE": str(tmp_path / "cache"), **variables}
        environment = {name: value for name, value in environment.items() if name != "LITE_HOME" or name in variables}
        command = ["bash", str(BUILD_SH), "--build-dir", str(tmp_path / "build"), *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    return start


@pytest.fixture
def build(start_build):
    """Runs it to its end."""

    def run(*options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        job = start_build(*options, **variables)
        told, complaint = job.communicate()
        return subprocess.CompletedProcess(job.args, job.returncode, told, complaint)

    return run


def runtime_folder(cpp_build: Path) -> Path:
    """Of the runtime from PyPI that the other tests use."""
    cached = [line for line in (cpp_build / "CMakeCache.txt").read_text().splitlines() if "GDPRNN_CACHE" in line]
    cache = Path(cached[0].split("=")[1] or BUILD_SH.parents[1] / ".cache")
    return next(path for path in (cache / "mindspore_lite").iterdir() if path.name.endswith(os.uname().machine))


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


def test_what_an_interrupted_build_left_of_its_download_is_removed(build, tmp_path):
    for name in ("2.0.0-x86_64.abcdefgh.part", "2.0.0-x86_64.part"):
        (tmp_path / "cache/mindspore_lite" / name / "mindspore_lite").mkdir(parents=True)
    build(PYTHON=stand_in_pip(tmp_path, "exit 1"))
    assert list((tmp_path / "cache/mindspore_lite").iterdir()) == []


@pytest.fixture
def copied_sources(tmp_path):
    """A copy of what a build reads, with the runtime of the other tests in its cache, in a folder that can be moved."""

    def copy(cpp_build: Path) -> Path:
        repository = tmp_path / "first"
        shutil.copytree(BUILD_SH.parent, repository / BUILD_SH.parent.name, ignore=shutil.ignore_patterns("build*/"))
        shutil.copytree(BUILD_SH.parents[1] / "src/kernels", repository / "src/kernels")
        shutil.copy(BUILD_SH.parents[1] / "src/version.py", repository / "src")
        (repository / ".cache").mkdir()
        (repository / ".cache/mindspore_lite").symlink_to(runtime_folder(cpp_build).parent)
        return repository

    return copy


def configure(repository: Path) -> "subprocess.CompletedProcess[str]":
    """Runs build.sh as far as it configures, in its usual folder: a stand-in for CMake compiles nothing."""
    tools = repository.with_name("tools")
    tools.mkdir(exist_ok=True)
    cmake = tools / "cmake"
    cmake.write_text(f'#!/bin/sh\n[ "$1" != --build ] || exit 0\nexec {shutil.which("cmake")} "$@"\n')
    cmake.chmod(0o755)
    environment = {"PYTHON": sys.executable, **os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "GDPRNN_CACHE": ""}
    command = ["bash", repository / "ascend310_infer/build.sh"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_a_repository_that_was_moved_is_configured_anew(copied_sources, cpp_build):
    repository = copied_sources(cpp_build)
    assert configure(repository).returncode == 0
    moved = repository.rename(repository.with_name("second"))
    result = configure(moved)
    assert result.returncode == 0, result.stderr
    assert f"={moved}/ascend310_infer\n" in (moved / "ascend310_infer/build/CMakeCache.txt").read_text()


def test_a_folder_of_another_build_is_left_alone(build, tmp_path):
    cache = tmp_path / "build/CMakeCache.txt"
    cache.parent.mkdir()
    cache.write_text("CMAKE_PROJECT_NAME:STATIC=other\n")
    check_failure(build(), f"{cache.parent}: found a build of 'other', expected an empty folder or one of this program")
    assert cache.read_text() == "CMAKE_PROJECT_NAME:STATIC=other\n"


def test_libraries_that_were_removed_since_the_last_build_are_looked_for_again(copied_sources, cpp_build):
    """As with .cache, in which they are where the system has none."""
    repository = copied_sources(cpp_build)
    assert configure(repository).returncode == 0
    cache = repository / "ascend310_infer/build/CMakeCache.txt"
    fetched = repository / f".cache/libraries-{os.uname().machine}"
    lines = cache.read_text().splitlines()
    found = {line.partition(":")[0]: line.partition("=")[2] for line in lines}
    if found["GDPRNN_LIBRARIES"]:
        pytest.skip("the system has not all of the libraries")
    edited = [
        line.partition("=")[0] + f"={fetched}" if line.startswith(("GDPRNN_LIBRARIES:", "libsoxr_LIBRARY:")) else line
        for line in lines
    ]
    cache.write_text("\n".join(edited) + "\n")
    result = configure(repository)
    assert result.returncode == 0, result.stderr
    again = {line.partition(":")[0]: line.partition("=")[2] for line in cache.read_text().splitlines()}
    assert not again.get("GDPRNN_LIBRARIES")
    assert again["libsoxr_LIBRARY"] == found["libsoxr_LIBRARY"]


def test_an_sdk_that_is_none(build, tmp_path):
    check_failure(
        build(LITE_HOME=str(tmp_path / "sdk")), f"{tmp_path}/sdk/runtime/lib/libmindspore-lite.so: no such file"
    )


def test_an_sdk_in_the_official_layout(cpp_build, tmp_path):
    """Made of the runtime that the other tests use: its headers and libraries below `runtime`, with the SDK's names."""
    wheel = runtime_folder(cpp_build)
    runtime = tmp_path / "sdk/runtime"
    (runtime / "third_party/glog").mkdir(parents=True)
    (runtime / "include").symlink_to(wheel / "include")
    shutil.copytree(wheel / "lib", runtime / "lib", copy_function=os.symlink)
    (runtime / "lib/libmindspore-lite.so").symlink_to(wheel / "lib/libmindspore-extendrt_python.so")
    (runtime / "lib/libmindspore_glog.so.0").rename(runtime / "third_party/glog/libmindspore_glog.so.0")
    command = ["cmake", "-S", BUILD_SH.parent, "-B", tmp_path / "build", f"-DLITE_HOME={tmp_path / 'sdk'}"]
    subprocess.run(command, capture_output=True, check=True)
    linking = (tmp_path / "build/CMakeFiles/gdprnn_infer_mindspore.dir/link.txt").read_text()
    for word in ("lib/libmindspore-lite.so", "third_party/glog/libmindspore_glog.so.0"):
        assert f" {runtime}/{word}" in linking
    for folder in ("lib", "third_party/glog"):
        assert f"{runtime}/{folder}" in linking.split("-Wl,-rpath,", 1)[1]


def test_another_build_of_the_folder_is_waited_for(start_build, tmp_path):
    folder = tmp_path / "build"
    folder.mkdir()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        job = start_build(PYTHON=stand_in_pip(tmp_path, "exit 1", version="exit 1"))
        assert job.stdout.readline() == f"waiting for another build of {folder}\n"
        assert not (folder / "CMakeCache.txt").exists()
    _, told = job.communicate()
    assert job.returncode == 2
    assert "has no pip" in told


def test_a_folder_that_cannot_be_written(build, tmp_path):
    (tmp_path / "build" / ".lock").mkdir(parents=True)
    check_failure(build(), f"{tmp_path / 'build'}: cannot be written, expected a folder for the build")
