"""What foresight makes of vLLM's scarce memory, with a stub for the model.

``python foreseen.py MODEL OUT.json``
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from lengthwise.metrics.counters import COSTS
from lengthwise.vllm import Scheduler, StockScheduler
from lengthwise.vllm.engine import prepare_process
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.stub import Stub, stub_config

POLICIES = ("stock", "fcfs", "fcfs+foresight", "lengthwise", "trail+foresight", "ltr+foresight")


def stub_of(policy: str, config: Any, blocks: int) -> Stub:
    if policy == "stock":
        return Stub(StockScheduler, config, blocks)
    return Stub(Scheduler, config, blocks, Settings(policy=policy, learn=False))


def crowd(stub: Stub, requests: list[tuple[list[int], int]], **params: Any) -> dict[str, float]:
    """All requests at once; steps, evictions, and the most that ran together."""
    before = COSTS.evictions
    for number, (prompt, answer) in enumerate(requests):
        request = stub.request(str(number), prompt, answer, **params)
        stub.scheduler.add_request(request)
    steps = most = 0
    while stub.scheduler.requests:
        stub.step()
        steps += 1
        most = max(most, len(stub.scheduler.running))
        assert steps < 100_000, "it stalls"
    return {"steps": steps, "evictions": COSTS.evictions - before, "most": most}


def scarce(config: Any, policy: str) -> dict[str, float]:
    """Answers with a heavy tail, in memory for a fifth of the seats' largest."""
    rng = random.Random(1)
    drawn = [(rng.randint(8, 120), min(int(rng.paretovariate(1.1) * 20), 700)) for _ in range(400)]
    return crowd(
        stub_of(policy, config, 120), [([2 + i % 90] * p, a) for i, (p, a) in enumerate(drawn)]
    )


def shared(config: Any, policy: str) -> dict[str, float]:
    """All begin with the same 480 tokens, which are held once; how long they are is known."""
    prefix = list(range(2, 482))
    same = [([*prefix, 1000 + i], 15) for i in range(60)]
    stub = stub_of(policy, config, 80)
    crowd(stub, [(prefix, 1)])
    return crowd(stub, same, ignore_eos=True, max_tokens=15)


def main(model: str, out: str) -> None:
    prepare_process()
    plain = stub_config(model, seats=16, budget=256, watermark=0.01)
    caching = stub_config(model, seats=16, budget=256, caching=True)
    found = {
        "scarce": {policy: scarce(plain, policy) for policy in POLICIES},
        "shared": {policy: shared(caching, policy) for policy in POLICIES},
    }
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
