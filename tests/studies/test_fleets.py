"""``lengthwise simulate --instances``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lengthwise.cli.main import main
from lengthwise.policies import make_policy
from lengthwise.results.record import Run
from lengthwise.results.tables import show_fleets
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import load_profile
from lengthwise.studies.fleet_report import FIGURES
from lengthwise.studies.fleets import capacity
from lengthwise.workload import synthetic, with_arrivals

COMMAND = [
    *("simulate", "fleet", "--synthetic", "constant:20,exp:30", "--requests", "80", "--seats", "2"),
    *("--workers", "1", "--policies", "fcfs@oracle"),
]


@pytest.mark.parametrize("seats", [1, 8])
def test_capacity_of_equal_requests_is_a_closed_form(seats: int) -> None:
    lengths = synthetic(100, "constant:1", "constant:60", 0)
    steps = load_profile("a100-llama3-8b")
    found = capacity(lengths, Setup(seats=seats), steps)
    assert found == pytest.approx(seats / (60 * steps.seconds(0, seats, 30 * seats)), rel=0.02)


@pytest.mark.parametrize(
    "setup", [Setup(seats=4), Setup(seats=64, blocks=400), Setup(seats=16, budget=64)]
)
def test_a_stream_below_capacity_is_served_and_one_above_piles_up(setup: Setup) -> None:
    lengths = synthetic(6000, "lognormal:300:1", "exp:60", 0)
    steps = load_profile("a100-llama3-8b")
    rate = capacity(lengths, setup, steps)
    longest = []
    for load in (0.8, 1.3):
        stream = with_arrivals(lengths, "poisson", load * rate, 1.0, 0)
        run = Simulator(stream, make_policy("fcfs"), make_predictor("none"), steps, setup).run()
        longest.append(run.backlog[1])
    assert longest[0] < 5 * setup.seats < longest[1]


def test_the_command_writes_a_run_for_each_case(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    checked: Callable[[Path], dict[str, Any]],
) -> None:
    command = [*COMMAND, "--instances", "2,3", "--routers", "p2c,predicted", "--out", str(tmp_path)]
    assert main([*command, "--deaths", "0:1:3"]) == 0
    saved = checked(tmp_path)
    assert saved["study"] == "simulate-fleets"
    assert saved["setup"]["layouts"][1]["deaths"] == [{"instance": 0, "at": 1.0, "back": 3.0}]
    runs = saved["runs"]
    assert [(run["instances"], run["router"]) for run in runs] == [
        (n, router) for n in (2, 3) for router in ("p2c", "predicted")
    ]
    assert all(run["finished"] + run["failed"] == run["requests"] == 80 for run in runs)
    assert [run["predictions"] for run in runs] == [0, 80, 0, 80]
    assert "predicted" in capsys.readouterr().out
    for name in FIGURES:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("routers", "told"), [("p2c", "none"), ("p2c,predicted", "lognormal:0.7")])
def test_lengthwise_is_told_what_routers_read(tmp_path: Path, routers: str, told: str) -> None:
    command = [*COMMAND[:-1], "lengthwise", "--instances", "2", "--routers", routers]
    assert main([*command, "--out", str(tmp_path)]) == 0
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert {run["predictor"] for run in runs} == {told}


def test_one_number_of_instances_is_no_figure(tmp_path: Path) -> None:
    assert main([*COMMAND, "--instances", "2", "--out", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_until_is_when_so_many_have_finished(tmp_path: Path) -> None:
    assert main([*COMMAND, "--instances", "2", "--until", "1", "--out", str(tmp_path)]) == 0
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert all(0 < run["until_s"] < run["makespan_s"] for run in runs)


def run_of(router: str, seed: int, p99: float) -> Run:
    """A run as results.json has it, all figures but p99 the same."""
    names = ("mean_latency_s", "p50_latency_s", "mean_ttft_s", "p99_ttft_s", "work_imbalance")
    return Run(
        **{"instances": 2, "load": 0.9, "policy": "fcfs", "predictor": "oracle", "stale_s": 0.0},
        **{"router": router, "seed": seed, "p99_latency_s": p99, "failed": 0},
        **{"engine": "simulator", "model": "made", "rate": 1.0},
        **dict.fromkeys(names, 1.0),
        **{"requests": 10, "finished": 10, "makespan_s": 5.0},
    )


def test_the_change_of_p99_is_paired_by_seed(capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds differ by 10 times, but each one's change is -20 or -10 %: ± t(2) · s / √2."""
    base = [run_of("least-in-flight", seed, p99) for seed, p99 in enumerate((1.0, 10.0))]
    other = [run_of("predicted", seed, p99) for seed, p99 in enumerate((0.8, 9.0))]
    show_fleets([*base, *other])
    assert "-15.0 % ±63.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--instances", "x"], "'x' is not a list of whole numbers"),
        (["--instances", "1.5"], "whole numbers"),
        (["--instances", "0"], "--instances must be at least 1"),
        (["--instances", "2", "--routers", "best"], "unknown router 'best'"),
        (["--instances", "2", "--loads", "-1"], "--loads must be above 0"),
        (["--instances", "2", "--deaths", "0"], "--deaths takes INSTANCE:AT"),
        (["--instances", "2", "--deaths", "5:1"], "instance from 0"),
    ],
)
def test_bad_flags_are_one_line(
    flags: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, *flags, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("lengthwise: ")
    assert words in said
