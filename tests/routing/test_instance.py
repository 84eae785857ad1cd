"""What a router believes of an instance, and how reports correct it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.prediction import point
from lengthwise.routing import Capacity, Flight, Instance, Report


def exact(predicted: float, generated: float) -> float:
    return max(predicted - generated, 1.0)


def instance(seats: int = 2, **capacity: float) -> Instance:
    return Instance("a", Capacity(seats, pace=1.0, **capacity), exact)  # type: ignore[arg-type]


def fly(one: Instance, id: str, tokens: float, now: float = 0.0, prompt: int = 0) -> None:
    one.dispatch(Flight(id, prompt, point(tokens, "prompt"), tokens, now, seen=now))


def in_order(lengths: list[int], seats: int) -> float:
    """When a seat is free for one more: by serving them."""
    free = [0.0] * seats
    for length in lengths:
        free.sort()
        free[0] += length
    return min(free)


@given(st.lists(st.integers(1, 300), max_size=20), st.integers(1, 5))
def test_wait_is_what_serving_in_order_takes(lengths: list[int], seats: int) -> None:
    one = instance(seats)
    for i, length in enumerate(lengths):
        fly(one, str(i), length)
    assert one.wait(0.0, Flight("new", 0, point(1.0, "prompt"), 1.0)) == pytest.approx(
        in_order(lengths, seats)
    )
    assert one.work(0.0) == pytest.approx(sum(lengths) / seats)


@given(st.lists(st.integers(1, 300), max_size=20), st.integers(1, 300))
def test_beside_is_the_sum_of_the_smaller_of_both(lengths: list[int], size: int) -> None:
    one = instance(2)
    for i, length in enumerate(lengths):
        fly(one, str(i), length)
    assert one.beside(0.0, size) == pytest.approx(sum(min(each, size) for each in lengths))


def test_a_large_request_waits_for_memory_that_a_small_one_has() -> None:
    one = instance(8, memory=1000.0)
    fly(one, "x", 100.0, prompt=700)
    one.streams("x", 1, 0.0)
    small, large = (Flight("new", prompt, point(20.0, "prompt"), 20.0) for prompt in (100, 600))
    assert one.wait(0.0, small) == 0.0
    assert one.wait(0.0, large) == pytest.approx(99.0)


def test_work_runs_down_with_time() -> None:
    one = instance(1)
    fly(one, "x", 100.0)
    one.streams("x", 1, 0.0)
    assert one.work(0.0) == pytest.approx(99.0)
    assert one.work(3.0) == pytest.approx(96.0)
    assert one.work(50.0) == pytest.approx(49.0)


def test_prompts_count_until_they_are_done() -> None:
    one = instance(2, prefill_s=0.5)
    fly(one, "x", 10.0, prompt=20)
    assert one.work(0.0) == pytest.approx(5.0 + 10.0)
    one.streams("x", 1, 0.0)
    assert one.work(0.0) == pytest.approx(4.5)


def test_what_was_sent_since_a_report_stays() -> None:
    one = instance()
    fly(one, "old", 50.0, now=1.0)
    fly(one, "new", 50.0, now=5.0)
    gone = one.report(Report(3.0, {"old": 7}))
    assert gone == []
    assert one.in_flight == 2
    assert one.flights["old"].generated == 7


def test_what_was_seen_to_end_since_a_report_is_not_counted_again() -> None:
    one = instance()
    fly(one, "x", 50.0, now=1.0)
    one.end("x", 4.0)
    one.report(Report(3.0, {"x": 7}))
    assert one.in_flight == 0


def test_what_a_report_has_no_more_has_ended() -> None:
    one = instance()
    fly(one, "x", 50.0, now=1.0)
    gone = one.report(Report(3.0, {}))
    assert [each.id for each in gone] == ["x"]
    assert one.in_flight == 0


def test_requests_of_other_routers_count() -> None:
    one = instance()
    one.report(Report(3.0, {"theirs": 3, "too": 0}))
    assert one.in_flight == 2


def test_the_work_of_other_routers_requests_counts_as_reported() -> None:
    one = instance(1)
    one.report(Report(3.0, {"theirs": 3}, {"theirs": 40.0}))
    assert one.work(3.0) == pytest.approx(40.0)
    one.report(Report(4.0, {}))
    assert one.work(4.0) == 0.0


def test_an_old_report_takes_no_progress_back() -> None:
    one = instance()
    fly(one, "x", 50.0, now=1.0)
    one.streams("x", 30, 9.0)
    one.report(Report(8.0, {"x": 20}))
    assert one.flights["x"].generated == 30


def test_what_the_instance_itself_predicts_replaces_the_prompts_prediction() -> None:
    one = instance()
    fly(one, "x", 50.0, now=1.0)
    one.report(Report(3.0, {"x": 5}, {"x": 200.0}))
    assert one.left(one.flights["x"], 3.0) == 200.0
    assert one.left(one.flights["x"], 5.0) == 198.0


def test_what_the_instance_predicts_counts_down_with_the_tokens_that_stream() -> None:
    one = instance()
    fly(one, "x", 50.0, now=1.0)
    one.streams("x", 9, 3.5)
    one.report(Report(3.0, {"x": 5}, {"x": 200.0}))
    assert one.left(one.flights["x"], 3.5) == 196.0
    one.streams("x", 12, 6.5)
    assert one.left(one.flights["x"], 6.5) == 193.0


def test_nobody_is_expected_to_outlive_its_max_tokens() -> None:
    one = instance(1)
    one.dispatch(Flight("x", 0, point(500.0, "prompt"), 60.0, 0.0, most=60.0))
    assert one.work(0.0) == 60.0
    one.streams("x", 50, 1.0)
    assert one.work(1.0) == 10.0
    assert one.work(4.0) == 7.0


def test_a_report_without_a_pace_keeps_the_old_one() -> None:
    one = instance()
    one.report(Report(3.0, {}, pace=math.nan))
    assert one.pace == 1.0


def test_where_short_ones_go_first_a_short_one_waits_for_shorter_ones_only() -> None:
    one = instance(1, ranked=True)
    for i, length in enumerate([100, 300, 500]):
        fly(one, str(i), length)
    short, long = (Flight("new", 0, point(size, "prompt"), size) for size in (10.0, 1000.0))
    assert one.queue(0.0, short) == pytest.approx(30.0)
    assert one.queue(0.0, long) == one.wait(0.0, long) == pytest.approx(900.0)


def test_the_pace_follows_reports_slowly() -> None:
    one = instance()
    paces = []
    for at in range(1, 60):
        one.report(Report(float(at), {}, pace=0.5))
        paces.append(one.pace)
    assert 0.8 < paces[0] < 1.0
    assert paces == sorted(paces, reverse=True)
    assert paces[-1] == pytest.approx(0.5, abs=0.01)


def test_an_idle_instance_comes_to_be_thought_as_fast_as_it_ever_was() -> None:
    one = instance()
    for at in range(1, 120):
        one.report(Report(float(at), {}, pace=0.25 if at < 30 else 4.0 if at < 60 else math.nan))
    assert one.pace == pytest.approx(0.25, rel=0.01)


def test_one_slow_second_hardly_counts() -> None:
    one = instance()
    one.report(Report(1.0, {}, pace=100.0))
    assert one.pace < 1.0 / 0.79


def test_between_looks_the_wait_runs_down_by_the_clock() -> None:
    one = instance(1)
    fly(one, "x", 100.0)
    one.streams("x", 1, 0.0)
    new = Flight("new", 0, point(1.0, "prompt"), 1.0)
    assert [one.wait(now, new) for now in (0.0, 0.5, 3.0)] == pytest.approx([99.0, 98.5, 96.0])
