"""Convert a checkpoint of the public PyTorch implementation of this network, or one of this program for PyTorch.

    python -m src.convert_torch best.th best.ckpt
    python -m src.convert_torch weights.pth best.ckpt --sr 8000 --segment 4
    python -m src.convert_torch best.ckpt weights.pth

Which way follows from what is in the first file. From PyTorch: a file of torch.save with a state dict, alone or in
the dictionary that training wrote; nothing in it is executed. N, L, H, R and C follow from the weights, sr and
segment from the file, or from the options where it does not tell them. To PyTorch: a plain state dict, which
torch.load(…, weights_only=True) reads. PyTorch need not be installed.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.command_line import OptionParser, run
from src.config import Config, ModelConfig
from src.errors import UserError
from src.files import make_folder
from src.runtime import prepare_environment, start, stop_when_terminated
from src.torch_files import names, package, reader, sizes, writer
from src.torch_files.pickles import MalformedFileError
from src.torch_files.tensors import Floats, TensorView

CHECKPOINT_SUFFIX, CHECKPOINT_END, CHECKPOINT_END_BYTES = ".ckpt", b"crc_num", 17  # see src/checkpoint.py
MOST_EXPANSION, MOST_FREE_BYTES = 4, 2**26  # bytes that weights may have over those of their file, and anyway


class Network(NamedTuple):
    """The weights of a PyTorch file, under this program's names."""

    model: ModelConfig
    weights: dict[str, Floats]
    where: str  # they were in the file
    remarks: list[str]  # lines for the user


def make_parser() -> OptionParser:
    """The options."""
    parser = OptionParser(__doc__ or "")
    parser.add_argument("source", type=Path, metavar="IN", help="PyTorch file, or checkpoint of train.py")
    parser.add_argument("target", type=Path, metavar="OUT", help="checkpoint ending in .ckpt, or PyTorch file")
    parser.add_argument(
        "--weights",
        choices=(package.BEST, package.LAST),
        help="of a file with both: best_state, or the last ones (best where there is one)",
    )
    parser.add_argument(
        "--level_outside",
        action="store_true",
        help="to PyTorch: write the weights of a network with normalize_level too, whose user then has to divide each "
        "mixture by its RMS and multiply the tracks by it",
    )
    for letter, field in sizes.FIELDS.items():
        kind = float if letter == "segment" else int
        parser.add_argument(f"--{letter}", type=kind, help=f"{field} that the network was trained with")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the options and convert."""
    options = make_parser().parse_args(argv)
    stop_when_terminated()
    letters = {letter: getattr(options, letter) for letter in sizes.FIELDS}
    convert(options.source, options.target, options.weights, letters, options.level_outside)


def convert(
    source: Path,
    target: Path,
    weights: str | None,
    options: Mapping[str, float | None],
    level_outside: bool = False,
) -> None:
    """Convert `source` to `target`, which is written whole or not at all, and print what was done.

    Args:
        source: a PyTorch file, or a checkpoint of this program; its content tells which.
        target: the other of the two.
        weights: `best` or `last`, of a PyTorch file that has both; None: the best where there is one.
        options: by letter, what the network was trained with; None where the file shall tell.
        level_outside: to PyTorch, whether the user brings mixtures to unit RMS where the network here does.

    Raises:
        UserError: the file cannot be converted.
    """
    if target.is_dir() or (target.exists() and source.exists() and target.samefile(source)):
        raise UserError(f"{target}: found a folder or the file to convert, expected another file to write")
    if reader.is_torch_file(_start_and_end(source)[0]):
        if level_outside:
            raise UserError(
                f"{source}: found --level_outside for a PyTorch file, expected none: it is for the way back"
            )
        if target.suffix != CHECKPOINT_SUFFIX:
            raise UserError(f"{target}: found '{target.suffix}' for a checkpoint, expected a name ending in '.ckpt'")
        network = read_torch_file(source, weights, options)
        for remark in network.remarks:
            sys.stderr.write(f"{source}: {remark}\n")
        _write_checkpoint(target, network, source)
        print(f"{source}: PyTorch weights, those in {network.where}\n{target}: {_summary(network.model)}")
        return
    given = [f"--{letter}" for letter, value in {"weights": weights, **options}.items() if value is not None]
    if given:
        raise UserError(f"{source}: found {given[0]} for a checkpoint of this program, expected none: it tells all")
    if target.suffix == CHECKPOINT_SUFFIX:
        raise UserError(f"{target}: found the name of a checkpoint, expected that of a PyTorch file, such as '.pth'")
    model, kind = _write_torch_file(target, source, level_outside)
    if model.normalize_level:
        sys.stderr.write(f"{target}: in use, divide each mixture by its RMS, and multiply the tracks by it again\n")
    print(f"{source}: {kind} weights\n{target}: {_summary(model)}, input_normalize=False")


def read_torch_file(path: Path, weights: str | None, options: Mapping[str, float | None]) -> Network:
    """The network in a PyTorch file, every name, shape and value checked; arguments as those of `convert`.

    Raises:
        UserError: the file is damaged, or not of a network that this program has.
    """
    with reader.opened(path) as root:
        try:
            found = package.find_package(root)
            chosen = package.choose(found, weights)
            model = sizes.find_model(chosen.tensors, found.arguments, options)
            _check_bytes(chosen.tensors, path.stat().st_size)
            state = {name: _values(name, chosen.tensors[name]) for name in names.torch_shapes(model)}
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    network = Network(model, names.from_torch(state, model.num_pairs), chosen.where, _remarks(found))
    _check_finite(network.weights, path)
    return network


def _values(name: str, tensor: TensorView) -> Floats:
    try:
        return tensor.as_float32()
    except MalformedFileError as error:
        raise UserError(f"'{name}': {error}") from None


def _check_bytes(tensors: package.Tensors, file_bytes: int) -> None:
    """Views may share a storage, so that a small file could claim more weights than there is memory."""
    total = sum(tensor.num_bytes for tensor in tensors.values())
    if total > MOST_EXPANSION * file_bytes + MOST_FREE_BYTES:
        raise UserError(f"found weights of {total} bytes in a file of {file_bytes}, expected no more than it holds")


def _check_finite(weights: Mapping[str, Floats], path: Path) -> None:
    for name, values in weights.items():
        if not np.isfinite(values).all():
            raise UserError(f"{path}: found NaN or infinite values in '{name}', expected finite weights in float32")


def _remarks(found: package.Package) -> list[str]:
    unknown = [key for key in found.arguments if key not in (*sizes.FIELDS, sizes.NORMALIZE)]
    remarks = []
    if unknown:
        remarks.append(f"found the arguments {package.listed(unknown)} in kwargs: not known here and left out")
    if found.unnamed_arguments:
        remarks.append(f"found {found.unnamed_arguments} arguments without names in args: left out")
    return remarks


def _write_checkpoint(target: Path, network: Network, source: Path) -> None:
    make_folder(target.parent)
    prepare_environment()
    start("CPU")
    from mindspore import Tensor

    from src import checkpoint
    from src.models.swave import Swave

    cell = Swave(network.model)
    values = {name: Tensor(np.ascontiguousarray(array)) for name, array in network.weights.items()}
    checkpoint.load_into(values, cell.get_parameters(), source)
    progress = {"converted_from": source.name, "weights": network.where}
    checkpoint.save(target, cell.get_parameters(), Config(model=network.model), progress)


def _write_torch_file(target: Path, source: Path, level_outside: bool) -> tuple[ModelConfig, str]:
    """Write the weights that separation would use; their network, and whether they are trained or their average."""
    if source.suffix != CHECKPOINT_SUFFIX and not _start_and_end(source)[1].startswith(CHECKPOINT_END):
        raise UserError(f"{source}: found neither a file of torch.save nor a checkpoint of train.py, expected one")
    prepare_environment()
    start("CPU")
    from src import checkpoint

    stored = checkpoint.read(source)
    model = stored.config.model
    if model.normalize_level and not level_outside:
        raise UserError(
            f"{source}: found model.normalize_level: true, expected false: PyTorch's network does not bring mixtures "
            f"to unit RMS, and would give other tracks with the same weights; --level_outside if you do that yourself"
        )
    cell = checkpoint.build_network(stored, source)
    weights = {parameter.name: parameter.asnumpy() for parameter in cell.get_parameters()}
    _check_finite(weights, source)
    make_folder(target.parent)
    writer.write_state_dict(target, names.to_torch(weights, model.num_pairs))
    return model, "average" if checkpoint.averages(stored) else "trained"


def _start_and_end(path: Path) -> tuple[bytes, bytes]:
    """By which a file is recognised."""
    try:
        with path.open("rb") as file:
            start_bytes = file.read(16)
            file.seek(max(0, path.stat().st_size - CHECKPOINT_END_BYTES))
            return start_bytes, file.read()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _summary(model: ModelConfig) -> str:
    return (
        f"N={model.num_filters}, L={model.kernel_size}, H={model.hidden_size}, R={model.num_pairs}, "
        f"C={model.num_speakers}, sr={model.sample_rate}, segment={sizes.segment_for(model):g}"
    )


if __name__ == "__main__":
    run(main, "nothing is left behind, and a file that was there before still is")
