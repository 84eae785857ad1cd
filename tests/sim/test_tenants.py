"""Tenants and priorities from a trace to the figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lengthwise.cli.main import main
from lengthwise.errors import UserError
from lengthwise.traces import read_workload
from lengthwise.workload import resample

ROWS = [("a", 1), ("", ""), ("b", -3), ("a", 0)]


def trace(path: Path, rows: Any) -> str:
    lines = ["prompt_tokens,output_tokens,tenant,priority"]
    lines += [f"9,{20 + i},{tenant},{priority}" for i, (tenant, priority) in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_a_trace_may_have_columns_for_them(tmp_path: Path) -> None:
    workload = read_workload(trace(tmp_path / "t.csv", ROWS))
    assert workload.tenant == ("a", None, "b", "a")
    assert workload.priority.tolist() == [1, 0, -3, 0]
    assert workload.head(2).tenant == ("a", None)


def test_a_resampled_request_stays_whole(tmp_path: Path) -> None:
    drawn = resample(read_workload(trace(tmp_path / "t.csv", ROWS)), 50, 1)
    whole = {(20 + i, tenant or None, priority or 0) for i, (tenant, priority) in enumerate(ROWS)}
    found = zip(drawn.output.tolist(), drawn.tenant, drawn.priority.tolist(), strict=True)
    assert set(found) == whole


def test_a_trace_without_them_has_none(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("prompt_tokens,output_tokens\n4,5\n")
    workload = read_workload(tmp_path / "t.csv")
    assert workload.tenant == ()
    assert workload.priority.tolist() == [0]


def test_a_bad_priority_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 3: priority is not a whole number of 64 bits"):
        read_workload(trace(tmp_path / "t.csv", [("a", 1), ("a", "soon")]))


def simulate(tmp_path: Path, rows: Any, policies: str, *more: str) -> list[dict[str, Any]]:
    command = ["simulate", trace(tmp_path / "t.csv", rows), "--profile", "a100-llama3-8b"]
    command += ["--policies", policies, "--seats", "2", "--workers", "1", "--rates", "burst"]
    assert main([*command, "--out", str(tmp_path / "out"), *more]) == 0
    runs: list[dict[str, Any]] = json.loads((tmp_path / "out/results.json").read_text())["runs"]
    return runs


def test_the_command_says_what_each_tenant_got(tmp_path: Path, capsys: Any) -> None:
    rows = [("much", 0)] * 40 + [("little", 0)] * 4
    fcfs, fair = simulate(tmp_path, rows, "fcfs,fcfs+fair")
    for run in (fcfs, fair):
        assert run["tenants"]["much"]["requests"] == 40
        assert run["tenants"]["little"]["output_tokens"] == 60 + 61 + 62 + 63
    latency = [run["tenants"]["little"]["mean_latency_s"] for run in (fcfs, fair)]
    assert latency[1] < 0.4 * latency[0]
    assert "by tenant" in capsys.readouterr().out


def test_the_command_says_when_so_many_had_finished(tmp_path: Path, capsys: Any) -> None:
    rows = [("a", 0)] * 20
    (run,) = simulate(tmp_path, rows, "fcfs", "--until", "20")
    assert run["until_s"] == pytest.approx(run["makespan_s"])
    (half,) = simulate(tmp_path, rows, "fcfs", "--until", "10")
    assert 0 < half["until_s"] < run["until_s"]
    (never,) = simulate(tmp_path, rows, "fcfs", "--until", "21")
    assert never["until_s"] is None
    assert "never" in capsys.readouterr().out
