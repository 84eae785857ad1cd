"""Who missed a target by most, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.core.service import Classes
from lengthwise.report.attained import judged
from lengthwise.report.numbers import plain, seconds
from lengthwise.report.parts import Cell, Table
from lengthwise.report.served import Served
from lengthwise.report.tables.attainment import TITLES
from lengthwise.report.tables.passed import id_of, passers
from lengthwise.results.attainment import TARGETS, Judged

MOST = 10
"""Misses of each run."""

_OPEN = 3


def missed(served: Sequence[Served], classes: Classes) -> Table:
    """The misses of each run that passed their target by the largest factor."""
    rows = [row for each in served for row in _largest(each, classes)]
    heads = [
        *("run", "request", "class", "missed", "got", "promised", "times as long", "arrived (s)"),
        *("waited (s)", "prompt tokens", "output tokens", "passed by", "their tokens", "why"),
    ]
    note = (
        "Of all requests that missed a target, those that took the most times as long as "
        "promised; those that never finished come first. Waited: from arrival to the first token. "
        "Passed by: requests that arrived later and had their first token earlier, with their "
        "prompt and output tokens."
    )
    return Table(
        "missed-targets", "Who missed, and why", heads, rows, note, folded=len(served) > _OPEN
    )


def _largest(served: Served, classes: Classes) -> list[list[Cell]]:
    found = judged(served, classes)
    times = _factors(served, found, classes)
    worst = times.max(axis=0)
    order = np.argsort(-worst, kind="stable")[: MOST if len(served) else 0]
    return [
        _row(served, int(i), TARGETS[int(times[:, i].argmax())], float(worst[i]), classes, found)
        for i in order
        if not found.met[i]
    ]


def _factors(served: Served, found: Judged, classes: Classes) -> Floats:
    """[targets, n] how many times as long as promised each took; infinite if it never ended."""
    factors = np.zeros((len(TARGETS), len(served)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for row, name in enumerate(TARGETS):
            limits = [getattr(each.target, name) for each in classes.all]
            own = np.array([np.inf if it is None else it for it in limits])[found.place]
            factors[row] = np.where(found.late[name], _got(served, name) / own, 0.0)
    factors[-1, ~found.done] = np.inf
    return factors


def _got(served: Served, name: str) -> Floats:
    """[n] seconds that a target limits."""
    if name == "ttft":
        return served.ttft
    if name == "deadline":
        return served.latency
    paced: Floats = (served.latency - served.ttft) / np.maximum(served.output - 1, 1)
    return paced


def _row(
    served: Served, i: int, name: str, factor: float, classes: Classes, found: Judged
) -> list[Cell]:
    own = classes.all[found.place[i]]
    limit = getattr(own.target, name)
    got = float(_got(served, name)[i])
    by = passers(served, i)
    tokens = int((served.prompt[by] + served.output[by]).sum())
    done = bool(found.done[i])
    return [
        served.name,
        id_of(served, i),
        own.name,
        TITLES[name] if done else "the end",
        seconds(got) if done else "never finished",
        None if limit is None else seconds(limit),
        factor if done else None,
        float(served.arrival[i]),
        float(served.ttft[i]),
        int(served.prompt[i]),
        int(served.output[i]),
        len(by),
        tokens,
        _why(served, i, name, len(by)) if done else "it never had its last token",
    ]


def _why(served: Served, i: int, name: str, passed: int) -> str:
    """What took most of the time that was too long."""
    wait, rest = float(served.ttft[i]), float(served.latency[i] - served.ttft[i])
    if name == "ttft" or (name == "deadline" and wait > rest):
        if passed:
            return f"{passed:,} later requests went first"
        return "it waited for those before it: nobody passed it"
    gap = 0.0 if served.gap is None else float(served.gap[i])
    if gap > rest / 2.0:
        return f"its answer stood still for {seconds(gap)}"
    pace = plain(1000.0 * rest / max(int(served.output[i]) - 1, 1))
    return f"its answer took {seconds(rest)}, {pace} ms a token"
