"""What each class got of what it is promised, in each run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.core.service import Classes, Target
from lengthwise.report.attained import attained, judged
from lengthwise.report.numbers import seconds
from lengthwise.report.parts import Cell, Table
from lengthwise.report.served import Served
from lengthwise.results.attainment import TARGETS, promised

TITLES = {"ttft": "TTFT", "tpot": "TPOT", "deadline": "deadline"}
"""What targets are called, by their fields' names."""


def by_class(served: Sequence[Served], classes: Classes) -> Table:
    """A row for each class in each run, with the 95 % interval of its attainment."""
    rows = [row for one in served for row in _rows(one, classes)]
    heads = [
        *("run", "class", "promised", "requests", "met its targets"),
        *("attained (%)", "from (%)", "to (%)"),
        *(f"late: {TITLES[name]}" for name in TARGETS),
        *("never finished", "goodput (requests/s)", "goodput (tokens/s)"),
        *("mean TTFT (s)", "p99 TTFT (s)", "s per output token", "Jain's index"),
    ]
    note = (
        "Attained: the share of the class's requests that finished and met every target. From "
        "and to: its 95 % interval over resampled blocks of requests; where all or none did, what "
        "so few requests leave possible. One request may be late for several targets. Goodput: "
        "requests that met their targets, and their tokens, for each second of the run. Jain's "
        "index is over the classes' mean latency per output token: 1 if all are served alike."
    )
    return Table("by-class", "What each class got", heads, rows, note)


def _rows(served: Served, classes: Classes) -> list[list[Cell]]:
    shares, found = attained(served, classes), judged(served, classes)
    figures = promised(served.times, served.service, classes)
    assert isinstance(figures.classes, dict)
    rows: list[list[Cell]] = []
    for number, each in enumerate(classes.all):
        it, own = shares[each.name], figures.classes[each.name]
        if not own.requests:
            continue
        late: list[Cell] = [
            None
            if getattr(each.target, name) is None
            else int((found.late[name] & (found.place == number)).sum())
            for name in TARGETS
        ]
        rows.append(
            [
                *(served.name, each.name, promise(each.target), own.requests, own.met),
                *(100.0 * share for share in (it.share, it.low, it.high)),
                *late,
                own.requests - own.finished,
                own.goodput_requests_per_s,
                own.goodput_tokens_per_s,
                *_times(served, found.place == number),
                figures.jain_classes if isinstance(figures.jain_classes, float) else None,
            ]
        )
    return rows


def _times(served: Served, own: np.ndarray) -> list[Cell]:
    """Mean and p99 TTFT, and seconds per output token."""
    ttft = served.ttft[own & np.isfinite(served.ttft)]
    done = own & np.isfinite(served.latency)
    each = served.latency[done] / np.maximum(served.output[done], 1)
    return [
        float(ttft.mean()) if len(ttft) else None,
        float(np.quantile(ttft, 0.99)) if len(ttft) else None,
        float(each.mean()) if len(each) else None,
    ]


def promise(target: Target) -> str:
    """What is promised, in a few words: ``TTFT 500 ms, TPOT 50 ms``."""
    said = [
        f"{TITLES[name]} {seconds(getattr(target, name))}"
        for name in TARGETS
        if getattr(target, name) is not None
    ]
    return ", ".join(said) or "nothing"
