"""The bound of ``lengthwise`` on the clock of admitted work, whatever comes and is predicted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.lanes import waiting_queue
from lengthwise.core.request import Request
from lengthwise.policies import make_policy
from lengthwise.policies.lengthwise import Lengthwise
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors.base import Guess
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload

TIME = Linear("small", "test", base=0.01, prefill=1e-4, decode=1e-4, context=1e-7)
N = 250
LIES = [math.nan, math.inf, 0.0, 1e9, 1.0]


class Watched(Lengthwise):
    """Keeps how long every request waited on the work clock, and the longest allowed then."""

    def __init__(self, tolerance: float) -> None:
        super().__init__(tolerance)
        self.came: dict[str, float] = {}
        self.waits: dict[str, tuple[float, float]] = {}
        self.peak = self.largest = self.grown = 0.0

    def enters(self, request: Request) -> None:
        super().enters(request)
        self.came.setdefault(request.id, self._gate.clock)
        self.largest = max(self.largest, self._known[request.id].rating.work)
        self.peak = max(self.peak, self._gate.peak)

    def changes(self, request: Request) -> None:
        before = self._known[request.id].rating.work
        super().changes(request)
        work = self._known[request.id].rating.work
        self.grown += max(work - before, 0.0)
        self.largest = max(self.largest, work)
        self.peak = max(self.peak, self._gate.peak)

    def exits(self, request: Request) -> None:
        if request.id not in self.waits:
            known = self._known[request.id]
            assert self._gate.passes(known.epoch, known.rating.work)
            t = self.tolerance
            most = ((1 + 1 / 16 + t) * self.peak + 2 * self.largest + self.grown) / (1 - t)
            self.waits[request.id] = self._gate.clock - self.came[request.id], most
        super().exits(request)
        self.peak = max(self.peak, self._gate.peak)


def requests(kind: str, rng: np.random.Generator) -> Workload:
    """Requests that would like to overtake each other."""
    prompt = rng.integers(1, 300, N)
    output = np.minimum(rng.pareto(1.2, N) * 20 + 1, 900).astype(int)
    gaps = rng.exponential(0.05, N)
    if kind == "burst":
        gaps[:] = 0.0
    elif kind == "spikes":
        gaps = np.where(rng.random(N) < 0.03, 8.0, 1e-4)
    elif kind == "flood":
        # A few large ones first, then small ones without an end.
        prompt[N // 10 :] = rng.integers(1, 5, N - N // 10)
        output[N // 10 :] = rng.integers(1, 4, N - N // 10)
        gaps[: N // 10] = 0.0
        gaps[N // 10 :] = rng.exponential(rng.uniform(0.002, 0.02), N - N // 10)
    elif kind == "tails":
        prompt = np.minimum(rng.pareto(0.8, N) * 10 + 1, 1500).astype(int)
    arrival = np.cumsum(gaps) - gaps[0]
    return Workload(arrival, prompt, output)


def predictions(kind: str, output: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Predicted tokens: from the truth to lies."""
    true = output.astype(float)
    return {
        "none": np.full(len(true), np.nan),
        "true": true,
        "noisy": true * rng.lognormal(0.0, 0.8, len(true)),
        "reversed": true.max() + 1.0 - true,
        "lies": rng.choice(LIES, len(true)),
        "short": np.ones(len(true)),
    }[kind]


def serve(policy: Lengthwise, traffic: Workload, predicted: np.ndarray, setup: Setup) -> None:
    outcome = Simulator(
        traffic, policy, Guess("prompt", lambda workload, rng: predicted), TIME, setup
    ).run()
    assert np.isfinite(outcome.finish).all()
    assert outcome.rejected == 0


@settings(max_examples=250, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["burst", "poisson", "spikes", "flood", "tails"]),
    predictor=st.sampled_from(["none", "true", "noisy", "reversed", "lies", "short"]),
    tolerance=st.sampled_from([0.0, 0.05, 0.2, 0.6]),
    seats=st.sampled_from([1, 4, 16]),
    blocks=st.sampled_from([160, 2000]),
)
def test_no_wait_exceeds_the_bound(
    seed: int, kind: str, predictor: str, tolerance: float, seats: int, blocks: int
) -> None:
    rng = np.random.default_rng(seed)
    traffic = requests(kind, rng)
    policy = Watched(tolerance)
    setup = Setup(seats=seats, budget=256, blocks=blocks, reserve=blocks // 100)
    serve(policy, traffic, predictions(predictor, traffic.output, rng), setup)
    assert len(policy.waits) == N
    for wait, most in policy.waits.values():
        assert wait <= most * (1 + 1e-9) + 1e-6


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    tolerance=st.sampled_from([0.0, 0.05, 0.4]),
    load=st.sampled_from([0.5, 0.9, 1.2]),
)
def test_late_predictions_add_to_the_bound_what_they_add_to_the_work(
    seed: int, tolerance: float, load: float
) -> None:
    """One seat: requests come, are predicted while they wait, give up, or are served."""
    rng, policy = np.random.default_rng(seed), Watched(tolerance)
    queue = waiting_queue(policy, lambda it: it)
    waiting: list[Request] = []
    for seq in range(600):
        if seq < 200 or rng.random() < load:
            waiting.append(Request(str(seq), 0.0, seq, int(rng.pareto(1.0) * 20) + 1))
            queue.push(waiting[-1])
        if waiting and rng.random() < 0.8:
            late = waiting[rng.integers(len(waiting))]
            late.predict(float(rng.choice([1.0, 5.0, 300.0, 5000.0, math.nan])))
            queue.update(late)
        if waiting and rng.random() < 0.05:
            gone = waiting.pop(rng.integers(len(waiting)))
            queue.remove(gone)
            policy.leave(gone)
        if waiting and seq >= 200:
            served = queue.pop()
            served.started = True
            waiting.remove(served)
            served.generated = int(rng.exponential(100)) + 1
            policy.leave(served)
    assert policy.waits
    for wait, most in policy.waits.values():
        assert wait <= most * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize(
    "spec", ["lengthwise", "lengthwise:0", "lengthwise+fair", "lengthwise+priority+bound:2s"]
)
def test_nothing_stalls_whatever_is_predicted(spec: str, lie: float) -> None:
    rng = np.random.default_rng(7)
    traffic = requests("tails", rng)
    some = [("a", "b", None)[i % 3] for i in range(N)]
    traffic = Workload(
        *(traffic.arrival, traffic.prompt, traffic.output),
        tenant=tuple(some),
        priority=np.arange(N) % 2,
    )
    setup = Setup(seats=4, budget=256, blocks=160)
    serve(make_policy(spec), traffic, np.full(N, lie), setup)
