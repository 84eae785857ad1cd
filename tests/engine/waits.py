"""How long requests wait for vLLM's scheduler under ``lengthwise``, on the clock of admitted work.

``python waits.py MODEL OUT.json``: random traffic over the real scheduler, queue and memory, with
a stub for the model. The policy, its clock and the allowed waits are those of the simulator's test.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parents[1] / "policies"))

from test_lengthwise_bound import Watched, predictions

import lengthwise.vllm.scheduler as ours
from lengthwise.core.policy import Policy
from lengthwise.core.prediction import point
from lengthwise.core.request import Request
from lengthwise.policies import make_policy
from lengthwise.vllm import Scheduler
from lengthwise.vllm.engine import prepare_process
from lengthwise.vllm.hints import PREDICTED_HINT
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.stub import Stub, stub_config
from lengthwise.workload.clients import TENANT_HINT

CONTEXT, BUDGET, N = 512, 128, 80
TRAFFIC = ("burst", "poisson", "spikes", "flood", "liars", "tails")
PREDICTIONS = ("none", "true", "noisy", "reversed", "lies", "short", "late")
TOLERANCES = (0.0, 0.05, 0.2, 0.6)
LIES = (0.0, -5.0, math.nan, 1e9, math.inf)
SPECS = ("lengthwise", "lengthwise:0", "lengthwise+fair", "lengthwise+priority+bound:2s")
ROUNDS = 5

Ints = NDArray[np.int64]

StubOf = Callable[[Policy, int, int], Stub]
"""A stub engine with a policy, seats and blocks."""


class Exact(Watched):
    """Allows no more than the proof says where predictions come before anybody is admitted."""

    def changes(self, request: Request) -> None:
        grown = self.grown
        super().changes(request)
        if self.came[request.id] == self._gate.clock:
            self.grown = grown


def traffic(kind: str, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Steps of arrival, prompt tokens and answers of requests that would overtake each other."""
    prompt = rng.integers(1, 200, N)
    answer = np.minimum(rng.pareto(1.2, N) * 5 + 1, 100).astype(int)
    gaps = rng.exponential(rng.uniform(1.0, 15.0), N)
    if kind == "burst":
        gaps[:] = 0
    elif kind == "spikes":
        gaps = np.where(rng.random(N) < 0.05, 300.0, 0.1)
    elif kind in ("flood", "liars"):
        # A few large ones first, then small ones without an end, or that say so.
        few = N // 10
        prompt[few:] = rng.integers(1, 5, N - few)
        answer[few:] = rng.integers(1, 4, N - few) if kind == "flood" else 30
        gaps[:few] = 0
        gaps[few:] = rng.exponential(rng.uniform(0.5, 8.0), N - few)
    elif kind == "tails":
        prompt = np.minimum(rng.pareto(0.8, N) * 10 + 1, 300).astype(int)
    return np.cumsum(gaps).astype(int), prompt, answer


def serve(
    stub: Stub, rows: tuple[Ints, Ints, Ints], predicted: NDArray[np.float64], late: Ints | None
) -> int:
    """Serve it to its end; how many requests were never served."""
    came, prompt, answer = rows
    scheduler, step, next_one = stub.scheduler, 0, 0
    told = sorted((at, i) for i, at in enumerate(late)) if late is not None else []
    patience = 50 * int(answer.sum() + prompt.sum()) + int(came[-1])
    while (next_one < N or scheduler.requests) and step < patience:
        while next_one < N and came[next_one] <= step:
            i, guess = next_one, float(predicted[next_one])
            brings = late is None and 1 <= guess < math.inf
            extra = {TENANT_HINT: "ab"[i % 2]} | (
                {PREDICTED_HINT: {"tokens": guess}} if brings else {}
            )
            request = stub.request(str(i), [2] * int(prompt[i]), int(answer[i]), extra_args=extra)
            request.priority = i % 2
            scheduler.add_request(request)
            if late is None and not brings:
                scheduler.predict(str(i), point(guess, "prompt"))
            next_one += 1
        while told and told[0][0] <= step:
            i = told.pop(0)[1]
            scheduler.predict(str(i), point(float(predicted[i]), "prompt"))
        stub.step()
        step += 1
    return N - next_one + len(scheduler.requests)


def run(stub_of: StubOf, kind: str, predictor: str, seed: int) -> dict[str, Any]:
    """One random run: each wait with the most that it may be, and how many were not served."""
    rng = np.random.default_rng(seed)
    policy = Exact(float(rng.choice(TOLERANCES)))
    seats = int(rng.choice([1, 4, 16]))
    stub = stub_of(policy, seats, int(rng.choice([40, 400])))
    rows = traffic(kind, rng)
    late = None
    if predictor == "late":
        late = rows[0] + rng.integers(0, 200, N)
    guesses = predictions({"late": "noisy"}.get(predictor, predictor), rows[2], rng)
    if predictor == "lies":
        guesses = rng.choice(LIES, N)
    if kind == "liars":
        guesses[N // 10 :] = 1.0
    left = serve(stub, rows, guesses, late)
    return {
        **{"traffic": kind, "predictions": predictor, "seed": seed, "seats": seats},
        **{"left": left, "waits": list(policy.waits.values())},
    }


def main(model: str) -> dict[str, list[Any]]:
    """Every kind of traffic with every kind of prediction, and with everybody telling one lie."""
    configs = {
        seats: stub_config(model, seats, budget=BUDGET, context=CONTEXT) for seats in (1, 4, 16)
    }

    def stub_of(policy: Policy, seats: int, blocks: int) -> Stub:
        ours.make_policy = lambda spec, *_: policy
        return Stub(Scheduler, configs[seats], blocks, Settings(learn=False))

    cases = product(range(ROUNDS), TRAFFIC, PREDICTIONS)
    runs = [run(stub_of, kind, guess, seed) for seed, (_, kind, guess) in enumerate(cases)]
    rows = traffic("tails", np.random.default_rng(1))
    left = [
        (spec, str(lie), serve(stub_of(make_policy(spec), 4, 40), rows, np.full(N, lie), None))
        for spec, lie in product(SPECS, LIES)
    ]
    return {"runs": runs, "left": left}


if __name__ == "__main__":
    prepare_process()
    Path(sys.argv[2]).write_text(json.dumps(main(sys.argv[1])))
