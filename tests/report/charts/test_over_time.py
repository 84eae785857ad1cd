"""Levels over time, against a count at every moment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from lengthwise.report.charts.over_time import PIXELS, levels, over_time
from lengthwise.report.served import Served

from ..drawn import served


def of(arrival: list[float], first: list[float], finish: list[float]) -> Served:
    n = len(arrival)
    prompt, output = np.full(n, 100), np.full(n, 50)
    return Served(
        "it", *(np.array(each, float) for each in (arrival, first, finish)), prompt, output
    )


def test_two_requests_can_be_counted_by_hand() -> None:
    it = levels(of([0, 0, 9], [1, 4, np.nan], [4, 10, np.nan]))
    at = {second: int(second / 10 * PIXELS) for second in (0, 2, 5, 9)}
    assert [it.waiting[at[second]] for second in (0, 2, 5)] == [2, 1, 0]
    assert [it.running[at[second]] for second in (0, 2, 5)] == [0, 1, 1]
    assert it.kv[at[2]] == pytest.approx(100 + 50 / 3, rel=0.02)
    # The most: the second at its end.
    assert it.kv[-1] == pytest.approx(150)
    assert it.kv.max() == pytest.approx(150)
    assert it.waited == pytest.approx(0.4)


def test_a_burst_waits_at_its_first_moment() -> None:
    it = levels(of([0] * 5, [1, 2, 3, 4, 5], [2, 3, 4, 5, 6]))
    assert it.waiting[0] == 5
    assert it.running.max() == 1


def test_the_limits_are_drawn_where_they_are_known() -> None:
    run = of([0, 1], [1, 2], [3, 4])
    texts = [each.get_text() for each in over_time([run], 8, 1000).figure.findobj(match_text)]
    assert {"all 8", "all 1,000"} <= set(texts)
    assert "The engine has 8 seats" in over_time([run], 8, 1000).description
    assert "seats" not in over_time([run]).description


def match_text(artist: object) -> bool:
    return hasattr(artist, "get_text")


@settings(max_examples=40, deadline=None)
@given(served())
def test_the_most_of_all_spans_is_the_most_of_all_moments(run: Served) -> None:
    known = np.isfinite(run.first)
    it = levels(run)
    if not known.any():
        assert not len(it.time)
        return
    arrival, first = run.arrival[known], run.first[known]
    end = np.nanmax(np.append(run.finish[known], first))
    finish = np.where(np.isfinite(run.finish[known]), run.finish[known], end)
    waiting = max(int(((arrival <= t) & (t < first)).sum()) for t in arrival)
    running = max(int(((first <= t) & (t < finish)).sum()) for t in first)
    assert it.waiting.max() == waiting
    assert it.running.max() == running
    assert 0.0 <= it.waited <= 1.0


def test_an_answer_that_takes_next_to_no_time_is_there_at_once() -> None:
    zero, tokens = np.zeros(2), np.array([7, 9])
    run = Served("it", zero, zero, np.array([5e-324, 1.0]), tokens, tokens)
    assert levels(run).kv.max() <= 2 * 16
