"""The bound of ``lengthwise`` over vLLM's real scheduler, whatever comes and is predicted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def served(model: Path, forks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("waits") / "out.json"
    done = forks("waits.py", model, out)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_no_wait_exceeds_the_bound(served: dict[str, Any]) -> None:
    runs = served["runs"]
    assert len(runs) >= 200
    assert {run["seats"] for run in runs} == {1, 4, 16}
    for run in runs:
        what = [run[key] for key in ("traffic", "predictions", "seed")]
        assert run["left"] == 0, what
        assert len(run["waits"]) == 80, what
        for wait, most in run["waits"]:
            assert wait <= most * (1 + 1e-9) + 1e-6, what


def test_some_waits_come_close(served: dict[str, Any]) -> None:
    """Or nothing would have been tested."""
    closest = max(wait / most for run in served["runs"] for wait, most in run["waits"])
    assert closest > 0.8


def test_nothing_stalls_whatever_is_predicted(served: dict[str, Any]) -> None:
    assert len(served["left"]) == 20
    assert all(left == 0 for _, _, left in served["left"]), served["left"]
