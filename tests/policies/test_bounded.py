import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.patience import Patience, Threshold
from lengthwise.core.policy import FIRST
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.policies import Bounded, Trail, make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.figures import figures
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear, load_profile
from lengthwise.workload import Workload, synthetic, with_arrivals


def request(seq=0, predicted=100.0, generated=0, started=True):
    it = Request(str(seq), 0.0, seq, 10, generated, started)
    it.predict(predicted)
    return it


def test_the_promoted_go_first_in_the_order_of_their_promotion():
    policy = make_policy("trail+bound:50:4")
    short, early, late = request(0, 2.0), request(1, 500.0), request(2, 300.0)
    early.promote(60, policy.quantum)
    late.promote(70, policy.quantum)
    assert sorted([short, late, early], key=policy.key) == [early, late, short]


def test_a_promotion_is_over_after_its_quantum():
    policy = make_policy("sprpt+bound:50:4")
    starved = request(generated=10)
    starved.promote(99, policy.quantum)
    assert not policy.preemptible(starved)
    starved.generated = 13
    assert starved.promoted
    starved.generated = 14
    assert policy.preemptible(starved)
    assert policy.key(starved) == (starved.remaining,)


def test_who_must_run_to_completion_stays_before_the_promoted():
    policy = make_policy("trail+bound")
    nearly = request(predicted=100.0, generated=90)
    nearly.promote(5, 10)
    assert policy.key(nearly) == FIRST


def test_without_promotion_everything_is_as_the_policy_says():
    bounded, plain = make_policy("trail:0.5+bound:9"), make_policy("trail:0.5")
    for it in (request(), request(generated=80), request(predicted=math.nan)):
        assert bounded.key(it) == plain.key(it)
        assert bounded.preemptible(it) == plain.preemptible(it)
        assert bounded.may_preempt(it) == plain.may_preempt(it)
    assert (bounded.source, bounded.preemptive) == (plain.source, plain.preemptive)
    assert (bounded.threshold, bounded.quantum) == (Threshold(9), 20)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("trail+nope", "after \\+ comes bound"),
        ("trail+bound:1:2:3", "takes THRESHOLD:QUANTUM at most"),
        ("trail+bound:x", "could not convert"),
        ("trail+bound:1.5", "whole number"),
        ("trail+bound:0s", "more than 0 seconds"),
        ("trail+bound:nan", "at least 1"),
        ("trail+bound:9:0", "at least 1 token"),
        ("trail+bound:0", "at least 1"),
        ("nope+bound", "unknown policy 'nope'"),
    ],
)
def test_bad_bounds_are_one_line(spec, message):
    with pytest.raises(UserError, match=message):
        make_policy(spec)


def test_a_bound_on_a_bound_is_two_bounds_of_which_the_outer_counts():
    assert make_policy("fcfs+bound:9+bound:5").threshold == Threshold(5)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=60))
def test_whoever_stays_idle_for_the_threshold_is_told_once(events):
    """Requests are watched anew whenever they lose their token; the last time counts."""
    views = {i: Request(str(i), 0.0, i, 1) for i in range(10)}
    patience = Patience(20, lambda i: views[i])
    since, step = {}, 0
    for gap, who in events:
        for _ in range(gap):
            step += 1
            due = {i for i, start in since.items() if start + 20 == step}
            assert set(patience.starved(step, lambda i: True)) == due
        patience.watch(who, step)
        since[who] = step


def run(policy, seats=4, rate=2.0):
    workload = with_arrivals(synthetic(600, "constant:20", "exp:150", 3), "poisson", rate, seed=3)
    outcome = Simulator(
        workload,
        make_policy(policy),
        make_predictor("oracle" if policy.startswith("oracle") else "lognormal:0.4+refined"),
        load_profile("a100-llama3-8b"),
        Setup(seats=seats, blocks=4000),
    ).run()
    return workload, outcome


@pytest.mark.parametrize("policy", ["oracle", "trail", "sprpt"])
def test_in_the_simulator_the_longest_waiting_falls(policy):
    workload, free = run(policy)
    _, bounded = run(f"{policy}+bound:1000:20")
    (without, _), (within, _) = figures(workload, free), figures(workload, bounded)
    assert within.max_waiting_s < 0.3 * without.max_waiting_s
    assert within.mean_latency_s < 1.2 * without.mean_latency_s
    assert within.finished == without.finished == 600


def test_a_bound_that_nobody_reaches_changes_nothing():
    _, free = run("trail")
    _, bounded = run("trail+bound:10000000")
    assert np.array_equal(free.finish, bounded.finish)


@settings(max_examples=20)
@given(st.integers(5, 300), st.integers(1, 40), st.integers(0, 99))
def test_every_request_is_served_under_every_bound(threshold, quantum, seed):
    lengths = synthetic(60, "uniform:1:80", "exp:60", seed)
    workload = with_arrivals(lengths, "poisson", 30.0, seed=seed)
    policy = Bounded(Trail(), Threshold(threshold), quantum)
    setup = Setup(seats=3, blocks=30, budget=64)
    outcome = Simulator(
        workload,
        policy,
        make_predictor("lognormal:1+refined"),
        load_profile("a100-llama3-8b"),
        setup,
    ).run()
    assert np.isfinite(outcome.finish).sum() == 60 - outcome.rejected


@pytest.mark.parametrize(("text", "amount", "seconds"), [("500", 500, False), ("2.5s", 2.5, True)])
def test_a_threshold_is_in_steps_or_in_seconds(text, amount, seconds):
    assert Threshold.of(text) == Threshold(amount, seconds)


def test_seconds_without_a_token_promote_whatever_steps_take():
    """One seat and a long answer: the second request waits 3 s at most, then gets 5 tokens."""
    workload = Workload(np.zeros(2), np.array([1, 1]), np.array([900, 800]))
    for token in (0.01, 0.1):
        outcome = Simulator(
            workload,
            make_policy("sprpt+bound:3s:5"),
            make_predictor("oracle"),
            Linear("token", "test", base=token, prefill=0.0, decode=0.0, context=0.0),
            Setup(seats=1),
        ).run()
        # The shorter, 1, is served first.
        assert outcome.first[0] == pytest.approx(3.0 + token, abs=2 * token)
        assert outcome.gap[0] == pytest.approx(3.0 + token, abs=2 * token)
