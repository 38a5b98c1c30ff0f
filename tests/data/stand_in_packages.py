"""Small packages like those of the demo corpus, and a stand-in for apt-get that offers them without a network."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from src.audio import resample
from src.data.debian import Package
from tests.synthetic import RATE, voice

SOUNDS = "usr/share/asterisk/sounds"
FILLETS = "usr/share/games/fillets-ng/sound"

# It answers as apt-get does: --print-uris on stdout, warnings and errors on stderr.
APT_GET = """#!{python}
import os, pathlib, shutil, sys
archive = pathlib.Path({archive!r})
with open(archive / "words", "a") as words:
    words.write(" ".join(sys.argv[1:]) + "\\n")
words = [word for word in sys.argv[1:] if word != "-o" and "::" not in word]
with open(archive / "calls", "a") as calls:
    calls.write(" ".join(words) + "\\n")
sys.stderr.write("W: a warning that means nothing\\n")
if words == ["update"]:
    sys.exit((archive / "update.sh").exists() and os.system("sh " + str(archive / "update.sh")))
line = archive / "offered" / words[-1].split("=")[0]
if not line.exists():
    sys.stderr.write("E: Unable to locate package " + words[-1] + "\\n")
    sys.exit(100)
print(line.read_text())
if words[0] == "download":
    source = archive / "debs" / line.read_text().split()[1]
    if not source.exists():
        sys.stderr.write("E: Failed to fetch http://archive/x.deb  Connection failed\\n")
        sys.exit(100)
    shutil.copy(source, source.name)
"""

# As apt-cache, which is only asked to show what the lists tell of a package.
APT_CACHE = """#!{python}
import pathlib, sys
entry = pathlib.Path({archive!r}) / "entries" / sys.argv[-1]
sys.exit(print(entry.read_text()) if entry.exists() else 100)
"""


class Archive:
    """A folder of packages and the `apt-get` that offers them; `bin` goes in front of PATH."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root, root / "bin"
        for folder in ("bin", "offered", "debs", "entries"):
            (root / folder).mkdir(parents=True)
        for name, text in (("apt-get", APT_GET), ("apt-cache", APT_CACHE)):
            program = self.bin / name
            program.write_text(text.format(python=sys.executable, archive=str(root)))
            program.chmod(0o755)

    def offer(self, tree: Path, name: str, version: str = "1.0-1", kind: str = "SHA256") -> Path:
        """Build a package of the files in `tree` with dpkg-deb and enter it in the lists."""
        control = tree / "DEBIAN" / "control"
        control.parent.mkdir(parents=True)
        fields = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "nobody <n@o>"}
        control.write_text("".join(f"{key}: {value}\n" for key, value in fields.items()) + "Description: a test\n")
        file_name = f"{name}_{version.replace(':', '%3a')}_all.deb"
        deb = self.root / "debs" / file_name
        subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "-b", tree, deb], check=True, capture_output=True)
        digest = hashlib.new(kind, deb.read_bytes()).hexdigest()
        line = f"'http://archive/{file_name}' {file_name} {deb.stat().st_size} {kind}:{digest}"
        (self.root / "offered" / name).write_text(line)
        return deb

    def fail_updates(self, message: str) -> None:
        """Let `apt-get update` print `message` on stderr; like the real one it ends with status 0."""
        (self.root / "update.sh").write_text(f"echo {message!r} >&2")

    @property
    def all_words(self) -> list[str]:
        """Every call of apt-get with its settings, a line each."""
        return (self.root / "words").read_text().splitlines()

    @property
    def calls(self) -> list[str]:
        """What apt-get was asked, a line each."""
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []


def clip(pitch_hz: float, seconds: float, seed: int, level: float = 1.0) -> np.ndarray:
    """A recording with half a second of near silence before and after the speech, float [T]."""
    rng = np.random.default_rng(seed)
    silence = np.zeros(RATE // 2)
    samples = np.concatenate([silence, level * voice(pitch_hz, seconds, seed), silence])
    return samples + 1e-5 * rng.normal(size=samples.size)


def write_clip(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    """Write wav, ogg or headerless GSM 06.10, by the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gsm":
        soundfile.write(path, samples, 8000, format="RAW", subtype="GSM610")
    else:
        soundfile.write(path, samples, rate)


def write_asterisk(root: Path, folder: str, pitch_hz: float, suffix: str = ".wav", num_clips: int = 6) -> None:
    """Recordings of one person as in the asterisk packages, with the noises that do not belong to the speech."""
    base = root / SOUNDS / folder
    for number in range(num_clips):
        name = f"digits/{number}" if number % 2 else f"prompt-{number}"
        write_clip(base / f"{name}{suffix}", clip(pitch_hz, 1.2 + 0.3 * number, number))
    tone = 0.3 * np.sin(np.arange(4 * RATE) * 0.5)
    for name in (
        "beep",
        "beeperr",
        "ascending-2tone",
        "tt-monkeys",
        "confbridge-join",
        "confbridge-leave",
        "silence/5",
    ):
        write_clip(base / f"{name}{suffix}", tone)


def write_fillets(root: Path, language: str, pitches_hz: dict[str, float], num_clips: int = 3) -> None:
    """Recordings as in the game's packages, two persons told apart by the letter in the file name."""
    for letter, pitch_hz in pitches_hz.items():
        for number in range(num_clips):
            base = root / FILLETS / f"level{number}" / language
            for name in (f"abc-{letter}-line{number}.ogg", f"abc-x-other{number}.ogg"):
                write_clip(base / name, resample(clip(pitch_hz, 1.5 + 0.5 * number, number), RATE, 22050), 22050)


def unpacked(cache: Path, name: str, version: str = "1.0-1") -> tuple[Package, Path]:
    """A package as `fetch_packages` would return it, and its (empty) folder in the cache."""
    checksum = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    package = Package(name, version, f"{name}_{version}_all.deb", 1, "SHA256", checksum)
    folder = package.folder(cache)
    folder.mkdir(parents=True)
    return package, folder


def environment_path(archive: Archive) -> str:
    """PATH with the stand-in in front."""
    return f"{archive.bin}{os.pathsep}{os.environ['PATH']}"
