"""Step times of the real engine, as the simulator reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lengthwise.sim.steps import load_profile


def test_calibrate_measures_steps_that_never_shrink_with_their_tokens(
    model: Path, forks: Any, tmp_path: Path
) -> None:
    out = tmp_path / "own.json"
    done = forks("lengthwise", "calibrate", model, "--seats", 4, "--requests", 8, "--out", out)
    assert done.returncode == 0, done.stderr
    described = json.loads(out.read_text())
    # How well and how fast is the machine's affair; that the fit finds a law, test_steps.py's.
    assert 0 < described["error"] <= 1
    assert "vllm" in described["source"]
    profile = load_profile(str(out))
    few, many = profile.seconds(0, 1, 100), profile.seconds(256, 4, 4000)
    assert 0 < few <= many
