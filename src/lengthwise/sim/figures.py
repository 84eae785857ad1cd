"""A simulated run's figures, under the names that ``lengthwise bench`` writes."""

from __future__ import annotations

from lengthwise.results.record import Seen, Work
from lengthwise.results.timings import Times, seen
from lengthwise.sim.setup import Outcome
from lengthwise.workload import Workload


def figures(workload: Workload, outcome: Outcome, until: int | None = None) -> tuple[Seen, Work]:
    """What results.json keeps of a run; times in simulated seconds; ``until`` as in the bench."""
    clients = seen(times_of(workload, outcome), until, outcome.rejected)
    if not clients.finished:
        return clients, Work()
    return clients, Work(
        preemptions=outcome.pauses + outcome.evictions,
        evictions=outcome.evictions,
        recomputed_tokens=outcome.recomputed,
        steps=outcome.steps,
        step_ms=1000.0 * outcome.busy_s / max(outcome.steps, 1),
        # Scheduling and predicting take no simulated time.
        scheduler_ms_per_step=0.0,
        predictor_ms_per_step=0.0,
    )


def times_of(workload: Workload, outcome: Outcome) -> Times:
    """When the workload's requests got their tokens."""
    return Times(
        workload.arrival,
        outcome.first,
        outcome.finish,
        outcome.gap,
        workload.output,
        workload.tenant,
    )


def overloaded(outcome: Outcome, seats: int) -> bool:
    """Whether requests arrived faster than they left, so that they pile up.

    More of them are in the system at the last arrival than seats could explain, and half
    as many again as at half time.
    """
    half, last = outcome.backlog
    return last > 1.5 * seats and last > 1.5 * half
