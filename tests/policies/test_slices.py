import math

import pytest

from lengthwise.core.patience import Threshold
from lengthwise.core.policy import UNPREDICTED
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.policies import POLICIES, SCLS, make_policy


def request(seq=0, prompt=10, generated=0, predicted=None):
    it = Request(str(seq), 0.0, seq, prompt, generated)
    it.predict(predicted)
    return it


def test_scls_serves_the_least_served_first_then_the_shortest_context():
    policy = make_policy("scls:32")
    new_long, new_short = request(0, 900), request(1, 20)
    once, twice = request(2, 10, 32), request(3, 10, 64)
    ranked = sorted([twice, once, new_long, new_short], key=policy.rank)
    assert ranked == [new_short, new_long, once, twice]


def test_a_slice_cut_short_at_a_blocks_end_still_counts_as_one():
    policy = make_policy("scls:32")
    assert policy.rank(request(generated=20)) < policy.rank(request(generated=52))
    assert policy.rank(request(generated=20)) > policy.rank(request(prompt=4000))


def test_scls_needs_no_prediction_and_interrupts_nobody_within_a_slice():
    assert (SCLS().source, SCLS().preemptive, SCLS().slice) == ("none", False, 128)


@pytest.mark.parametrize("name", sorted(set(POLICIES) - {"scls"}))
def test_any_policy_may_be_sliced_and_keeps_its_order(name):
    policy, sliced = make_policy(name), make_policy(f"{name}+slice:64")
    waiting = [request(0, predicted=300.0), request(1, predicted=20.0), request(2)]
    assert [sliced.key(r) for r in waiting] == [policy.key(r) for r in waiting]
    assert (sliced.slice, policy.slice) == (64, math.inf)
    assert sliced.source == policy.source
    assert not sliced.preemptive
    assert not sliced.may_preempt(waiting[1])
    assert not sliced.preemptible(waiting[1])


def test_a_returning_request_ranks_by_what_it_has_left():
    policy = make_policy("sprpt+slice:64")
    returning, new = request(0, predicted=300.0), request(1, predicted=200.0)
    returning.generated = 128
    assert policy.rank(returning) == 172.0 < policy.rank(new)
    assert policy.rank(request(2)) == UNPREDICTED


def test_slices_and_a_bound_on_starvation_go_together():
    policy = make_policy("scls:32+bound:50:8")
    assert (policy.slice, policy.threshold, policy.quantum) == (32, Threshold(50), 8)
    starved = request(generated=640)
    starved.promote(99, policy.quantum)
    assert policy.key(starved) < policy.key(request())


@pytest.mark.parametrize(
    "spec", ["scls:0", "scls:x", "fcfs+slice:0", "fcfs+slice:1:2", "fcfs+cut", "scls+slice"]
)
def test_a_wrong_slice_is_one_line(spec):
    with pytest.raises(UserError) as caught:
        make_policy(spec)
    assert "\n" not in str(caught.value)
