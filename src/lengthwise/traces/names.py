"""Names of columns: one thing is called differently everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_UNITS = {
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "ms": 1e3,
    "millis": 1e3,
    "milliseconds": 1e3,
    "us": 1e6,
    "micros": 1e6,
    "microseconds": 1e6,
    "ns": 1e9,
    "nanos": 1e9,
    "nanoseconds": 1e9,
}
"""How many of a unit are a second."""

UNITS = ("s", "ms", "us", "ns")
"""Units of time by the names that users give."""


def per_second(unit: str) -> float:
    """How many of a unit of time are a second."""
    return _UNITS[unit]


def bare(name: str) -> str:
    """A name without case, spaces, underscores and signs: ``promptTokens`` as ``prompt_tokens``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def matching(names: Iterable[str], columns: Sequence[str], nested: bool = True) -> str | None:
    """The column that one of the names means, the first name first.

    A nested column, ``response.body.usage.prompt_tokens``, also goes by each end of its path;
    of several the shortest path counts. None if there is no such column.
    """
    ends: dict[str, str] = {}
    for column in sorted(columns, key=lambda each: each.count(".")):
        path = column.split(".")
        for start in range(len(path) if nested else 1):
            ends.setdefault(bare(".".join(path[start:])), column)
    return next((ends[bare(name)] for name in names if bare(name) in ends), None)


def unit_in(name: str) -> float | None:
    """How many of the unit that a column's name ends in are a second; None if it names none.

    ``t_ms``, ``latency (s)`` and ``durationMs`` name one.
    """
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    return _UNITS.get(words[-1].lower()) if len(words) > 1 else None
