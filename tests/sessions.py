"""For tests that start programs: who is still there, and waiting."""

import time
from pathlib import Path

PATIENCE = 20.0  # seconds


def others(session: int) -> list[str]:
    """Processes of a session, by its number, but for its first; zombies do not count."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its_session = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:  # ended meanwhile
            continue
        if int(its_session) == session != int(folder.name) and state != "Z":
            found.append(folder.name)
    return found


def wait_until(holds, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
