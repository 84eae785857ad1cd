"""``lengthwise bench routers``: two real vLLM replicas on Ray Serve, and two routers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install lengthwise[ray]")


def test_two_routers_serve_the_same_answers_on_the_same_replicas(
    model: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "lengthwise.cli", "bench", "routers", str(model)]
    command += ["--routers", "least-in-flight,predicted", "--policies", "trail"]
    command += ["--predictor", "builtin", "--requests", "10"]
    command += ["--seats", "2", "--max-tokens", "16", "--rates", "burst", "--out", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "predicted" in done.stdout
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert [run["router"] for run in runs] == ["least-in-flight", "predicted"]
    for run in runs:
        assert (run["finished"], run["failed"], run["other_answers"]) == (10, 0, 0)
        assert sum(run["by_replica"].values()) == 10
        assert len(run["by_replica"]) == 2
    # One prediction a request where the router reads it; else each replica makes its own.
    assert [run["predictions"] for run in runs] == [0, 10]
    assert runs[0]["by_replica"].keys() == runs[1]["by_replica"].keys()
    kept = [json.loads(line) for line in (tmp_path / "requests-1.jsonl").read_text().splitlines()]
    assert all(row["first"] <= row["finish"] and row["tokens"] > 0 for row in kept)
