"""Serves requests under a policy of its own that ranks by a quantile of the prediction.

``python quantile.py MODEL PROMPTS.json OUT.json``: the answers, and every prediction that the
policy read: who made it, at which age, whether it is a distribution, and its figures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lengthwise.core import Policy, Request
from lengthwise.core.policy import Source, unpredicted
from lengthwise.policies import POLICIES
from lengthwise.vllm.engine import build_engine, prepare_process
from lengthwise.vllm.settings import Settings

SEEN: list[dict[str, Any]] = []


class ByQuantile(Policy):
    """Shortest 90 % quantile first."""

    name = "by-quantile"
    source: Source = "probe"
    preemptive = True

    def rank(self, request: Request) -> float:
        now = request.prediction
        if now is None:
            return unpredicted(request)
        low, high = now.quantile(0.1), now.quantile(0.9)
        tokens, shares = now.support
        SEEN.append(
            {
                "source": now.source,
                "made_at": now.age,
                "age": request.generated,
                "since": now.since,
                "spread": now.batch is not None,
                "low": low,
                "mean": now.mean,
                "high": high,
                "within_high": now.probability_to_end_within(high + 0.01),
                "by_support": float(tokens @ shares),
                "counted_down": request.remaining,
            }
        )
        return high

    def preemptible(self, request: Request) -> bool:
        return True


def serve(model: str, policy: str, requests: list[dict[str, Any]]) -> dict[str, list[int]]:
    from vllm import SamplingParams

    config = Settings(policy=policy, probe="builtin", learn=False).additional_config()
    ours = {"scheduler_cls": "lengthwise.vllm.Scheduler", "additional_config": config}
    engine = build_engine(model, 2, block_size=32, **ours)
    for request in requests:
        params = SamplingParams(temperature=0, max_tokens=request["max_tokens"])
        engine.add_request(request["id"], {"prompt_token_ids": request["prompt_ids"]}, params)
    answers: dict[str, list[int]] = {}
    while engine.has_unfinished_requests():
        for output in engine.step():
            if output.finished:
                answers[output.request_id] = list(output.outputs[0].token_ids)
    engine.engine_core.shutdown()
    return answers


if __name__ == "__main__":
    prepare_process()
    POLICIES[ByQuantile.name] = ByQuantile
    model, prompts, out = sys.argv[1:]
    requests = json.loads(Path(prompts).read_text())
    answers = {policy: serve(model, policy, requests) for policy in ("fcfs", ByQuantile.name)}
    Path(out).write_text(json.dumps({"answers": answers, "seen": SEEN}))
