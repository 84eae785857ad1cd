"""Prompts scored in a process of their own, which may be stuck: nobody waits for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lengthwise.core import Bins
from lengthwise.models.fingerprint import fingerprint
from lengthwise.predictors.ngrams import BUCKETS, Ngrams
from lengthwise.predictors.scored import Curve
from lengthwise.predictors.store import Trained


@pytest.fixture
def probe(model: Path, tmp_path: Path) -> Path:
    """N-grams with some weights: what they predict does not matter here."""
    bins = Bins.log(6, 200)
    draw = np.random.default_rng(0)
    ones = np.ones(len(bins), dtype=np.float32)
    weight = draw.normal(size=BUCKETS).astype(np.float32)
    idf = np.ones(BUCKETS, dtype=np.float32)
    predictor = Ngrams(bins, Curve(np.arange(6) * ones, 0 * ones), idf, weight, 0.5)
    Trained(fingerprint(str(model)), None, predictor, {}).save(tmp_path / "probe")
    return tmp_path / "probe"


def test_requests_are_served_while_the_process_is_stuck(
    probe: Path, model: Path, forks: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    done = forks("stuck.py", model, probe, tmp_path / "kept", out)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(out.read_text())
    assert found["while_stuck"] == {"a": 12, "b": 12}
    assert found["scores_while_stuck"] == 0
    assert found["restarts"] == [0, 1]
    assert found["stats"]["restarts"] == 1
    assert len(found["after"]) == 2
    assert found["scores"] >= 1
    assert found["scoring_processes"] == 1
    assert not found["still_there"]
