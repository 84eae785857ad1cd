"""Changes from one run to another, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.report.change import draws
from lengthwise.results.bootstrap import Resamples


@settings(max_examples=25)
@given(
    st.lists(st.floats(0.0, 1e4), min_size=1, max_size=400),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_quantiles_of_resamples_are_those_of_the_requests_drawn(
    given: list[float], level: float
) -> None:
    times = np.array(given)
    n = len(times)
    found = draws(times, level, 20, 3)
    assert found[0] == np.quantile(times, level)
    count = min(n, max(10, min(100, n // 20)))
    block = np.arange(n) * count // n
    for weights, quantile in zip(Resamples.of(count, 20, 3).weights[1:], found[1:], strict=True):
        drawn = np.sort(np.repeat(times, weights[block].astype(int)))
        # As many are at most this as the level asks for, and not of any smaller.
        assert (drawn <= quantile).sum() >= level * len(drawn) - 1e-3
        assert (drawn < quantile).sum() <= level * len(drawn) + 1e-3


def test_a_resample_of_slow_blocks_alone_is_looked_through_to_its_end() -> None:
    # One block in ten is slow: a resample may have it many times.
    times = np.repeat([1.0] * 9 + [100.0], 20)
    found = draws(times, 0.99, 400, 0)
    assert set(found.tolist()) == {1.0, 100.0}


def test_means_of_resamples_vary_around_the_mean() -> None:
    times = np.random.default_rng(0).exponential(2.0, 4_000)
    found = draws(times, None, 400, 0)
    assert found[0] == pytest.approx(times.mean())
    assert found[1:].mean() == pytest.approx(times.mean(), rel=0.01)
    assert found[1:].std() == pytest.approx(2.0 / np.sqrt(4_000), rel=0.3)
