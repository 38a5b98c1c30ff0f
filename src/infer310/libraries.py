"""The C and header-only libraries of the C++ program, from Debian packages without root, into one folder.

    python -m src.infer310.libraries --output .cache/libraries [--arch arm64]

Only for systems where they are not installed, and for cross-compilation. In the folder are `include` and `lib`, the
latter with all that these libraries load in turn but for what every system with a C++ compiler has.
"""

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.data.debian import Need, describe, fetch_packages, update
from src.errors import UserError

ROOTS = ("libsndfile1-dev", "libsoxr-dev", "libssl-dev", "libeigen3-dev", "nlohmann-json3-dev", "doctest-dev")
# The C library and the compiler's own: of the system, or of the cross compiler.
NOT_FETCHED = ("libc6", "libgcc-s1", "libstdc++6")
DEPENDS = re.compile(r"^(?:Pre-)?Depends: (.*)$", re.MULTILINE)
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*")
COMMAND = "apt-get install " + " ".join(ROOTS)


def fetch_libraries(output_dir: Path, architecture: str = "") -> None:
    """Fill `output_dir`, unless it is there; until then what is fetched lies in `<output_dir>.packages`.

    Args:
        output_dir: gets `include` and `lib`, when all is there.
        architecture: Debian's name of another machine's, e.g. arm64; "": this one's.

    Raises:
        UserError: apt-get or dpkg-deb is missing, there is no network, or a package is not offered.
    """
    if output_dir.is_dir():
        return
    need = Need(
        "the libraries of the C++ program come in their packages",
        f"or install the libraries ({COMMAND})",
        "elsewhere install libsndfile, soxr, OpenSSL, Eigen, nlohmann json and doctest with their headers",
        architecture,
    )
    cache_dir = output_dir.with_name(f"{output_dir.name}.packages").resolve()
    update(cache_dir, need)
    names = with_dependencies(ROOTS, lambda name: describe(name, cache_dir, need))
    packages = fetch_packages(names, cache_dir, need)
    _assemble([package.folder(cache_dir) for package in packages.values()], output_dir)
    shutil.rmtree(cache_dir)


def with_dependencies(roots: Sequence[str], describe_package: Callable[[str], str]) -> list[str]:
    """The packages and the libraries that they load, directly or not, by their entries in the package lists."""
    names = list(roots)
    for name in names:  # which grows
        for dependency in _dependencies(describe_package(name)):
            is_loaded = dependency.startswith("lib") and not dependency.endswith("-dev")
            if is_loaded and dependency not in (*NOT_FETCHED, *names):
                names.append(dependency)
    return names


def _dependencies(entry: str) -> list[str]:
    """Of several that would do the first."""
    wanted = [each.strip() for line in DEPENDS.findall(entry) for each in line.split(",")]
    return [match[0] for each in wanted if (match := NAME.match(each))]


def _assemble(unpacked: Sequence[Path], output_dir: Path) -> None:
    """Merge the packages' headers and libraries into one folder, which appears when it is complete."""
    aside = output_dir.with_name(f".{output_dir.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        for folder in unpacked:
            for part, sources in (("include", ("usr/include",)), ("lib", ("usr/lib", "lib"))):
                for source in sources:
                    _copy_flat(folder / source, aside / part)
        aside.rename(output_dir)
    except OSError as error:
        raise UserError(f"{output_dir}: cannot be written ({error.strerror or error})") from error


def _copy_flat(source: Path, target: Path) -> None:
    """Copy a folder; what is for one kind of machine only, as in lib/x86_64-linux-gnu, comes to the rest."""
    for path in sorted(source.glob("*")):
        is_of_machine = path.is_dir() and path.name.endswith("-linux-gnu")
        if is_of_machine:
            shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)
        elif path.is_dir():
            shutil.copytree(path, target / path.name, symlinks=True, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / path.name, follow_symlinks=False)


def main(argv: Sequence[str] | None = None) -> None:
    """Fetch from the command line."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--output", required=True, type=Path, help="folder of the libraries")
    parser.add_argument("--arch", default="", help="Debian's name of another machine's architecture, e.g. arm64")
    options = parser.parse_args(argv)
    fetch_libraries(options.output, options.arch)


if __name__ == "__main__":
    run(main)
