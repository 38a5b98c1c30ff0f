"""The version of this program, which every checkpoint tells."""

import subprocess
from functools import cache
from pathlib import Path

VERSION = "0.2.0"


@cache
def code_version() -> str:
    """The version, and in a checkout also its commit: `0.2.0+1a2b3c4d`, with `.changed` after it for edited files."""
    root = Path(__file__).parent.parent
    commit = _git(root, "rev-parse", "--short=8", "HEAD")
    if not commit:
        return VERSION
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "*.py")
    return f"{VERSION}+{commit}" + (".changed" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    if not (root / ".git").exists():
        return ""
    try:
        result = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
