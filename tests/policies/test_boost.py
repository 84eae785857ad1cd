"""``boost``: arrival + alpha P ln(W) on the clock of admitted work."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.lanes import Lanes, waiting_queue
from lengthwise.core.policy import COMMITTED, UNPREDICTED, Policy
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.policies.boost import Boost

ALPHA = 1 / math.log(100)


def request(seq: int, work: int, **known: object) -> Request:
    """Its answer is known: 1 token."""
    bounds = {"least_tokens": 1, "most_tokens": 1}
    return Request(str(seq), 0.0, seq, work - 1, **(bounds | known))  # type: ignore[arg-type]


def queue_of(policy: Policy) -> Lanes[Request]:
    policy.begins(8, 0)
    queue = waiting_queue(policy, lambda it: it)
    assert isinstance(queue, Lanes)
    return queue


def admitted(queue: Lanes[Request]) -> Request:
    it = queue.pop()
    it.started = True
    return it


def test_ranks_by_hand() -> None:
    """1,000 and 100 wait when the third comes, so P is 1,100 for all of them."""
    policy = Boost()
    queue = queue_of(policy)
    requests = [request(0, 1000), request(1, 100), request(2, 10)]
    for it in requests:
        queue.push(it)
    for it, work in zip(requests, (1000, 100, 10), strict=True):
        assert policy.rank(it) == pytest.approx(1 + 1100 * ALPHA * math.log(work), rel=0.02)
    assert [admitted(queue).seq for _ in requests] == [2, 1, 0]


def test_who_came_so_much_earlier_goes_before_a_shorter_one() -> None:
    """A hundredth of the work is worth a whole longest backlog, and no more."""
    policy = Boost()
    queue = queue_of(policy)
    for it in (request(0, 9000), request(1, 1000)):
        queue.push(it)
    assert admitted(queue).seq == 1
    # The backlog was 9,000 at most: 1,000 of work later ten tokens still pass, thousands do not.
    queue.push(request(2, 10))
    queue.push(request(3, 8000))
    assert [admitted(queue).seq for _ in range(3)] == [2, 0, 3]


@given(st.lists(st.tuples(st.booleans(), st.integers(2, 5000)), min_size=5, max_size=80))
def test_the_next_is_always_the_least_by_the_definition(moves: list[tuple[bool, int]]) -> None:
    policy = Boost()
    queue = queue_of(policy)
    clock = peak = 0.0
    waiting: dict[int, tuple[float, int]] = {}

    def rank(seq: int) -> float:
        came, work = waiting[seq]
        return came + ALPHA * peak * math.log(work)

    for seq, (comes, work) in enumerate(moves):
        if comes or not waiting:
            peak = max(peak, sum(work for _, work in waiting.values()))
            waiting[seq] = clock, work
            queue.push(request(seq, work))
        else:
            it = admitted(queue)
            # Work is rounded to powers of 1.1.
            assert rank(it.seq) <= min(map(rank, waiting)) + ALPHA * peak * math.log(1.1) + 1e-6
            clock += waiting[it.seq][1]
            peak -= waiting.pop(it.seq)[1] / 16
            peak = max(peak, sum(work for _, work in waiting.values()))


@pytest.mark.parametrize("seed", range(20))
def test_its_waits_are_bounded_in_floods_of_short_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    policy = Boost()
    queue = queue_of(policy)
    came: dict[int, float] = {}
    clock = peak = waits = 0.0
    works = [*rng.integers(500, 3000, 20), *rng.integers(2, 40, 4000)]
    waiting: dict[int, int] = {}
    for seq, work in enumerate(map(int, works)):
        peak = max(peak, sum(waiting.values()))
        came[seq], waiting[seq] = clock, work
        queue.push(request(seq, work))
        while seq >= 20 and len(queue) and rng.random() < 0.5:
            it = admitted(queue)
            waits = max(waits, clock - came[it.seq])
            clock += waiting.pop(it.seq)
    ratio = 1.1 * max(works) / min(works)
    assert waits <= peak * (1 + ALPHA * math.log(ratio)) + max(works)


def test_a_look_leaves_no_trace() -> None:
    policy = Boost()
    queue = queue_of(policy)
    requests = [request(0, 1000), request(1, 100), request(2, 10)]
    for it in requests:
        queue.push(it)
    before = [policy.rank(it) for it in requests]
    for it in [queue.pop() for _ in requests]:
        queue.push(it)
    assert [policy.rank(it) for it in requests] == pytest.approx(before)


def test_by_work_it_needs_no_prediction_and_learns_its_answers() -> None:
    policy = Boost()
    queue = queue_of(policy)
    for seq in range(500):
        queue.push(Request(str(seq), 0.0, seq, 10))
        it = admitted(queue)
        it.generated = 40
        policy.leave(it)
    assert policy.work(Request("new", 0.0, 500, 10)) == pytest.approx(50, rel=0.05)
    cached = Request("cached", 0.0, 501, 100, cached_tokens=95)
    assert policy.work(cached) == pytest.approx(45, rel=0.05)


def test_by_tokens_prompts_count_nothing() -> None:
    policy = make_policy("boost:tokens")
    assert policy.needs_predictions
    assert not make_policy("boost").needs_predictions
    queue = queue_of(policy)
    for seq, (prompt, predicted) in enumerate([(10, 400.0), (5000, 20.0), (1, 100.0)]):
        it = Request(str(seq), 0.0, seq, prompt)
        it.predict(predicted)
        queue.push(it)
    assert [admitted(queue).seq for _ in range(3)] == [1, 2, 0]


def test_the_unknown_go_first_and_who_started_before_them() -> None:
    policy = make_policy("boost:tokens")
    known, unknown, started = (Request(str(i), 0.0, i, 10) for i in range(3))
    known.predict(5.0)
    started.started = True
    assert policy.rank(started) == COMMITTED
    assert policy.rank(unknown) == UNPREDICTED < policy.rank(known)
    queue = queue_of(policy)
    for it in (known, unknown):
        queue.push(it)
    unknown.predict(4000.0)
    queue.update(unknown)
    assert admitted(queue) is known


def test_it_keeps_nothing_of_those_that_are_gone() -> None:
    policy = Boost()
    queue = queue_of(policy)
    served, dropped = request(0, 50), request(1, 500)
    for it in (served, dropped):
        queue.push(it)
    assert admitted(queue) is served
    policy.leave(served)
    queue.remove(dropped)
    policy.leave(dropped)
    assert policy._known == {}
    assert (policy._backlog.clock, policy._backlog.waiting) == (50.0, 0.0)


def test_it_ranks_by_work_or_tokens_only() -> None:
    with pytest.raises(UserError, match=r"boost ranks by work or by tokens, not by 'size'") as bad:
        make_policy("boost:size")
    assert "\n" not in str(bad.value)
