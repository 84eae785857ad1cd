"""When requests arrive: all at once, at random, or at a trace's times."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lengthwise.errors import UserError, reading


def burst(n: int) -> list[float]:
    """All n requests at time 0."""
    return [0.0] * n


def gamma(n: int, rate: float, cv: float, seed: int | list[int]) -> list[float]:
    """n arrival times in seconds at ``rate`` per second; ``cv`` 1 is Poisson.

    Gaps are gamma distributed with mean 1/rate and coefficient of variation ``cv``.

    Raises:
        UserError: if rate or cv is not positive.
    """
    if not rate > 0 or not cv > 0:
        raise UserError(f"arrivals need a positive rate and cv, not rate={rate} and cv={cv}")
    shape = 1.0 / cv**2
    gaps = np.random.default_rng(seed).gamma(shape, 1.0 / (rate * shape), n)
    return [float(t) for t in np.cumsum(gaps)]


def trace(path: Path, n: int, rate: float | None) -> list[float]:
    """The first n arrival times of a trace, scaled to ``rate`` per second if given.

    Reads ``t_s`` or ``t_ms`` columns of a CSV (gzipped or not), or JSON lines with them.

    Raises:
        UserError: for an unreadable line (named), too few lines, or unsorted times.
    """
    with (
        reading(f"trace {path}"),
        gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines,
    ):
        json_lines = path.name.removesuffix(".gz").endswith(".jsonl")
        records: Iterable[Any] = csv.DictReader(lines)
        if json_lines:
            records = filter(str.strip, lines)
        times = [_time(path, i, record) for i, record in enumerate(islice(records, n), 1)]
    if len(times) < n:
        raise UserError(f"trace {path} has {len(times)} arrivals, {n} are needed")
    if any(later < earlier for earlier, later in pairwise(times)):
        raise UserError(f"trace {path}: arrival times must not decrease")
    times = [t - times[0] for t in times]
    if rate is None or times[-1] == 0:
        return times
    factor = (n - 1) / rate / times[-1]
    return [t * factor for t in times]


def _time(path: Path, number: int, record: str | dict[str, str]) -> float:
    try:
        fields = json.loads(record) if isinstance(record, str) else record
        time = float(fields["t_s"]) if "t_s" in fields else float(fields["t_ms"]) / 1000.0
        if not math.isfinite(time):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise UserError(f"trace {path}, record {number}: no t_s or t_ms in it") from None
    return time
