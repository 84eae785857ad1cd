from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.policies import Fair, make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload

TOKEN = Linear("token", "test", base=1.0, prefill=0.01, decode=0.0, context=0.0)
PROMPT, ANSWER, SEATS = 30, 40, 3


class Watched(Simulator):
    """Notes what each tenant has been served, weighted, while both have somebody waiting."""

    gaps: list[float]

    def _end(self, done):
        super()._end(done)
        served, waiting = Counter(), {job.view.tenant for job in self.engine.waiting}
        for job in self.seen:
            view = self.engine.view(job)
            served[view.tenant] += view.prompt_tokens * view.started + 2 * view.generated
        if {"a", "b"} <= waiting:
            self.gaps.append(served["a"] - served["b"])

    def _arrive(self, i):
        job = super()._arrive(i)
        if job is not None:
            self.seen.append(job)
        return job


def serve(policy, workload, kind=Watched, seats=SEATS):
    setup = Setup(seats=seats, budget=10_000, margin=0.0)
    simulator = kind(workload, policy, make_predictor("oracle"), TOKEN, setup)
    simulator.gaps, simulator.seen = [], []
    return simulator.run(), simulator.gaps


sizes = st.tuples(st.integers(1, PROMPT), st.integers(1, ANSWER), st.sampled_from("ab"))


@settings(max_examples=60)
@given(
    st.lists(sizes, min_size=10, max_size=50),
    st.sampled_from([1, 60, 300]),
    st.sampled_from(["fcfs", "sjf", "hrrn", "boost", "ltr", "mlfq:8:2"]),
)
def test_two_backlogged_tenants_are_served_alike(rows, quantum, inner):
    """VTC's bound: counters part by at most a quantum and what can be in the seats at once;
    so service between two moments of a common backlog does by at most twice that."""
    prompt, output, tenant = zip(*rows, strict=True)
    burst = np.zeros(len(rows))
    workload = Workload(burst, np.array(prompt), np.array(output), tenant=tenant)
    held = SEATS if inner in ("fcfs", "sjf", "hrrn", "boost") else 3 * SEATS
    bound = quantum + held * (PROMPT + 2 * ANSWER)
    outcome, gaps = serve(make_policy(f"{inner}+fair:{quantum}"), workload)
    assert np.isfinite(outcome.finish).all()
    assert max(gaps, default=0) - min(gaps, default=0) <= 2 * bound


def flood(policy):
    """a's 200 requests are there before b's 20."""
    tenant = ("a",) * 200 + ("b",) * 20
    sizes = np.full(220, 20)
    outcome, _ = serve(make_policy(policy), Workload(np.zeros(220), sizes, sizes, tenant=tenant))
    return outcome.finish[200:].mean() / outcome.finish[:200].mean()


def test_who_asks_little_does_not_wait_behind_who_asks_much():
    assert flood("fcfs") > 1.5
    assert flood("fcfs+fair") < 0.5
    assert flood("ltr+fair:100") < 0.5


def test_no_seat_is_left_empty_for_fairness():
    """One tenant alone is served as under the policy itself."""
    workload = Workload(np.zeros(40), np.full(40, 9), np.arange(1, 41), tenant=("a",) * 39 + ("b",))
    fair, _ = serve(make_policy("fcfs+fair"), workload)
    plain, _ = serve(make_policy("fcfs"), workload)
    assert fair.steps <= plain.steps + ANSWER
    alone = Workload(np.zeros(40), np.full(40, 9), np.arange(1, 41), tenant=("a",) * 40)
    fair, _ = serve(make_policy("sjf+fair:1"), alone)
    plain, _ = serve(make_policy("sjf"), alone)
    assert np.array_equal(fair.finish, plain.finish)


def request(name, tenant, prompt=10):
    return Request(name, 0.0, int(name), prompt, tenant=tenant)


def test_idleness_earns_no_credit():
    fair = make_policy("fcfs+fair:1")
    assert isinstance(fair, Fair)
    for i in range(5):
        one = request(str(i), "a")
        fair.enters(one)
        fair.observe(0.0, [])
        fair.exits(one)
        one.started, one.generated = True, 20
        fair.observe(1.0, [one])
        fair.leave(one)
    assert fair.counters["a"] == 5 * (10 + 2 * 20)
    waiting, back = request("8", "a"), request("9", "b")
    fair.enters(waiting)
    fair.enters(back)
    fair.observe(2.0, [])
    assert fair.counters["b"] == fair.counters["a"]


def test_a_request_put_back_into_the_queue_is_charged_when_it_is_taken():
    fair = make_policy("fcfs+fair:1")
    it = request("1", "a", prompt=30)
    for _ in range(3):
        fair.enters(it)
        assert fair.counters["a"] == 0
        fair.exits(it)
        assert fair.counters["a"] == 30
    it.started = True
    fair.enters(it)
    fair.exits(it)
    assert fair.counters["a"] == 30, "an eviction is not the tenant's doing"


def test_the_tokens_of_a_slice_are_charged_where_it_ends():
    fair = make_policy("fcfs+fair:1+slice:64")
    it = request("1", "a", prompt=30)
    fair.enters(it)
    fair.exits(it)
    it.started, it.generated = True, 64
    fair.enters(it)
    assert fair._policy.counters["a"] == 30 + 2 * 64


def test_what_another_instance_has_served_is_not_charged_here():
    fair = make_policy("fcfs+fair:1")
    it = request("1", "a", prompt=30)
    it.generated = 64
    fair.enters(it)
    fair.observe(0.0, [it])
    assert fair.counters["a"] == 0


def test_an_aborted_waiting_request_leaves_nothing_behind():
    fair = make_policy("sjf+fair")
    it = request("1", "a")
    fair.enters(it)
    fair.leave(it)
    other = request("2", "b")
    fair.enters(other)
    fair.observe(0.0, [])
    assert not any(fair.counters.values())


def pass_by(fair, i, tenant, generated=3):
    """One request of the tenant, from arrival to its end."""
    it = request(str(i), tenant)
    fair.enters(it)
    fair.observe(0.0, [])
    fair.exits(it)
    it.started, it.generated = True, generated
    fair.leave(it)


def test_tenants_without_requests_are_forgotten_however_many_names_there_were():
    fair = make_policy("fcfs+fair")
    there = request("-1", "stays")
    fair.enters(there)
    for i in range(5_000):
        pass_by(fair, i, f"tenant {i}")
    # Some enter and leave between two looks.
    for i in range(5_000, 10_000):
        it = request(str(i), f"tenant {i}")
        fair.enters(it)
        fair.leave(it)
    fair.observe(1.0, [there])
    assert len(fair.counters) <= 1100
    assert len(fair._absent) <= 1100
    assert list(fair._present) == list(fair._waiting) == ["stays"]
    assert list(fair._charged) == ["-1"]
    assert not fair._back


def test_a_tenant_is_charged_for_what_it_had_before_a_pause():
    fair = make_policy("fcfs+fair")
    pass_by(fair, 0, "a", generated=50)
    before = fair.counters["a"]
    for i in range(1, 900):
        pass_by(fair, i, f"tenant {i}")
    fair.enters(request("1000", "a"))
    fair.observe(1.0, [])
    assert fair.counters["a"] >= before > 0


def test_many_tenants_that_come_back_at_once_are_lifted_to_who_waits():
    fair = make_policy("fcfs+fair:1")
    pass_by(fair, 0, "busy", generated=100)
    fair.enters(request("1", "busy"))
    fair.observe(0.0, [])
    for i in range(2, 3000):
        fair.enters(request(str(i), f"tenant {i}"))
    fair.observe(1.0, [])
    assert set(fair.counters.values()) == {fair.counters["busy"]}


@pytest.mark.parametrize("spec", ["fair:0", "fair:-3", "fair:9:-1", "fair:x", "fair:1:2:3:4"])
def test_bad_arguments_are_one_line(spec):
    with pytest.raises(UserError, match="fair"):
        make_policy(f"fcfs+{spec}")
