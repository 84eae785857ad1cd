"""Logs whose truth is known: what the simulator served in order of arrival."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.calibration.chosen import MOST, chosen
from lengthwise.calibration.from_requests import from_requests
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import StepTime, load_profile
from lengthwise.traces.trace import Observed, Trace
from lengthwise.workload import Workload
from lengthwise.workload.arrival_times import gamma
from lengthwise.workload.laws import synthetic

SMALL = ("lognormal:150:1", "lognormal:60:1")
CHAT = ("lognormal:500:1.2", "lognormal:200:1")


def traffic(n: int, laws: tuple[str, str], rate: float | None, seed: int = 0) -> Workload:
    """n requests at a rate per second; None is a burst."""
    drawn = synthetic(n, *laws, seed)
    if rate is None:
        return drawn
    arrival = np.array(gamma(n, rate, 1.0, [seed, 2]))
    return replace(drawn, arrival=arrival - arrival[0])


def serve(workload: Workload, time: StepTime, setup: Setup, policy: str = "fcfs") -> Outcome:
    """What a policy gives, told nothing."""
    return Simulator(workload, make_policy(policy), make_predictor("none"), time, setup).run()


def log_of(workload: Workload, outcome: Outcome) -> Trace:
    """What its server would have logged."""
    observed = Observed(outcome.first, outcome.finish)
    return Trace(workload, "log", len(workload), observed=observed)


def mean_latency(workload: Workload, outcome: Outcome) -> float:
    return float((outcome.finish - workload.arrival).mean())


CPU = Setup(seats=8, budget=2048)
GPU = Setup(seats=64, budget=2048)
CASES = [
    ("cpu-smollm2", CPU, SMALL, 0.9),
    ("cpu-smollm2", CPU, SMALL, 1.6),
    ("cpu-smollm2", CPU, SMALL, None),
    ("a100-llama3-8b", GPU, CHAT, 8.0),
    ("a100-llama3-8b", GPU, CHAT, 14.0),
    ("a100-llama3-8b", GPU, CHAT, None),
]


@pytest.mark.parametrize(("profile", "setup", "laws", "rate"), CASES)
def test_a_log_of_fcfs_tells_what_fcfs_and_lengthwise_give(profile, setup, laws, rate):
    truth = load_profile(profile)
    workload = traffic(500, laws, rate)
    found = from_requests(log_of(workload, serve(workload, truth, setup)))
    assert found.error is not None
    assert found.error < 0.05
    assert found.fastest <= 1.0 <= found.slowest
    like = replace(setup, seats=found.seats or setup.seats)
    for load in (1.0, 1.25):
        denser = replace(workload, arrival=workload.arrival / load)
        for policy in ("fcfs", "lengthwise"):
            real = mean_latency(denser, serve(denser, truth, setup, policy))
            ours = mean_latency(denser, serve(denser, found.steps, like, policy))
            assert ours == pytest.approx(real, rel=0.03), (load, policy)


def test_seats_that_were_short_are_found_and_others_are_not():
    truth = load_profile("cpu-smollm2")
    busy, calm = traffic(400, SMALL, 1.6), traffic(400, SMALL, 0.3)
    found = from_requests(log_of(busy, serve(busy, truth, CPU)))
    assert found.seats == 8
    assert any("8 ran" in note for note in found.notes)
    found = from_requests(log_of(calm, serve(calm, truth, CPU)))
    assert found.seats is None
    assert any("not known" in note for note in found.notes)
    assert from_requests(log_of(calm, serve(calm, truth, CPU)), seats=16).seats == 16


def test_memory_that_was_short_is_found():
    setup = Setup(seats=256, budget=2048, blocks=1500)
    workload = traffic(400, CHAT, 11.0)
    truth = load_profile("a100-llama3-8b")
    found = from_requests(log_of(workload, serve(workload, truth, setup)))
    assert found.seats is None
    assert found.kv_tokens == pytest.approx(1500 * 16, rel=0.05)
    real = mean_latency(workload, serve(workload, truth, setup, "lengthwise"))
    ours = mean_latency(workload, serve(workload, found.steps, setup, "lengthwise"))
    assert ours == pytest.approx(real, rel=0.08)


@pytest.mark.parametrize(("profile", "setup", "laws", "rate"), [CASES[1], CASES[4]])
def test_a_log_without_first_tokens_tells_nearly_as_much(profile, setup, laws, rate):
    truth = load_profile(profile)
    workload = traffic(500, laws, rate)
    served = serve(workload, truth, setup)
    none = np.full(len(workload), np.nan)
    found = from_requests(Trace(workload, "log", 500, observed=Observed(none, served.finish)))
    assert found.seats == setup.seats
    assert any("a guess" in note for note in found.notes)
    denser = replace(workload, arrival=workload.arrival / 1.25)
    for policy in ("fcfs", "lengthwise"):
        real = mean_latency(denser, serve(denser, truth, setup, policy))
        ours = mean_latency(denser, serve(denser, found.steps, setup, policy))
        assert ours == pytest.approx(real, rel=0.05)


def test_requests_that_came_at_once_were_served_in_the_order_of_their_first_tokens():
    workload = traffic(300, SMALL, None)
    served = serve(workload, load_profile("cpu-smollm2"), CPU)
    mixed = np.random.default_rng(0).permutation(300)
    shuffled = workload.rows(mixed, workload.arrival[mixed])
    observed = Observed(served.first[mixed], served.finish[mixed])
    found = from_requests(Trace(shuffled, "log", 300, observed=observed))
    assert found.seats == 8
    assert found.error is not None
    assert found.error < 0.01


def test_of_a_long_log_a_busy_stretch_is_used_that_begins_idle():
    n = MOST + 2000
    workload = traffic(n, ("constant:10", "constant:10"), 1.0)
    finish = workload.arrival + np.where(np.arange(n) < 1500, 0.01, 5.0)
    used = chosen(Trace(workload, "log", n, observed=Observed(finish - 0.005, finish)))
    assert len(used.workload) == MOST
    assert used.workload.arrival[0] == 0.0
    assert used.observed is not None
    assert (used.observed.finish - used.workload.arrival).mean() > 4.0


def test_requests_without_times_are_left_out():
    workload = traffic(60, SMALL, 0.5)
    served = serve(workload, load_profile("cpu-smollm2"), CPU)
    finish = served.finish.copy()
    finish[::10] = np.nan
    log = Trace(workload, "log", 60, observed=Observed(served.first, finish))
    assert len(chosen(log).workload) == 54


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([None, 3, 40]))
def test_logs_that_no_engine_wrote_give_steps_or_one_line(seed, streamed, seats):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 50))
    arrival = np.sort(np.round(rng.uniform(0, rng.choice([0, 5, 100]), n), rng.integers(0, 3)))
    arrival -= arrival[0]
    workload = Workload(
        arrival, rng.integers(1, rng.choice([2, 500, 9000]), n), rng.integers(1, 300, n)
    )
    first = arrival + rng.choice([0, 0.1, 3], n) * rng.random(n)
    finish = first + rng.choice([0, 0.5, 10]) * rng.random(n)
    if not streamed:
        first = np.full(n, np.nan)
    with suppress(UserError):
        found = from_requests(Trace(workload, "x", n, observed=Observed(first, finish)), seats)
        assert 0 <= found.fastest <= 1 <= found.slowest
        assert np.isfinite(found.steps.seconds(100, 8, 1000))


def test_what_tells_no_times_is_one_line():
    workload = traffic(60, SMALL, 0.5)
    with pytest.raises(UserError, match="--engine-log"):
        from_requests(Trace(workload, "plain", 60))
    none = np.full(60, np.nan)
    with pytest.raises(UserError, match="0 requests have times"):
        from_requests(Trace(workload, "log", 60, observed=Observed(none, none)))
    with pytest.raises(UserError, match="--seats must be at least 1"):
        from_requests(Trace(workload, "log", 60), seats=0)
