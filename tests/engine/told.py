"""What vLLM's scheduler (a stub for a model) and the simulator tell one policy.

``python told.py MODEL OUT.json``. Every step takes a second on both clocks.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import lengthwise.vllm.scheduler as ours
from lengthwise.core.policy import Policy, Source
from lengthwise.core.request import Request
from lengthwise.policies import Lengthwise
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.vllm import Scheduler
from lengthwise.vllm.engine import prepare_process
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.stub import Stub, stub_config
from lengthwise.workload import Workload
from lengthwise.workload.clients import TENANT_HINT

SEATS, BUDGET, BLOCK, BLOCKS = 3, 256, 16, 6

# Step of arrival, prompt tokens, output tokens, tenant.
REQUESTS = [
    (0, 20, 26, "a"),
    (0, 9, 7, "a"),
    (0, 30, 4, "a"),
    (2, 12, 15, "b"),
    (3, 5, 9, "a"),
    (3, 40, 6, "b"),
    (7, 8, 11, "c"),
    (12, 3, 20, "c"),
    (13, 25, 3, "a"),
    (30, 16, 8, "b"),
]


class Told(Policy):
    """Writes down its events, then does what the policy after it does."""

    told: list[list[Any]]

    def begins(self, seats: int, kv_tokens: int) -> None:
        self.told = [["begins", seats, kv_tokens]]
        super().begins(seats, kv_tokens)

    def observe(self, now: float, running: Iterable[Request]) -> None:
        seated = list(running)
        self.told.append(["observe", now, [[it.id, it.generated] for it in seated]])
        super().observe(now, seated)

    def enters(self, request: Request) -> None:
        self.told.append(["enters", request.id, request.generated])
        super().enters(request)

    def exits(self, request: Request) -> None:
        self.told.append(["exits", request.id, request.generated])
        super().exits(request)

    def leave(self, request: Request) -> None:
        self.told.append(["leave", request.id, request.generated])
        super().leave(request)


class LeastWork(Told, Lengthwise):
    """``lengthwise`` itself, without the limits of answers, which the simulator has none of."""

    def enters(self, request: Request) -> None:
        request.least_tokens, request.most_tokens = 1, math.inf
        super().enters(request)


class FewestHere(Told):
    """The tenant with the fewest requests in the system goes first."""

    name = "fewest-here"
    source: Source = "none"
    preemptive = False

    def __init__(self) -> None:
        self._here: Counter[str | None] = Counter()
        self._known: set[str] = set()

    def rank(self, request: Request) -> float:
        return self._here[request.tenant]

    def enters(self, request: Request) -> None:
        super().enters(request)
        if request.id not in self._known:
            self._known.add(request.id)
            self._here[request.tenant] += 1

    def leave(self, request: Request) -> None:
        super().leave(request)
        self._here[request.tenant] -= 1


def by_simulator(policy: Told) -> list[list[Any]]:
    step, prompt, output, tenant = zip(*REQUESTS, strict=True)
    # Between the steps before and after, but for those that are there from the start.
    arrival = np.maximum(np.array(step) - 0.5, 0.0)
    workload = Workload(arrival, np.array(prompt), np.array(output), tenant=tenant)
    second = Linear("second", "test", base=1.0, prefill=0.0, decode=0.0, context=0.0)
    setup = Setup(seats=SEATS, budget=BUDGET, blocks=BLOCKS, block_size=BLOCK)
    Simulator(workload, policy, make_predictor("none"), second, setup).run()
    return policy.told


def by_vllm(model: str, policy: Told) -> list[list[Any]]:
    ours.make_policy = lambda spec, *_: policy
    config = stub_config(model, SEATS, BUDGET, context=BUDGET, block_size=BLOCK)
    stub = Stub(Scheduler, config, BLOCKS, Settings(learn=False))
    pending = list(enumerate(REQUESTS))
    steps = 0
    stub.scheduler.clock = lambda: steps
    while pending or stub.scheduler.requests:
        while pending and pending[0][1][0] <= steps:
            i, (_, prompt, output, tenant) = pending.pop(0)
            limits = {"max_tokens": output, "ignore_eos": True}
            request = stub.request(
                str(i), range(1, prompt + 1), output, extra_args={TENANT_HINT: tenant}, **limits
            )
            stub.scheduler.add_request(request)
        stub.step()
        steps += 1
    return policy.told


if __name__ == "__main__":
    prepare_process()
    told = {
        kind.name: {"simulator": by_simulator(kind()), "vllm": by_vllm(sys.argv[1], kind())}
        for kind in (FewestHere, LeastWork)
    }
    Path(sys.argv[2]).write_text(json.dumps(told))
