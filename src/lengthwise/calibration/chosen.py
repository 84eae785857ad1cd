"""Which requests of a log its calibration is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lengthwise.calibration.fitting import FEWEST
from lengthwise.core.arrays import Ints
from lengthwise.errors import UserError
from lengthwise.traces.trace import Observed, Trace
from lengthwise.workload.workload import Seconds

MOST = 3_000
"""Requests that are fitted and simulated at most."""

_MOSTLY = 0.9
_QUICK = 0.05


def chosen(trace: Trace) -> Trace:
    """The requests with all their times; of more than 3,000, a stretch that was busy.

    Where fewer than nine in ten have a time of their first token, none has.

    Raises:
        UserError: if there are none, or too few.
    """
    if trace.observed is None or not trace.timed:
        raise UserError(
            f"{trace.workload.name}: it does not say when requests came, began and ended: give "
            "--card and --model, --engine-log, --metrics or --profile"
        )
    first, finish = trace.observed.first, trace.observed.finish
    arrival = trace.workload.arrival
    ended = np.isfinite(finish) & (finish >= arrival)
    streamed = ended & np.isfinite(first) & (first >= arrival) & (finish >= first)
    if streamed.sum() < _MOSTLY * ended.sum():
        first, streamed = np.full(len(first), np.nan), ended
        trace = replace(trace, observed=Observed(first, finish))
    # FCFS served requests that came at the same time in some order: that of their first tokens.
    began = first if np.isfinite(first).any() or not ended.any() else _began(trace, finish)
    order = np.lexsort((began, arrival))
    index = order[streamed[order]]
    if len(index) < FEWEST:
        raise UserError(
            f"{trace.workload.name}: {len(index)} requests have times of arrival and last token, "
            f"in this order: at least {FEWEST} are needed"
        )
    return _rows(trace, _busiest(trace, index) if len(index) > MOST else index)


def _began(trace: Trace, finish: Seconds) -> Seconds:
    """[n] about when requests were begun, where only their ends are known.

    A request with a seat took about as long for a token as those that took least.
    """
    output = trace.workload.output
    token = np.nanquantile((finish - trace.workload.arrival) / output, _QUICK)
    began: Seconds = finish - output * token
    return began


def _busiest(trace: Trace, index: Ints) -> Ints:
    """Of the requests ``index``, 3,000 in a row that begin with an idle engine."""
    assert trace.observed is not None
    arrival, finish = trace.workload.arrival[index], trace.observed.finish[index]
    idle = np.concatenate([[True], np.maximum.accumulate(finish)[:-1] <= arrival[1:]])
    spent = np.concatenate([[0.0], np.cumsum(finish - arrival)])
    starts = np.flatnonzero(idle)
    starts = starts[starts + MOST <= len(index)]
    if not len(starts):
        starts = np.zeros(1, np.int64)
    start = starts[np.argmax(spent[starts + MOST] - spent[starts])]
    return index[start : start + MOST]


def _rows(trace: Trace, index: Ints) -> Trace:
    assert trace.observed is not None
    start = trace.workload.arrival[index[0]]
    workload = trace.workload.rows(index, trace.workload.arrival[index] - start)
    first, finish = trace.observed.first[index], trace.observed.finish[index]
    return replace(trace, workload=workload, observed=Observed(first - start, finish - start))
