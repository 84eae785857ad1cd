"""States that a real engine samples to learn from, beside those that the recorder sees; and a probe
that begins while it serves.

``python sampled.py MODEL PROMPTS.json OUT.json``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lengthwise.predictors.layers import LAST
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.store import Packed, load_probe
from lengthwise.predictors.trail import Trail
from lengthwise.vllm.engine import build_engine, prepare_process
from lengthwise.vllm.gathered import Gathered
from lengthwise.vllm.refining import ATTRIBUTE
from lengthwise.vllm.settings import Settings

SEATS, CHANGE = 4, 12
"""Most requests in a step, and the step from which on a probe is asked."""


def answers_of(
    engine: Any, prompts: list[list[int]], after: Callable[[int], object] = id
) -> tuple[dict[str, list[int]], Any]:
    """Answer all prompts, one more in each step; answers and vLLM's own ids of the requests.

    ``after`` is called with the number of steps after each.
    """
    from vllm import SamplingParams

    answers: dict[str, list[int]] = {}
    internal: dict[str, str] = {}
    pending, steps = list(enumerate(prompts)), 0
    while pending or engine.has_unfinished_requests():
        if pending:
            i, ids = pending.pop(0)
            params = SamplingParams(temperature=0, max_tokens=8 + 9 * (i % 3))
            name = engine.add_request(str(i), {"prompt_token_ids": ids}, params)
            internal[name] = str(i)
        for output in engine.step():
            if output.finished:
                answers[output.request_id] = list(output.outputs[0].token_ids)
        steps += 1
        after(steps)
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


def change(engine: Any, prompts: list[list[int]], probe: Probe) -> dict[str, Any]:
    """Ask a probe from some step on; who had tokens by then, and what was predicted of whom."""
    scheduler = engine.engine_core.engine_core.scheduler
    heard: list[tuple[str, int, int]] = []
    begun: set[str] = set()
    take = scheduler._probing.take

    def taking(scheduler_output: Any, model_runner_output: Any) -> None:
        found = getattr(model_runner_output, ATTRIBUTE, None)
        if found is not None:
            ages = found.generated.tolist()
            heard.extend(
                (name, age, found.version) for name, age in zip(found.ids, ages, strict=True)
            )
        take(scheduler_output, model_runner_output)

    def after(steps: int) -> None:
        if steps == CHANGE:
            begun.update(name for name, one in scheduler.requests.items() if one.num_output_tokens)
            scheduler._probing.use(7, Packed.of(Trail(probe)))

    scheduler._probing.take = taking
    answers, internal = answers_of(engine, prompts, after)
    return {
        "answers": answers,
        "begun": sorted(internal[name] for name in begun),
        "heard": [(internal[name], age, version) for name, age, version in heard],
    }


def main(model: str, prompts: list[list[int]], folder: str) -> dict[str, Any]:
    stock = build_engine(model, SEATS, scheduler_cls="lengthwise.vllm.StockScheduler")
    expected, _ = answers_of(stock, prompts)
    probe = load_probe("builtin", model)
    settings = Settings(
        "trail", record=[probe.layer, LAST], record_every=1, learn=True, learning={"folder": folder}
    )
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
        kept = states.values[:, [states.layers.index(each) for each in (probe.layer, LAST)]]
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
    changed = change(engine, prompts, probe)
    return {"expected": expected, "answers": answers, "requests": requests, "changed": changed}


if __name__ == "__main__":
    prepare_process()
    with tempfile.TemporaryDirectory() as folder:
        result = main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), folder)
    Path(sys.argv[3]).write_text(json.dumps(result))
