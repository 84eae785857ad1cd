import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.bins import Bins
from lengthwise.core.lengths import Lengths

EVEN = Bins.equal(4, 40)


def lengths(*rows, bins=EVEN, limit=None):
    return Lengths.of(bins, np.array(rows, dtype=np.float32), limit)


def test_the_mean_is_the_bins_mean():
    found = lengths([0.5, 0.5, 0, 0], [0, 0, 0, 1])
    np.testing.assert_allclose(found.mean(), [10, 35])


def test_nothing_is_longer_than_the_limit():
    found = lengths([0, 0, 0.5, 0.5], limit=np.array([28.0]))
    assert found.mean()[0] == pytest.approx((25 + 28) / 2)
    assert found.quantile(0.99)[0] == 28


def test_quantiles_lie_evenly_inside_a_bin():
    found = lengths([0.5, 0.5, 0, 0])
    np.testing.assert_allclose([found.quantile(q)[0] for q in (0.25, 0.5, 0.75)], [5, 10, 15])


def test_the_probability_to_end_within_some_tokens():
    found = lengths([0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5], limit=np.array([np.inf, 28.0]))
    np.testing.assert_allclose(found.within(5), [0.25, 0])
    np.testing.assert_allclose(found.within(15), [0.75, 0])
    np.testing.assert_allclose(found.within(27), [1, 0.35])
    np.testing.assert_allclose(found.within(28), [1, 1])


def test_what_is_over_is_taken_out():
    """Evenly between 0 and 40; after 15 tokens, evenly between 0 and 25."""
    left = lengths([0.25] * 4).after(np.array([15]))
    assert left.mean()[0] == pytest.approx(12.5)
    assert left.median()[0] == pytest.approx(12.5)
    assert left.quantile(1.0)[0] == pytest.approx(25)


def test_at_age_0_nothing_changes():
    before = lengths([0.1, 0.2, 0.3, 0.4], limit=np.array([38]))
    after = before.after(np.array([0]))
    assert after.mean() == pytest.approx(before.mean())
    assert after.median() == pytest.approx(before.median())


def test_past_everything_the_end_is_near():
    left = lengths([1, 0, 0, 0], limit=np.array([40])).after(np.array([30]))
    assert left.mean()[0] == 1
    assert left.probabilities.sum() == pytest.approx(1)


def test_an_overflow_bin_stands_for_the_cap():
    bins = Bins.equal(2, 20).with_overflow()
    all_cut = lengths([0, 0, 1], bins=bins, limit=np.array([20]))
    assert all_cut.mean()[0] == 20
    assert all_cut.after(np.array([12])).mean()[0] == pytest.approx(8)


def test_rows_can_be_repeated_and_reordered():
    found = lengths([1, 0, 0, 0], [0, 0, 0, 1]).rows(np.array([1, 0, 1]))
    np.testing.assert_allclose(found.mean(), [35, 5, 35])


@given(
    st.lists(st.floats(0.01, 1), min_size=4, max_size=4),
    st.integers(0, 39),
    st.floats(0.05, 0.95),
)
def test_conditioning_is_a_change_of_origin_on_the_quantiles(weights, age, level):
    """The remaining tokens' quantile is the total's quantile beyond the age."""
    shares = np.array(weights) / sum(weights)
    total = lengths(shares)
    left = total.after(np.array([age]))
    edges = np.linspace(0, 40, 4001)
    density = np.repeat(shares, 1000)
    mass = np.cumsum(np.where(edges[1:] > age + 1e-9, density, 0))
    expected = np.interp(level, mass / mass[-1], edges[1:]) - age
    assert left.quantile(level)[0] == pytest.approx(expected, abs=0.05)
    assert left.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_the_tail_is_the_mean_of_the_longest():
    found = lengths([0.5, 0.3, 0.1, 0.1])
    # The longest fifth: 25 and 35; the longest 15 %: 35, and half of 25's share.
    assert found.tail(0.8)[0] == pytest.approx(30)
    assert found.tail(0.85)[0] == pytest.approx((0.1 * 35 + 0.05 * 25) / 0.15)
    assert found.tail(0.0)[0] == pytest.approx(found.mean()[0])
    assert lengths([0.5, 0.3, 0.1, 0.1], limit=np.array([28.0])).tail(0.9)[0] == 28


@pytest.mark.parametrize("level", [-0.1, 1.0, float("nan")])
def test_a_tail_has_a_level_below_1(level):
    with pytest.raises(ValueError, match="from 0 to below 1"):
        lengths([0.5, 0.3, 0.1, 0.1]).tail(level)


rows = st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda row: sum(row) > 0.1)


@given(rows, st.integers(0, 50))
def test_gittins_index_is_the_least_quotient(row, age):
    """Against the definition, on a fine grid: E[min(S, D)] / P(S <= D)."""
    left = lengths(np.array(row) / sum(row)).after(np.array([age]))
    ends = np.arange(0.05, 45, 0.05)
    ended = np.array([left.within(end)[0] for end in ends])
    spent = np.cumsum(np.append(1.0, 1.0 - ended[:-1])) * 0.05
    quotients = np.where(ended > 1e-6, spent / np.maximum(ended, 1e-6), np.inf)
    assert left.gittins()[0] == pytest.approx(max(quotients.min(), 1.0), rel=0.02, abs=0.6)


@given(rows, st.floats(1, 60), st.integers(0, 50))
def test_gittins_index_is_at_most_the_mean(row, limit, age):
    """Waiting for the end, whatever it takes, is one of the choices."""
    left = lengths(np.array(row) / sum(row), limit=np.array([limit])).after(np.array([age]))
    assert 0.0 < left.gittins()[0] <= left.mean()[0] * (1 + 1e-5) <= max(limit - age, 1) * 1.001
