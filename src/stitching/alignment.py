"""Which track of a chunk continues which of the chunk before, for a whole recording at once.

A network gives the speakers of every chunk in an order of its own. Two things tell which track goes on as which:

- the overlap: what neighbours share was separated twice, and the same person's two versions resemble each other;
- the voice: where the overlap is silent, or a person pauses for longer than a chunk, a track is compared with what
  each speaker sounded like so far (src/stitching/voiceprint.py).

Both are log likelihoods, and the orders of all chunks are chosen together. So what is heard late can correct what
was guessed early, from a word at the end of a chunk for instance.

Letters in shapes: C speakers, M samples of a chunk, V samples of an overlap, Q candidates.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from src.stitching.voiceprint import Listener, SpeakerModel, Voices

Floats = NDArray[np.float64]
Order = NDArray[np.int64]  # [C]

OVERLAP_WEIGHT = 100.0  # log likelihood of an overlap that agrees in full, against one that has nothing in common
QUIET = 0.01  # of the mean power of all tracks together: overlaps below say little
SAME_SIGN = 0.5  # correlation of two versions of a track from which on their signs are compared
ROUNDS = 20  # at most; three are the rule
LEAST_GAIN = 1e-6  # of log likelihood: less is rounding
ALL_ORDERS_UP_TO = 5  # tracks: 120 orders


@dataclass(frozen=True)
class Alignment:
    """For every chunk: track c of the result is the chunk's track `order[c]`, times `sign[c]`."""

    orders: list[Order]  # [C] each
    signs: list[NDArray[np.float32]]  # [C] each, 1 or -1


@dataclass(frozen=True)
class Overlap:
    """A chunk's tracks beside those of the chunk before, where the two overlap, each in its chunk's own order."""

    products: Floats  # [C before, C], inner products
    energies_before: Floats  # [C]
    energies: Floats  # [C]
    num_samples: int

    def correlations(self, mean_power: float) -> Floats:
        """[C before, C], -1 to 1, and near 0 where a track is nearly silent: what it holds there has no sign.

        `mean_power` as for `agreement`.
        """
        norms = np.sqrt(np.outer(self.energies_before, self.energies))
        return np.asarray(self.products / (norms + QUIET * mean_power * self.num_samples + 1e-30))

    def agreement(self, mean_power: float) -> Floats:
        """[C before, C], whose sum over the right pairs is near 1: how much of the energy they have in common.

        Minimizing the squared difference of the two versions is maximizing this. Inner products, and not
        correlations: where one person talks, all tracks hold her voice, and only the levels tell which is hers.
        `mean_power` is that of all tracks together, over the whole recording: a nearly silent overlap says little.
        """
        energy = 0.5 * (self.energies_before.sum() + self.energies.sum())
        return np.asarray(np.abs(self.products) / (energy + QUIET * mean_power * self.num_samples + 1e-30))


class Aligner:
    """Takes the chunks of a recording one after the other, and then gives their alignment.

    What it keeps of a chunk is some kilobytes, however long the chunk is.
    """

    def __init__(self, sample_rate: int, mean_power: float) -> None:
        """`sample_rate` in Hz; `mean_power` is the recording's mean square."""
        self._listener = Listener(sample_rate, mean_power)
        self._overlaps: list[Overlap] = []  # of all chunks but the first
        self._voices: list[Voices] = []
        self._energy = 0.0
        self._num_samples = 0
        self._before: tuple[int, Floats] | None = None

    def add(self, start: int, mixture: NDArray[np.float32], tracks: NDArray[np.float32], used: slice) -> None:
        """Take the next chunk.

        Args:
            start: its first sample in the recording.
            mixture: [M].
            tracks: [C, M].
            used: the part that the result is made from, which is what is heard of the voices.
        """
        current = np.array(tracks, dtype=np.float64)
        if self._before is not None:
            start_before, before = self._before
            self._overlaps.append(compare(before[:, start - start_before :], current))
        self._before = start, current
        self._voices.append(self._listener.hear(mixture[used], current[:, used]))
        self._energy += float(np.square(current[:, used]).sum())
        self._num_samples += used.stop - used.start

    def result(self) -> Alignment:
        """The alignment of all chunks so far."""
        orders = search(*self.evidence())
        return Alignment(orders, find_signs(orders, self._overlaps, self._mean_power()))

    def evidence(self) -> tuple[list[Floats], list[Voices]]:
        """What `search` takes."""
        mean_power = self._mean_power()
        agreements = [overlap.agreement(mean_power) for overlap in self._overlaps]
        return agreements, self._listener.comparable(self._voices)

    def _mean_power(self) -> float:
        return self._energy / max(self._num_samples, 1)


def compare(before: Floats, tracks: Floats) -> Overlap:
    """The overlap of a chunk's tracks [C, M] with the end of the chunk before, [C, V]."""
    shared = tracks[:, : before.shape[1]]
    energies = np.square(before).sum(axis=1), np.square(shared).sum(axis=1)
    return Overlap(before @ shared.T, *energies, num_samples=before.shape[1])


def search(agreements: Sequence[Floats], voices: Sequence[Voices]) -> list[Order]:
    """Orders [C] of all chunks with a high log likelihood, the first chunk's as it is.

    First every chunk takes the order that fits what came before. Then, as long as that is better, all orders are
    chosen anew at once (dynamic programming), each chunk's voices compared with those of all other chunks; and two
    speakers are exchanged from some chunk on.

    Args:
        agreements: [C before, C] of every chunk but the first, as `Overlap.agreement` gives them.
        voices: of every chunk, comparable with each other.
    """
    links = [OVERLAP_WEIGHT * agreement for agreement in agreements]
    orders = proposed = _one_after_the_other(links, voices)
    best = -math.inf
    for _ in range(ROUNDS):
        proposed = _with_exchanges(links, voices, proposed)
        likelihood = log_likelihood(links, voices, proposed)
        if likelihood <= best:
            break
        best, orders = likelihood, proposed
        proposed = _all_at_once(links, _evidence_of_others(voices, orders), orders)
    back = np.argsort(orders[0])  # to the first chunk's own order
    return [order[back] for order in orders]


def log_likelihood(links: Sequence[Floats], voices: Sequence[Voices], orders: Sequence[Order]) -> float:
    """Of all overlaps and voices, if these are the orders; the voices as they come, each after those before."""
    model = SpeakerModel.new(voices[0]).plus(voices[0].of(orders[0]))
    total = 0.0
    for link, voice, before, order in zip(links, voices[1:], orders, orders[1:], strict=False):
        total += float(link[before, order].sum() + np.trace(model.log_likelihood_ratios(voice.of(order))))
        model = model.plus(voice.of(order))
    return total


def _one_after_the_other(links: Sequence[Floats], voices: Sequence[Voices]) -> list[Order]:
    orders = [np.arange(voices[0].precisions.size)]
    model = SpeakerModel.new(voices[0]).plus(voices[0])
    for link, voice in zip(links, voices[1:], strict=True):
        evidence = link[orders[-1]] + model.log_likelihood_ratios(voice)  # [C, C]
        orders.append(linear_sum_assignment(evidence, maximize=True)[1])
        model = model.plus(voice.of(orders[-1]))
    return orders


def _evidence_of_others(voices: Sequence[Voices], orders: Sequence[Order]) -> list[Floats]:
    """[C, C] of each chunk: voice d being speaker c's, who is known from all chunks but this one."""
    ordered = [voice.of(order) for voice, order in zip(voices, orders, strict=True)]
    model = SpeakerModel.new(voices[0])
    for voice in ordered:
        model = model.plus(voice)
    return [model.minus(own).log_likelihood_ratios(voice) for own, voice in zip(ordered, voices, strict=True)]


def _all_at_once(links: Sequence[Floats], evidence: Sequence[Floats], orders: Sequence[Order]) -> list[Order]:
    """The best path through candidates for every chunk's order."""
    num_tracks = len(orders[0])
    candidates = [
        _candidates(num_tracks, matrix, order) for matrix, order in zip(evidence, orders, strict=True)
    ]  # [Q, C] each
    rows = np.arange(num_tracks)
    scores = evidence[0][rows, candidates[0]].sum(axis=1)  # [Q]
    parents: list[Order] = []
    for link, matrix, before, after in zip(links, evidence[1:], candidates, candidates[1:], strict=False):
        steps = link[before[:, np.newaxis], after].sum(axis=2) + scores[:, np.newaxis]  # [Q before, Q]
        parents.append(steps.argmax(axis=0))
        scores = steps.max(axis=0) + matrix[rows, after].sum(axis=1)
    place = int(scores.argmax())
    path = [candidates[-1][place]]
    for parent, before in zip(reversed(parents), reversed(candidates[:-1]), strict=True):
        place = int(parent[place])
        path.append(before[place])
    return path[::-1]


def _candidates(num_tracks: int, evidence: Floats, order: Order) -> NDArray[np.int64]:
    """[Q, C]: all orders of few tracks; of many the one at hand, the voices' best, and all one exchange from those."""
    if num_tracks <= ALL_ORDERS_UP_TO:
        return _all_orders(num_tracks)
    exchanges = [np.arange(num_tracks)]
    for first, second in itertools.combinations(range(num_tracks), 2):
        exchanges.append(np.arange(num_tracks))
        exchanges[-1][[first, second]] = second, first
    starts = np.stack([order, linear_sum_assignment(evidence, maximize=True)[1]])
    return np.asarray(np.concatenate([start[np.stack(exchanges)] for start in starts]))


def _with_exchanges(links: Sequence[Floats], voices: Sequence[Voices], orders: list[Order]) -> list[Order]:
    """Two speakers exchanged from some chunk on, the best two and the best chunk, as long as that is better.

    Chunk by chunk this looks no better, where half of the recording says one thing and half the other: the two
    halves would both take the other's order, and contradict each other as before.
    """
    for _ in links:  # rounding alone must not keep it going
        joined = _joined(links, voices, orders)
        kept = np.diagonal(joined, axis1=1, axis2=2)  # [chunks - 1, C]
        gains = joined + joined.swapaxes(1, 2) - kept[:, np.newaxis, :] - kept[:, :, np.newaxis]
        place, one, other = np.unravel_index(gains.argmax(), gains.shape)
        if gains[place, one, other] < LEAST_GAIN:
            break
        exchange = np.arange(len(orders[0]))
        exchange[[one, other]] = other, one
        orders = orders[: place + 1] + [order[exchange] for order in orders[place + 1 :]]
    return orders


def _joined(links: Sequence[Floats], voices: Sequence[Voices], orders: Sequence[Order]) -> Floats:
    """[chunks - 1, C, C]: log likelihood of who was speaker c up to a chunk being speaker d from the next one on."""
    ordered = [voice.of(order) for voice, order in zip(voices, orders, strict=True)]
    precisions = np.array([voice.precisions for voice in ordered])  # [chunks, C]
    weighted = precisions[:, :, np.newaxis] * [voice.means for voice in ordered]  # [chunks, C, D]
    past = SpeakerModel(precisions.cumsum(axis=0)[:-1], weighted.cumsum(axis=0)[:-1])
    future = SpeakerModel(precisions[::-1].cumsum(axis=0)[-2::-1], weighted[::-1].cumsum(axis=0)[-2::-1])
    steps = [link[np.ix_(before, after)] for link, before, after in zip(links, orders, orders[1:], strict=False)]
    return np.array(steps) + past.joint_log_likelihoods(future)


@functools.cache
def _all_orders(num_tracks: int) -> NDArray[np.int64]:
    return np.array(list(itertools.permutations(range(num_tracks))))


def find_signs(orders: list[Order], overlaps: list[Overlap], mean_power: float) -> list[NDArray[np.float32]]:
    """1 or -1 for every chunk and track [C], so that no track turns upside down where it clearly goes on."""
    signs = [np.ones(len(orders[0]), np.float32)]
    for before, order, overlap in zip(orders, orders[1:], overlaps, strict=False):
        correlation = overlap.correlations(mean_power)[before, order]
        turned = np.where(correlation < -SAME_SIGN, -1, 1)
        signs.append((signs[-1] * turned).astype(np.float32))
    return signs
