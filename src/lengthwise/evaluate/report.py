"""A leaderboard as JSON: every figure with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lengthwise.core.bins import Floats
from lengthwise.evaluate.metrics import Table, times_better
from lengthwise.results.bootstrap import interval

PAPER = "trail:paper"
"""Whose errors are a measure besides the constant's, if it is judged too."""


@dataclass(frozen=True)
class Entry:
    """A judged predictor, without itself: many models would not fit into memory.

    Attributes:
        reads: the best thing it reads.
        fit_s: seconds that fitting took.
        layers: error on the tuning prompts by layer, if it chose a layer.
        first: [n] its expected tokens at arrival.
        tables: its figures on held-out prompts; ``shifted``, on the other data's.
        milliseconds: for a request, and for a generated token.
    """

    reads: str
    fit_s: float
    layers: dict[int, float]
    first: Floats
    tables: dict[str, Table]
    shifted: dict[str, Table] | None
    milliseconds: dict[str, float | None]


def described(entries: dict[str, Entry], constant: dict[str, Table]) -> dict[str, Any]:
    """The predictors' part of the JSON."""
    return {name: _described(entry, entries, constant) for name, entry in entries.items()}


def _described(
    entry: Entry, entries: dict[str, Entry], constant: dict[str, Table]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "reads": entry.reads,
        "fit_s": round(entry.fit_s, 2),
        "ms": {
            per: None if each is None else round(each, 4)
            for per, each in entry.milliseconds.items()
        },
        **intervals(entry.tables),
        "times_better_than_constant": intervals(times_better(entry.tables, constant)),
    }
    if PAPER in entries:
        paper = times_better(entry.tables, entries[PAPER].tables)
        found[f"times_better_than_{PAPER}"] = intervals(paper)
    if entry.layers:
        found["layers_mae_tune"] = {str(k): round(v, 2) for k, v in entry.layers.items()}
    return found


def shifted(entries: dict[str, Entry], constant: dict[str, Table]) -> dict[str, Any]:
    """The same of the other data, for the second table."""
    return {
        name: {
            **intervals(entry.shifted),
            "times_better_than_constant": intervals(times_better(entry.shifted, constant)),
        }
        for name, entry in entries.items()
        if entry.shifted is not None
    }


def intervals(tables: Any) -> Any:
    """Draws anywhere in nested tables as their intervals."""
    if isinstance(tables, dict):
        return {name: intervals(each) for name, each in tables.items()}
    return interval(tables)
