"""A policy of one's own inside vLLM, by the bench command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULE = """
from lengthwise import Policy

class ShortPrompt(Policy):
    name, source, preemptive = "short-prompt", "none", False

    def rank(self, request):
        return request.prompt_tokens
"""


def test_a_class_in_the_working_directory_schedules_the_engine(
    model: Path,
    forks: Any,
    tmp_path: Path,
    checked: Callable[[Path], dict[str, Any]],
) -> None:
    (tmp_path / "own.py").write_text(MODULE)
    done = forks(
        *("lengthwise", "bench", model, "--seats", 1, "--policies", "stock,own:ShortPrompt"),
        *("--requests", 5, "--max-tokens", 8, "--out", tmp_path / "out"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    content = checked(tmp_path / "out")
    stock, own = content["runs"]
    assert content["study"] == "bench"
    assert (own["policy"], own["finished"], own["other_answers"]) == ("own:ShortPrompt", 5, 0)
    assert own["mean_ttft_s"] != stock["mean_ttft_s"]
