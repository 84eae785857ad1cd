"""What each tenant got of a run, for bench and simulator alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.results.terminal import Table

Seconds = NDArray[np.float64]


def by_tenant(
    tenants: Sequence[str | None],
    latency: Seconds,
    ttft: Seconds,
    waiting: Seconds,
    tokens: NDArray[np.int64],
) -> dict[str, dict[str, float]]:
    """Figures of each tenant's requests, by name (empty: nobody's); none if nobody has one.

    All of n requests: names, latency, time to first token and longest wait in seconds, and
    output tokens.
    """
    if not any(tenants):
        return {}
    names = np.array([tenant or "" for tenant in tenants])
    found = {}
    for name in np.unique(names).tolist():
        own = names == name
        found[name] = {
            "requests": int(own.sum()),
            "output_tokens": int(tokens[own].sum()),
            "mean_latency_s": float(latency[own].mean()),
            "p99_latency_s": float(np.quantile(latency[own], 0.99)),
            "mean_ttft_s": float(ttft[own].mean()),
            "mean_max_waiting_s": float(waiting[own].mean()),
        }
    return found


def show_tenants(runs: Sequence[dict[str, Any]]) -> None:
    """A line for each tenant of each run that has several."""
    heads = ("policy", "rate", "tenant", "requests", "tokens", "mean", "p99", "TTFT")
    table = Table("by tenant", heads, left=("policy", "tenant"), width=110)
    for run in runs:
        rate = "-" if run["rate"] is None else f"{run['rate']:g}/s"
        for name, own in run.get("tenants", {}).items():
            table.add_row(
                run["policy"],
                rate,
                name or "(none)",
                *(str(own[figure]) for figure in ("requests", "output_tokens")),
                *(f"{own[f'{figure}_latency_s']:.2f}s" for figure in ("mean", "p99")),
                f"{own['mean_ttft_s']:.2f}s",
            )
    if table:
        table.print()
