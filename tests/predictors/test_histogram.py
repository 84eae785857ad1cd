import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core import Bins
from lengthwise.predictors.histogram import histogram, shares

BINS = Bins.log(6, 200).with_overflow()
COUNTS = st.lists(st.integers(0, 1000), min_size=2, max_size=12)


def test_every_length_is_counted_once_also_beyond_the_last_edge():
    counts = histogram(BINS, np.array([0, 1, 199, 200, 5000]))
    assert counts.sum() == 5
    assert counts[-1] == 2


@given(COUNTS, st.floats(0.1, 1000))
def test_shares_add_up_to_one_and_none_is_impossible(counts, pull):
    found = shares(np.array(counts), pull)
    np.testing.assert_allclose(found.sum(), 1.0, atol=1e-5)
    assert (found > 0).all()


def test_without_counts_there_is_only_the_prior():
    prior = np.array([0.2, 0.5, 0.3], dtype=np.float32)
    np.testing.assert_allclose(shares(np.zeros(3, int), 10, prior), prior, atol=1e-6)


def test_as_many_counts_as_the_pull_weigh_as_much():
    prior = np.array([1.0, 0.0], dtype=np.float32)
    np.testing.assert_allclose(shares(np.array([0, 10]), 10, prior), [0.5, 0.5])
