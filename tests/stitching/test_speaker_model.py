"""How likely it is that voices are one person's, against scipy's Gaussians."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from src.stitching.voiceprint import PERSON_VARIANCE, SpeakerModel, Voices


def some_voices(rng: np.random.Generator, precisions: list[float], size: int = 6) -> Voices:
    return Voices(np.array(precisions), rng.normal(0, 0.5, (len(precisions), size)))


def test_ratios_are_those_of_the_formula():
    rng = np.random.default_rng(0)
    before = [some_voices(rng, [3.0, 40.0, 0.5]), some_voices(rng, [8.0, 0.0, 2.0])]
    model = SpeakerModel.new(before[0]).plus(before[0]).plus(before[1])
    new = some_voices(rng, [5.0, 0.3, 45.0])
    ratios = model.log_likelihood_ratios(new)
    for speaker in range(3):
        certain = sum(voices.precisions[speaker] for voices in before)
        weighted = sum(voices.precisions[speaker] * voices.means[speaker] for voices in before)
        variance = 1 / (certain + 1 / PERSON_VARIANCE)
        for track in range(3):
            mean, noise = new.means[track], 1 / new.precisions[track]
            same = multivariate_normal.logpdf(mean, variance * weighted, (variance + noise) * np.eye(6))
            anybody = multivariate_normal.logpdf(mean, np.zeros(6), (PERSON_VARIANCE + noise) * np.eye(6))
            assert ratios[speaker, track] == pytest.approx(same - anybody, rel=1e-9)


def test_ratios_are_those_of_the_joint_gaussian():
    """One person who was heard twice, against two persons; so it does not matter which was first."""
    rng = np.random.default_rng(1)
    first, second = some_voices(rng, [3.0, 20.0], 1), some_voices(rng, [7.0, 1.0], 1)
    ratios = SpeakerModel.new(first).plus(first).log_likelihood_ratios(second)
    for one in range(2):
        for other in range(2):
            pair = np.array([first.means[one, 0], second.means[other, 0]])
            noise = np.diag([1 / first.precisions[one], 1 / second.precisions[other]])
            same = multivariate_normal.logpdf(pair, np.zeros(2), PERSON_VARIANCE + noise)
            different = multivariate_normal.logpdf(pair, np.zeros(2), PERSON_VARIANCE * np.eye(2) + noise)
            assert ratios[one, other] == pytest.approx(same - different, rel=1e-9)
    backwards = SpeakerModel.new(second).plus(second).log_likelihood_ratios(first)
    np.testing.assert_allclose(ratios, backwards.T, rtol=1e-9)


def test_the_unheard_are_neither_likely_nor_unlikely():
    rng = np.random.default_rng(2)
    known, new = some_voices(rng, [5.0, 0.0]), some_voices(rng, [0.0, 9.0])
    ratios = SpeakerModel.new(known).plus(known).log_likelihood_ratios(new)
    np.testing.assert_allclose(ratios[[0, 1, 1], [0, 0, 1]], 0, atol=1e-12)
    assert ratios[0, 1] != 0


def test_what_is_taken_back_was_never_heard():
    rng = np.random.default_rng(3)
    one, other, new = (some_voices(rng, [5.0, 0.7, 31.0]) for _ in range(3))
    model = SpeakerModel.new(one).plus(one).plus(other)
    expected = SpeakerModel.new(one).plus(one).log_likelihood_ratios(new)
    np.testing.assert_allclose(model.minus(other).log_likelihood_ratios(new), expected, rtol=1e-9)
    np.testing.assert_allclose(model.minus(other).minus(one).log_likelihood_ratios(new), 0, atol=1e-9)


def test_joint_likelihoods_are_those_of_the_joint_gaussian():
    """Of three means, one person's, against three persons'; the terms left out cancel between ways to pair them."""
    rng = np.random.default_rng(5)
    chunks = [some_voices(rng, [3.0, 20.0], 1), some_voices(rng, [7.0, 0.0], 1), some_voices(rng, [1.0, 9.0], 1)]
    past = SpeakerModel.new(chunks[0]).plus(chunks[0]).plus(chunks[1])
    joint = past.joint_log_likelihoods(SpeakerModel.new(chunks[2]).plus(chunks[2]))

    def log_density(before: int, after: int) -> float:
        """Of what track `before` of the first two chunks and track `after` of the last one hold."""
        parts = [(chunk, before) for chunk in chunks[:2]] + [(chunks[2], after)]
        heard_ones = [(chunk.means[one, 0], 1 / chunk.precisions[one]) for chunk, one in parts if chunk.precisions[one]]
        means, noise = zip(*heard_ones, strict=True)
        return multivariate_normal.logpdf(means, np.zeros(len(means)), PERSON_VARIANCE + np.diag(noise))

    straight, crossed = log_density(0, 0) + log_density(1, 1), log_density(0, 1) + log_density(1, 0)
    assert joint.trace() - joint[[0, 1], [1, 0]].sum() == pytest.approx(straight - crossed, rel=1e-9)


def test_joint_likelihoods_grow_by_the_ratios():
    rng = np.random.default_rng(6)
    one, other, new = (some_voices(rng, [5.0, 0.7, 31.0]) for _ in range(3))
    past = SpeakerModel.new(one).plus(one).plus(other)
    nobody, future = SpeakerModel.new(new), SpeakerModel.new(new).plus(new)
    alone = past.joint_log_likelihoods(nobody) + nobody.joint_log_likelihoods(future)
    np.testing.assert_allclose(past.joint_log_likelihoods(future) - alone, past.log_likelihood_ratios(new), rtol=1e-9)
    many = SpeakerModel(np.stack([past.precisions] * 4), np.stack([past.weighted] * 4))
    others = SpeakerModel(np.stack([future.precisions] * 4), np.stack([future.weighted] * 4))
    np.testing.assert_allclose(many.joint_log_likelihoods(others)[3], past.joint_log_likelihoods(future))


def test_an_order_is_of_precisions_and_means_alike():
    voices = some_voices(np.random.default_rng(4), [1.0, 2.0, 3.0])
    ordered = voices.of(np.array([2, 0, 1]))
    np.testing.assert_array_equal(ordered.precisions, [3.0, 1.0, 2.0])
    np.testing.assert_array_equal(ordered.means, voices.means[[2, 0, 1]])
