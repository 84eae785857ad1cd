"""Every chart and table takes any requests there can be, and can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from lengthwise.report.charts.by_length import by_output, by_prompt
from lengthwise.report.charts.calibration import calibration
from lengthwise.report.charts.distribution import latency, ttft
from lengthwise.report.charts.over_time import over_time
from lengthwise.report.parts import Chart, Origin, Page, Section, Table
from lengthwise.report.served import Served
from lengthwise.report.tables.fairness import by_length, by_tenant
from lengthwise.report.tables.numbers import of_served
from lengthwise.report.tables.passed import passed
from lengthwise.report.write import html

from .drawn import RUNS

PARTS: list[Callable[[Sequence[Served]], Any]] = [
    *(latency, ttft, by_output, by_prompt, over_time, calibration),
    *(by_length, by_tenant, passed, of_served),
]


@pytest.mark.parametrize("make", PARTS, ids=lambda it: it.__name__)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=RUNS)
def test_any_requests_make_a_part(make: Callable[..., Any], runs: list[Served]) -> None:
    part = make(runs)
    text = html(Page("p", [part], [Section("s", [])], Origin("c", [], "0", "m")))
    assert "nan" not in text.replace("tenant", "")
    tables = [part.table, part] if isinstance(part, Chart) else [part]
    for table in tables:
        if isinstance(table, Table):
            assert all(len(row) == len(table.heads) for row in table.rows)
    if isinstance(part, Chart):
        assert part.description


@pytest.mark.parametrize("seconds", [0.0, 1e-3, 1.0, 1e5, 123456.0])
def test_a_single_request_of_any_length_has_its_charts(seconds: float) -> None:
    """Powers of ten are where limits of a logarithmic axis may meet."""
    zero, one = np.zeros(1), np.ones(1, int)
    run = Served("it", zero, zero + seconds, zero + seconds, one, one, predicted=np.ones(1))
    for make in (latency, ttft, by_output, by_prompt, over_time, calibration):
        html(Page("p", [make([run])], [], Origin("c", [], "0", "m")))


def test_no_chart_needs_more_than_a_second_for_a_hundred_thousand_requests() -> None:
    import time

    n = 100_000
    rng = np.random.default_rng(0)
    arrival = np.sort(rng.uniform(0, 3600, n))
    first = arrival + rng.exponential(5.0, n)
    output = rng.geometric(1 / 200, n)
    run = Served("fcfs", arrival, first, first + 0.02 * output, output + 1, output)
    for make in (latency, by_output, over_time):
        began = time.process_time()
        make([run])
        assert time.process_time() - began < 3.0
