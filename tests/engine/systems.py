"""Serves one burst on one seat under several policies, in one process.

``python systems.py MODEL PROMPTS.json OUT.json POLICY...``: for each policy the order in which
requests got their first token, their answers, what was known of them, and pauses. A step takes
a tenth of a second on the scheduler's clock.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from settle import settle

from lengthwise.metrics.counters import COSTS
from lengthwise.vllm.engine import build_engine, prepare_process
from lengthwise.vllm.settings import Settings
from lengthwise.workload.clients import TENANT_HINT


def serve(model: str, policy: str, requests: list[dict[str, Any]]) -> dict[str, Any]:
    from vllm import SamplingParams

    config = Settings(policy=policy, probe="builtin", learn=False).additional_config()
    ours = {"scheduler_cls": "lengthwise.vllm.Scheduler", "additional_config": config}
    engine = build_engine(model, 1, block_size=32, **ours)
    scheduler = engine.engine_core.engine_core.scheduler
    COSTS.reset()
    now = 0.0
    scheduler.clock = lambda: now
    for request in requests:
        params = SamplingParams(
            temperature=0,
            max_tokens=request["max_tokens"],
            extra_args={TENANT_HINT: request["tenant"]},
        )
        prompt = {"prompt_token_ids": request["prompt_ids"]}
        engine.add_request(request["id"], prompt, params, priority=request["priority"])
    settle(scheduler)
    # All have waited equally long, so HRRN's ratios are those of the predictions.
    now = 1.0
    views = dict(scheduler._views)
    order: list[str] = []
    answers: dict[str, list[int]] = {}
    while engine.has_unfinished_requests():
        now += 0.1
        for output in engine.step():
            if output.request_id not in order and output.outputs[0].token_ids:
                order.append(output.request_id)
            if output.finished:
                answers[output.request_id] = list(output.outputs[0].token_ids)
    engine.engine_core.shutdown()
    known = [
        {"id": request["id"], "initial": view.initial, "arrival": view.arrival}
        for request, view in zip(requests, views.values(), strict=True)
    ]
    return {"order": order, "answers": answers, "known": known, "pauses": COSTS.pauses}


if __name__ == "__main__":
    prepare_process()
    model, prompts, out, *policies = sys.argv[1:]
    requests = json.loads(Path(prompts).read_text())
    found = {policy: serve(model, policy, requests) for policy in policies}
    Path(out).write_text(json.dumps(found))
