"""A policy that keeps notes without being timed is told the same by vLLM and the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def told(model: Path, forks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    out = tmp_path_factory.mktemp("told") / "out.json"
    done = forks("told.py", model, out)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[Any]] = json.loads(out.read_text())
    return found


def test_the_same_events_in_the_same_order(told: dict[str, list[Any]]) -> None:
    simulated = told["simulator"]
    # The simulator skips steps in which nothing is decided, and only these.
    real = [event for event in told["vllm"] if event[0] != "observe" or event in simulated]
    assert real == simulated


def test_every_event_happens_in_it(told: dict[str, list[Any]]) -> None:
    entered = [event[1] for event in told["vllm"] if event[0] == "enters"]
    assert len(entered) > len(set(entered)), "nothing was evicted"
    assert {event[0] for event in told["vllm"]} == {"observe", "enters", "exits", "leave"}
    assert len(told["vllm"]) > len(told["simulator"]), "no step was skipped"
