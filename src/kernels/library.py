"""Compile the operators for the processor at hand, once, and keep the library for the next time."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
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
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-pthread")
SWITCH = "GDPRNN_KERNELS"  # "off": MindSpore's own operators instead
CACHE = "GDPRNN_CACHE"  # where the library is kept, if not in .cache of the repository


@functools.cache
def find_library() -> Path | None:
    """Path of the library, or None where there is no compiler, the compiler fails, or the user wants none.

    Without it everything works as well, with MindSpore's own operators, and slower.
    """
    if os.environ.get(SWITCH, "").lower() == "off":
        return None
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    folder = Path(os.environ.get(CACHE) or ROOT / ".cache") / "kernels"
    path = folder / f"gated_block-{_digest(compiler)}.so"
    if path.exists():
        return path
    return _compile(compiler, path) if compiler else None


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


def _digest(compiler: str | None) -> str:
    """Of the sources, the compiler and the processor: a library for another one may not run on this one."""
    digest = hashlib.sha256(repr((FLAGS, compiler, platform.machine(), _processor())).encode())
    for name in SOURCES:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """Its abilities, as Linux tells them."""
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return line
    return ""


def _compile(compiler: str, path: Path) -> Path | None:
    """Written aside and renamed: several processes may do so at the same time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            aside = Path(folder) / path.name
            source = Path(__file__).with_name(SOURCES[0])
            subprocess.run([compiler, *FLAGS, "-o", aside, source], check=True, capture_output=True)
            aside.replace(path)
    except (OSError, subprocess.CalledProcessError):
        return None
    return path
