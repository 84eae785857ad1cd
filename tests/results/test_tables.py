"""Every study's table, from runs as results.json has them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lengthwise.results.record import Run, TenantFigures
from lengthwise.results.tables import (
    print_table,
    show_bench,
    show_padded,
    show_sweep,
    show_tenants,
)

RUN = Run(
    **{"policy": "fcfs", "engine": "made", "model": "made", "rate": 2.0, "seed": 0},
    **{"predictor": "constant", "predictors": None, "requests": 9, "finished": 9},
    **{f"{name}_latency_s": 4.0 for name in ("mean", "p50", "p95", "p99")},
    **{"mean_ttft_s": 2.0, "max_waiting_s": 3.0, "tokens_per_s": 50.0, "requests_per_s": 1.5},
    **{"preemptions": 4, "recomputed_tokens": 5, "step_ms": 10.0, "rejected": 0},
    **{"ranking_ms_per_step": 0.2, "predictor_ms_per_step": 0.3, "makespan_s": 6.0},
)
FASTER = replace(RUN, policy="trail", mean_latency_s=2.0, mean_ttft_s=0.5, requests_per_s=3.0)


def line(printed: str, start: str) -> list[str]:
    """The cells of the line whose first cell begins so."""
    (found,) = [each for each in printed.splitlines() if each.startswith(f"│ {start}")]
    return [cell.strip() for cell in found.strip("│").split("│")]


def test_names_are_text_never_markup(capsys: Any) -> None:
    print_table("a [b]title", ["[red]head"], [["[bold]x"]])
    printed = capsys.readouterr().out
    assert all(each in printed for each in ("a [b]title", "[red]head", "[bold]x"))


def test_the_bench_compares_with_the_first_policy_at_a_rate(capsys: Any) -> None:
    burst = replace(RUN, rate=None, mean_latency_s=3.0)
    show_bench([RUN, FASTER, burst])
    printed = capsys.readouterr().out
    cells = ["trail", "2/s", "2.00s", "4.00s", "4.00s", "0.50s", "3.0s", "50.0", "4", "5", "5.0%"]
    assert line(printed, "trail") == [*cells, "2.00x"]
    assert "burst" in printed
    assert printed.count("1.00x") == 2


def test_predictors_are_named_where_there_are_several(capsys: Any) -> None:
    show_bench([replace(RUN, predictors="a/one"), replace(RUN, predictors="b/two")])
    printed = capsys.readouterr().out
    assert "fcfs@one" in printed
    assert "fcfs@two" in printed


def test_a_sweep_is_averaged_over_its_seeds(capsys: Any) -> None:
    asked = {"until": 5, "until_s": 2.0}
    other = replace(RUN, seed=1, mean_latency_s=6.0, until=5, until_s=None)
    show_sweep([replace(RUN, **asked), other, replace(FASTER, **asked)])
    printed = capsys.readouterr().out
    assert "first 5" in printed
    assert line(printed, "fcfs")[3:4] == ["5s ±13"]
    assert line(printed, "fcfs")[-1] == "never"
    assert line(printed, "trail")[-3:] == ["2.50x", "4.00x", "2s"]


def test_a_sweep_says_what_is_overloaded_and_rejected(capsys: Any) -> None:
    none = Run(
        **{"policy": "fcfs", "predictor": "oracle", "engine": "made", "model": "made"},
        **{"rate": 1.0, "seed": 0, "requests": 9, "finished": 0, "rejected": 9},
    )
    show_sweep([replace(RUN, overloaded=True), none])
    printed = capsys.readouterr().out
    assert "2 requests/s is above capacity" in printed
    assert "fcfs@oracle: all requests rejected" in printed
    assert "9 requests are larger than the KV memory" in printed


def test_what_a_system_cannot_measure_is_a_dash(capsys: Any) -> None:
    batched = replace(FASTER, policy="scls", predictor="builtin", mean_batch_size=3.25)
    show_padded([replace(RUN, policy="ccb"), batched], "systems")
    printed = capsys.readouterr().out
    assert line(printed, "ccb")[7] == "-"
    assert line(printed, "scls@builtin")[7] == "3.2"
    assert line(printed, "scls@builtin")[-2:] == ["2.00x", "2.00x"]


@pytest.mark.parametrize("tenants", [{}, None])
def test_without_tenants_there_is_no_table_of_them(capsys: Any, tenants: Any) -> None:
    show_tenants([RUN if tenants is None else replace(RUN, tenants=tenants)])
    assert capsys.readouterr().out == ""


def test_each_tenant_has_a_line(capsys: Any) -> None:
    own = TenantFigures(
        **{"requests": 3, "output_tokens": 40, "mean_latency_s": 2.0, "p99_latency_s": 2.98},
        **{"mean_ttft_s": 1.0, "mean_max_waiting_s": 1.1},
    )
    show_tenants([replace(RUN, tenants={"a": own, "": own}, jain_tenants=0.97)])
    printed = capsys.readouterr().out
    assert "(none)" in printed
    (row,) = [each for each in printed.splitlines() if "│ a " in each]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        *("fcfs", "2/s", "a", "3", "40", "2.00s", "2.98s", "1.00s", "0.970"),
    ]
