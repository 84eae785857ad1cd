import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.results.bootstrap import Resamples, interval


def test_the_first_draw_counts_every_prompt_once():
    resamples = Resamples.of(30, b=10)
    assert (resamples.weights[0] == 1).all()
    assert (resamples.weights.sum(axis=1) == 30).all()
    assert resamples.weights.shape == (11, 30)


def test_the_same_seed_gives_the_same_resamples():
    one, same, other = (Resamples.of(30, 10, seed).weights for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@settings(max_examples=30)
@given(st.integers(2, 25), st.integers(0, 1000))
def test_draws_are_what_drawing_rows_one_by_one_would_give(n, seed):
    draw = np.random.default_rng(seed)
    top, bottom, matrix = draw.random(n), draw.random(n) + 0.1, draw.integers(-1, 2, (n, n))
    resamples = Resamples.of(n, b=5, seed=seed)
    means, pairs = resamples.mean(top, bottom), resamples.pairs(matrix)
    for weights, mean, pair in zip(resamples.weights, means, pairs, strict=True):
        drawn = np.repeat(np.arange(n), weights.astype(int))
        assert mean == pytest.approx(top[drawn].sum() / bottom[drawn].sum())
        assert pair == matrix[np.ix_(drawn, drawn)].sum()


def test_rows_are_resampled_with_their_prompt():
    prompt = np.array([0, 0, 0, 2])
    resamples = Resamples.of(3, b=50)
    draws = resamples.of_rows(np.array([1.0, 2.0, 3.0, 8.0]), prompt)
    assert draws[0] == 3.5
    with np.errstate(invalid="ignore"):
        expected = (6 * resamples.weights[:, 0] + 8 * resamples.weights[:, 2]) / (
            3 * resamples.weights[:, 0] + resamples.weights[:, 2]
        )
    assert np.allclose(draws, expected, equal_nan=True)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    draw = np.random.default_rng(0)
    inside = 0
    for seed in range(300):
        found = interval(Resamples.of(80, 400, seed).mean(draw.exponential(10.0, 80)))
        inside += found["low"] <= 10.0 <= found["high"]
    assert 0.89 < inside / 300 < 0.98


def test_an_interval_of_rows_respects_that_rows_of_a_prompt_are_alike():
    """100 rows of 20 prompts, each five times the same, are worth 20."""
    draw = np.random.default_rng(0)
    once, prompts = draw.normal(size=20), np.repeat(np.arange(20), 5)
    wide = interval(Resamples.of(20).of_rows(once[prompts], prompts))
    narrow = interval(Resamples.of(100).mean(once[prompts]))
    assert wide["high"] - wide["low"] > 1.7 * (narrow["high"] - narrow["low"])


def test_a_figure_that_is_not_defined_has_no_interval():
    assert interval(np.full(21, np.nan)) == {"value": None, "low": None, "high": None}
    assert interval(np.array([3.0, np.nan, np.nan])) == {"value": 3.0, "low": None, "high": None}
