"""A policy of one's own gets the distributions of prompt predictor and probe in vLLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def found(
    model: Path,
    prompts: list[list[int]],
    forks: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    folder = tmp_path_factory.mktemp("quantile")
    requests = [
        {"id": f"r{i}", "prompt_ids": ids, "max_tokens": 24} for i, ids in enumerate(prompts[:6])
    ]
    (folder / "prompts.json").write_text(json.dumps(requests))
    done = forks("quantile.py", model, folder / "prompts.json", folder / "out.json")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "out.json").read_text())


def test_it_serves_everybody_with_the_same_answers(found: Any) -> None:
    assert len(found["answers"]["fcfs"]) == 6
    assert found["answers"]["by-quantile"] == found["answers"]["fcfs"]


def test_the_distributions_of_both_predictors_reach_it(found: Any) -> None:
    assert {each["source"] for each in found["seen"]} == {"prompt", "probe"}
    assert all(each["spread"] for each in found["seen"])
    assert any(each["low"] < each["mean"] < each["high"] for each in found["seen"])
    for each in found["seen"]:
        assert 1.0 <= each["low"] <= each["high"] <= 24.0
        assert each["within_high"] >= 0.9 - 1e-4
        assert each["mean"] == pytest.approx(max(each["by_support"], 1.0), rel=1e-3)


def test_they_hold_at_the_requests_present_age(found: Any) -> None:
    for each in found["seen"]:
        assert each["since"] == each["age"] - each["made_at"]
        # No sooner than by counting down: to have lasted is a sign of a longer answer.
        assert each["mean"] >= each["counted_down"] - 1.0
    assert any(each["since"] > 0 for each in found["seen"])
