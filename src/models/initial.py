"""Initial values: with which training leaves the plateau at 0 dB sooner than with random ones, and for more blocks.

With random values the first hundred steps or so only teach the network to give the mixture back. Here it
begins with that: encoder and head are a filter bank and its inverse, a copy for each speaker, and every MulCat
block is close to the identity, its product close to its input times a gate. What remains to be learned is the gates.

Letters: N channels, L encoder kernel, W samples of a decoded frame, H LSTM units, C speakers. Gates of an LSTM in the
order input, forget, cell, output.
"""

from collections.abc import Mapping

import numpy as np
from mindspore import Parameter, Tensor
from numpy.typing import NDArray

from src.models.swave import Head, MulCat, Swave

Floats = NDArray[np.float64]

PAIR = ("along", "across")  # the blocks of a pair, as the network names them
RANDOM_PART = 0.1  # of the drawn values of head and block outputs that stays
CARRIED_PART = 0.25  # of the difference between product and input that a block adds
CARRIER_INPUT = 0.5  # weight of a carried channel on its unit's cell gate: tanh is nearly linear there
CARRIER_GATES = (1.0, -2.0, 0.0, 1.0)  # added biases: open, forgetful, none, open
CARRIER_GAIN = 3.7  # 1 / (0.5 sigmoid(1)^2): brings the carried channel back to its size


def start_as_mask(network: Swave, rng: np.random.Generator) -> None:
    """Replace the network's drawn values; call before anything is compiled.

    The filter bank is complete if N >= 2 C L; otherwise its inverse is the best in the least-squares sense.
    """
    config = network.config
    channels = config.num_filters // config.num_speakers // 4 * 4  # of one speaker
    bank = _filter_bank(channels, config.kernel_size)  # [channels, L]
    encoder = _values(network.encoder.weight)
    for speaker in range(config.num_speakers):
        encoder[speaker * channels : (speaker + 1) * channels] = bank
    _assign(network.encoder.weight, encoder)
    _start_head(network.head, bank, config.num_speakers, network.frame_samples, config.hop_samples)
    for block in (*network.along, *network.across):
        _start_block(block, rng)


def deepened(values: Mapping[str, Tensor], num_pairs: int) -> dict[str, Tensor]:
    """The weights of a network by name, and more pairs of blocks, up to `num_pairs`, that leave what they get as it is.

    An added block is a copy of the last one but for its output layer, which is zero, so that all outputs are those of
    the last pair until training changes it.
    """
    found = dict(values)
    last = max(int(name.split(".")[1]) for name in values if name.startswith(f"{PAIR[0]}."))
    for name, value in values.items():
        part, *rest = name.split(".")
        if part in PAIR and int(rest[0]) == last:
            weight = ".".join(rest[1:])
            is_output = weight.startswith("output.")
            for pair in range(last + 1, num_pairs):
                found[f"{part}.{pair}.{weight}"] = Tensor(np.zeros_like(value.asnumpy())) if is_output else value
    return found


def _filter_bank(count: int, length: int) -> Floats:
    """Cosines and sines of count/4 frequencies, each with both signs, so that ReLU loses nothing: [count, length]."""
    frequencies = (np.arange(count // 4) + 0.5) / (count // 4) * np.pi  # radians a sample
    phases = np.outer(frequencies, np.arange(length) + 0.5)
    half = np.concatenate([np.cos(phases), np.sin(phases)]) / np.sqrt(length / 2)
    return np.concatenate([half, -half])


def _start_head(head: Head, bank: Floats, num_speakers: int, frame_samples: int, hop: int) -> None:
    """Every speaker's samples are decoded from its own copy of the bank, in every group of L channels alike."""
    count, length = bank.shape
    inverse = np.linalg.pinv(bank[: count // 2])  # [L, count/2]; of a signal's two signs one is zero
    inverse = np.concatenate([inverse, -inverse], axis=1)
    overlap = max(1.0, frame_samples / hop)  # decoded frames that are added up at a sample
    samples = min(frame_samples, length)
    weight = RANDOM_PART * _values(head.weight)
    frames = weight.reshape(num_speakers, frame_samples, head.group, -1)  # a view
    for speaker in range(num_speakers):
        own = slice(speaker * count, (speaker + 1) * count)
        frames[speaker, :samples, :, own] += inverse[:samples, None] / overlap
    _assign(head.weight, weight)


def _start_block(block: MulCat, rng: np.random.Generator) -> None:
    """Each unit of the values' LSTM carries one channel, the gates are near one, the output near its input."""
    cell = block.lstm
    hidden, channels = cell.hidden_size, block.projection.weight.shape[0]
    weight_ih, bias = _values(cell.weight_ih), _values(cell.bias_ih)
    projection = RANDOM_PART * _values(block.projection.weight)  # [N, 2H]
    order = rng.permutation(channels)
    gain = CARRIER_GAIN * min(1.0, channels / (2 * hidden))
    for unit in range(2 * hidden):
        direction, row = divmod(unit, hidden)
        channel = order[unit % channels]
        weight_ih[direction, 2 * hidden + row, channel] += CARRIER_INPUT
        projection[channel, unit] += gain
    bias += np.repeat(CARRIER_GATES, hidden)
    _assign(cell.weight_ih, weight_ih)
    _assign(cell.bias_ih, bias)
    _assign(block.projection.weight, projection)
    _assign(block.gate_projection.bias, _values(block.gate_projection.bias) + 1.0)
    output = RANDOM_PART * _values(block.output.weight)  # [N, 2N]
    output += CARRIED_PART * np.concatenate([np.eye(channels), -np.eye(channels)], axis=1)
    _assign(block.output.weight, output)


def _values(parameter: Parameter) -> Floats:
    return np.array(parameter.asnumpy(), dtype=np.float64)


def _assign(parameter: Parameter, values: Floats) -> None:
    parameter.set_data(Tensor(values.astype(np.float32)))
