"""Made requests for reports: a run that a test can read off, and drawn ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lengthwise.report.parts import Chart, Origin, Page, Section, Table, Text
from lengthwise.report.runs import request_sections
from lengthwise.report.served import Served
from lengthwise.report.tables.numbers import of_served

EVIL = "<script>alert(1)</script>"
ODD = "$x_1$ \x1b[31mred\n_y"

Make = Callable[..., Served]


def run(name: str = "fcfs", n: int = 200, seed: int = 0, slower: float = 1.0) -> Served:
    """n requests in 20 s; waits and answers of exponential lengths; named tenants."""
    rng = np.random.default_rng(seed)
    arrival = np.sort(rng.uniform(0.0, 20.0, n))
    output = rng.geometric(1 / 60, n)
    first = arrival + slower * rng.exponential(1.0, n) + 0.01
    return Served(
        name,
        arrival,
        first,
        first + 0.02 * output,
        rng.geometric(1 / 90, n),
        output,
        gap=np.full(n, 0.02),
        predicted=output * rng.lognormal(0.0, 0.5, n),
        tenant=[(EVIL, ODD, None)[i % 3] for i in range(n)],
        id=[f"r{i}" for i in range(n)],
    )


@pytest.fixture(scope="session")
def make() -> Make:
    return run


@pytest.fixture(scope="session")
def page() -> Page:
    """A page with every kind of part, and names from users in each of them."""
    served = [run("fcfs"), run(EVIL, seed=1), run(ODD, slower=2.0)]
    chart = next(it for it in request_sections(served)[0].parts if isinstance(it, Chart))
    assert isinstance(chart, Chart)
    return Page(
        f"Report of {EVIL}",
        [Text(f"Verdict: {ODD}", strong=True), of_served(served)],
        [
            *request_sections(served, seats=16, kv_tokens=9000),
            Section(EVIL, [Text(EVIL), Table("Names of users", EVIL, [EVIL, "b"], [[ODD, 1.5]])]),
            Section("Empty", [Table("empty", "Empty", ["a"], []), Text("twice"), chart]),
        ],
        Origin(f"lengthwise bench {EVIL}", [("lengthwise", "1")], "0", "made", [ODD]),
    )
