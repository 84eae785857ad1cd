"""Who gains and who loses: figures by tenant and by length, and how even tenants are served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lengthwise.report.parts import Cell, Table
from lengthwise.report.served import Served
from lengthwise.results.fairness import evenness, normalised

_HEADS = (
    *("requests", "mean latency (s)", "p99 latency (s)", "mean TTFT (s)", "longest TTFT (s)"),
    "s per output token",
)
_QUARTERS = (0.25, 0.5, 0.75)


def by_tenant(served: Sequence[Served], most: int = 20) -> Table:
    """Figures of each tenant in each run; of the ``most`` tenants with the most requests.

    The index of a run is Jain's, over its tenants' mean latency per output token: 1 if all
    are served alike, 1/n if one of n tenants has all of the delay.
    """
    rows: list[list[Cell]] = []
    hidden = 0
    for one in served:
        names = np.array([name or "" for name in one.tenant] or [""] * len(one), dtype=str)
        known, counts = np.unique(names, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        index = evenness(one.latency, one.output, names.tolist())
        hidden = max(hidden, len(known) - most)
        for name in known[order[:most]]:
            figures = _figures(one, names == name)
            rows.append([one.name, str(name) or "(none)", *figures, index])
    note = (
        "Jain's index over the tenants' mean latency per output token: 1 if all tenants are "
        "served alike, 1/n if one of n tenants has all of the delay."
    )
    if hidden > 0:
        note += f" {hidden} tenants with fewer requests are not shown, but are in the index."
    heads = ["run", "tenant", *_HEADS, "Jain's index"]
    return Table("by-tenant", "By tenant", heads, rows, note)


def by_length(served: Sequence[Served]) -> Table:
    """Figures by quarters of all requests' output lengths, in each run."""
    rows: list[list[Cell]] = []
    for name, low, high in _classes(served):
        for one in served:
            own = (one.output > low) & (one.output <= high)
            rows.append([name, one.name, *_figures(one, own)])
    note = "Each class has a quarter of the requests, as far as their lengths differ."
    heads = ["output tokens", "run", *_HEADS]
    return Table("by-length", "By length of the answer", heads, rows, note)


def _classes(served: Sequence[Served]) -> Iterator[tuple[str, float, float]]:
    """Names and ends of the classes, the lower end not in it."""
    lengths = np.concatenate([np.zeros(0, np.int64), *(each.output for each in served)])
    if not len(lengths):
        return
    cuts = np.unique(np.floor(np.quantile(lengths, _QUARTERS)).astype(int)).tolist()
    ends = [-1, *(cut for cut in cuts if cut < lengths.max()), int(lengths.max())]
    for low, high in pairwise(ends):
        name = f"up to {high:,}" if low < 0 else f"{low + 1:,} to {high:,}"
        yield name, low, high


def _figures(served: Served, own: NDArray[np.bool_]) -> list[Cell]:
    latency = served.latency[own & np.isfinite(served.finish)]
    ttft = served.ttft[own & np.isfinite(served.first)]
    each = normalised(served.latency[own], served.output[own], [None] * int(own.sum()))
    return [
        int(own.sum()),
        *(
            (float(latency.mean()), float(np.quantile(latency, 0.99)))
            if len(latency)
            else (None,) * 2
        ),
        *((float(ttft.mean()), float(ttft.max())) if len(ttft) else (None,) * 2),
        float(each[0]) if len(each) else None,
    ]
