"""Foresight in the simulated engine: nothing stalls, and less is computed twice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.predictors.base import Guess, Predictor
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload, synthetic, with_arrivals

TIME = Linear("small", "test", base=0.01, prefill=1e-4, decode=1e-4, context=1e-7)
SCARCE = Setup(seats=32, budget=256, blocks=300, reserve=3)
PLENTY = Setup(seats=32, budget=256, blocks=100_000)
ALL = ("fcfs", "trail", "ltr", "sprpt", "mlfq", "scls:16", "fcfs+fair", "fcfs+priority", "hrrn")


def traffic(n: int = 400, rate: float = 30.0) -> Workload:
    return with_arrivals(synthetic(n, "exp:60", "exp:150", 1), "poisson", rate, seed=2)


def serve(spec: str, setup: Setup, predictor: Predictor | None = None) -> Outcome:
    predictor = predictor or make_predictor("lognormal:0.5+refined")
    workload = traffic()
    outcome = Simulator(workload, make_policy(spec), predictor, TIME, setup, seed=3).run()
    assert np.isfinite(outcome.finish).all()
    return outcome


@pytest.mark.parametrize("spec", ALL)
def test_where_memory_is_plentiful_it_changes_nothing(spec: str) -> None:
    plain, foreseeing = serve(spec, PLENTY), serve(f"{spec}+foresight", PLENTY)
    # A policy that listens hears of every arrival: the same steps, added up in other parts.
    assert np.allclose(plain.finish, foreseeing.finish, rtol=1e-9)


@pytest.mark.parametrize("spec", [spec for spec in ALL if spec != "scls:16"])
def test_where_it_is_scarce_everybody_is_served_with_fewer_evictions(spec: str) -> None:
    plain, foreseeing = serve(spec, SCARCE), serve(f"{spec}+foresight", SCARCE)
    assert plain.evictions > 20
    assert foreseeing.evictions < plain.evictions / 2


@pytest.mark.parametrize("lie", [math.nan, math.inf, 0.0, -5.0, 1.0, 1e9])
@pytest.mark.parametrize("spec", ["lengthwise", "fcfs+foresight", "trail+foresight"])
def test_nothing_stalls_when_expectations_are_wrong(spec: str, lie: float) -> None:
    said = Guess("prompt", lambda workload, rng: np.full(len(workload), lie))
    serve(spec, SCARCE, said)


@pytest.mark.parametrize("spec", ["lengthwise", "fcfs+foresight", "trail+foresight"])
def test_a_request_larger_than_all_expectations_is_served(spec: str) -> None:
    workload = Workload(
        np.linspace(0.0, 3.0, 60), np.full(60, 20), np.array([30] * 20 + [4500] + [30] * 39)
    )
    setup = Setup(seats=8, budget=256, blocks=300)
    predictor = make_predictor("constant:30")
    outcome = Simulator(workload, make_policy(spec), predictor, TIME, setup).run()
    assert np.isfinite(outcome.finish).all()


def test_the_probe_foresees_more_than_the_prompt() -> None:
    prompt = serve("lengthwise", SCARCE, make_predictor("lognormal:0.8"))
    probe = serve("lengthwise", SCARCE, make_predictor("lognormal:0.8+refined"))
    assert probe.evictions <= prompt.evictions


def test_evictions_teach_it_to_keep_memory_free() -> None:
    """Everybody is said to be short; evictions would go on without end."""
    short = Guess("prompt", lambda workload, rng: np.ones(len(workload)))
    policy = make_policy("lengthwise")
    engine = Simulator(traffic(), policy, short, TIME, SCARCE)
    engine.run()
    plain = serve("fcfs", SCARCE)
    assert engine.outcome().evictions < plain.evictions / 2
