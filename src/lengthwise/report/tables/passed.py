"""Who waited for whom: the longest waits, each with the requests that went first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.core.arrays import Ints
from lengthwise.report.parts import Cell, Table
from lengthwise.report.served import Served

MOST = 10
"""Waits of each run."""

_NAMED = 3
_OPEN = 3


def passed(served: Sequence[Served]) -> Table:
    """The longest waits for a first token of each run, and which requests passed them.

    A request passes another if it arrives later and has its first token earlier.
    """
    rows = [row for each in served for row in _longest(each)]
    heads = [
        *("run", "request", "arrived (s)", "waited (s)", "prompt tokens", "output tokens"),
        *("passed by", "their tokens", "first of them"),
    ]
    note = (
        "Waited: from arrival to the first token. Passed by: requests that arrived later and "
        "had their first token earlier, with their prompt and output tokens. Under first come, "
        "first served there are few or none."
    )
    folded = len(served) > _OPEN
    return Table(
        "longest-waits", "The longest waits, and who went first", heads, rows, note, folded
    )


def _longest(served: Served) -> list[list[Cell]]:
    waits = np.where(np.isfinite(served.ttft), served.ttft, -1.0)
    found = np.argsort(-waits, kind="stable")[: MOST if len(served) else 0]
    return [_row(served, int(i)) for i in found if waits[i] >= 0.0]


def passers(served: Served, i: int) -> Ints:
    """The requests that arrived after request i and had their first token before it had."""
    ahead = (served.arrival > served.arrival[i]) & (served.first < served.first[i])
    by = np.flatnonzero(ahead)
    return by[np.argsort(served.first[by], kind="stable")]


def id_of(served: Served, i: int) -> str:
    """A request's id, or its number in order of arrival."""
    return served.id[i] if len(served.id) else str(i)


def _row(served: Served, i: int) -> list[Cell]:
    by = passers(served, i)
    tokens = int((served.prompt[by] + served.output[by]).sum())
    named = ", ".join(id_of(served, int(j)) for j in by[:_NAMED])
    return [
        served.name,
        id_of(served, i),
        float(served.arrival[i]),
        float(served.ttft[i]),
        int(served.prompt[i]),
        int(served.output[i]),
        len(by),
        tokens,
        named + (", …" if len(by) > _NAMED else "") or None,
    ]
