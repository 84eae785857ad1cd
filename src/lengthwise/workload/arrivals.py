"""Other arrival times for the same requests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lengthwise.errors import UserError
from lengthwise.workload import arrival_times as arrivals
from lengthwise.workload.workload import Workload

PROCESSES = ("poisson", "gamma", "burst", "trace")


def with_arrivals(
    workload: Workload,
    process: str,
    rate: float | None = None,
    cv: float = 1.0,
    seed: int = 0,
) -> Workload:
    """The same requests in the same order, arriving otherwise; the first always at 0.

    ``process`` is ``poisson`` at ``rate`` per second, ``gamma`` (gaps with the
    coefficient of variation ``cv``), ``burst`` (all at 0), or ``trace``: the workload's
    own times, stretched to ``rate`` if one is given.

    Raises:
        UserError: for an unknown process, one without its rate, or a rate or cv that it
            does not take.
    """
    if process not in PROCESSES:
        raise UserError(f"no arrivals {process!r}: choose from {', '.join(PROCESSES)}")
    if cv != 1.0 and process != "gamma":
        raise UserError(f"{process} arrivals take no cv: use gamma")
    if process == "trace":
        return _stretched(workload, rate)
    if process == "burst":
        if rate is not None:
            raise UserError("burst arrivals take no rate: all are at 0")
        return replace(workload, arrival=np.array(arrivals.burst(len(workload))))
    if rate is None:
        raise UserError(f"{process} arrivals need a rate")
    times = np.array(arrivals.gamma(len(workload), rate, cv, [seed, 2]))
    return replace(workload, arrival=times - times[0])


def _stretched(workload: Workload, rate: float | None) -> Workload:
    if len(workload) > 1 and not workload.arrival[-1] > 0:
        raise UserError(f"{workload.name} has no arrival times: use poisson, gamma or burst")
    return workload if rate is None else workload.scaled_to(rate)
