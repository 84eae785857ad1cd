"""Runs one engine in a process of its own, with arrivals at given steps.

``python drive.py JOB.json OUT.json``. Steps instead of seconds make two runs
comparable decision by decision.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from settle import settle

from lengthwise.metrics.counters import COSTS
from lengthwise.vllm.engine import build_engine, prepare_process


def drive(job: dict[str, Any]) -> dict[str, Any]:
    from vllm import SamplingParams

    from lengthwise.vllm.scheduler import Scheduler

    if job.get("asynchronous"):
        schedule_asynchronously()
    engine = build_engine(job["model"], job["seats"], **job["engine"])
    if job["engine"].get("pipeline_parallel_size", 1) > 1:
        engine.engine_core.engine_core.model_executor.collective_rpc(make_room_between_stages)
    scheduler = engine.engine_core.engine_core.scheduler
    ours = isinstance(scheduler, Scheduler)
    predictions = spy(scheduler) if ours else []
    pending = sorted(job["requests"], key=lambda r: r["step"], reverse=True)
    internal: dict[str, str] = {}
    answers: dict[str, list[int]] = {}
    step = 0
    while pending or engine.has_unfinished_requests():
        while pending and (pending[-1]["step"] <= step or not engine.has_unfinished_requests()):
            request = pending.pop()
            params = SamplingParams(
                temperature=0,
                max_tokens=request["max_tokens"],
                ignore_eos=request.get("ignore_eos", False),
                extra_args=request.get("extra_args"),
            )
            name = engine.add_request(
                request["id"], {"prompt_token_ids": request["prompt_ids"]}, params
            )
            internal[name] = request["id"]
        if ours:
            settle(scheduler)
        for output in engine.step():
            if output.finished:
                answers[output.request_id] = list(output.outputs[0].token_ids)
        step += 1
    batches = engine.engine_core.engine_core.batch_queue
    trace = []
    path = Path(os.environ["LENGTHWISE_TRACE"])
    for line in path.read_text().splitlines():
        decisions = json.loads(line)
        trace.append(
            {
                "scheduled": [[internal[i], n] for i, n in decisions["scheduled"].items()],
                "preempted": sorted(internal[i] for i in decisions["preempted"]),
            }
        )
    named = [[internal[i], at, left] for i, at, left in predictions]
    return {
        "trace": trace,
        "answers": answers,
        "costs": COSTS.snapshot(),
        "ahead": batches is not None,
        "predictions": named,
        "recorded": recorded(engine, internal) if job.get("recorded") else None,
    }


class Nothing:
    """A CUDA event or stream where there is no CUDA: all work is done when it returns."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.record = self.synchronize = self.wait_stream = lambda *args: None


def schedule_asynchronously() -> None:
    """Let a CPU engine schedule a step ahead of its outputs, as vLLM does on a GPU.

    All of vLLM's code for it runs; only CUDA's streams and events are stood in for.
    """
    import torch
    from vllm.platforms.cpu import CpuPlatform

    torch.cuda.Event = torch.cuda.Stream = torch.cuda.current_stream = Nothing
    torch.cuda.stream = lambda stream: nullcontext()
    original = CpuPlatform.check_and_update_config.__func__

    def check_and_update_config(cls: Any, config: Any) -> None:
        original(cls, config)
        config.scheduler_config.async_scheduling = True

    CpuPlatform.check_and_update_config = classmethod(check_and_update_config)


def make_room_between_stages(worker: Any) -> None:
    """What vLLM makes in a trial run, which it leaves out of an eager CPU engine."""
    import torch

    runner = worker.model_runner
    runner.intermediate_tensors = runner.model.make_empty_intermediate_tensors(
        runner.max_num_tokens, torch.float32, worker.device
    )


def spy(scheduler: Any) -> list[tuple[str, int, float]]:
    """Collects every prediction of the probe that reaches the scheduler."""
    seen: list[tuple[str, int, float]] = []
    probing = scheduler._probing
    refine = probing.refine

    def spying(predictions: Any) -> None:
        left = predictions.probabilities @ probing.bins.values
        seen.extend(
            (i, int(at), float(x))
            for i, at, x in zip(predictions.ids, predictions.generated, left, strict=True)
        )
        refine(predictions)

    probing.refine = spying
    return seen


def recorded(engine: Any, internal: dict[str, str]) -> dict[str, Any]:
    recorder = engine.collective_rpc(lambda worker: worker.lengthwise)[0]
    found = {}
    for name, request_id in internal.items():
        ages, states, mean = recorder.take(name)
        found[request_id] = {
            "ages": ages.tolist(),
            "states": states.astype(float).tolist(),
            "mean": mean.astype(float).tolist(),
        }
    return found


if __name__ == "__main__":
    prepare_process()
    job = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(drive(job)))
