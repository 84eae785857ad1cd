"""Seconds of a step from a log: when requests that FCFS served came, began and ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lengthwise.calibration.calibration import Calibration
from lengthwise.calibration.check import Checked, check, fcfs
from lengthwise.calibration.fitting import FEWEST, Sums, fit_most, interval
from lengthwise.calibration.seats import Limits, possible
from lengthwise.calibration.timeline import Timeline
from lengthwise.core.arrays import Ints
from lengthwise.core.checks import at_least
from lengthwise.errors import UserError
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.traces.trace import Observed, Trace

MOST = 5_000
"""Requests that are fitted and simulated at most."""

_SIMPLER = 0.9
"""A limit is believed if it makes the distance of the simulated log from the real one
this much smaller."""

_ROUNDS = 3
_MOST = 1.25

BUDGET = 2048
"""Tokens of a step where nobody says: vLLM's default on most cards."""


def from_requests(
    trace: Trace,
    seats: int | None = None,
    budget: int | None = None,
    kv_tokens: int | None = None,
    block_size: int = 16,
) -> Calibration:
    """How fast the engine was that served a log in order of arrival.

    The time between a request's first and last token is the sum of its decode steps. What
    these steps held (prompt tokens, decodes, context) is rebuilt from all requests' times,
    and least squares give the seconds. FCFS is then simulated on the same arrivals, and one
    factor on all steps makes its mean latency the observed one.

    Args:
        trace: with ``observed`` times; at most 5,000 of its requests are used, those from
            a moment with no request in the system on in which requests spent most time.
        seats, budget, kv_tokens: the engine's, where they are known. Seats and KV memory
            that were ever short are found otherwise.

    Raises:
        UserError: if the trace has no such times, or too few requests.
    """
    at_least(1, seats=seats, budget=budget, kv_tokens=kv_tokens)
    used = chosen(trace)
    source = f"the times of {len(used.workload)} requests of {trace.workload.name}"
    given = _timeline(used)
    best: Fitted | None = None
    for told in possible(given.levels, seats, kv_tokens):
        timeline = replace(given, seats=told.seats)
        setup = _setup(timeline, told, budget, block_size)
        fitted = _fitted(used, timeline, told, setup, source)
        if best is None or fitted.checked.distance < _SIMPLER * best.checked.distance:
            best = fitted
    assert best is not None
    best = _corrected(used, best)
    fastest, slowest = interval(best.sums, best.time)
    return Calibration(
        best.time.scaled(best.checked.factor),
        source,
        best.checked.error,
        "a request's latency",
        fastest,
        slowest,
        best.limits.seats,
        budget,
        best.limits.kv_tokens,
        block_size,
        _notes(trace, best, seats is None and kv_tokens is None, budget),
    )


@dataclass(frozen=True, eq=False)
class Fitted:
    """Step times if the engine had these limits, and how well they explain the log."""

    timeline: Timeline
    limits: Limits
    setup: Setup
    sums: Sums
    time: Linear
    checked: Checked


def _fitted(used: Trace, timeline: Timeline, told: Limits, setup: Setup, source: str) -> Fitted:
    sums = timeline.sums()
    time = fit_most(sums, "requests", source)
    return Fitted(timeline, told, setup, sums, time, check(used, time, setup))


def _corrected(used: Trace, fitted: Fitted) -> Fitted:
    """Without what the fit gets wrong in a known way.

    A log does not show prompts that were computed again after an eviction, nor where in its
    seat's time a prompt was computed. So the same fit is made of a simulated log, whose step
    times are known: each part is corrected by as much as it comes out wrong there.
    """
    time = fitted.time.scaled(fitted.checked.factor)
    for _ in range(_ROUNDS):
        served = fcfs(used, time, fitted.setup)
        again = replace(fitted.timeline, first=served.first, finish=served.finish)
        if not np.isfinite(served.finish).all():
            return fitted
        found = fit_most(again.sums(), "simulated", "a simulated log", fitted.time.error)
        time = _moved(time, fitted.time, found)
    checked = check(used, time, fitted.setup)
    if checked.distance > fitted.checked.distance:
        return fitted
    return replace(fitted, time=time, checked=checked)


def _moved(time: Linear, wanted: Linear, found: Linear) -> Linear:
    """``time`` with each part times wanted / found, at most a quarter more or less."""

    def part(now: float, want: float, got: float) -> float:
        if not (want > 0 and got > 0):
            return now
        return now * min(max(want / got, 1 / _MOST), _MOST)

    return replace(
        time,
        base=part(time.base, wanted.base, found.base),
        prefill=part(time.prefill, wanted.prefill, found.prefill),
        decode=part(time.decode, wanted.decode, found.decode),
        context=part(time.context, wanted.context, found.context),
    )


def chosen(trace: Trace) -> Trace:
    """The requests with both times; of more than 5,000, a stretch that was busy.

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
    # FCFS served requests that came at the same time in some order: that of their first tokens.
    order = np.lexsort((first, arrival))
    whole = np.isfinite(first) & np.isfinite(finish) & (first >= arrival) & (finish >= first)
    index = order[whole[order]]
    if len(index) < FEWEST:
        raise UserError(
            f"{trace.workload.name}: {len(index)} requests have times of arrival, first and last "
            f"token in this order: at least {FEWEST} are needed"
        )
    return _rows(trace, _busiest(trace, index) if len(index) > MOST else index)


def _busiest(trace: Trace, index: Ints) -> Ints:
    """Of the requests ``index``, 5,000 in a row that begin with an idle engine."""
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


def _timeline(used: Trace) -> Timeline:
    assert used.observed is not None
    served = used.workload
    cached = np.minimum(served.prefix, served.prompt - 1).astype(float)
    return Timeline(
        served.arrival,
        used.observed.first,
        used.observed.finish,
        served.prompt - cached,
        cached,
        served.output.astype(float),
    )


def _setup(timeline: Timeline, told: Limits, budget: int | None, block_size: int) -> Setup:
    """The engine for the check; what nobody knows is never short."""
    seats = told.seats or len(timeline.arrival)
    lengths = timeline.prompt + timeline.cached + timeline.output
    blocks = int(lengths.max()) // block_size + 2
    if told.kv_tokens is None:
        blocks += int(lengths.sum()) // block_size + seats
    else:
        blocks = max(blocks, told.kv_tokens // block_size)
    return Setup(seats, max(budget or BUDGET, seats), blocks, block_size)


def _notes(trace: Trace, best: Fitted, found: bool, budget: int | None) -> tuple[str, ...]:
    n, everything, checked = len(best.sums), len(trace.workload), best.checked
    notes = [f"the decode steps of {n} of the {everything} requests were used"]
    if found:
        notes.append(str(best.limits))
    if budget is None:
        notes.append(f"steps of at most {BUDGET} tokens were assumed")
    notes.append(
        f"FCFS simulated on the same arrivals: mean latency {100 * checked.before:+.1f} % from "
        f"the observed one; all steps were then multiplied by {checked.factor:.3f}, which leaves "
        f"{100 * checked.mean:+.1f} % in the mean latency and {100 * checked.ttft:+.1f} % in the "
        f"mean TTFT"
    )
    return tuple(notes)
