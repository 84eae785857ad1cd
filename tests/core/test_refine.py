import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lengthwise.core import Bins, Refiner

K = 6
BINS = [Bins.equal(K, 60), Bins.log(K, 300), Bins.log(K, 12)]
QUICK = settings(max_examples=60)


def distributions(n=3):
    """n rows over K bins, some of them with bins that are excluded altogether."""
    weights = arrays(np.float64, (n, K), elements=st.sampled_from([0.0, 1e-6, 0.1, 0.5, 1.0]))
    return weights.map(normal)


def normal(weights):
    weights = weights + (weights.sum(axis=1, keepdims=True) == 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def assert_distributions(found):
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-4)


def one_hot(i):
    return np.eye(K, dtype=np.float32)[[i]]


def test_the_papers_transition_matrix():
    width = 10
    move = Refiner(Bins.equal(K, K * width)).shift(np.eye(K, dtype=np.float32), 1)
    expected = np.zeros((K, K))
    expected[0, 0] = 1.0
    for i in range(1, K):
        expected[i, i] = 1 - 1 / width
        expected[i, i - 1] = 1 / width
    np.testing.assert_allclose(move, expected, atol=1e-6)


def test_uneven_bins_lose_one_part_in_their_own_width():
    bins = Bins.of(np.array([0.0, 2.0, 10.0, 50.0]))
    move = Refiner(bins).shift(np.eye(3, dtype=np.float32), 1)
    np.testing.assert_allclose(move[1], [1 / 8, 7 / 8, 0], atol=1e-6)
    np.testing.assert_allclose(move[2], [0, 1 / 40, 39 / 40], atol=1e-6)


def test_a_bin_narrower_than_a_token_is_left_at_once():
    bins = Bins.of(np.array([0.0, 4.0, 4.5, 20.0]))
    moved = Refiner(bins).shift(np.array([[0.0, 1.0, 0.0]], dtype=np.float32), 1)
    np.testing.assert_allclose(moved, [[1.0, 0.0, 0.0]])


def test_in_the_end_everything_is_in_the_lowest_bin():
    moved = Refiner(Bins.equal(K, 60)).shift(one_hot(K - 1), 2000)
    np.testing.assert_allclose(moved, one_hot(0), atol=1e-4)


@pytest.mark.parametrize("bins", BINS)
@QUICK
@given(belief=distributions(), tokens=st.integers(0, 24))
def test_shifting_n_tokens_is_n_times_shifting_one(bins, belief, tokens):
    refiner = Refiner(bins)
    stepwise = belief
    for _ in range(tokens):
        stepwise = refiner.shift(stepwise, 1)
    np.testing.assert_allclose(refiner.shift(belief, tokens), stepwise, atol=1e-5)


@pytest.mark.parametrize("bins", BINS)
@QUICK
@given(
    belief=distributions(),
    evidence=distributions(),
    tokens=st.integers(0, 24),
    alpha=st.sampled_from([0.1, 0.5, 1.0]),
    prior=st.sampled_from([None, [0.5, 0.3, 0.1, 0.05, 0.04, 0.01]]),
    keep=st.sampled_from([None, 0.0, 0.9, 1.0]),
)
def test_rows_stay_distributions(bins, belief, evidence, tokens, alpha, prior, keep):
    refiner = Refiner(bins, alpha, prior, keep)
    moved = refiner.shift(belief, tokens)
    assert_distributions(moved)
    found = refiner.update(moved, evidence, tokens)
    assert_distributions(found)
    assert found.dtype == np.float32


@QUICK
@given(belief=distributions())
def test_shifting_never_raises_the_expected_remaining_tokens(belief):
    bins = Bins.equal(K, 60)
    moved = Refiner(bins).shift(belief, 3)
    assert (bins.mean(moved) <= bins.mean(belief) + 1e-3).all()


def test_update_is_bayes():
    found = Refiner(BINS[0]).update(
        np.array([[0.5, 0.5, 0, 0, 0, 0]], dtype=np.float32),
        np.array([[0.1, 0.3, 0.6, 0, 0, 0]], dtype=np.float32),
    )
    np.testing.assert_allclose(found, [[0.25, 0.75, 0, 0, 0, 0]], atol=1e-6)


def test_belief_and_evidence_that_exclude_each_other_leave_the_evidence():
    belief = np.vstack([one_hot(0), one_hot(1)])
    evidence = np.vstack([one_hot(5), one_hot(1)])
    np.testing.assert_array_equal(Refiner(BINS[0]).update(belief, evidence), evidence)


def test_alpha_tempers_the_evidence():
    belief = normal(np.array([[4.0, 1, 1, 1, 1, 1]]))
    evidence = normal(np.array([[1.0, 16, 1, 1, 1, 1]]))
    found = Refiner(BINS[0], alpha=0.5).update(belief, evidence)
    np.testing.assert_allclose(found, normal(np.array([[4.0, 4, 1, 1, 1, 1]])), atol=1e-6)


def test_evidence_that_only_repeats_the_class_prior_says_nothing():
    prior = normal(np.array([[9.0, 5, 3, 2, 1, 1]]))
    belief = normal(np.array([[1.0, 2, 3, 4, 5, 6]]))
    with_prior = Refiner(BINS[0], prior=prior[0].tolist())
    without = Refiner(BINS[0])
    np.testing.assert_allclose(with_prior.update(belief, prior), belief, atol=1e-6)
    assert np.abs(without.update(belief, prior) - belief).max() > 0.05


def test_keep_is_a_weighted_geometric_mean():
    belief = normal(np.array([[16.0, 1, 1, 1, 1, 1]]))
    evidence = normal(np.array([[1.0, 81, 1, 1, 1, 1]]))
    refiner = Refiner(BINS[0], keep=0.75)
    expected = normal(np.array([[8.0, 3, 1, 1, 1, 1]]))
    np.testing.assert_allclose(refiner.update(belief, evidence), expected, atol=1e-6)


def test_keep_fades_with_every_token_in_between():
    belief, evidence = normal(np.array([[9.0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 9]]))[:, None]
    once = Refiner(BINS[0], keep=0.5**3).update(belief, evidence, 1)
    thrice = Refiner(BINS[0], keep=0.5).update(belief, evidence, 3)
    np.testing.assert_allclose(thrice, once, atol=1e-6)


@QUICK
@given(belief=distributions(), evidence=distributions())
def test_keeping_nothing_leaves_the_newest_alone(belief, evidence):
    found = Refiner(BINS[0], keep=0.0).update(belief, evidence)
    np.testing.assert_allclose(found, evidence, atol=1e-6)


def test_alike_predictions_count_once_when_averaged_and_each_time_when_multiplied():
    evidence = normal(np.array([[2.0, 1, 1, 1, 1, 1]]))
    averaged = multiplied = evidence
    for _ in range(20):
        averaged = Refiner(BINS[0], keep=0.9).update(averaged, evidence)
        multiplied = Refiner(BINS[0]).update(multiplied, evidence)
    np.testing.assert_allclose(averaged, evidence, atol=1e-5)
    assert multiplied[0, 0] > 0.99


@QUICK
@given(total=st.integers(1, 59), first=distributions(1))
def test_perfect_evidence_is_recovered_whatever_the_first_belief(total, first):
    bins = Bins.equal(K, 60)
    refiner = Refiner(bins)
    belief = first
    for age in range(1, total + 1):
        truth = one_hot(int(bins.index(np.array([total - age]))[0]))
        belief = refiner.update(refiner.shift(belief, 1), truth)
        np.testing.assert_allclose(belief, truth, atol=1e-5)


def test_refined_noisy_evidence_beats_each_piece_alone():
    """What the paper claims for the filter, on a classifier that is right half the time."""
    bins, total = Bins.equal(K, 60), 55
    refiner = Refiner(bins)
    draw = np.random.default_rng(0)
    belief, raw_off, refined_off = None, [], []
    for age in range(total):
        true = int(bins.index(np.array([total - age]))[0])
        seen = true if draw.random() < 0.5 else int(draw.integers(K))
        evidence = (0.5 * one_hot(seen) + 0.5 / K).astype(np.float32)
        belief = evidence if belief is None else refiner.update(refiner.shift(belief, 1), evidence)
        raw_off.append(abs(bins.mean(evidence)[0] - (total - age)))
        refined_off.append(abs(bins.mean(belief)[0] - (total - age)))
    assert np.mean(refined_off) < 0.8 * np.mean(raw_off)
