"""Runs compared in pairs, whatever their figures are."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from lengthwise.results.record import Labels, Run, Seen
from lengthwise.results.runs import change, interval, times

SECONDS = st.floats(0.0, 1e15) | st.sampled_from([0.0, 5e-324, 1e-160])


def runs(values: list[float]) -> list[Run]:
    """A run with each mean latency, each of a seed of its own."""
    return [
        Run.of(
            Labels(policy="it", engine="e", model="m", rate=None, seed=seed),
            Seen(requests=1, finished=1, mean_latency_s=value),
        )
        for seed, value in enumerate(values)
    ]


def test_a_change_is_the_mean_over_pairs_with_its_interval() -> None:
    assert change(runs([1.2]), runs([1.0]), "mean_latency_s", "seed") == "+20.0 %"
    found = change(runs([1.1, 1.3]), runs([1.0, 1.0]), "mean_latency_s", "seed")
    assert found.startswith("+20.0 % ±")
    assert times(3.0, 2.0) == "1.50x"


def test_against_nothing_there_is_no_change() -> None:
    assert change(runs([1.2]), runs([0.0]), "mean_latency_s", "seed") == "-"
    assert change(runs([1.2]), [], "mean_latency_s", "seed") == "-"
    assert times(3.0, 0.0) == times(math.nan, 1.0) == "-"


@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=5))
def test_figures_of_any_size_have_a_change_or_none(pairs: list[tuple[float, float]]) -> None:
    new, old = ([pair[side] for pair in pairs] for side in (0, 1))
    assert change(runs(new), runs(old), "mean_latency_s", "seed")
    assert all(times(*pair) for pair in pairs)
    middle, half = interval(new)
    assert math.isfinite(middle)
    assert math.isnan(half) == (len(new) < 2)
