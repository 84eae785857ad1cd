import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core import Bins
from lengthwise.core.lengths import Lengths

LADDER = Bins.of(np.array([0.0, 4.0, 10.0, 40.0, 200.0]))


def one_hot(i, k=4):
    return np.eye(k, dtype=np.float32)[[i]]


def rows(k):
    """One row of probabilities."""
    weights = st.lists(st.floats(0.0, 1.0, width=32), min_size=k, max_size=k)
    return weights.filter(lambda w: sum(w) > 0.01).map(
        lambda w: (np.array([w]) / sum(w)).astype(np.float32)
    )


def test_equal_bins_are_trails():
    bins = Bins.equal(10, 512)
    assert len(bins) == 10
    np.testing.assert_allclose(bins.widths, 51.2, rtol=1e-5)
    np.testing.assert_allclose(bins.values, 25.6 + 51.2 * np.arange(10), rtol=1e-5)


def test_log_bins_span_zero_to_top_and_grow_by_one_factor():
    bins = Bins.log(8, 512, knee=16)
    assert len(bins) == 8
    assert bins.edges[0] == 0
    np.testing.assert_allclose(bins.edges[-1], 512, rtol=1e-5)
    growth = bins.widths[1:] / bins.widths[:-1]
    assert (growth > 1).all()
    np.testing.assert_allclose(growth, growth[0], rtol=1e-3)


@pytest.mark.parametrize(
    "edges", [[0.0], [0.0, 0.0], [0.0, 2.0, 1.0], [[0.0, 1.0]], [0.0, np.nan, 2.0]]
)
def test_bounds_must_increase(edges):
    with pytest.raises(ValueError, match="increasing"):
        Bins.of(np.array(edges))


def test_bins_are_half_open_and_the_ends_take_what_lies_outside():
    tokens = np.array([-3.0, 0.0, 3.9, 4.0, 10.0, 39.9, 40.0, 199.0, 200.0, 1e6])
    assert LADDER.index(tokens).tolist() == [0, 0, 0, 1, 2, 2, 3, 3, 3, 3]


@given(st.integers(0, 199))
def test_a_length_lies_in_its_bin(tokens):
    i = int(LADDER.index(np.array([tokens]))[0])
    assert LADDER.edges[i] <= tokens < LADDER.edges[i + 1]


def test_the_mean_weighs_the_values():
    assert LADDER.mean(one_hot(2)).tolist() == [25.0]
    half = (one_hot(0) + one_hot(3)) / 2
    np.testing.assert_allclose(LADDER.mean(np.vstack([half, one_hot(1)])), [61.0, 7.0])


def test_the_mean_counts_longer_answers_as_ending_at_the_limit():
    half = (one_hot(0) + one_hot(3)) / 2
    both = np.vstack([half, half, one_hot(1)])
    np.testing.assert_allclose(LADDER.mean(both, np.array([50, 1000, 3])), [26.0, 61.0, 3.0])


def test_the_overflow_bin_takes_what_is_longer_and_stands_for_the_top():
    bins = LADDER.with_overflow()
    assert len(bins) == len(LADDER) + 1
    assert bins.index(np.array([39, 199, 200, 10_000])).tolist() == [2, 3, 4, 4]
    np.testing.assert_allclose(bins.values, [*LADDER.values, 200.0])
    assert bins.edges.dtype == bins.values.dtype == np.float32


def quantile(bins, rows, level=0.5):
    return Lengths.of(bins, rows).quantile(level)


def test_the_median_of_a_uniform_is_the_middle():
    bins = Bins.equal(4, 80)
    uniform = np.full((1, 4), 0.25, dtype=np.float32)
    np.testing.assert_allclose(quantile(bins, uniform), [40.0], atol=1e-3)
    np.testing.assert_allclose(quantile(bins, uniform, 0.125), [10.0], atol=1e-3)


def test_a_quantile_is_linear_inside_a_bin():
    np.testing.assert_allclose(quantile(LADDER, one_hot(3), 0.25), [80.0])


@given(rows(4), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_quantiles_stay_in_range_and_do_not_decrease(row, one, other):
    low, high = (quantile(LADDER, row, level)[0] for level in sorted((one, other)))
    assert 0 <= low <= high + 1e-3
    assert high <= 200


@given(rows(4), st.floats(0.05, 0.95))
def test_a_quantile_has_its_share_of_the_mass_below(row, level):
    found = quantile(LADDER, row, level)[0]
    below = np.interp(found, LADDER.edges, np.concatenate([[0.0], np.cumsum(row[0])]))
    assert below == pytest.approx(level, abs=1e-3)
