"""The libraries of the C++ program from packages: which ones, and how they lie in one folder."""

import shutil

import pytest

from src.errors import UserError
from src.infer310 import libraries
from src.infer310.libraries import fetch_libraries, with_dependencies
from tests.data.stand_in_packages import Archive, environment_path

ENTRIES = {
    "libone-dev": "Package: libone-dev\nDepends: libtwo-dev, libone1 (= 1.0), pkg-config | pkgconf\n",
    "libone1": "Package: libone1\nPre-Depends: libthree3\nDepends: libc6 (>= 2.3), libtwo2 (>= 1) | libother\n",
    "libtwo2": "Package: libtwo2\nDepends: libone1, libgcc-s1 (>= 3.0)\n",
    "libthree3": "Package: libthree3\n",
}


def test_what_libraries_load_comes_with_them():
    names = with_dependencies(["libone-dev", "headers-dev"], lambda name: ENTRIES.get(name, ""))
    assert names == ["libone-dev", "headers-dev", "libone1", "libthree3", "libtwo2"]


@pytest.fixture
def archive(tmp_path, monkeypatch) -> Archive:
    """Offers a package with a header, one with a library, and what that loads, which has no entry of its own."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is missing (package dpkg)")
    archive = Archive(tmp_path / "archive")
    trees = {
        "libone-dev": ["usr/include/one.h", "usr/include/x86_64-linux-gnu/one/machine.h"],
        "libone1": ["usr/lib/x86_64-linux-gnu/libone.so.1.0"],
        "libthree3": ["lib/aarch64-linux-gnu/libthree.so.3"],
        "libtwo2": ["usr/lib/libtwo.so.2"],
    }
    for name, files in trees.items():
        for file in files:
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file)
        if name == "libone1":
            path.with_name("libone.so.1").symlink_to("libone.so.1.0")
        archive.offer(tmp_path / name, name)
        (archive.root / "entries" / name).write_text(ENTRIES[name])
    monkeypatch.setenv("PATH", environment_path(archive))
    monkeypatch.setattr(libraries, "ROOTS", ("libone-dev",))
    return archive


def test_packages_become_one_folder(archive, tmp_path):
    fetch_libraries(tmp_path / "cache/libraries")
    found = {str(path.relative_to(tmp_path / "cache")) for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert found == {
        "libraries/include/one.h",
        "libraries/include/one/machine.h",
        *(f"libraries/lib/{name}" for name in ("libone.so.1", "libone.so.1.0", "libthree.so.3", "libtwo.so.2")),
    }
    assert (tmp_path / "cache/libraries/lib/libone.so.1").is_symlink()


def test_the_second_time_nothing_is_asked_for(archive, tmp_path, monkeypatch):
    fetch_libraries(tmp_path / "libraries")
    monkeypatch.setenv("PATH", "/nowhere")
    fetch_libraries(tmp_path / "libraries")


def test_another_machine_is_asked_for(archive, tmp_path):
    fetch_libraries(tmp_path / "libraries", "arm64")
    assert any("APT::Architecture=arm64" in call for call in archive.all_words)


def test_without_a_network_a_line_tells_what_to_do(archive, tmp_path):
    archive.fail_updates("W: Failed to fetch http://deb/InRelease  Temporary failure resolving 'deb'")
    for part in ("offered", "entries"):
        shutil.rmtree(archive.root / part)
        (archive.root / part).mkdir()
    with pytest.raises(UserError, match=r"no connection .*or install the libraries \(apt-get install libsndfile1-dev"):
        fetch_libraries(tmp_path / "libraries")
    assert not (tmp_path / "libraries").exists()


def test_another_system_is_told_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^apt-get is missing, .* elsewhere install libsndfile, soxr, OpenSSL, Eigen"):
        fetch_libraries(tmp_path / "libraries")
