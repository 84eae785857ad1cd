"""Figures of a study's runs against the load, where there are several loads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from lengthwise.report.charts.load import Curve, against_load
from lengthwise.report.parts import Chart, Section
from lengthwise.report.results import Study
from lengthwise.results.record import Run
from lengthwise.results.runs import grouped, interval

Value = Callable[[Run], float]
"""A figure of a run; NaN where it is not known."""

_LOADED = (
    ("mean-by-load", "mean latency", "mean_latency_s"),
    ("p99-by-load", "p99 latency", "p99_latency_s"),
    ("ttft-by-load", "p99 time to first token", "p99_ttft_s"),
)


def load_sections(study: Study, most: int) -> list[Section]:
    """Latency and TTFT against load; none where there are not several loads.

    Args:
        most: lines in a chart.
    """
    charts = [
        chart_of(study, name, what, "seconds", field_value(field), most)
        for name, what, field in _LOADED
    ]
    found = [chart for chart in charts if chart is not None]
    return [Section("Against load", found)] if found else []


def chart_of(
    study: Study, name: str, what: str, unit: str, value: Value, most: int
) -> Chart | None:
    """A figure against load, a line for each kind of run; None where there are not several.

    Args:
        name: of the chart's files.
        what: the figure, which begins the title; ``unit`` is its unit.
        most: lines in the chart.
    """
    rated = [run for run in study.runs if run.rate is not None and run.finished]
    if len({run.rate for run in rated}) < 2:
        return None
    as_load = all(run.get("load") is not None for run in rated)
    field, loads = (
        ("load", "load (share of the capacity)") if as_load else ("rate", "requests per second")
    )
    groups = _by(rated, study.name_of)[:most]
    curves = [_curve(study, group, field, value) for group in groups]
    return against_load(name, what, unit, curves, loads)


def field_value(field: str) -> Value:
    """A field of the runs."""

    def value(run: Run) -> float:
        found: float = run.get(field, math.nan)
        return found

    return value


def _curve(study: Study, group: Sequence[Run], field: str, value: Value) -> Curve:
    points = grouped(group, [field])
    found = []
    for point in points:
        values = [value(run) for run in point]
        known = [each for each in values if not math.isnan(each)]
        found.append(interval(known) if known else (math.nan, math.nan))
    middle, half = np.array(found).T
    load = np.array([point[0][field] for point in points], np.float64)
    return Curve(study.name_of(group[0]), load, middle, middle - half, middle + half)


def _by(runs: Sequence[Run], name_of: Callable[[Run], str]) -> list[list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(name_of(run), []).append(run)
    return list(found.values())
