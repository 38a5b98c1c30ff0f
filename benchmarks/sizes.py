"""The networks that are measured, and what belongs to each: length of the example, products of its LSTMs.

Letters of the paper: N channels, L encoder kernel, H LSTM units, R pairs, K frames of a chunk, S chunks.
"""

from dataclasses import dataclass

from src.config import ModelConfig
from src.models.costs import DIRECTIONS, GATES, LSTMS, multiply_adds, padded_frames

LARGE = 2048  # edge of the product that tells the machine's peak
ROWS = (32, 64, 128)  # of the LSTM's product in a time step: a quarter, half, and all rows at the paper's size


@dataclass(frozen=True)
class Size:
    """A network with the example that it is measured on."""

    title: str
    model: ModelConfig
    seconds: float
    training_rounds: int
    inference_rounds: int

    @property
    def num_samples(self) -> int:
        """T of the example."""
        return round(self.seconds * self.model.sample_rate)

    @property
    def chunk_frames(self) -> int:
        """<K>."""
        return self.model.resolved_chunk_frames

    @property
    def num_chunks(self) -> int:
        """<S> of the example."""
        return padded_frames(self.model, self.num_samples) // self.chunk_frames

    def flops(self, part: str) -> int:
        """Floating-point operations of a run, two for each multiply-add; a training step is three forward passes."""
        if part == "training":
            return 2 * 3 * multiply_adds(self.model, self.num_samples, training=True)
        return 2 * multiply_adds(self.model, self.num_samples)

    def block_flops(self, with_gradient: bool) -> int:
        """Of one MulCat block over the example's chunks."""
        channels, hidden = self.model.num_filters, self.model.hidden_size
        lstm = DIRECTIONS * GATES * hidden * (channels + hidden)
        block = LSTMS * (lstm + DIRECTIONS * hidden * channels) + 2 * channels * channels
        return 2 * (3 if with_gradient else 1) * block * padded_frames(self.model, self.num_samples)


def _size(title: str, model: ModelConfig, seconds: float, training_rounds: int, inference_rounds: int) -> Size:
    letters = f"N = {model.num_filters}, H = {model.hidden_size}, L = {model.kernel_size}, R = {model.num_pairs}"
    return Size(f"{title} ({letters}, {seconds:g} s)", model, seconds, training_rounds, inference_rounds)


SIZES = {
    "small": _size("small", ModelConfig(num_filters=64, hidden_size=64, num_pairs=2), 4.0, 9, 15),
    # The demo has chunks of 63 frames; the twin, as the paper, halves them, so it wants an even number.
    "demo": _size("demo", ModelConfig(kernel_size=16, hidden_size=64, num_pairs=1, chunk_frames=64), 2.0, 21, 31),
    "paper": _size("paper", ModelConfig(), 4.0, 5, 9),
    "tiny": _size("tiny", ModelConfig(num_filters=32, kernel_size=4, hidden_size=32, num_pairs=1), 0.2, 2, 2),
}
MEASURED = ("small", "demo", "paper")  # tiny only serves to try the programs


@dataclass(frozen=True)
class Product:
    """A matrix product [rows x inner] x [inner x columns]."""

    rows: int
    inner: int
    columns: int

    @property
    def name(self) -> str:
        """Its sizes, without spaces."""
        return f"{self.rows}x{self.inner}x{self.columns}"

    @property
    def text(self) -> str:
        """Its sizes, for people."""
        return f"[{self.rows} x {self.inner}] x [{self.inner} x {self.columns}]"

    @property
    def flops(self) -> int:
        """Floating-point operations, two for each multiply-add."""
        return 2 * self.rows * self.inner * self.columns

    @classmethod
    def named(cls, name: str) -> "Product":
        """The inverse of `name`."""
        return cls(*map(int, name.split("x")))


LARGE_PRODUCT = Product(LARGE, LARGE, LARGE)


def step_product(model: ModelConfig, rows: int) -> Product:
    """Of one time step of an LSTM direction: input and state beside each other, times all four gates' weights."""
    return Product(rows, model.num_filters + model.hidden_size, GATES * model.hidden_size)


def input_product(size: Size) -> Product:
    """Of one LSTM direction's input for all time steps at once, as oneDNN and others arrange it."""
    return Product(size.chunk_frames * size.num_chunks, size.model.num_filters, GATES * size.model.hidden_size)


def products(size: Size) -> list[Product]:
    """What is measured of the machine: its peak, then the LSTM's own sizes."""
    return [LARGE_PRODUCT, *(step_product(size.model, rows) for rows in ROWS), input_product(size)]
