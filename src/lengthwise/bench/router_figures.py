"""What a router made of the requests: a run's figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lengthwise.bench.client import Known, Routed
from lengthwise.errors import UserError
from lengthwise.results.balance import Balance
from lengthwise.results.capacity import full_rate
from lengthwise.results.record import Seen, Spread
from lengthwise.results.timings import Times, seen

_SAMPLES = 500
"""Moments at which the balance of a run is looked at."""


def capacity(timings: Sequence[Routed], seats: int) -> float:
    """Requests per second of all replicas while every seat is taken, from a burst.

    Raises:
        UserError: if some replica had a seat for every request, so that it was never full.
    """
    groups = [[it for it in timings if it.replica == name] for name in _names(timings)]
    if any(len(group) <= seats for group in groups):
        raise UserError("every request had a seat at once: more of them show the capacity")
    return sum(full_rate(Times.of(group)) for group in groups)


def routed(
    timings: Sequence[Routed], known: Known, replicas: int, until: int | None
) -> tuple[Seen, Spread]:
    """What clients saw, and what the router made of the replicas.

    Args:
        known: the router's own figures after the run.
    """
    names = _names(timings)
    even = balance(timings, [*names, *("" for _ in range(replicas - len(names)))])
    spread = Spread(
        failed=sum(bool(it.error) for it in timings),
        predictions=known.predictions,
        resubmitted=known.resubmitted,
        by_replica=dict(Counter(it.replica for it in timings if it.replica)),
        seat_imbalance=even.seats,
        work_imbalance=even.work,
        busy_seats=even.busy,
        latest_send_s=max(it.sent - it.arrival for it in timings),
    )
    return seen(Times.of(timings), until), spread


def balance(timings: Sequence[Routed], replicas: Sequence[str]) -> Balance:
    """How evenly the replicas were loaded, from the first arrival to the last.

    A request has a seat from its first token to its last, and work from its arrival; its
    tokens count as evenly spread over its time in the seat.
    """
    done = [it for it in timings if it.finish is not None]
    found = Balance(np.array([it.tokens for it in done], dtype=np.int64))
    arrivals = [it.arrival for it in timings]
    for now in np.linspace(min(arrivals), max(arrivals), _SAMPLES):
        held = [
            {i: _had(it, now) for i, it in enumerate(done) if _here(it, name, now)}
            for name in replicas
        ]
        found.sample([sum(map(bool, each.values())) for each in held], held)
    return found


def _names(timings: Sequence[Routed]) -> list[str]:
    return sorted({it.replica for it in timings} - {""})


def _here(it: Routed, replica: str, now: float) -> bool:
    assert it.finish is not None
    return it.replica == replica and it.arrival <= now < it.finish


def _had(it: Routed, now: float) -> int:
    """Tokens that a finished request had by now."""
    assert it.first is not None
    assert it.finish is not None
    if now < it.first:
        return 0
    share = (now - it.first) / max(it.finish - it.first, 1e-9)
    return 1 + int((it.tokens - 1) * min(share, 1.0))
