"""A run's figures from its log, under the names of ``lengthwise bench`` where they agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.padded.drive import Log, Served
from lengthwise.results.until import reached

FIELDS = (
    *("policy", "engine", "model", "requests", "finished", "rate", "seed", "instances"),
    *("mean_latency_s", "p50_latency_s", "p95_latency_s", "p99_latency_s", "mean_ttft_s"),
    *(
        "mean_latency_per_token_s",
        "output_tokens",
        "tokens_per_s",
        "requests_per_s",
        "makespan_s",
        "batches",
    ),
    *("mean_batch_size", "invalid_tokens", "pad_tokens", "slices_per_request"),
    *("early_return_share", "load_imbalance_s", "oom_events", "lost_tokens"),
    *("recomputed_tokens", "planning_ms_per_batch", "predictor_ms_per_request"),
)
"""What other programs may rely on in each run of a batch system's results.json."""


def figures(log: Log, instances: int, until: int | None = None) -> dict[str, Any]:
    """Latency from arrival to the return of the batch with the last token, and what ran.

    A first token is seen when its batch returns. ``load_imbalance_s`` is the standard
    deviation of the instances' last ends, ``busy_imbalance`` that of their busy times, as a
    share of the mean. Tokens of batches that ran out of memory are ``lost_tokens``.
    ``until`` is of :mod:`lengthwise.results.until`.
    """
    done = [life for life in log.lives if np.isfinite(life.finish)]
    found: dict[str, Any] = {
        "requests": len(log.lives),
        "finished": len(done),
        "rejected": log.rejected,
        "instances": instances,
    }
    if not done:
        return found
    arrival = np.array([life.request.arrival for life in done])
    finish = np.array([life.finish for life in done])
    latency = finish - arrival
    ttft = np.array([life.first for life in done]) - arrival
    lengths = np.array([life.request.generated for life in done])
    tokens = int(lengths.sum())
    begin = min(life.request.arrival for life in log.lives)
    makespan = float(finish.max()) - begin
    return found | {
        "mean_latency_s": float(latency.mean()),
        "p50_latency_s": float(np.quantile(latency, 0.5)),
        "p95_latency_s": float(np.quantile(latency, 0.95)),
        "p99_latency_s": float(np.quantile(latency, 0.99)),
        "mean_latency_per_token_s": float((latency / np.maximum(lengths, 1)).mean()),
        "mean_ttft_s": float(ttft.mean()),
        "p99_ttft_s": float(np.quantile(ttft, 0.99)),
        "output_tokens": tokens,
        "tokens_per_s": tokens / makespan,
        "requests_per_s": len(done) / makespan,
        "makespan_s": makespan,
        "slices_per_request": float(np.mean([life.slices for life in done])),
        "predictor_ms_per_request": 1000 * log.predicting_s / len(log.lives),
        **(_of_batches(log, instances) if log.batches else {}),
        **reached(finish - begin, until),
    }


def _of_batches(log: Log, instances: int) -> dict[str, Any]:
    whole = [each for each in log.batches if not each.ran.out_of_memory]
    failed = [each for each in log.batches if each.ran.out_of_memory]
    steps = sum(each.ran.steps for each in log.batches)
    busy = np.zeros(instances)
    last = np.zeros(instances)
    for each in log.batches:
        busy[each.instance] += each.ran.seconds
        last[each.instance] = max(last[each.instance], each.end)
    return {
        "batches": len(whole),
        "mean_batch_size": float(np.mean([each.size for each in whole])),
        "invalid_tokens": sum(each.size * each.ran.steps - sum(each.ran.tokens) for each in whole),
        "pad_tokens": sum(each.padding for each in log.batches),
        "early_return_share": float(np.mean([_early(each) for each in whole])),
        "load_imbalance_s": float(last.std()),
        "busy_imbalance": float(busy.std() / busy.mean()),
        "busy_s": float(busy.sum()),
        "oom_events": len(failed),
        "lost_tokens": sum(each.size * each.ran.steps for each in failed),
        "recomputed_tokens": sum(each.begun for each in log.batches),
        "steps": steps,
        "step_ms": 1000 * float(busy.sum()) / max(steps, 1),
        "planning_ms_per_batch": 1000 * log.planning_s / len(log.batches),
    }


def _early(each: Served) -> bool:
    """Whether a slice returned before its time: all its members had ended."""
    return each.slice is not None and each.ran.steps < each.slice
