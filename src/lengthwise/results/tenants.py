"""What each tenant got of a run, for bench and simulator alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lengthwise.results.record import TenantFigures

Seconds = NDArray[np.float64]


def by_tenant(
    tenants: Sequence[str | None],
    latency: Seconds,
    ttft: Seconds,
    waiting: Seconds,
    tokens: NDArray[np.int64],
) -> dict[str, TenantFigures]:
    """Figures of each tenant's requests, by name; the empty name has requests without a tenant.

    No figures if no request has one.

    All of n requests: names, latency, time to first token and longest wait in seconds, and
    output tokens.
    """
    if not any(tenants):
        return {}
    names = np.array([tenant or "" for tenant in tenants])
    found = {}
    for name in np.unique(names).tolist():
        own = names == name
        found[name] = TenantFigures(
            requests=int(own.sum()),
            output_tokens=int(tokens[own].sum()),
            mean_latency_s=float(latency[own].mean()),
            p99_latency_s=float(np.quantile(latency[own], 0.99)),
            mean_ttft_s=float(ttft[own].mean()),
            mean_max_waiting_s=float(waiting[own].mean()),
        )
    return found
