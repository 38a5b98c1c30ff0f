"""A checkpoint's network as a MINDIR or ONNX file, with a description beside it, checked before it gets its name.

Letters in shapes: B batch, C speakers, M samples of a chunk.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src import checkpoint
from src.audio import read_mono
from src.config import CHUNK_SECONDS, ModelConfig
from src.errors import UserError
from src.files import make_folder
from src.infer310 import description, onnx_file
from src.infer310.comparison import LARGEST, TWO_PEOPLE, Exported, largest_difference, make_cases
from src.infer310.description import MIXTURE, NUM_SAMPLES, TRACKS, Description, arrays, check_sum, path_beside
from src.infer310.mindir_version import to_old_version
from src.inference import EXPORT_BYTES_PER_FRAME_AND_UNIT, as_separate, check_memory
from src.models.exported import ExportedSwave
from src.models.exported_lstm import MakeLSTM, for_ascend, for_lite, for_onnx
from src.models.swave import Swave
from src.recordings.hidden_folder import hidden_folder, put_in_place
from src.runtime import usable_cores
from src.stitching.chunks import LEAST_CHUNK_SECONDS, Chunking
from src.version import code_version

SUFFIXES = {"MINDIR": ".mindir", "ONNX": ".onnx"}
FORMS: dict[tuple[str, str], MakeLSTM] = {
    ("MINDIR", "CPU"): for_lite,
    ("MINDIR", "Ascend"): for_ascend,
    ("ONNX", "CPU"): for_onnx,
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What to export, and how."""

    ckpt_path: Path
    file_name: Path  # with or without its extension
    file_format: str = "MINDIR"  # MINDIR | ONNX
    seconds: float = CHUNK_SECONDS  # <M> of a chunk
    batch_size: int = 1  # <B> chunks at once
    device_target: str = "CPU"  # CPU | Ascend
    require_average: bool = False  # the moving average of the weights has to be there
    check_audio: Path | None = None  # a recording for the comparison

    def __post_init__(self) -> None:
        """Check what can be checked without the checkpoint."""
        if self.file_format not in SUFFIXES:
            raise UserError(f"file_format: found '{self.file_format}', expected one of {', '.join(SUFFIXES)}")
        if (self.file_format, self.device_target) not in FORMS:
            targets = " or ".join(target for kind, target in FORMS if kind == self.file_format)
            raise UserError(f"device_target: found '{self.device_target}' for {self.file_format}, expected {targets}")
        if self.batch_size < 1:
            raise UserError(f"batch_size: found {self.batch_size}, expected at least 1")
        if not LEAST_CHUNK_SECONDS <= self.seconds < math.inf:
            raise UserError(f"seconds: found {self.seconds}, expected at least {LEAST_CHUNK_SECONDS}")
        if self.file_name.name in ("", ".."):
            raise UserError(f"file_name: found '{self.file_name}', expected the name of a file")
        if self.file_name.suffix in set(SUFFIXES.values()) - {SUFFIXES[self.file_format]}:
            raise UserError(f"file_name: found '{self.file_name}' for {self.file_format}, expected no such extension")

    @property
    def path(self) -> Path:
        """Where the file shall be."""
        suffix = SUFFIXES[self.file_format]
        return (
            self.file_name
            if self.file_name.suffix == suffix
            else self.file_name.with_name(self.file_name.name + suffix)
        )


@dataclass(frozen=True)
class _Source:
    """What is exported."""

    network: Swave
    model: ModelConfig
    weights: str  # average | trained
    chunking: Chunking


def export(request: Request, say: Say) -> Description:
    """Write the file and its description, which appear only when the file has proved right; `say` tells what is done.

    Raises:
        UserError: the checkpoint cannot be used, the file cannot be written, or it does not give the tracks that the
            checkpoint's network gives. What was there before is then still there.
    """
    if request.file_format == "ONNX":
        onnx_file.require_libraries()
    if request.path.is_dir():
        raise UserError(f"{request.path}: found a folder, expected the name of a file")
    source = _load(request)
    model, num_samples = source.model, source.chunking.chunk_samples
    frame_bytes = EXPORT_BYTES_PER_FRAME_AND_UNIT * model.hidden_size
    check_memory(request.batch_size * num_samples, model, frame_bytes, "--seconds")
    make_folder(request.path.parent)
    say(f"{request.ckpt_path}: {source.weights} weights, {model.num_speakers} speakers, {model.sample_rate} Hz")
    with hidden_folder(request.path.parent, ".exporting-") as folder, _mindspore_files_in(folder):
        aside = folder / request.path.name
        say(f"writing {request.file_format} for {request.batch_size} x {num_samples} samples")
        make_lstm = FORMS[request.file_format, request.device_target]
        _write(ExportedSwave(source.network, request.batch_size, num_samples, make_lstm), aside, request.file_format)
        difference = _compare(aside, source, request, say)
        described = _describe(aside, source, request, difference)
        description.write(described, path_beside(aside))
        put_in_place({aside: request.path, path_beside(aside): path_beside(request.path)})
    return described


@contextmanager
def _mindspore_files_in(folder: Path) -> Iterator[None]:
    """Where MindSpore leaves what it tells of a compilation that failed or was interrupted."""
    before = os.environ.get("MS_OM_PATH")
    os.environ["MS_OM_PATH"] = str(folder)
    try:
        yield
    finally:
        del os.environ["MS_OM_PATH"]
        if before is not None:
            os.environ["MS_OM_PATH"] = before


def _load(request: Request) -> _Source:
    stored = checkpoint.read(request.ckpt_path)
    has_average = bool(checkpoint.averages(stored))
    if request.require_average and not has_average:
        raise UserError(
            f"{request.ckpt_path}: found no moving average of the weights, expected one because of --ema: "
            f"train with training.average_decay, or leave --ema out"
        )
    network, model = checkpoint.build_network(stored, request.ckpt_path), stored.config.model
    for parameter in network.get_parameters():
        if not np.isfinite(parameter.asnumpy()).all():
            raise UserError(
                f"{request.ckpt_path}: found NaN or infinite values in '{parameter.name}', expected finite weights"
            )
    chunking = Chunking.from_seconds(request.seconds, None, model.sample_rate)
    return _Source(network, model, "average" if has_average else "trained", chunking)


def _write(exported: ExportedSwave, path: Path, file_format: str) -> None:
    """Let MindSpore write the file, and put it into the form that its readers need."""
    exported.set_train(False)
    mixture = Tensor(np.zeros((exported.batch, exported.num_samples), np.float32))
    num_samples = Tensor(np.ones(exported.batch, np.int32))
    raw = path.with_name("raw" + path.suffix)
    try:
        ms.export(exported, mixture, num_samples, file_name=str(raw), file_format=file_format)
        if not raw.is_file():
            raise UserError(f"{path.name}: found several files in MindSpore's export, expected one: it is too large")
        raw.chmod(0o600)  # MindSpore takes the right to write
        if file_format == "ONNX":
            onnx_file.tidy(raw, path, TRACKS)
        else:
            path.write_bytes(to_old_version(raw.read_bytes(), TRACKS))
        path.chmod(0o666 & ~_umask())
    except RuntimeError as error:
        raise UserError(f"{path.name}: cannot be exported: {str(error).strip().splitlines()[0]}") from None
    except OSError as error:
        raise UserError(f"{path.name}: cannot be written ({error.strerror})") from None


def _umask() -> int:
    mask = os.umask(0o077)  # it can only be read by changing it
    os.umask(mask)
    return mask


def _compare(path: Path, source: _Source, request: Request, say: Say) -> float | None:
    """The largest difference from the checkpoint's network, relative to the output's peak; None if it cannot be run.

    Raises `UserError` if that is more than rounding.
    """
    if request.device_target != "CPU":
        ms.load(str(path))  # raises if it cannot be parsed
        say(f"not compared with the checkpoint: no CPU runs the operations for {request.device_target}")
        return None
    model, num_samples = source.model, source.chunking.chunk_samples
    audio = request.check_audio or TWO_PEOPLE
    cases = make_cases(num_samples, model.kernel_size, read_mono(audio, model.sample_rate))
    lengths = sorted({case.num_samples for case in cases})
    name = TWO_PEOPLE.name if request.check_audio is None else request.check_audio
    say(f"comparing with the checkpoint: noise and {name}, {', '.join(map(str, lengths))} samples")
    separate = as_separate(source.network, model, request.ckpt_path)
    difference = largest_difference(_as_exported(path, request.file_format), request.batch_size, separate, cases)
    if not difference <= LARGEST:
        raise UserError(
            f"{request.path}: found a difference of {difference:.1e} of the output's peak from the checkpoint's "
            f"network, expected at most {LARGEST:g}; the file is not kept"
        )
    return difference


def _as_exported(path: Path, file_format: str) -> Exported:
    """A written file as a function on arrays."""
    if file_format == "ONNX":
        session = onnx_file.open_session(path, usable_cores())
        return lambda mixtures, lengths: session.run([TRACKS], {MIXTURE: mixtures, NUM_SAMPLES: lengths})[0]
    graph = nn.GraphCell(ms.load(str(path)))
    return lambda mixtures, lengths: graph(Tensor(mixtures), Tensor(lengths)).asnumpy()


def _describe(path: Path, source: _Source, request: Request, difference: float | None) -> Description:
    model, chunking = source.model, source.chunking
    inputs, outputs = arrays(request.batch_size, model.num_speakers, chunking.chunk_samples)
    return Description(
        file=path.name,
        file_format=request.file_format,
        sha256=check_sum(path),
        sample_rate=model.sample_rate,
        num_speakers=model.num_speakers,
        kernel_size=model.kernel_size,
        chunk_frames=model.resolved_chunk_frames,
        normalize_level=model.normalize_level,
        prelu_slope=float(source.network.head.slope.asnumpy()[0]),
        batch_size=request.batch_size,
        chunk_samples=chunking.chunk_samples,
        overlap_samples=chunking.overlap_samples,
        inputs=inputs,
        outputs=outputs,
        device_target=request.device_target,
        checkpoint=request.ckpt_path.name,
        weights=source.weights,
        largest_difference=difference,
        program=code_version(),
        mindspore=ms.__version__,
    )


def describe_converted(converted: Path, source: Path) -> Description:
    """Write the description of a file that another program made of an exported one, such as Ascend's converter.

    Raises:
        UserError: there is no such file, or `source` is not as its own description tells.
    """
    if converted.resolve() == source.resolve():
        raise UserError(f"{converted}: found the exported file itself, expected what a converter made of it")
    original = description.read(path_beside(source))
    if check_sum(source) != original.sha256:
        raise UserError(f"{source}: found another file than {path_beside(source)} describes, expected that one")
    described = dataclasses.replace(
        original,
        file=converted.name,
        file_format="MINDIR",
        sha256=check_sum(converted),
        device_target="Ascend",
        largest_difference=None,
    )
    description.write(described, path_beside(converted))
    return described
