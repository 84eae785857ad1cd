"""Step times checked by a simulation of FCFS on the arrivals of the log that they come from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import Scaled, StepTime
from lengthwise.traces.trace import Trace

_WIDEST = math.log(2.0)
_CLOSE = 0.002


@dataclass(frozen=True)
class Checked:
    """What the simulation of FCFS gave.

    Attributes:
        factor: on all steps, that makes the mean latency the observed one.
        before: error of the mean latency without it, as a share of the observed one.
        error: mean absolute error of a request's latency with it, as a share of the mean.
        distance: the same with that of its TTFT added, which tells limits apart.
        mean, ttft: errors of mean latency and mean TTFT with it; NaN where the log has no
            first tokens.
    """

    factor: float
    before: float
    error: float
    distance: float
    mean: float
    ttft: float


def check(trace: Trace, time: StepTime, setup: Setup, closely: bool = True) -> Checked:
    """Simulate FCFS with these steps, and find the factor on them by which it is right.

    Args:
        trace: with ``observed`` times of every request.
        closely: to a fifth of a percent; otherwise after three simulations.
    """
    from scipy.optimize import brentq

    assert trace.observed is not None
    arrival = trace.workload.arrival
    latency = trace.observed.finish - arrival
    served: dict[float, Outcome] = {}

    def excess(log: float) -> float:
        if log not in served:
            served[log] = fcfs(trace, Scaled(time, math.exp(log)), setup)
        return math.log(_mean(served[log].finish - arrival, latency) / float(latency.mean()))

    log, before = 0.0, excess(0.0)
    if abs(before) > _CLOSE:
        # The mean latency grows at least as fast as the steps do.
        log = float(np.clip(-1.5 * before, -_WIDEST, _WIDEST))
        far = excess(log)
        if before * far < 0:
            between = log * before / (before - far)
            if closely:
                # Latencies jump with the order of events: near is good enough.
                rounds = {"xtol": _CLOSE, "maxiter": 12, "disp": False}
                between = brentq(excess, 0.0, log, **rounds)
            log = between
    excess(log)
    return _checked(trace, served[log], math.exp(log), math.expm1(before))


def _checked(trace: Trace, served: Outcome, factor: float, before: float) -> Checked:
    assert trace.observed is not None
    arrival = trace.workload.arrival
    latency, ttft = trace.observed.finish - arrival, trace.observed.first - arrival
    simulated, began = served.finish - arrival, served.first - arrival
    error = _apart(simulated, latency) / float(latency.mean())
    mean = float(_mean(simulated, latency) / latency.mean() - 1.0)
    if np.isnan(ttft).any():
        return Checked(factor, before, error, error, mean, math.nan)
    distance = error + _apart(began, ttft) / float(latency.mean())
    return Checked(
        factor, before, error, distance, mean, float(_mean(began, ttft) / ttft.mean() - 1.0)
    )


def fcfs(trace: Trace, time: StepTime, setup: Setup) -> Outcome:
    """FCFS on the trace's arrivals."""
    return Simulator(trace.workload, make_policy("fcfs"), make_predictor("none"), time, setup).run()


def _mean(simulated: Floats, observed: Floats) -> float:
    """The mean; where the simulation rejected a request the observed value stands in."""
    return float(np.where(np.isfinite(simulated), simulated, observed).mean())


def _apart(simulated: Floats, observed: Floats) -> float:
    """The mean absolute difference, of those that the simulation did not reject."""
    return float(np.nanmean(np.abs(simulated - observed)))
