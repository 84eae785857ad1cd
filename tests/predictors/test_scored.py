import numpy as np
import pytest

from lengthwise.predictors.scored import Curve, ranks


def test_a_curve_learns_which_scores_end_in_which_bins():
    draw = np.random.default_rng(0)
    bins = draw.integers(0, 4, 2000)
    scores = 100 + bins + draw.normal(size=2000) * 0.3
    curve = Curve.fit(scores, bins, 5)
    shares = curve.probabilities(np.array([100.0, 101.0, 102.0, 103.0]))
    assert shares.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert shares[:, 4].max() < 1e-6
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


def test_a_curve_is_calibrated():
    """Of the requests with a score in some range, as many end in a bin as it says."""
    draw = np.random.default_rng(1)
    scores = draw.normal(size=20_000)
    long = draw.random(20_000) < 1 / (1 + np.exp(-2 * scores))
    shares = Curve.fit(scores, long.astype(np.int64), 2).probabilities(scores)[:, 1]
    for low, high in ((0.1, 0.3), (0.4, 0.6), (0.7, 0.9)):
        here = (shares > low) & (shares < high)
        assert shares[here].mean() == pytest.approx(long[here].mean(), abs=0.03)


def test_the_scale_of_the_scores_does_not_matter():
    draw = np.random.default_rng(2)
    bins = draw.integers(0, 3, 500)
    scores = bins + draw.normal(size=500)
    one = Curve.fit(scores, bins, 3).probabilities(scores)
    other = Curve.fit(1000 * scores - 7, bins, 3).probabilities(1000 * scores - 7)
    np.testing.assert_allclose(one, other, atol=0.01)


def test_equal_scores_give_the_frequencies():
    shares = Curve.fit(np.ones(100), np.repeat([0, 1], [30, 70]), 2).probabilities(np.ones(1))
    np.testing.assert_allclose(shares[0], [0.3, 0.7], atol=0.01)


def test_a_curve_over_other_bins_is_refused():
    with pytest.raises(ValueError, match="5 bins"):
        Curve.restore({"slope": np.zeros(4), "offset": np.zeros(4)}, 5)


def test_ranks_are_shares():
    assert ranks(np.array([5, 1, 5, 9])).tolist() == [0.75, 0.25, 0.75, 1.0]
