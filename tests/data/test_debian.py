import json
import shutil
import subprocess
from pathlib import Path

import pytest
from stand_in_packages import Archive, environment_path

from src.data import debian
from src.data.debian import Package, fetch_packages
from src.errors import UserError


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Two packages on offer: `voices` and `tones`."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is missing (package dpkg)")
    archive = Archive(tmp_path / "archive")
    for name, version, kind in (("voices", "1:2.0+x~1-1", "SHA256"), ("tones", "3-1", "SHA512")):
        tree = tmp_path / f"tree-{name}"
        (tree / "usr/share").mkdir(parents=True)
        (tree / "usr/share" / f"{name}.txt").write_text(f"the {name}")
        archive.offer(tree, name, version, kind)
    monkeypatch.setenv("PATH", environment_path(archive))
    monkeypatch.setattr(debian, "POLL_SECONDS", 0.01)
    return archive


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "a cache"


def test_packages_are_fetched_verified_and_unpacked(archive: Archive, cache: Path) -> None:
    packages = fetch_packages(["voices", "tones"], cache)
    assert list(packages) == ["voices", "tones"]
    for name, package in packages.items():
        assert (package.folder(cache) / f"usr/share/{name}.txt").read_text() == f"the {name}"
    assert packages["voices"].version == "1:2.0+x~1-1"
    assert [packages[name].checksum_kind for name in packages] == ["SHA256", "SHA512"]
    assert "download voices=1:2.0+x~1-1" in archive.calls
    assert not list(cache.glob("*/.*"))  # nothing unfinished is left


def test_second_run_needs_neither_network_nor_tools(
    archive: Archive, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch_packages(["voices", "tones"], cache)
    monkeypatch.setenv("PATH", "/nowhere")
    assert fetch_packages(["tones", "voices"], cache) == first


def test_only_what_is_missing_is_fetched(archive: Archive, cache: Path) -> None:
    fetch_packages(["voices"], cache)
    fetch_packages(["voices", "tones"], cache)
    assert [call for call in archive.calls if call.startswith("download")] == [
        "download voices=1:2.0+x~1-1",
        "download tones=3-1",
    ]


def test_a_damaged_file_is_fetched_again(archive: Archive, cache: Path) -> None:
    package = fetch_packages(["tones"], cache)["tones"]
    shutil.rmtree(package.folder(cache))
    (cache / "debs" / package.file_name).write_bytes(b"x" * package.size)
    fetch_packages(["tones"], cache)
    assert (package.folder(cache) / "usr/share/tones.txt").exists()
    assert archive.calls.count("download tones=3-1") == 2


def test_a_whole_file_is_unpacked_again_without_fetching(archive: Archive, cache: Path) -> None:
    package = fetch_packages(["tones"], cache)["tones"]
    shutil.rmtree(package.folder(cache))
    fetch_packages(["tones"], cache)
    assert (package.folder(cache) / "usr/share/tones.txt").exists()
    assert archive.calls.count("download tones=3-1") == 1


def test_an_unfinished_unpacking_is_done_anew(archive: Archive, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(package: Package, cache_dir: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(debian, "_unpack", interrupted)
        fetch_packages(["tones"], cache)
    known = json.loads((cache / "packages.json").read_text())[0]
    leftover = cache / "unpacked" / f".tones-{known['checksum'][:16]}.part"
    leftover.mkdir(parents=True)
    (leftover / "stale").touch()
    folder = fetch_packages(["tones"], cache)["tones"].folder(cache)
    assert sorted(path.name for path in folder.iterdir()) == ["usr"]


def test_a_wrong_checksum_is_refused(archive: Archive, cache: Path) -> None:
    line = archive.root / "offered/tones"
    head, _ = line.read_text().rsplit(":", 1)
    line.write_text(f"{head}:{'0' * 128}")
    with pytest.raises(UserError, match=r"tones_3-1_all\.deb: found another size or checksum .* SHA512 0000"):
        fetch_packages(["voices", "tones"], cache)
    assert [path.name for path in (cache / "debs").glob("*.deb")] == ["voices_1%3a2.0+x~1-1_all.deb"]
    assert not (cache / "unpacked").exists()


def test_no_network_is_one_clear_line(archive: Archive, cache: Path) -> None:
    archive.fail_updates("W: Failed to fetch http://deb/InRelease  Temporary failure resolving 'deb'")
    (archive.root / "offered/tones").unlink()
    with pytest.raises(UserError, match=r"no connection to the package archive \(.*resolving.*--corpus DIR") as caught:
        fetch_packages(["tones"], cache)
    assert "\n" not in str(caught.value)


def test_network_lost_on_the_way(archive: Archive, cache: Path) -> None:
    (archive.root / "debs/tones_3-1_all.deb").unlink()
    with pytest.raises(UserError, match=r"package tones was not fetched \(Failed to fetch .*--corpus DIR"):
        fetch_packages(["tones"], cache)
    fetch_packages(["voices"], cache)  # the rest of the archive is still of use


def test_a_package_that_is_not_offered(archive: Archive, cache: Path) -> None:
    with pytest.raises(UserError, match=r"package whispers is not offered .* Debian's main or Ubuntu's universe"):
        fetch_packages(["voices", "whispers"], cache)


@pytest.mark.parametrize("tool", ["apt-get", "dpkg-deb"])
def test_missing_tool(tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {"apt-get", "dpkg-deb"} - {tool}:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=rf"^{tool} is missing, .* --corpus DIR"):
        fetch_packages(["tones"], tmp_path / "cache")


def test_ctrl_c_stops_apt(archive: Archive, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, command: list[str], **options: object) -> None:
            super().__init__(["sleep", "60"] if "tones=3-1" in command else command, **options)  # type: ignore[call-overload]
            started.append(self)

    monkeypatch.setattr(debian.time, "sleep", interrupted)
    monkeypatch.setattr(debian.subprocess, "Popen", Recorded)
    with pytest.raises(KeyboardInterrupt):
        fetch_packages(["tones"], cache)
    assert started[-1].returncode is not None


def test_an_unwritable_cache(tmp_path: Path, archive: Archive) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/debs: cannot be made"):
        fetch_packages(["tones"], tmp_path / "file")


def test_the_private_state_and_the_signatures_are_asked_for(tmp_path: Path) -> None:
    command = debian._apt_get(tmp_path, "update")
    assert f"Dir::State::Lists={tmp_path}/apt/lists" in command
    assert f"Dir::Cache={tmp_path}/apt/cache" in command
    assert "APT::Get::AllowUnauthenticated=false" in command
