"""What the data itself tells about answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lengthwise.advise.supported import supported
from lengthwise.workload import Workload


def test_tenants_that_ask_for_different_answers_are_told_apart(
    traffic: Callable[..., Workload],
) -> None:
    workload = traffic(2_000, 1.0)
    known = supported(workload)
    assert known.tells
    assert known.pairs > 0.7
    assert "tenant" in known.of
    long = np.array([name == "talks" for name in workload.tenant])[600:]
    assert known.predicted[600:][long].mean() > 3 * known.predicted[600:][~long].mean()


def test_answers_of_any_length_are_not_predicted() -> None:
    rng = np.random.default_rng(1)
    n = 3_000
    workload = Workload(np.arange(n) * 1.0, rng.integers(1, 900, n), rng.integers(1, 900, n))
    known = supported(workload)
    assert not known.tells
    assert abs(known.pairs - 0.5) < 0.05


def test_requests_that_are_all_alike_tell_nothing() -> None:
    workload = Workload(np.arange(900) * 1.0, np.full(900, 7), np.full(900, 9))
    known = supported(workload)
    assert not known.tells
    assert np.isnan(known.predicted).all()


def test_a_request_is_predicted_from_those_before_it_only(
    traffic: Callable[..., Workload],
) -> None:
    workload = traffic(1_500, 1.0)
    known = supported(workload).predicted
    later = workload.output.copy()
    later[700:] = 5_000
    changed = supported(replace(workload, output=later)).predicted
    # Fitted to the first 300, 600 and 1,200.
    assert np.isnan(known[:300]).all()
    assert np.array_equal(known[300:1_200], changed[300:1_200])
    assert not np.array_equal(known[1_200:], changed[1_200:])


def test_few_requests_are_too_few(traffic: Callable[..., Workload]) -> None:
    assert not supported(traffic(100, 1.0)).tells
