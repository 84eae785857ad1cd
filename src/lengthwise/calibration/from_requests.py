"""Seconds of a step from a log: when requests that FCFS served came, began and ended."""

from __future__ import annotations

import math

import numpy as np

from lengthwise.calibration.calibration import Calibration
from lengthwise.calibration.chosen import chosen
from lengthwise.calibration.explained import BUDGET, Engine, Known, explained
from lengthwise.calibration.fitting import interval
from lengthwise.calibration.timeline import Timeline
from lengthwise.core.checks import at_least
from lengthwise.traces.trace import Trace

_UNSURE = 0.5


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
    best = explained(used, given, Known(seats, budget, kv_tokens, block_size), source)
    fastest, slowest = interval(best.fitted.sums, best.fitted.time)
    # What the log's own requests are off by is not known to be noise.
    unsure = min(_UNSURE * best.checked.error, _UNSURE)
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
