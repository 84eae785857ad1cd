"""What one request lived through, and a run's figures from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lengthwise.results.tenants import by_tenant
from lengthwise.results.until import reached


@dataclass
class Life:
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


FIELDS = (
    *("policy", "engine", "model", "requests", "finished", "rate", "seats", "seed"),
    *("mean_latency_s", "p50_latency_s", "p99_latency_s", "mean_ttft_s", "p99_ttft_s"),
    *("mean_tpot_s", "max_waiting_s", "mean_max_waiting_s", "mean_latency_per_token_s"),
    *("output_tokens", "tokens_per_s", "makespan_s"),
    *("preemptions", "recomputed_tokens", "scheduler_ms_per_step", "predictor_ms_per_step"),
)
"""What other programs may rely on in each run of results.json."""


def full_rate(lives: Sequence[Life]) -> float:
    """Requests per second while every seat is taken: up to a burst's last first token.

    A burst's own throughput is less: its last requests leave most seats empty. Tokens
    count as evenly spread over a request's time in its seat.
    """
    end = max(life.first or 0.0 for life in lives)
    start = min(life.arrival for life in lives)
    tokens = 0.0
    for life in lives:
        assert life.first is not None
        assert life.finish is not None
        seated = max(life.finish - life.first, 1e-9)
        tokens += life.tokens * min((end - life.first) / seated, 1.0)
    mean = sum(life.tokens for life in lives) / len(lives)
    return tokens / mean / (end - start) if end > start else 0.0


def figures(
    lives: list[Life], costs: dict[str, float], busy_s: float, until: int | None = None
) -> dict[str, Any]:
    """A run's figures under the names of results.json; only finished requests count.

    ``busy_s`` is the time spent inside the engine's steps;
    ``until``: see :mod:`lengthwise.results.until`.
    """
    found = seen(lives, until)
    if not found["finished"]:
        return found
    steps = max(costs["steps"], 1)
    return {
        **found,
        "full_requests_per_s": full_rate([life for life in lives if life.finish is not None]),
        "preemptions": int(costs["pauses"] + costs["evictions"]),
        "evictions": int(costs["evictions"]),
        "recomputed_tokens": int(costs["recomputed_tokens"]),
        "slices": int(costs["slices"]),
        "steps": int(costs["steps"]),
        "step_ms": 1000 * busy_s / steps,
        "scheduler_ms_per_step": 1000 * costs["schedule_s"] / steps,
        "ranking_ms_per_step": 1000 * costs["ranking_s"] / steps,
        "predictor_ms_per_step": 1000 * (costs["predict_s"] + costs["prompt_s"]) / steps,
    }


def seen(lives: Sequence[Life], until: int | None = None) -> dict[str, Any]:
    """What the clients saw of a run, as :func:`figures`."""
    done = [life for life in lives if life.finish is not None]
    if not done:
        return {"requests": len(lives), "finished": 0}
    latency = np.array([life.latency for life in done])
    ttft = np.array([life.ttft for life in done])
    waiting = np.array([life.waiting for life in done])
    tpot = [
        (life.finish - life.first) / (life.tokens - 1)
        for life in done
        if life.tokens > 1 and life.finish is not None and life.first is not None
    ]
    lengths = np.array([life.tokens for life in done])
    tokens = int(lengths.sum())
    finish = np.array([life.finish for life in done]) - min(life.arrival for life in lives)
    makespan = float(finish.max())
    return {
        "requests": len(lives),
        "finished": len(done),
        "mean_latency_s": float(latency.mean()),
        "p50_latency_s": float(np.quantile(latency, 0.5)),
        "p99_latency_s": float(np.quantile(latency, 0.99)),
        "mean_ttft_s": float(ttft.mean()),
        "p99_ttft_s": float(np.quantile(ttft, 0.99)),
        "mean_tpot_s": float(np.mean(tpot)) if tpot else 0.0,
        "mean_latency_per_token_s": float((latency / np.maximum(lengths, 1)).mean()),
        "max_waiting_s": float(waiting.max()),
        "mean_max_waiting_s": float(waiting.mean()),
        "output_tokens": tokens,
        "tokens_per_s": tokens / makespan,
        "makespan_s": makespan,
        "tenants": by_tenant([life.tenant for life in done], latency, ttft, waiting, lengths),
        **reached(finish, until),
    }
