import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.calibration.drawn import draw_lengths
from lengthwise.calibration.scrape import Histogram

EDGES = (1.0, 10.0, 100.0, 1000.0, float("inf"))


@settings(max_examples=30)
@given(st.lists(st.integers(1, 5000), min_size=5, max_size=300))
def test_lengths_fall_into_the_buckets_and_have_the_mean(lengths):
    true = np.array(lengths)
    counts = np.diff([(true <= edge).sum() for edge in EDGES], prepend=0).astype(float)
    found = draw_lengths(
        Histogram(np.array(EDGES), counts, float(true.sum())), 4000, np.random.default_rng(0)
    )
    assert found.min() >= 1
    for low, high, count in zip((0, *EDGES), EDGES, counts, strict=False):
        share = ((found > low) & (found <= max(high, 1.0))).mean()
        assert share == pytest.approx(count / len(true), abs=0.06)
    if true.max() <= 1000:
        assert found.mean() == pytest.approx(true.mean(), rel=0.2, abs=1.0)
