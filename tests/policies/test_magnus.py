import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.lanes import waiting_queue
from lengthwise.core.policy import AWAITED, COMMITTED, UNPREDICTED
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload


def request(seq=0, predicted=100.0, arrival=0.0):
    it = Request(str(seq), arrival, seq, 10)
    it.predict(predicted)
    return it


def queued(policy, waiting):
    queue = waiting_queue(policy, lambda it: it)
    for each in waiting:
        queue.push(each)
    return queue


def admitted(policy, waiting, now):
    """All that wait, in the order in which they get a seat, one every second."""
    queue = queued(policy, waiting)
    order = []
    while queue:
        policy.observe(now, [])
        order.append(queue.pop())
        now += 1.0
    return order


def test_similar_lengths_are_admitted_together_shortest_first_where_all_came_at_once():
    waiting = [request(i, p) for i, p in enumerate([300.0, 9.0, 280.0, 70.0, 10.0, 500.0, 65.0])]
    order = admitted(make_policy("magnus"), waiting, now=5.0)
    assert [r.seq for r in order] == [1, 4, 3, 6, 0, 2, 5]


def test_long_waiting_makes_a_long_group_the_next():
    """300 tokens after 400 s against 10 tokens after 10 s: 1.3 against 1.0 s a token."""
    old, new = request(0, 300.0, arrival=0.0), request(1, 10.0, arrival=390.0)
    assert admitted(make_policy("magnus"), [new, old], now=400.0) == [old, new]
    assert admitted(make_policy("magnus"), [new, old], now=395.0) == [old, new]
    old.arrival = 200.0
    assert admitted(make_policy("magnus"), [new, old], now=400.0) == [new, old]


def test_a_group_is_closed_when_its_turn_comes():
    policy = make_policy("magnus")
    first, second, late, long = (request(i, p) for i, p in enumerate([100.0, 99.0, 101.0, 900.0]))
    queue = queued(policy, [first, second, long])
    assert queue.pop() is first
    queue.push(late)
    assert policy.rank(second) < policy.rank(late) < policy.rank(long)
    assert [queue.pop(), queue.pop()] == [second, late]


def test_who_is_put_back_keeps_its_group():
    policy = make_policy("magnus")
    first, second = request(0, 100.0), request(1, 101.0)
    queue = queued(policy, [first, second])
    queue.push(queue.pop())
    assert policy.rank(first) == policy.rank(second)
    assert [queue.pop(), queue.pop()] == [first, second]


def test_a_prediction_that_comes_later_finds_its_group():
    policy = make_policy("magnus")
    short, awaited = request(0, 10.0), request(1, None)
    awaited.awaited = True
    queue = queued(policy, [short, awaited])
    awaited.predict(11.0)
    queue.update(awaited)
    queue.pop()
    assert policy.rank(awaited) == policy.rank(short)


def test_a_promoted_request_goes_first_and_changes_no_group():
    policy = make_policy("magnus+bound:50:8")
    starved, other, last = request(0, 900.0), request(1, 10.0), request(2, 11.0)
    queue = queued(policy, [starved, other, last])
    assert queue.pop() is other
    starved.promote(60, policy.quantum)
    queue.update(starved)
    assert queue.pop() is starved
    assert policy.rank(last) < policy.rank(request(3, 800.0))


def test_who_has_no_prediction_is_as_under_every_other_policy():
    policy = make_policy("magnus")
    none, awaited, started = request(0, None), request(1, None), request(2)
    awaited.awaited = started.started = True
    assert [policy.rank(each) for each in (none, awaited, started)] == [
        *(UNPREDICTED, AWAITED, COMMITTED)
    ]
    assert queued(policy, [awaited, request(3), none, started]).pop() is started


@given(st.lists(st.tuples(st.floats(1, 1e4), st.floats(0, 100)), min_size=1, max_size=40))
def test_nobody_is_left_out_and_a_group_has_one_width(found):
    policy = make_policy("magnus:3")
    waiting = [request(i, tokens, arrival) for i, (tokens, arrival) in enumerate(found)]
    assert set(admitted(policy, waiting, 100.0)) == set(waiting)
    policy = make_policy("magnus:3")
    policy.observe(100.0, [])
    first = queued(policy, waiting).pop()
    chosen = [each.initial for each in waiting if policy.rank(each) == policy.rank(first)]
    assert max(chosen) < 3.001 * min(chosen)


@pytest.mark.parametrize("spec", ["magnus:1", "magnus:0.5", "magnus:inf", "magnus:nan"])
def test_a_group_without_width_is_refused(spec):
    with pytest.raises(UserError, match="width"):
        make_policy(spec)


@pytest.mark.parametrize("spec", ["magnus", "magnus+bound:500", "magnus+slice:64"])
@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_it_serves_a_simulated_burst_and_beats_the_order_of_arrival(spec, seed):
    """One seat, lengths spread widely: mean response time as in any other HRRN queue."""
    output = np.random.default_rng(seed).choice([10, 20, 400, 500], size=60)
    workload = Workload(np.zeros(60), np.full(60, 5), output)
    step = Linear("token", "test", base=1.0, prefill=0.0, decode=0.0, context=0.0)

    def mean(policy):
        setup = Setup(seats=1, budget=64, block_size=32, cached=1.0)
        predictor = make_predictor("oracle")
        outcome = Simulator(workload, make_policy(policy), predictor, step, setup).run()
        return outcome.finish.mean()

    assert mean("sjf") <= mean(spec) < mean("fcfs")
