"""A simulated run's figures, under the names that ``lengthwise bench`` writes."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.results.tenants import by_tenant
from lengthwise.results.until import reached
from lengthwise.sim.setup import Outcome
from lengthwise.workload import Workload


def figures(workload: Workload, outcome: Outcome, until: int | None = None) -> dict[str, Any]:
    """What results.json keeps of a run; times in simulated seconds; ``until`` as in the bench.

    ``overloaded`` tells that requests pile up: more of them are in the system at the
    last arrival than seats could explain, and half as many again as at half time.
    """
    done = np.isfinite(outcome.finish)
    found: dict[str, Any] = {
        "requests": len(workload),
        "finished": int(done.sum()),
        "rejected": outcome.rejected,
    }
    if not done.any():
        return found
    arrival, output = workload.arrival[done], workload.output[done]
    first, finish = outcome.first[done], outcome.finish[done]
    latency, ttft = finish - arrival, first - arrival
    waiting = np.maximum(ttft, outcome.gap[done])
    several = output > 1
    tpot = (finish - first)[several] / (output[several] - 1)
    tenants = [workload.tenant[i] for i in np.flatnonzero(done)] if workload.tenant else []
    makespan = float(finish.max() - workload.arrival[0])
    return found | {
        "mean_latency_s": float(latency.mean()),
        "p50_latency_s": float(np.quantile(latency, 0.5)),
        "p99_latency_s": float(np.quantile(latency, 0.99)),
        "mean_ttft_s": float(ttft.mean()),
        "p99_ttft_s": float(np.quantile(ttft, 0.99)),
        "mean_tpot_s": float(tpot.mean()) if several.any() else 0.0,
        "mean_latency_per_token_s": float((latency / output).mean()),
        "max_waiting_s": float(waiting.max()),
        "mean_max_waiting_s": float(waiting.mean()),
        "output_tokens": int(output.sum()),
        "tokens_per_s": float(output.sum() / makespan),
        "makespan_s": makespan,
        "preemptions": outcome.pauses + outcome.evictions,
        "evictions": outcome.evictions,
        "recomputed_tokens": outcome.recomputed,
        "steps": outcome.steps,
        "step_ms": 1000.0 * outcome.busy_s / max(outcome.steps, 1),
        # Scheduling and predicting take no simulated time.
        "scheduler_ms_per_step": 0.0,
        "predictor_ms_per_step": 0.0,
        "tenants": by_tenant(tenants, latency, ttft, waiting, output),
        **reached(finish - workload.arrival[0], until),
    }


def overloaded(outcome: Outcome, seats: int) -> bool:
    """Whether requests arrived faster than they left."""
    half, last = outcome.backlog
    return last > 1.5 * seats and last > 1.5 * half
