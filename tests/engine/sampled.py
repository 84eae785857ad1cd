"""States that a real engine samples to learn from, beside those that the recorder sees.

``python sampled.py MODEL PROMPTS.json OUT.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from lengthwise.predictors.layers import LAST
from lengthwise.vllm.engine import build_engine, prepare_process
from lengthwise.vllm.gathered import Gathered
from lengthwise.vllm.settings import Settings

SEATS = 4


def answers_of(engine: Any, prompts: list[list[int]]) -> tuple[dict[str, list[int]], Any]:
    """Answer all prompts, one more in each step; answers and vLLM's own ids of the requests."""
    from vllm import SamplingParams

    answers: dict[str, list[int]] = {}
    internal: dict[str, str] = {}
    pending = list(enumerate(prompts))
    while pending or engine.has_unfinished_requests():
        if pending:
            i, ids = pending.pop(0)
            params = SamplingParams(temperature=0, max_tokens=8 + 9 * (i % 3))
            name = engine.add_request(str(i), {"prompt_token_ids": ids}, params)
            internal[name] = str(i)
        for output in engine.step():
            if output.finished:
                answers[output.request_id] = list(output.outputs[0].token_ids)
    return answers, internal


def gather(scheduler: Any) -> dict[str, Any]:
    """The states of each request that finishes, by vLLM's own id."""
    gathered, found = Gathered(scheduler.requests), {}
    update, free = scheduler.update_from_output, scheduler._free_request

    def updating(scheduler_output: Any, model_runner_output: Any) -> Any:
        gathered.take(model_runner_output)
        return update(scheduler_output, model_runner_output)

    def freeing(request: Any, *args: Any, **kwargs: Any) -> Any:
        found[request.request_id] = gathered.finished(request.request_id)
        return free(request, *args, **kwargs)

    scheduler.update_from_output, scheduler._free_request = updating, freeing
    return found


def main(model: str, prompts: list[list[int]]) -> dict[str, Any]:
    stock = build_engine(model, SEATS, scheduler_cls="lengthwise.vllm.StockScheduler")
    expected, _ = answers_of(stock, prompts)
    settings = Settings(record=[10, LAST], record_every=1, learn=True)
    engine = build_engine(
        model,
        SEATS,
        scheduler_cls="lengthwise.vllm.Scheduler",
        additional_config=settings.additional_config(),
        enable_prefix_caching=False,
    )
    found = gather(engine.engine_core.engine_core.scheduler)
    answers, internal = answers_of(engine, prompts)
    recorder = engine.collective_rpc(lambda worker: worker.lengthwise)[0]
    head = engine.collective_rpc(lambda worker: worker.model_runner.get_model())[0]
    requests = {}
    for name, number in internal.items():
        states = found[name]
        if states is None:
            requests[number] = None
            continue
        ages, seen, _ = recorder.take(name)
        at = {age: row for row, age in enumerate(ages.tolist())}
        both = seen[[at[age] for age in states.ages.tolist()]]
        kept = states.values[:, [states.layers.index(each) for each in (10, LAST)]]
        with torch.inference_mode():
            last = torch.from_numpy(states.values[:, states.layers.index(LAST)]).float()
            logits = head.compute_logits(last)
        taken = [answers[number][age] for age in states.ages.tolist()]
        requests[number] = {
            "layers": states.layers,
            "ages": states.ages.tolist(),
            "same": bool((both == kept).all()),
            "lost": (logits.max(dim=1).values - logits[range(len(taken)), taken]).max().item(),
        }
    return {"expected": expected, "answers": answers, "requests": requests}


if __name__ == "__main__":
    prepare_process()
    result = main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))
    Path(sys.argv[3]).write_text(json.dumps(result))
