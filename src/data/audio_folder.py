"""A set of mixtures in a folder of audio files, used as a record file is: the same index, the same samples.

No MindSpore is needed, so a test set can be used where there is none.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from src.audio import from_pcm16, to_pcm16
from src.command_line import raise_if_interrupted
from src.data.layout import Layout, count_speakers, find_layout, find_manifest, split_layout
from src.data.loading import LeftOutError, index_fields, load_all, read_utterance
from src.data.manifest import LeftOut, Manifest, Utterance
from src.data.record_index import INDEX_SCHEMA, RecordIndex, to_index
from src.errors import UserError

FAMILY = "test"


class AudioFolder:
    """The mixtures of a manifest that can be used. All are read and measured once, which shows a progress bar.

    Raises:
        UserError: no mixture can be used, or the files have another sample rate.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.path = manifest.root
        self.left_out: list[LeftOut] = list(manifest.left_out)
        self._manifest = manifest
        self._utterances: list[Utterance] = []
        rows = []
        for result in tqdm(load_all(manifest), desc="reading", total=len(manifest.utterances), unit="mixture"):
            raise_if_interrupted()
            if isinstance(result, LeftOut):
                self.left_out.append(result)
            else:
                fields = index_fields(result, manifest)
                rows.append(tuple(fields[name] for name in INDEX_SCHEMA))
                self._utterances.append(result.utterance)
        if not rows:
            reason = f"{self.left_out[0].id}: {self.left_out[0].reason}" if self.left_out else "the folders are empty"
            raise UserError(f"{self.path}: found no mixture that can be used ({reason})")
        self.index: RecordIndex = to_index(rows)

    def read(self, order: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        """Whole mixtures in this order, each float32 [1 + C, T], the mixture first, full scale at 1.0.

        Raises `UserError` where a file was changed since.
        """
        for record in order:
            try:
                samples, _ = read_utterance(self._manifest, self._utterances[record])
            except LeftOutError as error:
                raise UserError(f"{self.path}: changed while it was read: {error}") from None
            yield from_pcm16(to_pcm16(samples))  # as a record keeps it


def open_audio_folder(folder: Path, sample_rate: int, mixture_type: str) -> AudioFolder:
    """The test split of a data set as preprocess.py reads it, or one split's own folder with {mix,s1,s2,…} in it.

    Raises `UserError` if there is none, or as `find_layout` and `AudioFolder` do.
    """
    layout = split_layout(folder, FAMILY, mixture_type) or find_layout(folder, sample_rate, mixture_type)
    if FAMILY not in layout.splits:
        found = ", ".join(split for splits in layout.splits.values() for split in splits)
        raise UserError(f"{layout.root}: found the splits {found}, expected a test split (test or tt)")
    layout = Layout(layout.root, mixture_type, {FAMILY: layout.splits[FAMILY]})
    opened = AudioFolder(find_manifest(layout, FAMILY, count_speakers(layout), sample_rate))
    if opened.left_out:
        first = opened.left_out[0]
        print(f"{opened.path}: {len(opened.left_out)} mixtures left out, e.g. {first.id}: {first.reason}")
    return opened
