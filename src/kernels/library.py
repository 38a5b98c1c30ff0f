"""Compile the operators for the processor at hand, once, and keep the library for the next time."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = (
    "operators.cc",
    "backward.h",
    "block.h",
    "forward.h",
    "half.h",
    "single.h",
    "sums.h",
    "team.h",
    "vectors.h",
    "workspace.h",
)
COMPILERS = ("g++", "c++", "clang++")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-pthread")
INSTEAD = "MindSpore's own operators are used, which are slower"
SWITCH = "GDPRNN_KERNELS"  # "off": MindSpore's own operators instead
CACHE = "GDPRNN_CACHE"  # where the library is kept, if not in .cache of the repository


@functools.cache
def find_library() -> Path | None:
    """Path of the library, or None where there is no compiler, the compiler fails, or the user wants none.

    Without it everything works as well, with MindSpore's own operators, and slower; one line tells why.
    """
    if os.environ.get(SWITCH, "").lower() == "off":
        return None
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    path = Path(os.environ.get(CACHE) or ROOT / ".cache") / "kernels" / f"gated_block-{_digest(compiler)}.so"
    if _can_be_loaded(path):
        return path
    if compiler is None:
        _tell(f"found no C++ compiler ({', '.join(COMPILERS)}): {INSTEAD}")
        return None
    return _compile(compiler, path)


@functools.cache
def load_library(path: Path) -> ctypes.CDLL:
    """The library with the types of its functions; MindSpore opens the same one."""
    library = ctypes.CDLL(str(path))
    library.SetNumThreads.argtypes = [ctypes.c_int]
    library.SetNumThreads.restype = None
    library.CountSaved.argtypes = [ctypes.POINTER(ctypes.c_int64), ctypes.c_int64, ctypes.c_int, ctypes.c_int]
    library.CountSaved.restype = ctypes.c_int64
    library.HalfMultiple.argtypes = []
    library.HalfMultiple.restype = ctypes.c_int
    return library


def _can_be_loaded(path: Path) -> bool:
    """Not where there is none yet, where it was cut off, or where this system's libraries are not those it needs."""
    try:
        ctypes.CDLL(str(path))
    except OSError:
        return False
    return True


def _digest(compiler: str | None) -> str:
    """Of the sources, the compiler and the processor: a library for another one may not run on this one."""
    system = (platform.machine(), platform.libc_ver(), _processor())
    digest = hashlib.sha256(repr((FLAGS, compiler, system)).encode())
    for name in SOURCES:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> list[str]:
    """Its model and abilities, as Linux tells them of the first core."""
    first_core = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").partition("\n\n")[0]
    kinds = ("model", "cpu family", "stepping", "flags", "Features", "CPU part")
    return [line for line in first_core.splitlines() if line.startswith(kinds)]


def _compile(compiler: str, path: Path) -> Path | None:
    """Written aside and renamed: several processes may do so at the same time."""
    _tell("compiling the operators for this processor, once (about ten seconds)")
    source = Path(__file__).with_name(SOURCES[0])
    english = {**os.environ, "LC_ALL": "C"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            aside = Path(folder) / path.name
            command = [compiler, *FLAGS, "-o", str(aside), str(source)]
            subprocess.run(command, check=True, capture_output=True, text=True, errors="replace", env=english)
            aside.replace(path)
    except OSError as error:
        _tell(f"{error.filename}: cannot be written or run ({error.strerror}): {INSTEAD}")
        return None
    except subprocess.CalledProcessError as error:
        told = [line for line in error.stderr.splitlines() if "error" in line]
        reason = told[0] if told else f"exit status {error.returncode}"
        _tell(f"{compiler} cannot compile the operators ({reason}): {INSTEAD}")
        return None
    return path


def _tell(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)
