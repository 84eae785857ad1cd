"""Which engine explains a log: its limits, and the steps that go with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lengthwise.calibration.check import Checked, check, fcfs
from lengthwise.calibration.fitting import FEWEST
from lengthwise.calibration.forms import Fitted
from lengthwise.calibration.seats import Limits, guesses, possible
from lengthwise.calibration.timeline import Timeline
from lengthwise.sim.setup import Setup
from lengthwise.traces.trace import Trace

BUDGET = 2048
"""Tokens of a step where nobody says: vLLM's default on most cards."""

_SIMPLER = 0.9
"""A limit is believed if it makes the distance of the simulated log from the real one
this much smaller."""

_WELL = 0.03
"""So small a distance is explained by seats; nothing needs memory to be short."""

_ROUNDS = 3


@dataclass(frozen=True)
class Known:
    """What the user knows of the engine; None for what is to be found, or not known."""

    seats: int | None
    budget: int | None
    kv_tokens: int | None
    block_size: int


@dataclass(frozen=True, eq=False)
class Engine:
    """An engine with these limits, its steps, and how well they explain the log."""

    timeline: Timeline
    limits: Limits
    setup: Setup
    fitted: Fitted
    checked: Checked


def explained(used: Trace, given: Timeline, known: Known, source: str) -> Engine:
    """The engine whose simulation under FCFS comes nearest to the log.

    Args:
        used: the log, with the times of last tokens and either all first tokens or none.
        given: the same as a timeline.

    Raises:
        UserError: if there are too few requests with two tokens or more.
    """
    best = _of_limits(used, given, known, source)
    if not _streamed(given):
        best = _imputed(used, best, source)
    best = min(
        (_corrected(used, each) for each in _tried(best, source)),
        key=lambda engine: engine.checked.distance,
    )
    return replace(best, checked=check(used, best.fitted.steps, best.setup))


def _of_limits(used: Trace, given: Timeline, known: Known, source: str) -> Engine:
    """The simplest of the limits that explain the log."""
    streamed = _streamed(given)
    if streamed:
        limits = possible(given.levels, known.seats, known.kv_tokens)
    else:
        limits = guesses(given, known.seats, known.kv_tokens)
    best: Engine | None = None
    for told in limits:
        timeline = replace(given, seats=told.seats)
        if not streamed:
            timeline = timeline.guessed()
        setup = _setup(timeline, told, known)
        fitted = Fitted.of(timeline, setup.budget, source)
        # Amounts of memory are told apart by little, seats from none by much.
        closely = told.kv_tokens != known.kv_tokens
        checked = check(used, fitted.steps, setup, closely)
        if best is None or checked.distance < _SIMPLER * best.checked.distance:
            best = Engine(timeline, told, setup, fitted, checked)
        if streamed and best.limits.seats is not None and best.checked.distance < _WELL:
            break
    assert best is not None
    return best


def _streamed(timeline: Timeline) -> bool:
    """Whether first tokens are known."""
    return bool(np.isfinite(timeline.first).all())


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
        simulated = replace(engine.timeline, first=served.first, finish=served.finish)
        if not np.isfinite(served.finish).all() or len(simulated.sums()) < FEWEST:
            return as_it_is
        fitted = fitted.corrected(engine.fitted, simulated)
    checked = check(used, fitted.steps, engine.setup, closely=False)
    if checked.distance > as_it_is.checked.distance:
        return as_it_is
    # What the interval is made of stays the fit to the real log.
    return replace(engine, fitted=fitted, checked=checked)


def _setup(timeline: Timeline, told: Limits, known: Known) -> Setup:
    """The engine for the check; what nobody knows is never short."""
    seats, block_size = told.seats or len(timeline.arrival), known.block_size
    lengths = timeline.prompt + timeline.cached + timeline.output
    blocks = int(lengths.max()) // block_size + 2
    if told.kv_tokens is None:
        blocks += int(lengths.sum()) // block_size + seats
    else:
        blocks = max(blocks, told.kv_tokens // block_size)
    return Setup(seats, max(known.budget or BUDGET, seats), blocks, block_size)
