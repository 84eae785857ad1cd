"""What preemption cost: seats and memory that requests lost, tokens computed again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lengthwise.report.parts import Cell, Table
from lengthwise.results.record import Run

_NAMES = ("preemptions", "evictions", "recomputed_tokens", "slices", "oom_events")
_HEADS = ("preemptions", "evictions", "tokens computed again", "later slices", "out of memory")


def preemptions(groups: Sequence[Sequence[Run]], name_of: Callable[[Run], str]) -> Table:
    """A row for each group of runs, means over them; only columns that some engine counted."""
    shown = [
        (name, head)
        for name, head in zip(_NAMES, _HEADS, strict=True)
        if any(name in run for group in groups for run in group)
    ]
    rows: list[list[Cell]] = [
        [
            name_of(group[0]),
            *(_mean(group, name) for name, _ in shown),
            _per(group, "preemptions"),
        ]
        for group in groups
    ]
    heads = ["run", *(head for _, head in shown), "preemptions per request"]
    note = (
        "A preempted request loses its seat and keeps its KV cache; an evicted one loses that, "
        "too, and its tokens are computed again. Means over the repetitions."
    )
    return Table("preemptions", "Preemptions", heads, rows, note)


def _mean(group: Sequence[Run], name: str) -> float | None:
    known = [run[name] for run in group if name in run]
    return float(np.mean(known)) if known else None


def _per(group: Sequence[Run], name: str) -> float | None:
    known = [run[name] / run.finished for run in group if name in run and run.finished]
    return float(np.mean(known)) if known else None
