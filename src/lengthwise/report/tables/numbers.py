"""The main table: what the requests of each run got."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lengthwise.report.change import FIGURES, change
from lengthwise.report.parts import Cell, Table
from lengthwise.report.served import Served
from lengthwise.results.record import Run
from lengthwise.results.runs import mean

_FIELDS = (
    ("mean (s)", "mean_latency_s", True),
    ("p50 (s)", "p50_latency_s", False),
    ("p95 (s)", "p95_latency_s", False),
    ("p99 (s)", "p99_latency_s", True),
    ("TTFT mean (s)", "mean_ttft_s", True),
    ("TTFT p99 (s)", "p99_ttft_s", False),
    ("longest wait (s)", "max_waiting_s", False),
    ("tokens/s", "tokens_per_s", False),
)
"""Heads, fields of results.json, and whether the change against the first run follows."""


def of_served(served: Sequence[Served]) -> Table:
    """A row for each run; changes are against the first run, with intervals over requests."""
    rows = [_row(one, served[0]) for one in served]
    heads = [
        *("run", "requests", "finished", "mean (s)", "p50 (s)", "p90 (s)", "p99 (s)"),
        *("TTFT mean (s)", "TTFT p99 (s)", "longest wait (s)", "tokens/s"),
        *("mean against the first", "p99 against the first"),
    ]
    note = (
        "Latency is from arrival to the last token, TTFT to the first. The longest wait is the "
        "longest time without a token. In brackets: 95 % intervals over resampled requests."
    )
    return Table("numbers", "Figures", heads, rows, note)


def _row(served: Served, first: Served) -> list[Cell]:
    latency = served.latency[np.isfinite(served.latency)]
    ttft = served.ttft[np.isfinite(served.ttft)]
    cells: list[Cell] = [served.name, len(served), len(latency)]
    cells += [float(latency.mean()) if len(latency) else None]
    cells += [_quantile(latency, level) for level in (0.5, 0.9, 0.99)]
    cells += [float(ttft.mean()) if len(ttft) else None, _quantile(ttft, 0.99)]
    cells += [_longest(served), _throughput(served)]
    if served is first:
        return [*cells, None, None]
    by_name = {figure.name: figure for figure in FIGURES}
    return [
        *cells,
        *(str(change(first, served, by_name[name])) for name in ("mean latency", "p99 latency")),
    ]


def _quantile(values: np.ndarray, level: float) -> float | None:
    return float(np.quantile(values, level)) if len(values) else None


def _longest(served: Served) -> float | None:
    waits = served.ttft if served.gap is None else np.fmax(served.ttft, served.gap)
    known = waits[np.isfinite(waits)]
    return float(known.max()) if len(known) else None


def _throughput(served: Served) -> float | None:
    done = np.isfinite(served.finish)
    seconds = (
        float(np.ptp(np.append(served.finish[done], served.arrival.min()))) if any(done) else 0
    )
    return float(served.output[done].sum() / seconds) if seconds else None


def of_runs(
    runs: Sequence[Run],
    name_of: Callable[[Run], str],
    traffic_of: Callable[[Run], str],
    changed: Callable[[Sequence[Run], Sequence[Run], str], str | None],
) -> Table:
    """A row for each kind of run at each traffic, means over repetitions.

    Args:
        name_of, traffic_of: what a run and its traffic are called; alike means repetitions.
        changed: in words, the change of a field of results.json from the second runs to the
            first ones; it is shown against the first runs of the same traffic.
    """
    keys = [(traffic_of(run), name_of(run)) for run in runs]
    groups = [
        [run for run, own in zip(runs, keys, strict=True) if own == key]
        for key in dict.fromkeys(keys)
    ]
    first: dict[str, list[Run]] = {}
    rows: list[list[Cell]] = []
    for group in groups:
        base = first.setdefault(traffic_of(group[0]), group)
        row: list[Cell] = [name_of(group[0]), traffic_of(group[0])]
        for _, field, compared in _FIELDS:
            row.append(mean(group, field))
            if compared:
                row.append(None if group is base else changed(group, base, field))
        finished = sum(run.finished for run in group)
        lost = sum(run.requests for run in group) - finished
        rows.append([*row, finished, lost, len(group)])
    heads = ["run", "traffic"]
    for head, _, compared in _FIELDS:
        heads += [head, "change"] if compared else [head]
    heads += ["finished", "not finished", "repetitions"]
    note = (
        "Latency is from arrival to the last token, TTFT to the first; figures are of requests "
        "that finished. The longest wait is the longest time without a token. Changes are "
        "against the first run of the same traffic. In brackets are their 95 % intervals: over "
        "the repetitions, or over resampled requests where there is one repetition."
    )
    return Table("numbers", "Figures", heads, rows, note)
