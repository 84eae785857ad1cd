"""Predictions judged: the share of pairs in order, against all pairs."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.report.charts.calibration import calibration, judged, pairs_right
from lengthwise.report.served import Served

SMALL = st.integers(1, 5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(SMALL, SMALL), min_size=2, max_size=12))
def test_pairs_in_order_are_those_of_all_pairs(rows: list[tuple[int, int]]) -> None:
    right = []
    for (p, a), (q, b) in combinations(rows, 2):
        if a != b:
            right.append(0.5 if p == q else float((p < q) == (a < b)))
    predicted, actual = np.array(rows, float).T
    found = pairs_right(predicted, actual)
    if right:
        assert found == pytest.approx(sum(right) / len(right))
    else:
        assert math.isnan(found)


def test_perfect_predictions_lie_on_the_line() -> None:
    n = 300
    output = np.arange(1, n + 1)
    zero = np.zeros(n)
    run = Served("it", zero, zero + 1, zero + 2, output, output, predicted=output.astype(float))
    it = judged(run)
    assert it is not None
    assert (it.error, it.right) == (0.0, 1.0)
    assert it.predicted == pytest.approx(it.mean)
    assert it.counts.sum() == n
    assert "error is 0 tokens, and 100 % of pairs" in calibration([run]).description


def test_without_predictions_it_says_so() -> None:
    zero = np.zeros(3)
    run = Served("it", zero, zero, zero, np.ones(3, int), np.ones(3, int))
    assert judged(run) is None
    texts = [it.get_text() for it in calibration([run]).figure.axes[0].texts]
    assert texts == ["no prediction is known"]
