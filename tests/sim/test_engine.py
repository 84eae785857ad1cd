"""The simulated engine: closed forms, conservation, and skipping that changes nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import Linear
from lengthwise.sim.stretch import Doing
from lengthwise.workload import Workload, synthetic, with_arrivals

MEAN = 400
"""Tokens that make one unit of service; the closed forms are continuous."""

TOKEN = Linear("token", "test", base=1.0 / MEAN, prefill=0.0, decode=0.0, context=0.0)
ENDLESS = {"blocks": 10**9, "margin": 0.0, "paused_per_seat": 10**6}


def serve(
    workload: Workload,
    policy: str,
    predictor: str = "oracle",
    time: Any = TOKEN,
    kind: type[Simulator] = Simulator,
    seed: int = 0,
    **setup: Any,
) -> Outcome:
    return kind(
        workload, make_policy(policy), make_predictor(predictor), time, Setup(**setup), seed
    ).run()


def queue(n: int, rate: float, law: str, policy: str, seats: int = 1, seed: int = 0) -> Any:
    """Mean response time and its standard error over batches, in units of mean service."""
    workload = with_arrivals(
        synthetic(n, "constant:1", law, seed), "poisson", rate * seats, seed=seed
    )
    outcome = serve(workload, policy, seats=seats, budget=10**6, **ENDLESS)
    response = outcome.finish - workload.arrival
    batches = np.array([part.mean() for part in np.array_split(response[n // 20 :], 25)])
    return batches.mean(), batches.std(ddof=1) / math.sqrt(len(batches))


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_one_seat_is_mm1(load: float) -> None:
    mean, error = queue(60_000, load, f"exp:{MEAN}", "fcfs")
    assert abs(mean - 1 / (1 - load)) < 3 * error + 0.01


def test_one_seat_and_equal_answers_is_md1() -> None:
    mean, error = queue(40_000, 0.8, f"constant:{MEAN}", "fcfs")
    # Pollaczek and Khinchine: E[T] = 1 + rho / (2 (1 - rho)) for constant service.
    assert abs(mean - (1 + 0.8 / (2 * 0.2))) < 3 * error + 0.01


@pytest.mark.parametrize(("load", "expected"), [(0.5, 1.4254), (0.7, 1.8746), (0.9, 3.5521)])
def test_one_seat_and_true_lengths_is_srpt(load: float, expected: float) -> None:
    mean, error = queue(80_000, load, f"exp:{MEAN}", "oracle")
    assert abs(mean - expected) < 3 * error + 0.01


def test_several_seats_are_mmk() -> None:
    k, load = 4, 0.8
    mean, error = queue(60_000, load, f"exp:{MEAN}", "fcfs", seats=k)
    offered = k * load
    terms = [offered**i / math.factorial(i) for i in range(k)]
    last = offered**k / math.factorial(k) / (1 - load)
    erlang_c = last / (sum(terms) + last)
    assert abs(mean - (1 + erlang_c / (k * (1 - load)))) < 3 * error + 0.01


class StepByStep(Simulator):
    """Never skips ahead, and asks the seating before every step, as the plug-in does."""

    def _begin(self) -> Doing:
        doing = super()._begin()
        if not doing.sampling and doing.steps > 1:
            return Doing(1, self.engine.clock.decoding(1), [], doing.stop)
        return doing

    def _end(self, done: Doing) -> None:
        super()._end(done)
        self.engine.seating.unsettled = True


requests = st.lists(
    st.tuples(st.floats(0, 0.4), st.integers(1, 120), st.integers(1, 60)), min_size=1, max_size=40
)
policies = st.sampled_from(
    [
        ("fcfs", "none"),
        ("sjf", "lognormal:0.5"),
        ("oracle", "oracle"),
        ("sprpt", "lognormal:0.5"),
        ("trail:0.8", "lognormal:0.5"),
        ("trail:0.3", "exponential"),
        ("trail-early", "exponential"),
        ("ssjf:9", "lognormal:0.5"),
        ("hrrn", "lognormal:0.5"),
        ("ltr", "lognormal:0.5"),
        ("mlfq:4:2", "none"),
        ("mlfq:8:1.5+bound:20:5", "none"),
        ("trail+bound:9:3", "lognormal:0.5"),
        ("ltr+bound:0.3s:4", "lognormal:0.5"),
        ("sjf+priority+bound:0.5s:4", "lognormal:0.5"),
        ("trail+priority", "lognormal:0.5"),
        ("boost", "none"),
        ("boost:tokens", "lognormal:0.5"),
        ("hrrn-prompt", "none"),
        ("spf", "none"),
        ("tie", "lognormal:0.5"),
        ("gittins", "lognormal:0.5"),
        ("gittins+bound:9:3+fair:20", "lognormal:1.5"),
        ("boost+priority", "lognormal:0.5"),
        ("fcfs+fair:40", "none"),
        ("ltr+fair:40", "lognormal:0.5"),
        ("hrrn+fair:9+bound:9:3", "lognormal:0.5"),
        ("sprpt+bound:15:3+fair:20+priority", "lognormal:0.5"),
    ]
)
CPU = Linear("cpu", "test", base=0.01, prefill=2e-4, decode=1e-3, context=1e-6)


def made(rows: list[Any]) -> Workload:
    gaps, prompt, output = zip(*rows, strict=True)
    arrival = np.cumsum(gaps)
    return Workload(
        arrival - arrival[0],
        np.array(prompt),
        np.array(output),
        tenant=tuple("ab"[size % 2] for size in prompt),
        priority=np.array(output) % 3,
    )


@settings(max_examples=200)
@given(requests, policies, st.sampled_from([1, 3, 8]), st.sampled_from([8.0, 0.0]))
def test_skipping_ahead_decides_as_stepping_does(
    rows: Any, policy: Any, seats: int, margin: float
) -> None:
    workload = made(rows)
    setup = {"seats": seats, "budget": 64, "margin": margin, "blocks": 10_000}
    fast = serve(workload, *policy, time=CPU, **setup)
    slow = serve(workload, *policy, time=CPU, kind=StepByStep, **setup)
    np.testing.assert_allclose(fast.finish, slow.finish, rtol=1e-9)
    np.testing.assert_allclose(fast.first, slow.first, rtol=1e-9)
    assert (fast.steps, fast.pauses) == (slow.steps, slow.pauses)


@settings(max_examples=200)
@given(
    requests,
    policies,
    st.integers(24, 60),
    st.sampled_from([{}, {"pause": False}, {"eviction": "swap", "swap_s": 0.01}, {"cached": 0.5}]),
)
def test_scarce_memory_loses_no_request_and_no_block(
    rows: Any, policy: Any, blocks: int, how: Any
) -> None:
    workload = made(rows)
    setup = Setup(seats=6, budget=48, blocks=blocks, block_size=8, **how)
    simulator = Simulator(
        workload, make_policy(policy[0]), make_predictor(policy[1]), CPU, setup, 3
    )
    outcome = simulator.run()
    assert np.isfinite(outcome.finish).sum() + outcome.rejected == len(workload)
    assert simulator.engine.free_blocks() == blocks
    done = np.isfinite(outcome.finish)
    assert (outcome.first[done] <= outcome.finish[done]).all()
    assert (outcome.first[done] > workload.arrival[done]).all()


def test_a_seed_gives_the_same_run_to_the_bit() -> None:
    workload = with_arrivals(synthetic(300, "uniform:5:50", "exp:60", 1), "poisson", 20.0, seed=1)
    runs = [
        serve(workload, "trail", "lognormal:0.6", CPU, seed=5, seats=8).finish.tobytes()
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    other = serve(workload, "trail", "lognormal:0.6", CPU, seed=6, seats=8).finish.tobytes()
    assert other != runs[0]


def test_no_seat_is_idle_while_somebody_waits() -> None:
    """A burst keeps every seat busy: as many steps as equal answers in full seats take."""
    workload = synthetic(64, "constant:4", "constant:25", 0)
    outcome = serve(workload, "fcfs", "none", CPU, seats=8)
    assert outcome.steps == 64 / 8 * 25


def test_a_request_larger_than_memory_is_rejected_and_counted() -> None:
    workload = Workload(np.zeros(3), np.array([10, 900, 10]), np.array([5, 5, 5]))
    outcome = serve(workload, "fcfs", "none", CPU, blocks=50, block_size=8)
    assert outcome.rejected == 1
    assert np.isnan(outcome.finish[1])
    assert np.isfinite(outcome.finish[[0, 2]]).all()


def test_long_prompts_are_computed_in_chunks_beside_decodes() -> None:
    workload = Workload(np.array([0.0, 0.05]), np.array([4, 1000]), np.array([60, 5]))
    outcome = serve(workload, "fcfs", "none", CPU, seats=4, budget=101)
    # A thousand prompt tokens at a hundred a step beside one decode: ten steps.
    assert outcome.first[1] - 0.05 == pytest.approx(10 * (0.01 + 0.02 + 0.001), rel=0.15)


@pytest.mark.parametrize(
    ("setup", "said"),
    [
        ({"seats": 0}, "at least 1"),
        ({"seats": 64, "budget": 32}, "budget"),
        ({"cached": 1.5}, "cached share"),
    ],
)
def test_an_impossible_engine_is_refused(setup: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Setup(**setup)
