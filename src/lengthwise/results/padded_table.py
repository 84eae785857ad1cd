"""The table of runs on padded batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.results import until as reached
from lengthwise.results.terminal import Table

_COLUMNS = {
    "requests_per_s": ("req/s", ".3g"),
    "tokens_per_s": ("tok/s", ".0f"),
    "mean_latency_s": ("mean", ".3g"),
    "p95_latency_s": ("p95", ".3g"),
    "p99_latency_s": ("p99", ".3g"),
    "mean_batch_size": ("batch", ".1f"),
    "slices_per_request": ("slices", ".2f"),
    "invalid_tokens": ("invalid", ".0f"),
    "pad_tokens": ("pad", ".0f"),
    "early_return_share": ("early", ".0%"),
    "load_imbalance_s": ("imbal", ".3g"),
    "oom_events": ("OOM", ".0f"),
}
"""What the table shows of a run: its heading and its format."""


def show(runs: list[dict[str, Any]], title: str) -> None:
    """A line for each policy and rate, means over seeds; ratios to the rate's first policy."""
    until = runs[0].get("until")
    heads = ["policy", "rate", *(head for head, _ in _COLUMNS.values()), "throughput", "speed-up"]
    heads += [f"first {until}"] if until else []
    table = Table(title, heads, left=("policy",), width=160)
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        shown = f"{run['policy']}@{run['predictor']}"
        name = run["policy"] if run["predictor"] in ("constant", None) else shown
        groups.setdefault((_arrivals(run), name), []).append(run)
    base: dict[str, list[dict[str, Any]]] = {}
    for (rate, name), group in groups.items():
        first = base.setdefault(rate, group)
        cells = [
            format(_mean(group, each), form) if each in group[0] else "-"
            for each, (_, form) in _COLUMNS.items()
        ]
        table.add_row(
            name,
            rate,
            *cells,
            f"{_mean(group, 'requests_per_s') / _mean(first, 'requests_per_s'):.2f}x",
            f"{_mean(first, 'mean_latency_s') / _mean(group, 'mean_latency_s'):.2f}x",
            *([reached.shown(group)] if until else []),
        )
    table.print()


def _arrivals(run: dict[str, Any]) -> str:
    """The rate, or how requests came without one; a bench's come in a burst then."""
    return str(run.get("arrivals", "burst")) if run["rate"] is None else f"{run['rate']:g}/s"


def _mean(group: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([run.get(name, np.nan) for run in group]))
