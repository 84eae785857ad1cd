"""A run's figures from its log, under the names of ``lengthwise bench`` where they agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lengthwise.padded.drive import Log, Served
from lengthwise.results.record import Batched, Seen, Work
from lengthwise.results.timings import Times, seen


def figures(log: Log, instances: int, until: int | None = None) -> tuple[Seen, Batched, Work]:
    """Latency from arrival to the return of the batch with the last token, and what ran.

    A first token is seen when its batch returns. Tokens of batches that ran out of memory
    are ``lost_tokens``. ``until`` is of :mod:`lengthwise.results.until`.
    """
    clients = seen(Times.of(log.timings), until, log.rejected)
    if not clients.finished:
        return clients, Batched(), Work()
    whole = [each for each in log.batches if not each.ran.out_of_memory]
    failed = [each for each in log.batches if each.ran.out_of_memory]
    slices = [each.slices for each in log.timings if each.finish is not None]
    batched = Batched(
        slices_per_request=float(np.mean(slices)),
        predictor_ms_per_request=1000 * log.predicting_s / len(log.timings),
    )
    if not log.batches:
        return clients, batched, Work()
    busy, last = np.zeros(instances), np.zeros(instances)
    for each in log.batches:
        busy[each.instance] += each.ran.seconds
        last[each.instance] = max(last[each.instance], each.end)
    batched = replace(
        batched,
        batches=len(whole),
        mean_batch_size=float(np.mean([each.size for each in whole])),
        invalid_tokens=sum(each.size * each.ran.steps - sum(each.ran.tokens) for each in whole),
        pad_tokens=sum(each.padding for each in log.batches),
        early_return_share=float(np.mean([_early(each) for each in whole])),
        load_imbalance_s=float(last.std()),
        busy_imbalance=float(busy.std() / busy.mean()),
        busy_s=float(busy.sum()),
        oom_events=len(failed),
        lost_tokens=sum(each.size * each.ran.steps for each in failed),
        planning_ms_per_batch=1000 * log.planning_s / len(log.batches),
    )
    steps = sum(each.ran.steps for each in log.batches)
    work = Work(
        recomputed_tokens=sum(each.begun for each in log.batches),
        steps=steps,
        step_ms=1000 * float(busy.sum()) / max(steps, 1),
    )
    return clients, batched, work


def _early(each: Served) -> bool:
    """Whether a slice returned before its time: all its members had ended."""
    return each.slice is not None and each.ran.steps < each.slice
