"""SCLS's batching: dynamic programming over requests in order of length (arXiv 2406.13511)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lengthwise.core.request import Request
from lengthwise.padded.base import Batch, context


class Cost(Protocol):
    """Seconds of a batch of ``size`` requests, padded to ``length``, for ``steps`` tokens."""

    def slice(self, size: int, length: int, steps: int) -> float: ...


def group(
    requests: Sequence[Request], time: Cost, slice: int, memory: float, most: float
) -> list[Batch]:
    """The batches with the least total time.

    Sorted by length, f[i] = min over j of f[j-1] + T(i-j+1, L_i, S): where time grows with
    length, no other batches than neighbours' are better. The time must be linear in the
    batch's size, as the fitted one is.

    Args:
        requests: all that are to be served.
        slice: S, most tokens of a slice.
        memory: KV tokens a batch may hold, N·(L + S); one request always goes.
        most: requests in a batch.
    """
    ordered = sorted(requests, key=context)
    best = np.zeros(len(ordered) + 1)
    begins = [0] * (len(ordered) + 1)
    for i, request in enumerate(ordered, 1):
        length = context(request)
        size = int(max(min(most, memory // (length + slice), i), 1))
        alone = time.slice(1, length, slice)
        each = time.slice(2, length, slice) - alone
        sizes = np.arange(size, 0, -1)
        costs = best[i - size : i] + alone + (sizes - 1) * each
        first = int(np.argmin(costs))
        best[i], begins[i] = costs[first], i - size + first
    return _batches(ordered, begins, time, slice)


def _batches(ordered: list[Request], begins: list[int], time: Cost, slice: int) -> list[Batch]:
    found, end = [], len(ordered)
    while end:
        batch = Batch(ordered[begins[end] : end], slice)
        batch.estimate = time.slice(len(batch), batch.length, slice)
        found.append(batch)
        end = begins[end]
    return found
