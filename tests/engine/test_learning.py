"""A real engine that learns while it serves, and whose learning process is killed all the time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lengthwise.online import history

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def found(
    model: Path, prompts: list[list[int]], forks: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("learning")
    (folder / "prompts.json").write_text(json.dumps(prompts))
    done = forks(
        "learning.py", model, folder / "prompts.json", folder / "kept", folder / "out.json"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return seen | {"folder": str(folder / "kept"), "log": done.stderr}


def test_answers_are_stocks_through_twenty_kills_of_the_learner(found: dict[str, Any]) -> None:
    assert found["same"]
    assert len(found["lengths"]) > 3, "answers end by themselves"
    assert found["killed"] == 20
    assert found["stats"]["learners"] > 20, "each kill was of another process"


def test_it_has_learned_all_the_same(found: dict[str, Any]) -> None:
    made = [each for each in history.read(Path(found["folder"])) if each.event == "made"]
    assert made
    assert {"samples", "history.jsonl"} <= set(found["files"])
    assert any(name.startswith("version-") for name in found["files"])


def test_nothing_is_left_behind(found: dict[str, Any]) -> None:
    assert found["pid"] is not None
    assert not Path(f"/proc/{found['pid']}").exists()
