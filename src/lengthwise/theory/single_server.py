"""One server under any policy, event by event, to check the closed form against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lengthwise.core.policy import Policy
from lengthwise.core.queue import RankQueue
from lengthwise.core.request import Request
from lengthwise.theory.joint import Joint
from lengthwise.theory.mg1 import offered_load
from lengthwise.theory.quadrature import Floats

TOKENS = 1_000_000
"""Tokens for a job of mean size, and ticks of the clock.

Policies think in tokens: a predicted remainder counts as at least 1, and a cutoff as
reached at a whole token. With this many the law is as good as continuous, and with whole
tokens and ticks a run is exact whatever its length."""

MIN_JOBS = 1_000

BATCHES = 32

EDGE = 0.05
"""Share of the jobs left out at either end: the queue starts empty and ends draining."""


class Estimate(NamedTuple):
    """A simulated mean and its standard error (batch means)."""

    mean: float
    error: float


class Measured(NamedTuple):
    """What a run measured, in the units of :class:`lengthwise.theory.mg1.Means`."""

    response: Estimate
    preemptions: Estimate
    memory: Estimate


@dataclass
class Trace:
    """What happened to each job, in order of arrival, in ticks and tokens.

    Attributes:
        finished: time of completion.
        preemptions: times it was preempted.
        held: twice the integral of its age over its time in the system.
    """

    finished: list[int]
    preemptions: list[int]
    held: list[int]


def simulate(policy: Policy, joint: Joint, rate: float, jobs: int, seed: int = 0) -> Measured:
    """Serve ``jobs`` random jobs; O(log n) for each.

    Args:
        policy: ranks the jobs; sees predictions, never sizes.
        joint: the law of size and prediction.
        rate: arrivals in a unit of time; the server does one unit of work in it.
        seed: the same seed draws the same jobs for every policy and (scaled) rate.

    Raises:
        ValueError: for fewer than 1,000 jobs, or a load that is not between 0 and 1.
    """
    load = offered_load(rate, joint)
    if jobs < MIN_JOBS:
        raise ValueError(f"a simulation needs at least {MIN_JOBS} jobs, not {jobs}")
    rng = np.random.default_rng(seed)
    scale = TOKENS / joint.moment(1)
    arrivals = np.cumsum(rng.exponential(TOKENS / load, jobs)).astype(np.int64).tolist()
    sizes, predictions = joint.sample(jobs, rng)
    tokens = np.maximum(np.rint(sizes * scale), 1).astype(np.int64).tolist()
    trace = serve(policy, arrivals, tokens, (predictions * scale).tolist())
    waits = [end - start for end, start in zip(trace.finished, arrivals, strict=True)]
    return Measured(
        _estimate(np.array(waits, float) / scale),
        _estimate(np.array(trace.preemptions, float)),
        _estimate(np.array(trace.held, float) * (rate / 2 / scale**2)),
    )


def serve(
    policy: Policy, arrivals: Sequence[int], sizes: Sequence[int], predictions: Sequence[float]
) -> Trace:
    """Serve these jobs on one server that does a token in a tick.

    Args:
        policy: orders jobs and says which may be preempted.
        arrivals: ticks, not decreasing; a completion comes before an arrival at its tick.
        sizes: tokens, at least 1.
        predictions: tokens.
    """
    server = _Server(policy, sizes)
    for seq, (now, prediction) in enumerate(zip(arrivals, predictions, strict=True)):
        server.finish_until(now)
        request = Request(str(seq), now, seq, 0)
        request.predict(prediction)
        server.admit(request, now)
    server.finish_until(None)
    return server.trace


@dataclass
class _Server:
    policy: Policy
    sizes: Sequence[int]
    waiting: RankQueue[Request] = field(init=False)
    running: Request | None = None
    since: int = 0
    trace: Trace = field(init=False)
    paused: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting = RankQueue(self.policy.rank, lambda request: request.seq)
        n = len(self.sizes)
        self.trace = Trace([0] * n, [0] * n, [0] * n)

    def admit(self, request: Request, now: int) -> None:
        """Admit a new request; it preempts the running one if policy and rank allow."""
        if self.running is None:
            self._start(request, now)
            return
        self._advance(self.running, now)
        if self._interrupts(request, self.running):
            self._pause(self.running, now)
            self._start(request, now)
        else:
            self.waiting.push(request)

    def finish_until(self, now: int | None) -> None:
        """Complete all jobs that are due by that tick; None: all jobs."""
        while (request := self.running) is not None:
            due = self.since + self.sizes[request.seq] - request.generated
            if now is not None and due > now:
                return
            self._advance(request, due)
            self.trace.finished[request.seq] = due
            self.trace.preemptions[request.seq] = request.preemptions
            self.running = None
            if self.waiting:
                self._start(self.waiting.pop(), due)

    def _interrupts(self, request: Request, running: Request) -> bool:
        policy = self.policy
        return (
            policy.may_preempt(request)
            and policy.preemptible(running)
            and policy.rank(request) < policy.rank(running)
        )

    def _start(self, request: Request, now: int) -> None:
        if request.started:
            # Its age stood still since it was paused.
            idle = now - self.paused.pop(request.seq)
            self.trace.held[request.seq] += 2 * request.generated * idle
        request.started = True
        self.running, self.since = request, now

    def _pause(self, request: Request, now: int) -> None:
        request.preemptions += 1
        self.paused[request.seq] = now
        self.waiting.push(request)

    def _advance(self, request: Request, now: int) -> None:
        served = now - self.since
        self.trace.held[request.seq] += served * (2 * request.generated + served)
        request.generated += served
        self.since = now


def _estimate(values: Floats) -> Estimate:
    edge = int(EDGE * len(values))
    length = (len(values) - 2 * edge) // BATCHES
    means = values[edge : edge + BATCHES * length].reshape(BATCHES, length).mean(axis=1)
    return Estimate(float(means.mean()), float(means.std(ddof=1) / np.sqrt(BATCHES)))
