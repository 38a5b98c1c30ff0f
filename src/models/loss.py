"""SI-SNR between every estimate and every source, and the permutation that fits best.

Letters: B batch, M estimates, C sources, T samples. A metric is positive and in dB; the sign turns
only in `src.generatorloss`. The permutation search knows nothing of SI-SNR.
"""

import itertools
import math

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.scipy.optimize import linear_sum_assignment

EPSILON = 1e-8  # energy that keeps logarithms and quotients of silent signals finite
MOST_ENUMERATED = 5  # 5! = 120 permutations in one product; beyond, the assignment problem is solved


def length_mask(num_samples: Tensor, length: int) -> Tensor:
    """[B] true lengths -> [B, 1, length], 1.0 on true samples and 0.0 on padding."""
    positions = ops.arange(length).reshape(1, 1, -1)
    return (positions < num_samples.reshape(-1, 1, 1)).astype(ms.float32)


def _center(signals: Tensor, mask: Tensor) -> Tensor:
    """Subtract the mean over true samples; padding becomes zero."""
    mean = (signals * mask).sum(-1, keepdims=True) / ops.maximum(mask.sum(-1, keepdims=True), Tensor(1.0))
    return (signals - mean) * mask


def pairwise_si_snr(sources: Tensor, estimates: Tensor, num_samples: Tensor) -> Tensor:
    """SI-SNR in dB of every estimate [B, M, T] against every source [B, C, T]: [B, M, C].

    The scale-invariant signal-to-noise ratio of Luo & Mesgarani 2018 (arXiv 1711.00541, equation 4) on
    signals made zero-mean over their true lengths `num_samples` [B]. With s'y the inner product, the
    target's energy is (s'y)^2 / s's, and the noise's is what is left of y'y: no array with M * C * T
    elements is ever made. A silent source has 0 dB against every estimate, with no gradient: it neither
    draws nor repels a track.
    """
    mask = length_mask(num_samples, sources.shape[-1])
    source, estimate = _center(sources, mask), _center(estimates, mask)
    product = ops.bmm(estimate, source.swapaxes(1, 2))  # [B, M, C]
    source_energy = ops.square(source).sum(-1).expand_dims(1)  # [B, 1, C]
    estimate_energy = ops.square(estimate).sum(-1).expand_dims(2)  # [B, M, 1]
    target = ops.square(product) / (source_energy + EPSILON)
    noise = ops.relu(estimate_energy - target)  # rounding may leave a little less than nothing
    decibels = (10 / math.log(10)) * (ops.log(target + EPSILON) - ops.log(noise + EPSILON))
    return decibels * (source_energy > EPSILON).astype(ms.float32)


class BestAssignment(nn.Cell):
    """The one-to-one assignment with the largest sum of scores, for any C.

    Up to five sources all C! permutations are compared in one matrix product; for more the
    assignment problem is solved (Kuhn-Munkres) by `mindspore.scipy`.
    """

    def __init__(self, num_sources: int) -> None:
        super().__init__()
        self.num_sources = num_sources
        self.enumerate = num_sources <= MOST_ENUMERATED
        if self.enumerate:
            permutations = np.array(list(itertools.permutations(range(num_sources))))
            self.choices = Tensor(np.eye(num_sources, dtype=np.float32)[permutations])  # [C!, C, C]

    def construct(self, scores: Tensor) -> Tensor:
        """Scores [B, C, C] of (estimate, source) -> [B, C, C], 1.0 on the chosen pairs; no gradient."""
        scores = ops.stop_gradient(scores)
        if self.enumerate:
            flat = self.choices.reshape(-1, self.num_sources * self.num_sources)
            totals = ops.matmul(scores.reshape(-1, self.num_sources * self.num_sources), flat.swapaxes(0, 1))
            return self.choices[totals.argmax(1)]
        identity = ops.eye(self.num_sources, self.num_sources, ms.float32)
        chosen = []
        for example in range(scores.shape[0]):
            _, columns = linear_sum_assignment(scores[example], True)
            chosen.append(identity[columns])
        return ops.stop_gradient(ops.stack(chosen))
