"""Who waited for whom."""

from __future__ import annotations

import numpy as np

from lengthwise.report.served import Served
from lengthwise.report.tables.passed import passed


def test_a_request_is_passed_by_those_that_came_later_and_began_earlier() -> None:
    arrival = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    first = np.array([9.0, 2.0, 2.5, np.nan, 5.0])
    tokens = np.array([10, 20, 30, 40, 50])
    run = Served("sjf", arrival, first, first + 1, tokens, tokens, id=["a", "b", "c", "d", "e"])
    table = passed([run])
    first_row = dict(zip(table.heads, table.rows[0], strict=True))
    assert first_row["request"] == "a"
    assert first_row["waited (s)"] == 9.0
    assert first_row["passed by"] == 3
    assert first_row["their tokens"] == 2 * (20 + 30 + 50)
    assert first_row["first of them"] == "b, c, e"
    # A request that never began is in no row and passes nobody.
    assert len(table.rows) == 4
    assert all(row[6] == 0 and row[8] is None for row in table.rows[1:])


def test_under_first_come_first_served_nobody_passes() -> None:
    arrival = np.arange(30.0)
    tokens = np.ones(30, int)
    run = Served("fcfs", arrival, arrival + 2, arrival + 3, tokens, tokens)
    table = passed([run])
    assert len(table.rows) == 10
    assert {row[6] for row in table.rows} == {0}
