"""An engine's state with a value in every field, for tests of what is shown of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lengthwise.live.state import (
    Bound,
    ClassNow,
    EngineNow,
    LearnerNow,
    PredictorNow,
    Totals,
)

TOTALS = Totals(
    arrived=30,
    admitted=25,
    paused=4,
    resumed=3,
    promoted=1,
    finished=17,
    aborted=2,
    overtakings=12,
    evicted={"memory": 2},
    recomputed=300,
    steps=400,
    full_steps=100,
    scheduler_s=0.5,
    ranking_s=0.25,
    tap_s=0.125,
    prompt_s=0.0625,
    ignored_hints=5,
)

STATE = EngineNow(
    engine=0,
    model="smol",
    policy="lengthwise",
    at=1.0,
    seats=8,
    running=8,
    paused=1,
    waiting=5,
    waiting_by=[1, 0, 2, 0, 1, 1],
    longest_wait=2.5,
    kv_tokens=4096,
    kv_used=1024,
    totals=TOTALS,
    bound=Bound(0.05, 900.0, 1200.0, 40.0, 5000.0),
    predictors=[
        PredictorNow("prompt", 17, 31.5, 0.75, used=17, missing=3),
        PredictorNow("client", used=1),
    ],
    learner=LearnerNow("acting", told=17, starts=1, prompt_version=2),
    classes=[
        ClassNow("interactive", waiting=1, running=3, finished=9, attained=7, missed={"ttft": 2}),
        ClassNow("batch", waiting=5, running=5, finished=8, attained=8),
    ],
)


@pytest.fixture
def state() -> Any:
    """``state(field=value)``: that state with some fields changed."""
    return lambda **changes: msgspec.structs.replace(STATE, **changes)


@pytest.fixture
def totals() -> Any:
    """``totals(field=value)``: its totals with some fields changed."""
    return lambda **changes: msgspec.structs.replace(TOTALS, **changes)
