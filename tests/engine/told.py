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

from lengthwise.core.policy import Policy, Source
from lengthwise.core.request import Request
from lengthwise.policies import Lengthwise
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.vllm.engine import prepare_process
from lengthwise.workload import Workload

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
    from vllm.v1.outputs import ModelRunnerOutput

    import lengthwise.vllm.scheduler as ours

    ours.make_policy = lambda spec: policy  # type: ignore[assignment]
    scheduler = scheduler_of(model)
    pending = list(enumerate(REQUESTS))
    steps = 0
    scheduler.clock = lambda: steps
    while pending or scheduler.requests:
        while pending and pending[0][1][0] <= steps:
            scheduler.add_request(request_of(*pending.pop(0)))
        output = scheduler.schedule()
        ids = list(output.num_scheduled_tokens)
        sampled = ModelRunnerOutput(ids, {id: i for i, id in enumerate(ids)}, [[7]] * len(ids))
        scheduler.update_from_output(output, sampled)
        steps += 1
    return policy.told


def scheduler_of(model: str) -> Any:
    import torch
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
    from vllm.v1.structured_output import StructuredOutputManager

    from lengthwise.vllm import Scheduler

    arguments = EngineArgs(
        model=model,
        max_num_seqs=SEATS,
        max_num_batched_tokens=BUDGET,
        max_model_len=BUDGET,
        block_size=BLOCK,
        enforce_eager=True,
        enable_prefix_caching=False,
        async_scheduling=False,
        dtype="float32",
        scheduler_cls="lengthwise.vllm.Scheduler",
        additional_config={"lengthwise": {"policy": "fcfs"}},
    )
    config = arguments.create_engine_config()
    # One block of the pool is vLLM's own.
    config.cache_config.num_gpu_blocks = BLOCKS + 1
    layer = FullAttentionSpec(block_size=BLOCK, num_kv_heads=1, head_size=8, dtype=torch.float32)
    memory = KVCacheConfig(BLOCKS + 1, [], [KVCacheGroupSpec(["layer"], layer)])
    return Scheduler(config, memory, StructuredOutputManager(config), block_size=BLOCK)


def request_of(i: int, row: tuple[int, int, int, str]) -> Any:
    from vllm import SamplingParams
    from vllm.v1.request import Request as VllmRequest

    _, prompt, output, tenant = row
    params = SamplingParams(
        max_tokens=output, ignore_eos=True, extra_args={"lengthwise_tenant": tenant}
    )
    return VllmRequest(str(i), list(range(1, prompt + 1)), params, None)


if __name__ == "__main__":
    prepare_process()
    told = {
        kind.name: {"simulator": by_simulator(kind()), "vllm": by_vllm(sys.argv[1], kind())}
        for kind in (FewestHere, LeastWork)
    }
    Path(sys.argv[2]).write_text(json.dumps(told))
