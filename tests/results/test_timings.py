import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.metrics.counters import Costs
from lengthwise.results.capacity import ended_rate, full_rate, middle_rate
from lengthwise.results.files import LONGEST, plain
from lengthwise.results.record import Seen
from lengthwise.results.timings import Times, Timing, seen, work


def timing(id_, arrival, *moments):
    """One token at each moment; finished at the last."""
    it = Timing(id_, arrival)
    for n, now in enumerate(moments, 1):
        it.saw(now, list(range(n)), finished=n == len(moments))
    return it


def test_a_timing_knows_its_latency_first_token_and_longest_wait():
    it = timing("a", 1.0, 1.5, 1.75, 4.0, 4.25)
    assert (it.latency, it.ttft, it.waiting) == (3.25, 0.5, 2.25)
    assert (it.tokens, it.answer) == (4, [0, 1, 2, 3])


def test_the_wait_for_the_first_token_counts_too():
    assert timing("a", 0.0, 9.0, 10.0).waiting == 9.0


def test_an_output_without_new_tokens_is_no_progress():
    it = Timing("a", 0.0)
    it.saw(1.0, [7], False)
    it.saw(2.0, [7], False)
    it.saw(5.0, [7, 8], False)
    it.saw(6.0, [7, 8], True)
    assert it.longest_gap == 4.0
    assert (it.finish, it.answer) == (6.0, [7, 8])


def figures(timings, until=None):
    return seen(Times.of(timings), until)


def test_figures_of_two_requests():
    timings = [timing("a", 0.0, 1.0, 2.0, 3.0), timing("b", 1.0, 2.0, 6.0)]
    found = plain(figures(timings))
    expected = {
        "requests": 2,
        "finished": 2,
        "mean_latency_s": 4.0,
        "p50_latency_s": 4.0,
        "p95_latency_s": 4.9,
        "p99_latency_s": 4.98,
        "mean_ttft_s": 1.0,
        "p99_ttft_s": 1.0,
        "mean_tpot_s": 2.5,
        # 3 s for 3 tokens, 5 s for 2.
        "mean_latency_per_token_s": 1.75,
        "max_waiting_s": 4.0,
        "mean_max_waiting_s": 2.5,
        "output_tokens": 5,
        "makespan_s": 6.0,
        "tokens_per_s": 5 / 6,
        "requests_per_s": 2 / 6,
    }
    assert found.pop("tenants") == {}
    assert found == pytest.approx(expected)


def test_what_the_engine_did_is_counted_by_step():
    costs = Costs(10, 0.5, 0.1, 0.2, 0.1, pauses=3, evictions=2, recomputed_tokens=40)
    assert plain(work(costs.snapshot(), busy_s=4.0)) == pytest.approx(
        {
            "preemptions": 5,
            "evictions": 2,
            "recomputed_tokens": 40,
            "slices": 0,
            "steps": 10,
            "step_ms": 400.0,
            "scheduler_ms_per_step": 50.0,
            "ranking_ms_per_step": 10.0,
            "predictor_ms_per_step": 30.0,
        }
    )


def test_seats_are_full_up_to_the_last_first_token():
    timings = [timing("a", 0.0, 1.0, 2.0, 3.0), timing("b", 1.0, 2.0, 6.0)]
    # Up to 2 s: half of a's 3 tokens; 2.5 tokens are a request.
    assert full_rate(Times.of(timings)) == pytest.approx(1.5 / 2.5 / 2.0)
    assert full_rate(Times.of([Timing("a", 0.0)])) == 0.0


def test_only_finished_requests_count():
    open_ = Timing("b", 0.0)
    open_.saw(50.0, [1], False)
    found = figures([timing("a", 0.0, 1.0, 2.0), open_])
    assert (found.requests, found.finished, found.output_tokens) == (2, 1, 2)
    assert found.max_waiting_s == 1.0


def test_nothing_finished_is_said_without_figures():
    assert plain(figures([Timing("a", 0.0)])) == {"requests": 1, "finished": 0}


def test_an_answer_of_one_token_has_no_pace():
    assert figures([timing("a", 0.0, 1.0)]).mean_tpot_s == 0.0


@pytest.mark.parametrize(("until", "seconds"), [(1, 2.0), (2, 5.0), (3, None), (0, None)])
def test_the_seconds_until_so_many_had_finished_count_from_the_first_arrival(until, seconds):
    timings = [timing("a", 1.0, 2.0, 6.0), timing("b", 2.0, 3.0)]
    found = figures(timings, until)
    assert (found.until, found.until_s) == (until, seconds)
    assert "until_s" not in plain(figures(timings))


def test_tenants_have_figures_of_their_own():
    timings = [timing("a", 0.0, 1.0, 2.0), timing("b", 0.0, 4.0)]
    timings[0].tenant, timings[1].tenant = "x", "y"
    found = figures(timings).tenants
    assert [found[name].mean_latency_s for name in "xy"] == [2.0, 4.0]


def test_arrays_give_the_figures_of_the_single_requests():
    timings = [timing("a", 0.0, 1.0, 2.0, 3.0), timing("b", 1.0, 2.0, 6.0), Timing("c", 2.0)]
    times = Times(
        np.array([0.0, 1.0, 2.0]),
        np.array([1.0, 2.0, np.nan]),
        np.array([3.0, 6.0, np.nan]),
        np.array([1.0, 4.0, 0.0]),
        np.array([3, 2, 0]),
    )
    assert isinstance(seen(times), Seen)
    assert seen(times) == figures(timings)


SECONDS = st.floats(0.0, LONGEST / 4) | st.sampled_from([0.0, 5e-324, 1e-160])
ODD = SECONDS | st.just(math.nan)


@given(st.lists(st.tuples(SECONDS, ODD, ODD, SECONDS, st.integers(0, 10**6)), min_size=1))
def test_times_of_any_size_have_figures(rows):
    arrival, wait, rest, gap, tokens = (np.array(each) for each in zip(*rows, strict=True))
    times = Times(arrival, arrival + wait, arrival + wait + rest, gap, tokens)
    found = plain(seen(times, until=1))
    assert all(math.isfinite(it) for it in found.values() if isinstance(it, float))
    rates = full_rate(times), ended_rate(times), middle_rate(times.finished().finish)
    assert all(0.0 <= rate < math.inf for rate in rates)
