"""Small traffic on an engine whose steps take as long as their tokens, and the advice on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lengthwise.advise.advice import Advice, find
from lengthwise.advise.gather import Options, gathered
from lengthwise.advise.source import Source
from lengthwise.calibration import Calibration
from lengthwise.sim.steps import Linear
from lengthwise.traces import Trace
from lengthwise.workload import Workload

STEPS = Linear("steps", "made up", base=0.01, prefill=0.0005, decode=0.0002, context=0.0)
"""A prompt of 1,000 tokens takes half a second, an answer of 100 a second at least."""


@pytest.fixture(scope="session")
def traffic() -> Callable[..., Workload]:
    """``traffic(n, rate)``: prompts of very different length, answers that depend on tenants."""

    def made(n: int, rate: float, seed: int = 0) -> Workload:
        rng = np.random.default_rng(seed)
        arrival = np.cumsum(rng.exponential(1.0 / rate, n))
        talks = rng.random(n) < 0.5
        output = np.where(talks, rng.integers(60, 120, n), rng.integers(5, 15, n))
        prompt = np.where(rng.random(n) < 0.3, rng.integers(800, 1600, n), rng.integers(10, 60, n))
        tenant = tuple("talks" if each else "classifies" for each in talks)
        return Workload(arrival - arrival[0], prompt, output, name="made-up", tenant=tenant)

    return made


@pytest.fixture(scope="session")
def advice_on() -> Callable[..., tuple[Advice, Source]]:
    """``advice_on(workload, loads)``: what is found for a trace of these requests."""

    def made(
        workload: Workload,
        loads: tuple[float, ...] = (1.0,),
        policies: tuple[str, ...] = ("lengthwise", "lengthwise@data", "lengthwise@oracle"),
        **more: Any,
    ) -> tuple[Advice, Source]:
        speed = Calibration(STEPS, "made-up steps", 0.05, seats=8, budget=2048, kv_tokens=64_000)
        options = Options(policies, loads, **more)
        trace = Trace(workload, "plain", len(workload))
        plan, source, known = gathered(trace, speed, options)
        return find(plan, known, workers=1), source

    return made


@pytest.fixture(scope="session")
def busy(
    traffic: Callable[..., Workload], advice_on: Callable[..., tuple[Advice, Source]]
) -> tuple[Advice, Source]:
    """Advice on an engine with more requests than it can serve."""
    return advice_on(traffic(700, 4.5), (1.0, 1.25))


@pytest.fixture(scope="session")
def idle(
    traffic: Callable[..., Workload], advice_on: Callable[..., tuple[Advice, Source]]
) -> tuple[Advice, Source]:
    """Advice on an engine that is hardly ever busy."""
    return advice_on(traffic(400, 0.05), (1.0, 1.5), target=5.0)
