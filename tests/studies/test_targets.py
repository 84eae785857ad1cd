"""The study of promises under load."""

from __future__ import annotations

import numpy as np
import pytest

from lengthwise.core.classes_file import classes_of
from lengthwise.sim.setup import Setup
from lengthwise.studies import targets
from lengthwise.workload import synthetic, with_arrivals

CLASSES = classes_of(targets.CLASSES)


def test_windows_are_rows_of_their_own_from_0_on() -> None:
    workload = with_arrivals(synthetic(100, "exp:100", "exp:20", 0), "poisson", 5.0)
    first, second, again = (targets.window(workload, number, 40) for number in (0, 1, 2))
    assert len(first) == len(second) == 40
    assert first.arrival[0] == second.arrival[0] == 0.0
    assert np.array_equal(second.prompt, workload.prompt[40:80])
    assert np.array_equal(first.prompt, again.prompt)


def test_a_case_says_who_got_what_was_promised(tmp_path: object) -> None:
    path = f"{tmp_path}/trace.csv"
    rng = np.random.default_rng(0)
    rows = [f"{i * 0.1:.1f},{rng.integers(100, 2000)},{rng.integers(5, 60)}" for i in range(300)]
    with open(path, "w") as file:
        file.write("\n".join(["arrival_s,prompt_tokens,output_tokens", *rows]) + "\n")
    plan = targets.Plan(
        [path],
        ["lengthwise+targets", "fcfs", "edf"],
        {"overload": 1.5},
        [0],
        300,
        Setup(seats=8, blocks=3000),
        "a100-llama3-8b",
        {"interactive": 0.4, "standard": 0.4, "batch": 0.2},
        CLASSES,
    )
    (ours, fcfs, edf) = targets.run_case(plan, targets.Case(path, 1.5, 0))
    assert ours.goodput > fcfs.goodput
    assert all(0 <= share <= 1 for each in (ours, fcfs, edf) for share in each.attained[:2])
    assert np.isnan(ours.attained[2])
    assert 0 < ours.mean <= ours.p99 + 1e-9


def test_the_table_has_a_line_for_each_policy(capsys: pytest.CaptureFixture[str]) -> None:
    plan = targets.Plan(["a/one.csv"], ["x", "y"], {"now": 1.0}, [0], 9, Setup(), "p", {}, CLASSES)
    found = [targets.Figures(1.5, (0.5, 0.25, float("nan")), 1.0, 2.0, 3.0)] * 2
    targets.show(plan, [targets.Case("a/one.csv", 1.0, 0)], [found])
    out = capsys.readouterr().out
    assert out.count("1.500") == 2
    assert "50.0" in out
