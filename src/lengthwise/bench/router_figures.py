"""What several routers made of the same requests: a run's figures, and all runs' table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lengthwise.bench.client import Routed
from lengthwise.errors import UserError
from lengthwise.results.balance import Balance
from lengthwise.results.runs import Run, change, grouped, mean
from lengthwise.results.terminal import Table
from lengthwise.results.timings import full_rate, seen

_SAMPLES = 500
"""Moments at which the balance of a run is looked at."""


def capacity(lives: Sequence[Routed], seats: int) -> float:
    """Requests per second of all replicas while every seat is taken, from a burst.

    Raises:
        UserError: if some replica had a seat for every request, so that it was never full.
    """
    groups = [[life for life in lives if life.replica == name] for name in _names(lives)]
    if any(len(group) <= seats for group in groups):
        raise UserError("every request had a seat at once: more of them show the capacity")
    return sum(map(full_rate, groups))


def routed(
    lives: Sequence[Routed], known: dict[str, Any], replicas: int, until: int | None
) -> dict[str, Any]:
    """A run's figures under the names of results.json.

    Args:
        known: what the router said of itself after the run.
    """
    names = _names(lives)
    spread = balance(lives, [*names, *("" for _ in range(replicas - len(names)))])
    return {
        **seen(lives, until),
        "failed": sum(bool(life.error) for life in lives),
        "predictions": known["predictions"],
        "resubmitted": known["resubmitted"],
        "by_replica": dict(Counter(life.replica for life in lives if life.replica)),
        "seat_imbalance": spread.seats,
        "work_imbalance": spread.work,
        "busy_seats": spread.busy,
        "latest_send_s": max(life.sent - life.arrival for life in lives),
    }


def balance(lives: Sequence[Routed], replicas: Sequence[str]) -> Balance:
    """How evenly the replicas were loaded, from the first arrival to the last.

    A request has a seat from its first token to its last, and work from its arrival; its
    tokens count as evenly spread over its time in the seat.
    """
    done = [life for life in lives if life.finish is not None]
    found = Balance(np.array([life.tokens for life in done], dtype=np.int64))
    arrivals = [life.arrival for life in lives]
    for now in np.linspace(min(arrivals), max(arrivals), _SAMPLES):
        held = [
            {i: _had(life, now) for i, life in enumerate(done) if _here(life, name, now)}
            for name in replicas
        ]
        found.sample([sum(map(bool, each.values())) for each in held], held)
    return found


def _names(lives: Sequence[Routed]) -> list[str]:
    return sorted({life.replica for life in lives} - {""})


def _here(life: Routed, replica: str, now: float) -> bool:
    assert life.finish is not None
    return life.replica == replica and life.arrival <= now < life.finish


def _had(life: Routed, now: float) -> int:
    """Tokens that a finished request had by now."""
    assert life.first is not None
    assert life.finish is not None
    if now < life.first:
        return 0
    share = (now - life.first) / max(life.finish - life.first, 1e-9)
    return 1 + int((life.tokens - 1) * min(share, 1.0))


_CHANGES = ("mean_latency_s", "p99_latency_s", "mean_ttft_s")

_PEERS = ("policy", "predictors", "rate")
"""What runs have in common that are compared."""


def show_routers(runs: Sequence[Run]) -> None:
    """A line for each policy, rate and router; changes are against the first router.

    A change is the mean over repeats of the change in each, where both served the same
    requests at the same times; ± is the half width of its 95 % confidence interval.
    """
    heads = "policy rate router mean change p99 change TTFT change maxwait imbalance other failed"
    table = Table("lengthwise bench --routers", heads.split(), ("policy", "router"), width=150)
    first: dict[tuple[Any, ...], list[Run]] = {}
    for group in grouped(runs, (*_PEERS, "router")):
        policy, _, rate = peers = tuple(group[0][name] for name in _PEERS)
        base = first.setdefault(peers, group)
        cells = []
        for name in _CHANGES:
            changed = "-" if group is base else change(group, base, name, "repeat")
            cells += [f"{mean(group, name):.2f}s", changed]
        table.add_row(
            policy,
            "burst" if rate is None else f"{rate:.2f}/s",
            group[0]["router"],
            *cells,
            f"{mean(group, 'max_waiting_s'):.1f}s",
            f"{mean(group, 'work_imbalance'):.2f}",
            *(str(sum(run[name] for run in group)) for name in ("other_answers", "failed")),
        )
    table.print()
