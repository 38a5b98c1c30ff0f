"""The C++ programs that tests run: built beforehand, and from the sources as they are."""

import os
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "ascend310_infer"


def built(name: str) -> Path:
    """A program of ascend310_infer/build, or of the folder that GDPRNN_BUILD_DIR names.

    Where none is built the test is skipped; one that is older than its sources fails.
    """
    folder = Path(os.environ.get("GDPRNN_BUILD_DIR", SOURCES / "build"))
    program = folder / name
    if not program.exists():
        pytest.skip(f"{program}: not built, see ascend310_infer/build.sh")
    sources = [path for part in ("inc", "src", "test") for path in (SOURCES / part).glob("*.*")]
    newer = [path.name for path in sources if path.stat().st_mtime > program.stat().st_mtime]
    own = [source for source in newer if not source.endswith("_test.cc")]
    assert not own, f"{program}: older than {', '.join(own)}: build it again"
    return program
