"""``+targets``: who goes first where something is promised, and nothing else where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.lanes import Lanes, waiting_queue
from lengthwise.core.policy import FIRST, Policy
from lengthwise.core.request import Request
from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.errors import UserError
from lengthwise.policies import make_policy, with_targets
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload

CLASSES = Classes(
    (
        ServiceClass("chat", Target(ttft=10.0), tenants=("chat",)),
        ServiceClass("mail", Target(ttft=30.0), tenants=("mail",)),
        ServiceClass("bulk", tenants=("bulk",)),
    ),
    "bulk",
)

STEP = Linear("step", "test", base=0.02, prefill=0.0002, decode=0.0005, context=0.0)


def request(seq: int, service: str, prompt: int = 100, at: float = 0.0) -> Request:
    return Request(str(seq), at, seq, prompt, service=service)


def queue_of(policy: Policy, *requests: Request) -> Lanes[Request]:
    policy.begins(8, 0)
    queue = waiting_queue(policy, lambda it: it)
    assert isinstance(queue, Lanes)
    policy.observe(0.0, [])
    for it in requests:
        queue.push(it)
    return queue


def served(queue: Lanes[Request]) -> list[int]:
    found = []
    while queue:
        it = queue.pop()
        it.started = True
        found.append(it.seq)
    return found


def targets(inner: str = "fcfs", classes: Classes = CLASSES) -> Policy:
    return make_policy(f"{inner}+targets", classes)


# Order.


def test_what_is_promised_goes_before_what_is_not() -> None:
    policy = targets()
    queue = queue_of(policy, request(0, "bulk"), request(1, "mail"), request(2, "chat"))
    assert served(queue) == [1, 2, 0]


def test_in_danger_earlier_classes_go_first() -> None:
    policy = targets()
    mail = request(1, "mail", at=-20.0)
    queue = queue_of(policy, request(0, "bulk"), mail, request(2, "chat"))
    policy.observe(9.999, [])
    assert served(queue) == [2, 1, 0]


def test_a_class_in_danger_goes_before_an_earlier_one_that_has_time() -> None:
    policy = targets()
    queue = queue_of(policy, request(0, "mail"))
    policy.observe(29.999, [])
    for seq in (1, 2):
        queue.push(request(seq, "chat", at=29.999))
    queue.push(request(3, "mail", at=29.999))
    assert served(queue) == [0, 1, 2, 3]


def test_inside_a_class_the_earliest_target_goes_first() -> None:
    policy = targets("spf")
    queue = queue_of(policy, request(0, "chat", 100), request(1, "chat", 90, at=0.0005))
    policy.observe(9.999, [])
    assert served(queue) == [0, 1]


def test_what_is_late_does_not_make_others_late() -> None:
    policy = targets()
    queue = queue_of(policy, request(0, "chat"), request(1, "mail"))
    policy.observe(10.5, [])
    queue.push(request(2, "chat", at=10.0))
    assert served(queue) == [1, 2, 0]
    # Also behind the first of its lane.
    policy = targets()
    queue = queue_of(policy, *(request(i, "chat", at=i / 4) for i in range(4)))
    policy.observe(10.6, [])
    assert served(queue) == [3, 0, 1, 2]


def test_less_work_counts_as_more_time_while_the_queue_is_long() -> None:
    policy = targets()
    small, large = request(1, "chat", 10, at=1.0), request(0, "chat", 5000)
    queue = queue_of(policy, large, small, *(request(i, "chat") for i in range(2, 50)))
    # Two were admitted in 4 s: the queue takes far longer than there is.
    for now in (2.0, 4.0):
        policy.observe(now, [])
        queue.pop()
    policy.observe(4.1, [])
    assert policy.key(small) < policy.key(large)


def test_who_started_runs_to_its_end() -> None:
    policy = targets("lengthwise")
    it = request(0, "bulk")
    queue = queue_of(policy, it)
    queue.pop()
    it.started = True
    assert policy.key(it) == FIRST
    queue.push(request(1, "chat"))
    it.preemptions += 1
    queue.push(it)
    assert served(queue) == [0, 1]


# Shares.


def test_what_is_not_promised_cannot_starve() -> None:
    policy = make_policy("fcfs+targets:0.1", CLASSES)
    many = [request(i, "chat") for i in range(100)] + [request(100, "bulk")]
    order = served(queue_of(policy, *many))
    assert 1 < order.index(100) < 40


def test_a_class_keeps_its_share() -> None:
    chat, mail, _ = CLASSES.all
    shares = Classes((chat, mail, ServiceClass("bulk", share=0.5, tenants=("bulk",))), "bulk")
    many = [request(i, "bulk" if i % 2 else "chat") for i in range(100)]
    order = served(queue_of(targets(classes=shares), *many))
    assert sum(seq % 2 for seq in order[:40]) >= 18


# Nothing promised: as without it.


@pytest.mark.parametrize("inner", ["fcfs", "sjf", "lengthwise", "trail", "hrrn", "fcfs+fair"])
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_without_promises_it_decides_as_the_policy_does(
    inner: str, seed: int, given_classes: bool
) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    workload = Workload(
        np.concatenate([[0.0], np.sort(rng.uniform(0, 4, n - 1))]),
        rng.integers(1, 300, n),
        rng.integers(1, 60, n),
        tenant=tuple(rng.choice(["chat", "bulk"], n)),
    )
    empty = tuple(ServiceClass(each.name, tenants=each.tenants) for each in CLASSES.all)
    classes = Classes(empty, "bulk") if given_classes else None
    ours, theirs = (
        outcome(workload, make_policy(spec, classes), classes)
        for spec in (f"{inner}+targets", inner)
    )
    assert ours.first.tolist() == theirs.first.tolist()
    assert ours.finish.tolist() == theirs.finish.tolist()
    assert (ours.pauses, ours.evictions) == (theirs.pauses, theirs.evictions)


def outcome(workload: Workload, policy: Policy, classes: Classes | None) -> Outcome:
    setup = Setup(seats=6, budget=128, blocks=60, classes=classes)
    return Simulator(workload, policy, make_predictor("oracle"), STEP, setup).run()


@pytest.mark.parametrize("inner", ["fcfs", "lengthwise", "trail", "trail+bound:50", "fcfs+fair"])
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31))
def test_everybody_is_served_whatever_is_promised(inner: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    workload = Workload(
        np.concatenate([[0.0], np.sort(rng.uniform(0, 4, n - 1))]),
        rng.integers(1, 300, n),
        rng.integers(1, 60, n),
        tenant=tuple(rng.choice(["chat", "mail", "bulk"], n)),
    )
    classes = Classes(
        (
            ServiceClass("chat", Target(ttft=float(rng.choice([0.1, 1, 10]))), tenants=("chat",)),
            ServiceClass("mail", Target(deadline=5.0), share=0.2, tenants=("mail",)),
            ServiceClass("bulk"),
        ),
        "bulk",
    )
    found = outcome(workload, make_policy(f"{inner}+targets", classes), classes)
    assert not np.isnan(found.finish).any()


# Names.


def test_lengthwise_stands_for_targets_where_there_are_classes() -> None:
    assert with_targets("lengthwise") == "lengthwise+targets"
    assert with_targets("lengthwise:0.1") == "lengthwise:0.1+targets"
    for other in ("fcfs", "trail:0.8", "lengthwise+targets:0.1", "lengthwise+fair"):
        assert with_targets(other) == other


@pytest.mark.parametrize("tolerance", ["1", "-0.1", "nan"])
def test_a_share_of_all_is_refused(tolerance: str) -> None:
    with pytest.raises(UserError, match="a share of the work"):
        make_policy(f"fcfs+targets:{tolerance}")
