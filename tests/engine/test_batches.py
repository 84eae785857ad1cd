"""Systems of batches on the real model, by the bench command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory,
    model: Path,
    environment: dict[str, str],
    checked: Callable[[Path], dict[str, Any]],
) -> dict[str, Any]:
    """A burst of few short answers on two instances."""
    out = tmp_path_factory.mktemp("batches")
    command = [
        *(sys.executable, "-m", "lengthwise.cli", "bench", "padded", str(model)),
        *("--policies", "vanilla,ssjf,magnus,scls", "--predictor", "builtin", "--instances", "2"),
        *(
            "--requests",
            "6",
            "--seats",
            "2",
            "--max-tokens",
            "16",
            "--until",
            "3",
            "--out",
            str(out),
        ),
        *("--constants", "slice=8,gamma=0.2", "--slice-time", str(_slice_time(out))),
    ]
    subprocess.run(command, check=True, env={**environment, "OMP_NUM_THREADS": "1"})
    return checked(out)


def _slice_time(out: Path) -> Path:
    """As measured on this kind of machine: a profile would take longer than the runs."""
    path = out / "given.json"
    prefills, decodes = [2.8e-3, 0.0, 6e-5, 0.08], [2e-5, 5e-3, 0.0, 0.07]
    path.write_text(json.dumps({"kind": "slices", "prefills": prefills, "decodes": decodes}))
    return path


def test_every_system_serves_everybody_with_the_same_answers(results: dict[str, Any]) -> None:
    runs = {run["policy"]: run for run in results["runs"]}
    assert list(runs) == ["vanilla", "ssjf", "magnus", "scls"]
    for run in runs.values():
        assert (run["finished"], run["other_answers"], run["oom_events"]) == (6, 0, 0)
        assert 0 < run["until_s"] <= run["makespan_s"]
    assert runs["scls"]["slices_per_request"] > 1.5
    assert runs["vanilla"]["slices_per_request"] == 1
    assert runs["magnus"]["predictor_ms_per_request"] > 0


def test_both_instances_worked(results: dict[str, Any]) -> None:
    for run in results["runs"]:
        assert run["instances"] == 2
        assert run["busy_imbalance"] < 1
        assert run["busy_s"] < run["wall_s"] * 1.5
