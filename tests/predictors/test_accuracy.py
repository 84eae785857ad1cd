"""Errors and order of predicted lengths."""

import numpy as np
import pytest

from lengthwise.evaluate.metrics import order
from lengthwise.predictors.accuracy import absolute_errors, tau
from lengthwise.predictors.points import points
from lengthwise.results.bootstrap import Resamples


def test_errors_are_those_of_mean_and_median():
    lengths = points(np.array([10.0, 20.0]), np.array([100.0, 100.0]))
    found = absolute_errors(lengths, np.array([12, 25]))
    assert found[""] == pytest.approx([2, 5])
    assert found["_median"] == pytest.approx([2, 5], abs=0.5)


def test_tau_is_what_the_bootstrap_resamples():
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 40, 60)
    predicted = np.round(tokens + rng.normal(0, 9, 60))
    drawn = order(predicted, tokens, Resamples.of(60))["tau"]
    assert drawn[0] == pytest.approx(tau(predicted, tokens), abs=1e-6)


def test_what_is_all_alike_has_no_order():
    assert np.isnan(tau(np.ones(5), np.arange(5)))
