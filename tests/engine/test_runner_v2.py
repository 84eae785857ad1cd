"""Our scheduler as it speaks to vLLM's second model runner, which has a slot a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def found(model: Path, forks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("v2") / "out.json"
    done = forks("second_runner.py", model, out)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(out.read_text())
    return result


@pytest.mark.parametrize("policy", ["stock", "fcfs", "trail", "scls:8"])
def test_counters_are_those_of_the_first_runner(found: dict[str, Any], policy: str) -> None:
    first, second = found["counters"][policy]
    assert first["evictions"] > 0
    assert first["recomputed_tokens"] > 0
    assert second == first
    assert (first["slices"] > 0) == policy.startswith("scls")


def test_requests_that_hold_memory_are_no_more_than_slots(found: dict[str, Any]) -> None:
    held = found["held"]
    assert held["enough"] == held["first"]
    assert max(held["first"]) > 4
    assert max(held["few"]) == 5
    assert max(held["none"]) == 4
