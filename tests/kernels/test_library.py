"""Where the compiled operators come from, and that everything goes on without them."""

import concurrent.futures
import os
import platform
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from src.kernels import library

ROOT = Path(__file__).parents[2]
HAS_COMPILER = any(map(shutil.which, library.COMPILERS))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache; nothing is remembered from before or kept for later."""
    monkeypatch.setenv(library.CACHE, str(tmp_path))
    monkeypatch.delenv(library.SWITCH, raising=False)
    library.find_library.cache_clear()
    yield tmp_path / "kernels"
    library.find_library.cache_clear()


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Put a program of this text in the place of all compilers."""

    def put(text):
        folder = tmp_path / "bin"
        folder.mkdir()
        path = folder / "g++"
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))
        return path

    return put


WRITES = "import sys, pathlib; pathlib.Path(sys.argv[sys.argv.index('-o') + 1]).write_text(' '.join(sys.argv))"


def test_it_is_compiled_once_for_this_processor(cache, compiler, monkeypatch, capfd):
    compiler(WRITES)
    path = library.find_library()
    assert path.parent == cache
    assert "-march=native" in path.read_text()
    assert path.read_text().endswith("operators.cc")
    assert capfd.readouterr().err == "note: compiling the operators for this processor, once (about ten seconds)\n"
    library.find_library.cache_clear()
    path.write_text("kept")
    monkeypatch.setattr(library, "_can_be_loaded", Path.exists)
    assert library.find_library().read_text() == "kept"
    assert capfd.readouterr().err == ""
    assert list(cache.iterdir()) == [path]


def test_a_file_that_was_cut_off_is_compiled_anew(cache, compiler):
    compiler(WRITES)
    path = library.find_library()
    library.find_library.cache_clear()
    path.write_bytes(b"\x7fELF")
    assert library.find_library() == path
    assert path.read_text().endswith("operators.cc")


@pytest.mark.parametrize("changed", ["_processor", "FLAGS"])
def test_another_processor_or_other_flags_get_a_library_of_their_own(cache, compiler, monkeypatch, changed):
    compiler(WRITES)
    first = library.find_library()
    library.find_library.cache_clear()
    monkeypatch.setattr(library, changed, ("-O1",) if changed == "FLAGS" else lambda: ["flags: fpu"])
    assert library.find_library() != first


def test_every_source_counts(cache, compiler, monkeypatch, tmp_path):
    compiler(WRITES)
    first = library.find_library()
    assert set(library.SOURCES) == {p.name for p in (ROOT / "src/kernels").iterdir() if p.suffix in (".cc", ".h")}
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "src/kernels", copy)
    monkeypatch.setattr(library, "__file__", str(copy / "library.py"))
    for name in library.SOURCES:
        original = (copy / name).read_text()
        (copy / name).write_text(original + "\n")
        library.find_library.cache_clear()
        assert library.find_library() != first, name
        (copy / name).write_text(original)


def test_without_a_compiler_one_line_says_so(cache, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert library.find_library() is None
    assert capfd.readouterr().err.startswith(
        "note: found no C++ compiler (g++, c++, clang++): MindSpore's own operators"
    )


def test_a_compiler_that_fails_is_told_with_its_first_error(cache, compiler, capfd):
    path = compiler("import sys; sys.exit('warning: fine\\nx.h:1: error: no such thing\\nerror: more')")
    assert library.find_library() is None
    told = capfd.readouterr().err.splitlines()
    assert told[1].startswith(
        f"note: {path} cannot compile the operators (x.h:1: error: no such thing): MindSpore's own"
    )
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told(compiler, tmp_path, monkeypatch, capfd):
    compiler(WRITES)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(library.CACHE, str(tmp_path / "file"))
    library.find_library.cache_clear()
    assert library.find_library() is None
    assert "cannot be written or run (Not a directory)" in capfd.readouterr().err
    library.find_library.cache_clear()


def test_the_user_can_do_without(cache, compiler, monkeypatch, capfd):
    compiler("raise SystemExit('not to be called')")
    monkeypatch.setenv(library.SWITCH, "off")
    assert library.find_library() is None
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not HAS_COMPILER, reason="there is no C++ compiler")
def test_two_processes_at_once_both_get_a_whole_library(cache):
    code = (
        "from src.kernels import library; library.FLAGS = ('-O0', *library.FLAGS[2:]);"  # quick to compile
        "print(library.load_library(library.find_library()).CountSaved is not None)"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, library.CACHE: str(cache.parent)}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True)
            for _ in range(2)
        ]
    assert [run.result().stdout.strip() for run in runs] == ["True", "True"], [run.result().stderr for run in runs]
    assert [path.suffix for path in cache.iterdir()] == [".so"]


@pytest.mark.skipif(not HAS_COMPILER or platform.machine() != "x86_64", reason="no C++ compiler for x86-64")
@pytest.mark.parametrize("march", ["haswell", "x86-64", "sapphirerapids"])
def test_it_compiles_for_other_processors_without_a_warning(march):
    compiler = next(filter(None, map(shutil.which, library.COMPILERS)))
    source = ROOT / "src/kernels/operators.cc"
    checks = ["-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsyntax-only"]
    plain = [flag for flag in library.FLAGS if not flag.startswith(("-march", "-shared"))]
    done = subprocess.run(
        [compiler, *plain, f"-march={march}", *checks, source], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
