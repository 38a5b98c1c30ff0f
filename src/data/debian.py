"""Debian packages without root: fetched with apt's own signatures, verified, unpacked into a cache folder.

Nothing is installed, and the system's package lists are neither needed nor touched: apt keeps its state in
`<cache>/apt`. The packages lie in `<cache>/debs`, their contents in `<cache>/unpacked/<name>-<checksum>`.
What was fetched once is remembered in `<cache>/packages.json` and used again without a network.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote

from tqdm import tqdm

from src.errors import UserError
from src.files import written_aside

# apt prints the strongest checksum of its lists: SHA-256 in Debian, SHA-512 in Ubuntu.
URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) (?P<kind>SHA256|SHA512):(?P<checksum>\w+)$")
TROUBLE = re.compile(r"^([EW]): (.*)$", re.MULTILINE)  # on stderr; a warning alone is no failure
UNREACHABLE = re.compile(r"Failed to fetch|resolv|Could not connect|Unable to connect|timed out|unreachable", re.I)
BLOCK_BYTES = 1 << 20
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Package:
    """One package of the cache."""

    name: str
    version: str
    file_name: str
    size: int  # bytes
    checksum_kind: str  # SHA256 or SHA512
    checksum: str  # hexadecimal

    def folder(self, cache_dir: Path) -> Path:
        """Where its contents are unpacked."""
        return cache_dir / "unpacked" / f"{self.name}-{self.checksum[:16]}"


@dataclass(frozen=True)
class Need:
    """What packages are fetched for."""

    purpose: str = "the demo corpus comes in their packages"  # how errors tell it
    other_way: str = "or give speech of your own with --corpus DIR"  # what else a user can do
    elsewhere: str = "on another system give speech of your own with --corpus DIR"
    architecture: str = ""  # Debian's name of another machine's; "": this one's. Each needs a cache of its own


DEMO_CORPUS = Need()


def fetch_packages(names: Sequence[str], cache_dir: Path, need: Need = DEMO_CORPUS) -> dict[str, Package]:
    """Have the named packages unpacked in the cache, fetching what is not there.

    Returns:
        The packages by name; `Package.folder` tells where each lies.

    Raises:
        UserError: apt-get or dpkg-deb is missing, there is no network, a package is not offered, or what came
            is not what the signed lists promise.
    """
    cache_dir = Path(cache_dir).resolve()
    known = _read_known(cache_dir)
    packed = [name for name in names if name not in known or not known[name].folder(cache_dir).is_dir()]
    if packed:
        _check_tools(need)
        missing = [name for name in packed if name not in known or not _is_fetched(known[name], cache_dir)]
        if missing:
            _fetch(missing, known, cache_dir, need)
        for name in tqdm(packed, desc="unpacking packages", unit="package"):
            _unpack(known[name], cache_dir)
    return {name: known[name] for name in names}


def _read_known(cache_dir: Path) -> dict[str, Package]:
    try:
        entries = json.loads((cache_dir / "packages.json").read_text(encoding="utf-8"))
        return {entry["name"]: Package(**entry) for entry in entries}
    except (OSError, ValueError, TypeError, KeyError):
        return {}  # at worst everything is fetched again


def _write_known(known: dict[str, Package], cache_dir: Path) -> None:
    entries = [asdict(known[name]) for name in sorted(known)]
    with written_aside(cache_dir / "packages.json") as aside:
        aside.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def _is_fetched(package: Package, cache_dir: Path) -> bool:
    return _is_right(package, cache_dir / "debs" / package.file_name)


def _is_right(package: Package, path: Path) -> bool:
    """Whether a file has the size and the checksum of the signed list."""
    if not path.is_file() or path.stat().st_size != package.size:
        return False
    digest = hashlib.new(package.checksum_kind)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest() == package.checksum


def _check_tools(need: Need) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise UserError(f"{tool} is missing, expected on Debian and Ubuntu: {need.purpose}; {need.elsewhere}")


def _apt(program: str, cache_dir: Path, arguments: Sequence[str], need: Need) -> list[str]:
    """The command line of an apt program whose state is private and which insists on signatures."""
    state = cache_dir / "apt"
    options = {
        "Dir::State::Lists": state / "lists",
        "Dir::Cache": state / "cache",
        "Dir::State::status": "/var/lib/dpkg/status",
        "APT::Sandbox::User": "",  # apt's own user could not write into the cache folder
        "APT::Get::AllowUnauthenticated": "false",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::Retries": "2",
        "Acquire::Languages": "none",  # descriptions are not needed
    }
    if need.architecture:
        options |= {"APT::Architecture": need.architecture, "APT::Architectures": need.architecture}
    return [program, *(word for key, value in options.items() for word in ("-o", f"{key}={value}")), *arguments]


def _apt_get(cache_dir: Path, *arguments: str, need: Need = DEMO_CORPUS) -> list[str]:
    return _apt("apt-get", cache_dir, arguments, need)


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}  # apt's messages are looked into


def update(cache_dir: Path, need: Need = DEMO_CORPUS) -> str:
    """Renew the package lists; gives what apt complains of. Raises `UserError` without apt."""
    _check_tools(need)
    for folder in (cache_dir / "apt/lists/partial", cache_dir / "apt/cache/archives/partial"):
        _make_folder(folder)
    tqdm.write("reading the package lists (apt-get update, in a folder of its own)")
    return _run(_apt_get(cache_dir, "update", need=need)).stderr


def describe(name: str, cache_dir: Path, need: Need = DEMO_CORPUS) -> str:
    """The newest entry of a package in the lists that `update` has read; "" if there is none."""
    answer = _run(_apt("apt-cache", cache_dir, ["show", "--no-all-versions", name], need))
    return answer.stdout if answer.returncode == 0 else ""


def _fetch(names: Sequence[str], known: dict[str, Package], cache_dir: Path, need: Need) -> None:
    """Fetch packages and enter them in `known` and its file, one by one."""
    debs = cache_dir / "debs"
    _make_folder(debs)
    complaints = update(cache_dir, need)  # judged by what is offered then: hooks and other sources may fail
    offered = [_offered(name, complaints, cache_dir, need) for name in names]
    total = sum(package.size for package in offered)
    with tqdm(total=total, desc="fetching packages", unit="B", unit_scale=True) as bar:
        for package in offered:
            bar.set_postfix_str(package.name)
            if _is_fetched(package, cache_dir):
                bar.update(package.size)
            else:
                command = _apt_get(cache_dir, "download", f"{package.name}={package.version}", need=need)
                _download(package, debs, command, bar, need)
            known[package.name] = package
            _write_known(known, cache_dir)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from error


def _offered(name: str, update_output: str, cache_dir: Path, need: Need) -> Package:
    """What the signed lists say of a package."""
    answer = _run(_apt_get(cache_dir, "--print-uris", "download", name, need=need))
    for line in answer.stdout.splitlines():
        if match := URI_LINE.match(line.strip()):
            version = unquote(match["file"].split("_")[1])
            return Package(name, version, match["file"], int(match["size"]), match["kind"], match["checksum"])
    raise UserError(_why_not_offered(name, update_output, answer.stderr, need.other_way))


def _why_not_offered(name: str, update_output: str, answer: str, other_way: str) -> str:
    unreachable = [trouble for trouble in _troubles(update_output) if UNREACHABLE.search(trouble)]
    if unreachable:
        return f"no connection to the package archive ({unreachable[0]}): check the network, {other_way}"
    if "Unable to locate" in answer or "No packages found" in answer or "no installation candidate" in answer:
        return (
            f"package {name} is not offered by this system's package sources, expected in Debian's main or "
            f"Ubuntu's universe and multiverse: enable them in /etc/apt, {other_way}"
        )
    reason = _troubles(answer + update_output)[0]
    return f"apt-get cannot tell where package {name} is ({reason}): mend that, {other_way}"


def _troubles(output: str) -> list[str]:
    """apt's errors, then its warnings, a line each; never empty."""
    found = sorted(TROUBLE.findall(output), key=lambda trouble: trouble[0] != "E")
    return [text for _, text in found] or ["apt-get gave no reason"]


def _download(package: Package, debs: Path, command: list[str], bar: "tqdm[None]", need: Need) -> None:
    """Fetch one package aside, verify it, and give it its name."""
    aside = debs / f".{package.name}.part"
    shutil.rmtree(aside, ignore_errors=True)
    _make_folder(aside)
    with (aside / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=aside, env=_environment(), stdout=log, stderr=log)
        _follow(process, aside, package.size, bar)
    fetched = aside / package.file_name
    if process.returncode != 0 or not fetched.is_file():
        log_text = (aside / "log").read_text(encoding="utf-8", errors="replace")
        reason = _troubles(log_text)[0]
        raise UserError(f"package {package.name} was not fetched ({reason}): check the network, {need.other_way}")
    if not _is_right(package, fetched):
        raise UserError(
            f"{package.file_name}: found another size or checksum than the signed list's {package.size} bytes, "
            f"{package.checksum_kind} {package.checksum[:16]}...: fetch again, {need.other_way}"
        )
    fetched.replace(debs / package.file_name)
    shutil.rmtree(aside)


def _follow(process: "subprocess.Popen[bytes]", folder: Path, size: int, bar: "tqdm[None]") -> None:
    """Move the bar with the bytes that lie in the folder, until the process ends; stop it on Ctrl-C."""
    seen = 0
    try:
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            found = min(sum(path.stat().st_size for path in folder.glob("*.deb")), size)
            if found > seen:
                bar.update(found - seen)
                seen = found
    finally:
        process.kill()
        process.wait()


def _unpack(package: Package, cache_dir: Path) -> None:
    folder = package.folder(cache_dir)
    if folder.is_dir():
        return
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    _make_folder(aside)
    command = ["dpkg-deb", "-x", str(cache_dir / "debs" / package.file_name), str(aside)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = result.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise UserError(f"{package.file_name}: dpkg-deb cannot unpack it ({reason[0]}): is the disk full?")
    aside.replace(folder)
