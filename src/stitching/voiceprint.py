"""Who is heard in a track: a voice's mean log spectrum, and how likely two such means are the same person's.

A frame counts for a track where no other is much louder, for leakage of the others says nothing about the track's
own person. Its features are the logarithms of mel bands without their level (DCT-II without its constant). The
covariance of the frames inside the tracks of the recording itself whitens them. A person's true mean then lies around
the mean of all frames with the variance PERSON_VARIANCE in every direction, and the mean of n frames around that with
FRAMES_OF_ONE / n + SESSION_VARIANCE: the two-covariance model (Brummer & de Villiers 2010, "The speaker partitioning
problem", Odyssey). The three numbers were measured on 15 persons of the demo corpus that are not in its test set.

Letters in shapes: C speakers, T samples, F frames, D features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.linalg import solve_triangular

Floats = NDArray[np.float64]

FRAME_SECONDS, HOP_SECONDS = 0.064, 0.016
NUM_BANDS = 30
LOWEST_HZ, HIGHEST_HZ = 80.0, 3800.0
BAND_FLOOR = 1e-5  # of a frame's power: what is 50 dB below says nothing
QUIET = 0.01  # of the recording's mean power: frames below are no speech
LEAST_SHARE = 0.5  # power of a track, against the loudest other, where it counts as its own person's

FRAMES_OF_ONE = 10.0  # neighbouring frames resemble each other: so many say as much as one would alone
PERSON_VARIANCE = 0.12
SESSION_VARIANCE = 0.02
PRIOR_FRAMES = 200  # weight of a diagonal covariance against the recording's own frames


@dataclass(frozen=True)
class Voices:
    """What is heard in each track of a chunk."""

    precisions: Floats  # [C]: one over the variance of the mean in every direction; 0: nothing is heard
    means: Floats  # [C, D]

    def of(self, order: NDArray[np.int64]) -> "Voices":
        """The voices in another order."""
        return Voices(self.precisions[order], self.means[order])


class Listener:
    """Hears the tracks of chunks, and learns what a recording's frames have in common."""

    def __init__(self, sample_rate: int, mean_power: float) -> None:
        """`sample_rate` in Hz; `mean_power` is the recording's mean square."""
        self._frame = round(FRAME_SECONDS * sample_rate)
        self._hop = round(HOP_SECONDS * sample_rate)
        self._window = np.hanning(self._frame + 1)[:-1]
        self._bands = mel_bands(sample_rate, self._frame)
        self._least_power = QUIET * mean_power
        num_features = len(self._bands) - 1
        self._scatter = np.zeros((num_features, num_features))  # of frames around the mean of their track and chunk
        self._freedom = 0
        self._sum = np.zeros(num_features)
        self._count = 0

    def hear(self, mixture: NDArray[np.float32], tracks: Floats) -> Voices:
        """From a chunk's mixture [T] and tracks [C, T] the means of its voices, not comparable yet."""
        features, owned = self._frames(np.asarray(mixture, dtype=np.float64), tracks)
        means = np.zeros((len(tracks), features.shape[2]))
        for mean, frames, own in zip(means, features, owned, strict=True):
            heard = frames[own]
            if len(heard):
                mean[:] = heard.mean(axis=0)
                self._scatter += (heard - mean).T @ (heard - mean)
                self._freedom += len(heard) - 1
                self._sum += heard.sum(axis=0)
                self._count += len(heard)
        return Voices(_precisions(owned.sum(axis=1)), means)

    def comparable(self, voices: list[Voices]) -> list[Voices]:
        """The same, centered and whitened with all that was heard."""
        variances = np.diag(self._scatter) / max(self._freedom, 1) + 1e-6
        covariance = (self._scatter + PRIOR_FRAMES * np.diag(variances)) / (self._freedom + PRIOR_FRAMES)
        factor = np.linalg.cholesky(covariance)
        center = self._sum / max(self._count, 1)
        return [
            Voices(voice.precisions, solve_triangular(factor, (voice.means - center).T, lower=True).T)
            for voice in voices
        ]

    def _frames(self, mixture: Floats, tracks: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Features [C, F, D] of all frames, and whether each is its track's own [C, F]."""
        num_frames = max(0, (mixture.size - self._frame) // self._hop + 1)
        places = np.arange(num_frames)[:, np.newaxis] * self._hop + np.arange(self._frame)  # [F, frame]
        is_speech = np.square(mixture[places]).mean(axis=1) > self._least_power
        spectra = np.square(np.abs(np.fft.rfft(tracks[:, places] * self._window)))  # [C, F, bins]
        powers = spectra.sum(axis=2)  # [C, F]
        owned = is_speech & (powers > LEAST_SHARE * _loudest_other(powers))
        bands = spectra @ self._bands.T + BAND_FLOOR * powers[:, :, np.newaxis] + 1e-30
        return dct(np.log(bands), axis=2, norm="ortho")[:, :, 1:], owned


def _loudest_other(powers: Floats) -> Floats:
    """[C, F]: the largest power of the other tracks."""
    ranked = np.sort(powers, axis=0)
    return np.where(powers == ranked[-1], ranked[-2], ranked[-1])


def mel_bands(sample_rate: int, frame: int) -> Floats:
    """Triangular bands over the bins of a frame's spectrum, evenly spaced on the mel scale: [bands, frame // 2 + 1].

    Where the rate is low the highest band ends just below half of it, and bands that no bin falls into are left out.
    The mel scale is O'Shaughnessy's (1987): 2595 log10(1 + f / 700 Hz).
    """
    highest = min(HIGHEST_HZ, 0.475 * sample_rate)
    low, high = 2595 * np.log10(1 + np.array([LOWEST_HZ, highest]) / 700)
    edges = 700 * (10 ** (np.linspace(low, high, NUM_BANDS + 2) / 2595) - 1)
    bins = np.arange(frame // 2 + 1) * sample_rate / frame
    rising = (bins - edges[:-2, np.newaxis]) / np.diff(edges)[:-1, np.newaxis]
    falling = (edges[2:, np.newaxis] - bins) / np.diff(edges)[1:, np.newaxis]
    bands = np.clip(np.minimum(rising, falling), 0, None)
    return np.asarray(bands[bands.sum(axis=1) > 0])


def _precisions(num_frames: NDArray[np.int64]) -> Floats:
    independent = num_frames / FRAMES_OF_ONE
    return np.asarray(independent / (1 + SESSION_VARIANCE * independent))


@dataclass(frozen=True)
class SpeakerModel:
    """What is known of the speakers' voices."""

    precisions: Floats  # [..., C], summed over the chunks
    weighted: Floats  # [..., C, D], means times precisions, summed

    @classmethod
    def new(cls, like: Voices) -> "SpeakerModel":
        """As many speakers as there are voices, of whom nothing was heard."""
        return cls(np.zeros_like(like.precisions), np.zeros_like(like.means))

    def plus(self, voices: Voices) -> "SpeakerModel":
        """When these, one of each speaker, were heard too."""
        weighted = voices.precisions[:, np.newaxis] * voices.means
        return SpeakerModel(self.precisions + voices.precisions, self.weighted + weighted)

    def minus(self, voices: Voices) -> "SpeakerModel":
        """As if these had not been heard."""
        weighted = voices.precisions[:, np.newaxis] * voices.means
        return SpeakerModel(self.precisions - voices.precisions, self.weighted - weighted)

    def log_likelihood_ratios(self, voices: Voices) -> Floats:
        """[C, C]: voice d being speaker c's, against its being anybody's; 0 where either is unheard.

        For a mean x of precision p in D dimensions, and a speaker's weighted sum s of precision q:
        log N(x; v s, v + 1/p) - log N(x; 0, PERSON_VARIANCE + 1/p), with v = 1 / (q + 1 / PERSON_VARIANCE).
        """
        heard = voices.precisions > 0
        noise = 1 / np.where(heard, voices.precisions, 1)  # [C], variance of x
        known = 1 / (np.maximum(self.precisions, 0) + 1 / PERSON_VARIANCE)[:, np.newaxis]  # [C, 1], v
        spread = known + noise  # [C, C]
        wide = PERSON_VARIANCE + noise  # [C]
        expected = known * self.weighted  # [C, D]
        distances = np.square(voices.means - expected[:, np.newaxis]).sum(axis=2)  # [C, C]
        lengths = np.square(voices.means).sum(axis=1)  # [C]
        size = voices.means.shape[1]
        ratios = 0.5 * (size * np.log(wide / spread) - distances / spread + lengths / wide)
        return np.where(heard, ratios, 0.0)

    def joint_log_likelihoods(self, other: "SpeakerModel") -> Floats:
        """[..., C, C]: all that was heard of speaker c here and of speaker d there, being one person's.

        For a person's weighted sum s of precision q in D dimensions, the integral over her mean is
        v |s|^2 / 2 - D log(1 + PERSON_VARIANCE q) / 2, with v = 1 / (q + 1 / PERSON_VARIANCE), but for a term that
        is the same whoever the voices are ascribed to.
        """
        precisions = self.precisions[..., :, np.newaxis] + other.precisions[..., np.newaxis, :]
        products = self.weighted @ other.weighted.swapaxes(-1, -2)  # [..., C, C]
        squares = np.square(self.weighted).sum(axis=-1)[..., :, np.newaxis] + 2 * products
        squares = squares + np.square(other.weighted).sum(axis=-1)[..., np.newaxis, :]
        size = self.weighted.shape[-1]
        known = 1 / (precisions + 1 / PERSON_VARIANCE)
        return np.asarray(0.5 * (known * squares - size * np.log1p(PERSON_VARIANCE * precisions)))
