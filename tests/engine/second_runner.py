"""Counters and slots under both model runners' ways to be told, with a stub for the model.

``python second_runner.py MODEL OUT.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lengthwise.metrics.counters import COSTS
from lengthwise.vllm import Scheduler, StockScheduler
from lengthwise.vllm.engine import prepare_process
from lengthwise.vllm.hints import PREDICTED_HINT
from lengthwise.vllm.piece import Slice
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.stub import Stub, stub_config

ANSWERS = [60, 50, 40, 30, 20, 10, 6, 3]
"""Each comes after two steps of the ones before, and is shorter than they."""


def served(stub: Stub, slice_tokens: int | None = None) -> list[int]:
    """Serve all; how many requests held memory, step by step."""
    scheduler, held = stub.scheduler, []
    pending = dict(enumerate(ANSWERS))
    parts: dict[str, int] = {}

    def add(name: str, answer: int, done: int) -> None:
        extra: dict[str, Any] = {PREDICTED_HINT: {"tokens": float(answer)}}
        limits = {"max_tokens": answer, "ignore_eos": True}
        if slice_tokens is not None:
            limits["max_tokens"] = min(done + slice_tokens, answer)
            extra = Slice([7] * done, answer).extra_args(extra)
        request = stub.request(name, range(2, 22), answer, extra_args=extra, **limits)
        parts[name] = limits["max_tokens"]
        scheduler.add_request(request)

    while pending or scheduler.requests:
        if len(held) % 2 == 0 and pending:
            name = min(pending)
            add(str(name), pending.pop(name), 0)
        before = set(scheduler.requests)
        stub.step()
        held.append(len(scheduler.running))
        for name in before - set(scheduler.requests):
            if parts[name] < ANSWERS[int(name)]:
                add(name, ANSWERS[int(name)], parts[name])
    return held


def counters(config: Any, policy: str, v2: bool) -> dict[str, float]:
    kind, settings = (Scheduler, Settings(policy=policy, learn=False))
    if policy == "stock":
        kind, settings = StockScheduler, None
    COSTS.reset()
    part, blocks = None, 14
    if policy.startswith("scls"):
        part, blocks = int(policy.split(":")[1]), 8
    served(Stub(kind, config, blocks, settings, v2=v2), part)
    counted = COSTS.snapshot()
    return {name: counted[name] for name in ("evictions", "recomputed_tokens", "slices", "steps")}


def main(model: str) -> dict[str, Any]:
    config = stub_config(model, seats=16, budget=256, active=4)
    settings = Settings(policy="trail", learn=False)

    def held(slots: int, v2: bool) -> list[int]:
        config = stub_config(model, seats=slots, budget=256, active=4)
        return served(Stub(Scheduler, config, 1000, settings, v2=v2))

    return {
        "counters": {
            policy: [counters(config, policy, v2) for v2 in (False, True)]
            for policy in ("stock", "fcfs", "trail", "scls:8")
        },
        "held": {
            **{"first": held(16, False), "enough": held(16, True)},
            **{"few": held(5, True), "none": held(4, True)},
        },
    }


if __name__ == "__main__":
    prepare_process()
    Path(sys.argv[2]).write_text(json.dumps(main(sys.argv[1])))
