"""What ascend310_infer's program does with a folder of inputs, in Python: the same files, the same chunks.

As a program it takes --index and --output, and separates with a filter in place of a network.
"""

import sys
from pathlib import Path

import numpy as np

from src.infer310.index import INDEX_NAME, Entry, OutputIndex, read_inputs, write_index
from src.stitching.chunks import Chunking, separate_in_chunks
from tests.separation_stand_ins import low_and_high

SHA256 = "0" * 64


def separate_folder(index_path, folder, separate, chunking):
    """Separate every input; `separate` takes mixtures [B, M] and gives tracks [B, C, M]."""
    index = read_inputs(index_path)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = []
    for entry in index.inputs:
        mixture = np.fromfile(index_path.parent / entry.file, "<f4")[: entry.num_samples]
        pieces = separate_in_chunks(mixture, separate, chunking, index.sample_rate)
        tracks = np.concatenate(list(pieces), axis=1)
        tracks.astype("<f4").tofile(folder / entry.file)
        outputs.append(Entry(entry.name, entry.file, tracks.shape, entry.num_samples))
    written = OutputIndex(
        index.sample_rate,
        index.num_speakers,
        index.data,
        SHA256,
        chunking.chunk_samples,
        chunking.overlap_samples,
        tuple(outputs),
    )
    write_index(folder / INDEX_NAME, written)
    return written


if __name__ == "__main__":
    given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    separate_folder(Path(given["--index"]), Path(given["--output"]), low_and_high, Chunking(12000, 2000))
