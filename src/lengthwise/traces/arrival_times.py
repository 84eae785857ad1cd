"""When the requests of a trace arrive."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lengthwise.errors import UserError
from lengthwise.traces.clock import Clock
from lengthwise.traces.content import File
from lengthwise.traces.fields import Fields
from lengthwise.traces.formats.plain import COLUMNS
from lengthwise.traces.read import read_trace


def trace(path: Path, n: int, rate: float | None) -> list[float]:
    """The first n arrival times of a trace in seconds, scaled to ``rate`` per second if given.

    Any file that :func:`read_trace` reads, and files of times alone.

    Raises:
        UserError: if the file cannot be read, has too few requests, or no times.
    """
    times = _times(path)
    if len(times) < n:
        raise UserError(f"trace {path} has {len(times)} arrivals, {n} are needed")
    times = times[:n]
    if rate is None or times[-1] == 0:
        return times
    factor = (n - 1) / rate / times[-1]
    return [t * factor for t in times]


def _times(path: Path) -> list[float]:
    """Seconds since the first arrival, sorted."""
    file = File.open(path, "trace")
    if file.empty:
        return []
    table = file.table
    if table.find(COLUMNS.prompt) is None or table.find(COLUMNS.output) is None:
        column = table.find(COLUMNS.arrival)
        if column is not None:
            fields = Fields(table)
            clock = Clock.of(fields, {"arrival": column}, None)
            fields.check()
            return [] if clock.arrival is None else [float(t) for t in np.sort(clock.arrival)]
    found = read_trace(path)
    if not found.timed:
        raise UserError(f"trace {path}: no times of arrival in it, like t_s or t_ms")
    return [float(t) for t in found.workload.arrival]
