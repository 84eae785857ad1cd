"""``hrrn-prompt``: SGLang's response ratio, on prompt tokens still to compute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.lanes import waiting_queue
from lengthwise.core.policy import COMMITTED
from lengthwise.core.request import Request
from lengthwise.policies import make_policy


def request(seq: int, prompt: int, cached: int = 0) -> Request:
    return Request(str(seq), 0.0, seq, prompt, cached_tokens=cached)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 80)), min_size=3, max_size=80))
def test_the_highest_ratio_is_next(moves: list[tuple[bool, int]]) -> None:
    """Against the definition; prompts are powers of 1.1, as they are rounded to."""
    policy = make_policy("hrrn-prompt")
    queue = waiting_queue(policy, lambda it: it)
    clock = 0.0
    came: dict[int, float] = {}
    waiting: dict[int, Request] = {}
    for seq, (comes, power) in enumerate(moves):
        if comes or not waiting:
            waiting[seq], came[seq] = request(seq, round(10 * 1.1**power)), clock
            queue.push(waiting[seq])
            continue
        ratios = {i: (clock - came[i]) / it.uncached_tokens for i, it in waiting.items()}
        it = queue.pop()
        it.started = True
        assert ratios[it.seq] >= max(ratios.values()) / 1.11 - 1e-9
        clock += it.uncached_tokens
        del waiting[it.seq]


def test_of_those_that_just_came_the_shortest_is_next() -> None:
    queue = waiting_queue(make_policy("hrrn-prompt"), lambda it: it)
    for seq, prompt in enumerate((500, 20, 100)):
        queue.push(request(seq, prompt))
    assert [queue.pop().seq for _ in range(3)] == [1, 2, 0]


def test_a_long_wait_overtakes_a_short_prompt() -> None:
    """600 tokens were computed since the long one came, 100 since the short one."""
    policy = make_policy("hrrn-prompt")
    queue = waiting_queue(policy, lambda it: it)
    for seq, prompt in enumerate((500, 400, 1000, 100)):
        queue.push(request(seq, prompt))
        if seq in (0, 3):
            assert queue.pop().seq == (0 if seq == 0 else 3)
    queue.push(request(4, 350))
    # Ratios: 100 / 400, 100 / 1000 and 0 / 350.
    assert queue.pop().seq == 1


def test_what_the_prefix_cache_has_costs_nothing() -> None:
    queue = waiting_queue(make_policy("hrrn-prompt"), lambda it: it)
    for it in (request(0, 100), request(1, 5000, cached=4990)):
        queue.push(it)
    assert queue.pop().seq == 1


def test_it_needs_no_prediction_and_who_started_goes_first() -> None:
    policy = make_policy("hrrn-prompt")
    assert (policy.source, policy.needs_predictions, policy.preemptive) == ("none", False, False)
    started = request(0, 9)
    started.started = True
    assert policy.rank(started) == COMMITTED
