"""Open a file of `torch.save`: the zip form since PyTorch 1.6, and the older one.

The zip holds one folder with `data.pkl`, `byteorder` and the storages `data/0`, `data/1`, … as plain little-endian
values. The older form is a row of pickles (a magic number, a version, the machine, the object, the storages' keys)
and then each storage: its number of values in 8 bytes, and the values. Source: what PyTorch 2.13 writes.
"""

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO

from src.errors import UserError
from src.torch_files.pickles import MOST_BYTES, MalformedFileError, Record, read_pickle
from src.torch_files.tensors import MAKERS, TYPES, Storage, is_count, storage_kind

ZIP_START = b"PK\x03\x04"
OLD_MAGIC = 0x1950A86A20F9469CFC6C
OLD_START = b"\x80\x02\x8a\x0a" + OLD_MAGIC.to_bytes(10, "little") + b"."  # that number as a pickle
OLD_VERSION = 1001


def is_torch_file(start: bytes) -> bool:
    """Whether a file that starts with these bytes, 16 or more, is one of `torch.save`, whole or damaged."""
    return start.startswith((ZIP_START, OLD_START))


@contextmanager
def opened(path: Path) -> Iterator[object]:
    """The object in the file: plain values, dictionaries, `TensorView`s and `Record`s. Nothing of it is executed.

    Tensors give their values inside the block only, which should do nothing else: what it raises counts as the file's.

    Raises:
        UserError: it cannot be read, is damaged, big-endian, compressed, or claims more than it holds.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(OLD_START))
            file.seek(0)
            if start.startswith(ZIP_START):
                with zipfile.ZipFile(file) as archive:
                    yield _read_zip(archive, path.stat().st_size)
            else:
                yield _read_old(file, path.stat().st_size)
    except MalformedFileError as error:
        raise UserError(f"{path}: not a readable PyTorch file: {error}") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, LookupError) as error:
        # zipfile checks little of what it reads: a damaged name, for instance, ends in a UnicodeDecodeError
        raise UserError(f"{path}: not a readable PyTorch file: damaged or cut short ({error})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


def _read_zip(archive: zipfile.ZipFile, file_bytes: int) -> object:
    entries = {entry.filename: entry for entry in archive.infolist()}
    for entry in entries.values():
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise MalformedFileError(f"found the compressed entry '{entry.filename}', expected none, as in torch.save")
    if sum(entry.file_size for entry in archive.infolist()) > file_bytes:
        raise MalformedFileError(f"found entries of more bytes than the file's {file_bytes}, expected fewer")
    folder = _folder(list(entries))
    if f"{folder}/byteorder" in entries and archive.read(f"{folder}/byteorder").strip() != b"little":
        raise MalformedFileError("found big-endian values, expected little-endian ones: save it anew on such a machine")
    if entries[f"{folder}/data.pkl"].file_size > MOST_BYTES:
        raise MalformedFileError(f"found a pickle of more than {MOST_BYTES // 2**20} MB, expected a smaller one")

    @cache  # so that the views of a storage share its bytes
    def fetch(key: str) -> bytes:
        return archive.read(f"{folder}/data/{key}")

    def make_storage(persistent_id: object) -> object:
        storage = _storage(persistent_id, 5, fetch)
        if isinstance(storage, Storage):
            entry = entries.get(f"{folder}/data/{storage.key}")
            if entry is None:
                raise MalformedFileError(f"found no storage '{storage.key}', expected one of {storage.num_bytes} bytes")
            _check_bytes(storage, entry.file_size)
        return storage

    return read_pickle(io.BytesIO(archive.read(f"{folder}/data.pkl")), MAKERS, make_storage)


def _folder(names: list[str]) -> str:
    """The one folder of the archive."""
    folders = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(folders) != 1:
        raise MalformedFileError(f"found a zip archive with {len(folders)} data.pkl, expected one, as in torch.save")
    if f"{folders[0]}/constants.pkl" in names:
        raise MalformedFileError("found a TorchScript program, expected the torch.save of a state dict")
    return folders[0]


def _storage(persistent_id: object, num_fields: int, fetch: Callable[[str], bytes]) -> object:
    """The storage of a persistent id: ("storage", class, key, device, number of values[, None])."""
    if not (isinstance(persistent_id, tuple) and len(persistent_id) == num_fields and persistent_id[0] == "storage"):
        raise MalformedFileError("found a persistent id of another kind, expected that of a storage")
    kind, key, count = storage_kind(persistent_id[1]), persistent_id[2], persistent_id[4]
    if kind is None:
        return Record(persistent_id[1])
    if not (isinstance(key, str) and isinstance(count, int) and is_count(count)):
        raise MalformedFileError("found a storage without a key or a number of values from 0, expected both")
    return Storage(kind, key, count, partial(fetch, key))


def _check_bytes(storage: Storage, found: int) -> None:
    if found != storage.num_bytes:
        raise MalformedFileError(
            f"found {found} bytes for storage '{storage.key}', expected {storage.num_bytes} for its "
            f"{storage.num_values} values of a {storage.kind}"
        )


def _read_old(file: BinaryIO, file_bytes: int) -> object:
    storages: dict[str, Storage] = {}
    starts: dict[str, int] = {}  # of the storages' values, which come after all pickles

    def fetch(key: str) -> bytes:
        file.seek(starts[key])
        return file.read(storages[key].num_bytes)

    def make_storage(persistent_id: object) -> object:
        if isinstance(persistent_id, tuple) and len(persistent_id) == 4 and persistent_id[0] == "module":
            return persistent_id[1]  # a network's class, which stands there with its source
        if isinstance(persistent_id, tuple) and len(persistent_id) == 6 and persistent_id[5] is not None:
            raise MalformedFileError("found a view of a storage, expected whole ones: save it anew with PyTorch 1.6 on")
        made = _storage(persistent_id, 6, fetch)
        if not isinstance(made, Storage):
            raise MalformedFileError("found a storage of an unknown type, expected one of " + ", ".join(TYPES))
        return storages.setdefault(made.key, made)

    magic, version, machine = (_next_pickle(file, _no_storage) for _ in range(3))
    if magic != OLD_MAGIC or version != OLD_VERSION:
        raise MalformedFileError("found another version of the form before PyTorch 1.6: save it anew with a later one")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise MalformedFileError("found big-endian values, expected little-endian ones: save it anew on such a machine")
    root = _next_pickle(file, make_storage)
    _find_storages(file, file_bytes, _next_pickle(file, _no_storage), storages, starts)
    return root


def _no_storage(_: object) -> object:
    raise MalformedFileError("found a storage outside of the object, expected none")


def _next_pickle(file: BinaryIO, make_storage: Callable[[object], object]) -> object:
    start = file.tell()
    stream = io.BytesIO(file.read(MOST_BYTES + 1))
    value = read_pickle(stream, MAKERS, make_storage)
    file.seek(start + stream.tell())
    return value


def _find_storages(
    file: BinaryIO, file_bytes: int, keys: object, storages: dict[str, Storage], starts: dict[str, int]
) -> None:
    """Note where the values of each storage start; they follow each other in the order of the keys."""
    if not isinstance(keys, list) or any(not isinstance(key, str) for key in keys) or set(keys) != set(storages):
        raise MalformedFileError("found a list of storages that does not fit the object's, expected the same")
    for key in keys:
        count = int.from_bytes(file.read(8), "little", signed=True)
        if count != storages[key].num_values:
            raise MalformedFileError(f"found {count} values for storage '{key}', expected {storages[key].num_values}")
        starts[key] = file.tell()
        if starts[key] + storages[key].num_bytes > file_bytes:
            raise MalformedFileError(f"found its end inside storage '{key}', expected the whole file")
        file.seek(storages[key].num_bytes, io.SEEK_CUR)
