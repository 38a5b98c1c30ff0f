"""The test set that a user names: a record file, a folder with one, or a folder of audio files."""

import importlib.util
from pathlib import Path

from src.data.audio_folder import open_audio_folder
from src.data.names import MIXTURE_TYPES, find_records
from src.data.record_index import Records
from src.errors import UserError
from src.runtime import interrupts_held_back

TEST_NAME = "test.mindrecord"
DEFAULT_RATE = 8000  # Hz


def open_test_set(
    given: Path, sample_rate: int | None = None, mixture_type: str | None = None, name: str = TEST_NAME
) -> Records:
    """The mixtures of a test set. MindSpore is loaded only if they are in a record file.

    Args:
        given: a .mindrecord file, a folder with one, or a folder of audio files as preprocess.py reads them.
        sample_rate: that it must have, in Hz. None: that of the record file, or 8000 for audio files.
        mixture_type: mix_clean, mix_both or mix_single. None: that of the record file, or mix_clean.
        name: of the record file in a folder.

    Raises:
        UserError: it is missing, cannot be read, or has another sample rate or type of mixture.
    """
    if not given.exists():
        raise UserError(
            f"{given}: no such file or folder, expected a .mindrecord file, a folder with {name}, "
            f"or a folder of audio files as preprocess.py reads them"
        )
    path = find_records(given, name)
    if not path.is_file():
        return open_audio_folder(given, sample_rate or DEFAULT_RATE, mixture_type or MIXTURE_TYPES[0])
    records = _open_records(path)
    for what, found, expected in (
        ("sample rate in Hz", records.index.sample_rate, sample_rate),
        ("type of mixture", records.index.mixture_type, mixture_type),
    ):
        if expected is not None and found != expected:
            raise UserError(f"{path}: found the {what} {found}, expected {expected}")
    return records


def _open_records(path: Path) -> Records:
    if importlib.util.find_spec("mindspore") is None:
        raise UserError(f"{path}: MindRecord is read with mindspore, which is not installed here: give the audio files")
    with interrupts_held_back():
        from src.data.records import RecordFile
    return RecordFile(path)
