"""``tie``: shortest by the mean and the tail of what is predicted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lengthwise.core import Bins
from lengthwise.core.lanes import waiting_queue
from lengthwise.core.lengths import Lengths
from lengthwise.core.policy import AWAITED, COMMITTED, UNPREDICTED
from lengthwise.core.prediction import each_of
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.policies.tie import TIE

BINS = Bins.of(np.array([0.0, 20.0, 60.0, 100.0, 400.0]))
SURE, RISKY = [0.0, 1.0, 0.0, 0.0], [0.9, 0.0, 0.0, 0.1]


def request(seq: int, shares: list[float] | None, arrival: float = 0.0) -> Request:
    it = Request(str(seq), arrival, seq, 10)
    if shares is not None:
        [found] = each_of(Lengths.of(BINS, np.array([shares], np.float32)), "prompt")
        it.receive(found)
    return it


def test_scores_by_hand() -> None:
    """40 and no tail; 0.9 x 10 + 0.1 x 250 = 34, and a tenth of 250. Nobody waits: beta 0.1."""
    policy = make_policy("tie")
    assert math.exp(policy.rank(request(0, SURE))) == pytest.approx(40 + 0.1 * 40)
    assert math.exp(policy.rank(request(1, RISKY))) == pytest.approx(34 + 0.1 * 250)


def test_a_risk_goes_behind_a_longer_mean() -> None:
    policy = make_policy("tie")
    queue = waiting_queue(policy, lambda it: it)
    for it in (request(0, RISKY), request(1, SURE)):
        queue.push(it)
    assert [queue.pop().seq for _ in range(2)] == [1, 0]
    # Without a tail it is the shortest expectation.
    assert TIE(0.0).rank(request(0, RISKY)) < TIE(0.0).rank(request(1, SURE))


def test_the_tails_weight_grows_with_those_that_wait() -> None:
    """2 seats: 0.1 up to 2 waiting, 0.05 more for each, 0.5 at most."""
    policy = TIE()
    policy.begins(2, 0)
    queue = waiting_queue(policy, lambda it: it)
    requests = [request(seq, SURE) for seq in range(14)]
    for it in requests:
        queue.push(it)
    found = [math.exp(policy.rank(it)) / 40 - 1 for it in requests]
    assert found == pytest.approx([min(max(0.05 * i, 0.1), 0.5) for i in range(14)])
    # The weight is that of the moment of scoring.
    queue.pop()
    assert math.exp(policy.rank(requests[8])) / 40 - 1 == pytest.approx(0.4)


def test_a_score_falls_by_a_tenth_in_30_seconds() -> None:
    policy = make_policy("tie")
    old, new = policy.rank(request(0, SURE)), policy.rank(request(1, SURE, arrival=30.0))
    assert old == pytest.approx(new + math.log(0.9))


def test_a_point_counts_as_often_as_its_weight_says() -> None:
    it = request(0, None)
    it.predict(50.0)
    assert math.exp(make_policy("tie").rank(it)) == pytest.approx(55.0)


def test_the_unknown_go_by_arrival_and_the_started_to_their_end() -> None:
    policy = make_policy("tie")
    unknown, awaited, started = (request(seq, None) for seq in range(3))
    awaited.awaited, started.started = True, True
    assert policy.rank(started) == COMMITTED
    assert policy.rank(unknown) == UNPREDICTED
    assert policy.rank(unknown) < policy.rank(request(3, [1.0, 0.0, 0.0, 0.0]))
    assert policy.rank(awaited) == AWAITED


def test_it_keeps_nothing_of_those_that_are_gone() -> None:
    policy = TIE()
    queue = waiting_queue(policy, lambda it: it)
    first, second = request(0, SURE), request(1, SURE)
    for it in (first, second):
        queue.push(it)
    queue.pop()
    queue.remove(second)
    policy.leave(second)
    assert policy._waiting == {}


@pytest.mark.parametrize("level", ["1", "-0.1", "nan"])
def test_the_level_of_the_tail_is_below_1(level: str) -> None:
    with pytest.raises(UserError, match="the level of TIE's tail is from 0 to below 1") as caught:
        make_policy(f"tie:{level}")
    assert "\n" not in str(caught.value)
