"""``lengthwise simulate --instances``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lengthwise.cli import main
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.fleets import capacity
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import load_profile
from lengthwise.sim.workload import synthetic, with_arrivals

COMMAND = [
    *("simulate", "--synthetic", "constant:20,exp:30", "--requests", "80", "--seats", "2"),
    *("--workers", "1", "--policies", "fcfs@oracle"),
]


@pytest.mark.parametrize(
    "setup",
    [Setup(seats=4, budget=64), Setup(seats=64, budget=64, blocks=120), Setup(seats=1, budget=64)],
)
def test_capacity_is_what_a_full_engine_serves(setup: Setup) -> None:
    lengths = synthetic(4000, "constant:50", "exp:60", 0)
    steps = load_profile("a100-llama3-8b")
    burst = with_arrivals(lengths, "burst")
    run = Simulator(burst, make_policy("fcfs"), make_predictor("none"), steps, setup).run()
    served = len(lengths) / np.nanmax(run.finish)
    assert capacity(lengths, setup, steps) == pytest.approx(served, rel=0.15)


def test_the_command_writes_a_run_for_each_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*COMMAND, "--instances", "2,3", "--routers", "p2c,predicted", "--out", str(tmp_path)]
    assert main([*command, "--deaths", "0:1:3"]) == 0
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert [(run["instances"], run["router"]) for run in runs] == [
        (n, router) for n in (2, 3) for router in ("p2c", "predicted")
    ]
    assert all(run["finished"] + run["failed"] == run["requests"] == 80 for run in runs)
    assert [run["predictions"] for run in runs] == [0, 80, 0, 80]
    assert "predicted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--instances", "x"], "--instances takes numbers"),
        (["--instances", "1.5"], "whole numbers"),
        (["--instances", "0"], "at least 1 instance"),
        (["--instances", "2", "--routers", "best"], "unknown router 'best'"),
        (["--instances", "2", "--loads", "-1"], "--loads above 0"),
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
