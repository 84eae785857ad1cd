"""Replicas on Ray Serve report what their own probes predict, and the router goes by it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install lengthwise[ray]")


def test_a_replica_reports_what_its_own_probe_predicts(
    model: Path, port: int, environment: dict[str, str], tmp_path: Path
) -> None:
    script = Path(__file__).with_name("reports.py")
    done = subprocess.run(
        [sys.executable, str(script), str(model), str(port), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lengths: dict[str, list[float]] = {}
    predicted: dict[str, float] = {}
    replicas = list(tmp_path.glob("*.jsonl"))
    for replica in replicas:
        for line in replica.read_text().splitlines():
            note = json.loads(line)
            # vLLM's own ids are the client's and eight characters more.
            probed = {id.rpartition("-")[0]: it for id, it in note["probed"].items()}
            assert note["left"].keys() == probed.keys() & note["held"].keys()
            for id, left in note["left"].items():
                it = probed[id]
                since = it["generated"] - it["at"]
                assert note["held"][id] == it["generated"]
                assert left == pytest.approx(max(it["remaining"] - since, 1.0))
                lengths.setdefault(id, []).append(note["held"][id] + left)
                predicted[id] = it["router"]
    assert len(replicas) == 2
    told = json.loads((tmp_path / "told.json").read_text())
    assert told
    for id, heard in told.items():
        assert all(any(length == pytest.approx(one) for one in lengths[id]) for length in heard)
    # The router's own prediction is of the prompt, and counts down; a probe changes its mind.
    assert any(len(set(heard)) > 1 for heard in lengths.values())
    assert all(predicted[id] != heard[0] for id, heard in lengths.items())
