"""When a run's requests got their tokens, and the figures that every engine's runs share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from lengthwise.results.fairness import evenness
from lengthwise.results.record import Seen, Work
from lengthwise.results.tenants import by_tenant
from lengthwise.results.until import time_until

Seconds = NDArray[np.float64]


@dataclass
class Timing:
    """One request, seen from the client; times in seconds from the start of the run."""

    id: str
    arrival: float
    first: float | None = None
    last: float | None = None
    finish: float | None = None
    longest_gap: float = 0.0
    tokens: int = 0
    answer: list[int] = field(default_factory=list)
    tenant: str | None = None

    def saw(self, now: float, tokens: list[int], finished: bool) -> None:
        """Output came: all tokens so far."""
        if len(tokens) > self.tokens:
            if self.first is None:
                self.first = now
            else:
                assert self.last is not None
                self.longest_gap = max(self.longest_gap, now - self.last)
            self.last, self.tokens = now, len(tokens)
        if finished:
            self.finish, self.answer = now, list(tokens)

    @property
    def latency(self) -> float:
        """Arrival to last token."""
        assert self.finish is not None
        return self.finish - self.arrival

    @property
    def ttft(self) -> float:
        """Arrival to first token."""
        assert self.first is not None
        return self.first - self.arrival

    @property
    def waiting(self) -> float:
        """Longest time without a token: to the first, or between two (LTR's metric)."""
        return max(self.ttft, self.longest_gap)


@dataclass(frozen=True, eq=False)
class Times:
    """The same of n requests as arrays; a time that never came is NaN.

    Attributes:
        arrival, first, finish: [n] seconds.
        gap: [n] longest time between two tokens.
        tokens: [n] output tokens.
        tenant: n names, or none at all.
    """

    arrival: Seconds
    first: Seconds
    finish: Seconds
    gap: Seconds
    tokens: NDArray[np.int64]
    tenant: Sequence[str | None] = ()

    @classmethod
    def of(cls, timings: Sequence[Timing]) -> Times:
        """From single requests."""
        return cls(
            np.array([each.arrival for each in timings], dtype=np.float64),
            np.array([each.first for each in timings], dtype=np.float64),
            np.array([each.finish for each in timings], dtype=np.float64),
            np.array([each.longest_gap for each in timings], dtype=np.float64),
            np.array([each.tokens for each in timings], dtype=np.int64),
            [each.tenant for each in timings],
        )

    def __len__(self) -> int:
        return len(self.arrival)

    def finished(self) -> Times:
        """Those that finished."""
        done = np.isfinite(self.finish)
        return Times(
            self.arrival[done],
            self.first[done],
            self.finish[done],
            self.gap[done],
            self.tokens[done],
            [self.tenant[i] for i in np.flatnonzero(done)] if self.tenant else (),
        )


def makespan(times: Times) -> float:
    """Seconds from the first arrival to the last token of a request that finished; 0 if none."""
    done = np.isfinite(times.finish)
    return float(times.finish[done].max() - times.arrival.min()) if done.any() else 0.0


def per_second(count: float, seconds: float) -> float:
    """A rate; 0 where no time passed, or too little for a number to hold the rate."""
    rate = count / seconds if seconds > 0.0 else 0.0
    return rate if math.isfinite(rate) else 0.0


def seen(times: Times, until: int | None = None, rejected: int | None = None) -> Seen:
    """What the clients saw of a run; only finished requests count.

    Args:
        until: also measure the seconds until this many requests have finished.
        rejected: requests that did not fit, where the engine counts them.
    """
    refused = UNSET if rejected is None else rejected
    done = times.finished()
    if not len(done):
        return Seen(requests=len(times), finished=0, rejected=refused)
    latency, ttft = done.finish - done.arrival, done.first - done.arrival
    waiting = np.maximum(ttft, done.gap)
    several = done.tokens > 1
    tpot = (done.finish - done.first)[several] / (done.tokens[several] - 1)
    tokens = int(done.tokens.sum())
    finish = done.finish - times.arrival.min()
    seconds = makespan(times)
    index = evenness(latency, done.tokens, done.tenant) if any(done.tenant) else None
    return Seen(
        requests=len(times),
        finished=len(done),
        rejected=refused,
        mean_latency_s=float(latency.mean()),
        p50_latency_s=float(np.quantile(latency, 0.5)),
        p95_latency_s=float(np.quantile(latency, 0.95)),
        p99_latency_s=float(np.quantile(latency, 0.99)),
        mean_ttft_s=float(ttft.mean()),
        p99_ttft_s=float(np.quantile(ttft, 0.99)),
        mean_tpot_s=float(tpot.mean()) if several.any() else 0.0,
        mean_latency_per_token_s=float((latency / np.maximum(done.tokens, 1)).mean()),
        max_waiting_s=float(waiting.max()),
        mean_max_waiting_s=float(waiting.mean()),
        output_tokens=tokens,
        tokens_per_s=per_second(tokens, seconds),
        requests_per_s=per_second(len(done), seconds),
        makespan_s=seconds,
        tenants=by_tenant(done.tenant, latency, ttft, waiting, done.tokens),
        jain_tenants=UNSET if index is None else index,
        **time_until(finish, until),
    )


def work(costs: Mapping[str, float], busy_s: float) -> Work:
    """What vLLM did, by its counters; ``busy_s`` is the time spent inside its steps."""
    steps = max(costs["steps"], 1)
    return Work(
        preemptions=int(costs["pauses"] + costs["evictions"]),
        evictions=int(costs["evictions"]),
        recomputed_tokens=int(costs["recomputed_tokens"]),
        slices=int(costs["slices"]),
        steps=int(costs["steps"]),
        step_ms=1000 * busy_s / steps,
        scheduler_ms_per_step=1000 * costs["schedule_s"] / steps,
        ranking_ms_per_step=1000 * costs["ranking_s"] / steps,
        predictor_ms_per_step=1000 * (costs["predict_s"] + costs["prompt_s"]) / steps,
    )
