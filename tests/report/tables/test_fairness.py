"""Figures by tenant and by length."""

from __future__ import annotations

import numpy as np
import pytest

from lengthwise.report.served import Served
from lengthwise.report.tables.fairness import by_length, by_tenant


def test_each_tenant_has_its_figures_and_the_run_its_index() -> None:
    zero = np.zeros(4)
    output = np.array([10, 10, 10, 10])
    finish = np.array([10.0, 20.0, 30.0, np.nan])
    run = Served("it", zero, zero + 1, finish, output, output, tenant=["a", "a", None, "b"])
    rows = {row[1]: row for row in by_tenant([run]).rows}
    assert rows["a"][2:4] == [2, 15.0]
    assert rows["(none)"][2:4] == [1, 30.0]
    assert rows["b"][2:4] == [1, None]
    # 1.5 and 3 seconds a token.
    assert rows["a"][-1] == pytest.approx((1.5 + 3) ** 2 / (2 * (1.5**2 + 3**2)))


def test_only_the_largest_tenants_are_shown_and_the_rest_is_counted() -> None:
    n = 50
    zero, ones = np.zeros(n), np.ones(n, int)
    run = Served("it", zero, zero, zero + 1, ones, ones, tenant=[f"t{i}" for i in range(n)])
    table = by_tenant([run])
    assert len(table.rows) == 20
    assert "30 tenants" in table.note


def test_length_classes_hold_a_quarter_of_the_requests_each() -> None:
    n = 100
    zero, output = np.zeros(n), np.arange(1, n + 1)
    run = Served("it", zero, zero + 1, zero + output, output, output)
    table = by_length([run])
    assert [row[2] for row in table.rows] == [25, 25, 25, 25]
    assert table.rows[0][0] == "up to 25"
    assert table.rows[-1][0] == "76 to 100"
