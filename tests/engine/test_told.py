"""vLLM and the simulator tell a policy the same: one that keeps notes only, and lengthwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Told = dict[str, list[Any]]
"""What each engine told a policy."""


@pytest.fixture(scope="module")
def told(model: Path, forks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    out = tmp_path_factory.mktemp("told") / "out.json"
    done = forks("told.py", model, out)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Told] = json.loads(out.read_text())
    return found


@pytest.mark.parametrize("policy", ["fewest-here", "lengthwise"])
def test_the_same_events_in_the_same_order(told: dict[str, Told], policy: str) -> None:
    simulated = told[policy]["simulator"]
    # The simulator skips steps in which nothing is decided, and only these.
    real = [event for event in told[policy]["vllm"] if event[0] != "observe" or event in simulated]
    assert real == simulated


@pytest.mark.parametrize("policy", ["fewest-here", "lengthwise"])
def test_every_event_happens_in_it(told: dict[str, Told], policy: str) -> None:
    real, simulated = told[policy]["vllm"], told[policy]["simulator"]
    assert {event[0] for event in real} == {"begins", "observe", "enters", "exits", "leave"}
    assert len(real) > len(simulated), "no step was skipped"


def test_evicted_requests_enter_again(told: dict[str, Told]) -> None:
    entered = [event[1] for event in told["fewest-here"]["vllm"] if event[0] == "enters"]
    assert len(entered) > len(set(entered)), "nothing was evicted"
