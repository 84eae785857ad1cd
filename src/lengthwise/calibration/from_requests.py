"""Seconds of a step from a log: when requests that FCFS served came, began and ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lengthwise.calibration.calibration import Calibration
from lengthwise.calibration.check import Checked, check, fcfs
from lengthwise.calibration.fitting import FEWEST, interval
from lengthwise.calibration.forms import Fitted
from lengthwise.calibration.seats import Limits, possible
from lengthwise.calibration.timeline import Timeline
from lengthwise.core.arrays import Ints
from lengthwise.core.checks import at_least
from lengthwise.errors import UserError
from lengthwise.sim.setup import Setup
from lengthwise.traces.trace import Observed, Trace

MOST = 5_000
"""Requests that are fitted and simulated at most."""

_SIMPLER = 0.9
"""A limit is believed if it makes the distance of the simulated log from the real one
this much smaller."""

_WELL = 0.03
"""So small a distance is explained by seats; nothing needs memory to be short."""

_ROUNDS = 3

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
    best: Engine | None = None
    for told in possible(given.levels, seats, kv_tokens):
        timeline = replace(given, seats=told.seats)
        setup = _setup(timeline, told, budget, block_size)
        fitted = Fitted.of(timeline, setup.budget, source)
        # Amounts of memory are told apart by little, seats from none by much.
        checked = check(used, fitted.steps, setup, closely=told.kv_tokens != kv_tokens)
        if best is None or checked.distance < _SIMPLER * best.checked.distance:
            best = Engine(timeline, told, setup, fitted, checked)
        if best.limits.seats is not None and best.checked.distance < _WELL:
            break
    assert best is not None
    best = min(
        (_corrected(used, each) for each in _tried(best, source)),
        key=lambda engine: engine.checked.distance,
    )
    fastest, slowest = interval(best.fitted.sums, best.fitted.time)
    return Calibration(
        best.fitted.scaled(best.checked.factor).steps,
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
class Engine:
    """An engine with these limits, its steps, and how well they explain the log."""

    timeline: Timeline
    limits: Limits
    setup: Setup
    fitted: Fitted
    checked: Checked


def _tried(engine: Engine, source: str) -> list[Engine]:
    """The engine; where memory was short, with each form of its steps.

    Prompts that were computed again after evictions hide there which form fits best.
    """
    if engine.limits.kv_tokens is None:
        return [engine]
    forms = Fitted.all(engine.timeline, engine.setup.budget, source)
    return [replace(engine, fitted=form) for form in forms]


def _corrected(used: Trace, engine: Engine) -> Engine:
    """Without what the fit gets wrong in a known way; if that explains the log no worse.

    A log does not show prompts that were computed again after an eviction, nor where in its
    seat's time a prompt was computed. So the same fit is made of a simulated log, whose step
    times are known: each part is corrected by as much as it comes out wrong there.
    """
    fitted = engine.fitted.scaled(engine.checked.factor)
    as_it_is = replace(engine, checked=check(used, engine.fitted.steps, engine.setup))
    for _ in range(_ROUNDS):
        served = fcfs(used, fitted.steps, engine.setup)
        if not np.isfinite(served.finish).all():
            return as_it_is
        simulated = replace(engine.timeline, first=served.first, finish=served.finish)
        fitted = fitted.corrected(engine.fitted, simulated)
    checked = check(used, fitted.steps, engine.setup)
    if checked.distance > as_it_is.checked.distance:
        return as_it_is
    # What the interval is made of stays the fit to the real log.
    return replace(engine, fitted=fitted, checked=checked)


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


def _notes(trace: Trace, best: Engine, found: bool, budget: int | None) -> tuple[str, ...]:
    n, everything, checked = len(best.fitted.sums), len(trace.workload), best.checked
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
