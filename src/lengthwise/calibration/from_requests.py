"""Seconds of a step from a log: when requests that FCFS served came, began and ended."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lengthwise.calibration.calibration import Calibration
from lengthwise.calibration.check import Checked, check, fcfs
from lengthwise.calibration.chosen import chosen
from lengthwise.calibration.fitting import interval
from lengthwise.calibration.forms import Fitted
from lengthwise.calibration.seats import Limits, guesses, possible
from lengthwise.calibration.timeline import Timeline
from lengthwise.core.checks import at_least
from lengthwise.sim.setup import Setup
from lengthwise.traces.trace import Trace

_SIMPLER = 0.9
"""A limit is believed if it makes the distance of the simulated log from the real one
this much smaller."""

_WELL = 0.03
"""So small a distance is explained by seats; nothing needs memory to be short."""

_UNSURE = 0.5
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
        trace: with ``observed`` times; at most 3,000 of its requests are used, those from
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
    streamed = bool(np.isfinite(given.first).all())
    limits = (
        possible(given.levels, seats, kv_tokens) if streamed else guesses(given, seats, kv_tokens)
    )
    best: Engine | None = None
    for told in limits:
        timeline = replace(given, seats=told.seats)
        if not streamed:
            timeline = timeline.guessed()
        setup = _setup(timeline, told, budget, block_size)
        fitted = Fitted.of(timeline, setup.budget, source)
        # Amounts of memory are told apart by little, seats from none by much.
        checked = check(used, fitted.steps, setup, closely=told.kv_tokens != kv_tokens)
        if best is None or checked.distance < _SIMPLER * best.checked.distance:
            best = Engine(timeline, told, setup, fitted, checked)
        if streamed and best.limits.seats is not None and best.checked.distance < _WELL:
            break
    assert best is not None
    if not streamed:
        best = _imputed(used, best, source)
    best = min(
        (_corrected(used, each) for each in _tried(best, source)),
        key=lambda engine: engine.checked.distance,
    )
    best = replace(best, checked=check(used, best.fitted.steps, best.setup))
    fastest, slowest = interval(best.fitted.sums, best.fitted.time)
    # What the log's own requests are off by is not known to be noise.
    unsure = _UNSURE * best.checked.error
    return Calibration(
        best.fitted.scaled(best.checked.factor).steps,
        source,
        best.checked.error,
        "a request's latency",
        min(fastest, 1.0 - unsure),
        max(slowest, 1.0 + unsure),
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


def _imputed(used: Trace, engine: Engine, source: str) -> Engine:
    """With first tokens as late after the seats as simulated; if that explains the log no worse."""
    for _ in range(_ROUNDS):
        served = fcfs(used, engine.fitted.scaled(engine.checked.factor).steps, engine.setup)
        if not np.isfinite(served.finish).all():
            return engine
        timeline = engine.timeline.imputed(served.first, served.finish)
        fitted = Fitted.of(timeline, engine.setup.budget, source)
        checked = check(used, fitted.steps, engine.setup, closely=False)
        if checked.distance > engine.checked.distance:
            return engine
        engine = replace(engine, timeline=timeline, fitted=fitted, checked=checked)
    return engine


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
    before = check(used, engine.fitted.steps, engine.setup, closely=False)
    as_it_is = replace(engine, checked=before)
    for _ in range(_ROUNDS):
        served = fcfs(used, fitted.steps, engine.setup)
        if not np.isfinite(served.finish).all():
            return as_it_is
        simulated = replace(engine.timeline, first=served.first, finish=served.finish)
        fitted = fitted.corrected(engine.fitted, simulated)
    checked = check(used, fitted.steps, engine.setup, closely=False)
    if checked.distance > as_it_is.checked.distance:
        return as_it_is
    # What the interval is made of stays the fit to the real log.
    return replace(engine, fitted=fitted, checked=checked)


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
    streamed = not math.isnan(checked.ttft)
    if not streamed:
        notes.append(
            "the log has no times of first tokens: they were worked out, which makes seats and "
            "the split of a step guesses"
        )
    if found:
        notes.append(str(best.limits) if streamed else best.limits.guess)
    if budget is None:
        notes.append(f"steps of at most {BUDGET} tokens were assumed")
    ttft = f" and {100 * checked.ttft:+.1f} % in the mean TTFT" if streamed else ""
    notes.append(
        f"FCFS simulated on the same arrivals: mean latency {100 * checked.before:+.1f} % from "
        f"the observed one; all steps were then multiplied by {checked.factor:.3f}, which leaves "
        f"{100 * checked.mean:+.1f} % in the mean latency{ttft}"
    )
    return tuple(notes)
