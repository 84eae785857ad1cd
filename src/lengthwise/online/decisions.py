"""Decisions as the log and the history have them: a line, and the figures that it was made by."""

from __future__ import annotations

from lengthwise.online.history import Decision
from lengthwise.online.messages import Role
from lengthwise.online.pairs import Share
from lengthwise.online.trial import Verdict

AGAIN = "waits on"
"""What was decided before: it is in the history, and not in the log."""


def decision(
    event: str,
    role: Role,
    version: int | None,
    line: str,
    right: Share | None = None,
    instead: Share | None = None,
    verdict: Verdict | None = None,
) -> Decision:
    """A decision about a version.

    Args:
        event: what was decided, in a word.
        right: of the pairs, what it orders right.
        instead: the same of what acts.
        verdict: the simulator's; the history keeps the last of its trials.
    """
    served = None if verdict is None else verdict.served[-1]
    return Decision(
        event,
        role,
        version,
        line,
        requests=None if right is None else right.requests,
        pairs_right=None if right is None else right.value,
        low=None if right is None else right.low,
        high=None if right is None else right.high,
        instead=None if instead is None else instead.value,
        mean_ratio=None if served is None else served.mean,
        p99_ratio=None if served is None else served.p99,
        load=None if served is None else served.load,
    )


def pairs(right: Share, instead: Share) -> str:
    """What a version orders right, beside what is ordered without it."""
    return (
        f"{right} of pairs right on {right.requests} requests that it has not learned from, "
        f"{instead.value:.3f} without it"
    )
