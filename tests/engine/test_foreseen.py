"""Foresight on vLLM's own scheduler: what is admitted lasts, and nothing is held up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FORESEEING = ("fcfs+foresight", "lengthwise", "trail+foresight", "ltr+foresight")


@pytest.fixture(scope="module")
def found(model: Path, forks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("foreseen") / "out.json"
    done = forks("foreseen.py", model, out)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(out.read_text())
    return result


@pytest.mark.parametrize("policy", FORESEEING)
def test_scarce_memory_is_hardly_taken_away(found: dict[str, Any], policy: str) -> None:
    stock, ours = found["scarce"]["stock"], found["scarce"][policy]
    assert stock["evictions"] > 40
    assert ours["evictions"] <= stock["evictions"] / 3
    # Steps, not time: the stub computes a prompt again in a step that decodes anyway.
    assert ours["steps"] <= 1.25 * stock["steps"]


def test_without_it_fcfs_is_stock(found: dict[str, Any]) -> None:
    assert found["scarce"]["fcfs"] == found["scarce"]["stock"]


@pytest.mark.parametrize("policy", FORESEEING)
def test_a_prefix_that_many_hold_counts_once(found: dict[str, Any], policy: str) -> None:
    stock, ours = found["shared"]["stock"], found["shared"][policy]
    assert stock["most"] == 16
    assert ours["most"] >= stock["most"] - 1
    assert ours["steps"] <= 1.1 * stock["steps"]
