"""The same requests sliced and whole, through one engine in a process of its own.

``python sliced.py JOB.json OUT.json``. Whole is vLLM's own client: the front is taken off.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lengthwise.core.slices import slice_end
from lengthwise.metrics.counters import COSTS
from lengthwise.vllm.engine import build_engine, prepare_process
from lengthwise.vllm.settings import Settings

METHODS = ("add_request", "get_output", "abort_requests")


def run(job: dict[str, Any]) -> dict[str, Any]:
    settings = Settings(policy=job["policy"], learn=False)
    engine = build_engine(
        job["model"],
        job["seats"],
        block_size=32,
        scheduler_cls="lengthwise.vllm.Scheduler",
        additional_config=settings.additional_config(),
    )
    client = engine.engine_core
    front = {name: client.__dict__.pop(name) for name in METHODS}
    requests = job["requests"]
    whole = answers(engine, requests)
    stopped = [
        stop_across(whole[request["id"]], request, job["most"], shown)
        for request, shown in zip(requests, (False, True), strict=False)
    ]
    whole |= answers(engine, stopped)
    client.__dict__.update(front)
    engine.reset_prefix_cache()
    COSTS.reset()
    sliced = answers(engine, requests + stopped)
    return {
        "whole": whole,
        "sliced": sliced,
        "costs": COSTS.snapshot(),
        "aborted": abort(engine, requests[0]),
        "open": len(client.lengthwise.stitcher),
    }


def stop_across(
    outputs: list[dict[str, Any]], request: dict[str, Any], most: int, shown: bool
) -> dict[str, Any]:
    """A request to be stopped by a string that begins in its first slice and ends in the next."""
    end = slice_end(len(request["prompt_ids"]), 0, most, 32)
    texts = [output["samples"][0]["text"] for output in outputs]
    stop = texts[end - 1][-12:] + texts[end + 1][len(texts[end - 1]) :]
    params = {**request["params"], "stop": [stop], "include_stop_str_in_output": shown}
    return {**request, "id": f"{request['id']} stopped", "params": params}


def answers(engine: Any, requests: list[dict[str, Any]]) -> dict[str, Any]:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    for request in requests:
        params = SamplingParams(**choosing(request["params"]))
        params.output_kind = RequestOutputKind[request.get("kind", "FINAL_ONLY")]
        engine.add_request(request["id"], {"prompt_token_ids": request["prompt_ids"]}, params)
    found: dict[str, list[Any]] = {}
    while engine.has_unfinished_requests():
        for output in engine.step():
            found.setdefault(output.request_id, []).append(told(output))
    return found


def choosing(params: dict[str, Any]) -> dict[str, Any]:
    """Sampling parameters with the choice that JSON cannot hold."""
    from vllm.sampling_params import StructuredOutputsParams

    choice = params.get("structured_outputs")
    return params | (
        {"structured_outputs": StructuredOutputsParams(choice=choice)} if choice else {}
    )


def told(output: Any) -> dict[str, Any]:
    """All that a client is told by one output."""
    return {
        "prompt_tokens": len(output.prompt_token_ids),
        "cached": output.num_cached_tokens,
        "finished": output.finished,
        "prompt_logprobs": logprobs(output.prompt_logprobs),
        "samples": {
            sample.index: {
                "text": sample.text,
                "tokens": list(sample.token_ids),
                "logprobs": logprobs(sample.logprobs),
                "reason": [sample.finish_reason, sample.stop_reason],
            }
            for sample in output.outputs
        },
    }


def logprobs(positions: Any) -> Any:
    """Positions of logprobs as lists of token, logprob and text; by token id."""
    if positions is None:
        return None
    return [
        sorted([token, lp.logprob, lp.decoded_token] for token, lp in (position or {}).items())
        for position in positions
    ]


def abort(engine: Any, request: dict[str, Any]) -> dict[str, int]:
    """Abort a request in its second slice; what then is left of it."""
    from vllm import SamplingParams

    scheduler = engine.engine_core.engine_core.scheduler
    pool = scheduler.kv_cache_manager.block_pool
    free = pool.get_num_free_blocks()
    params = SamplingParams(temperature=0, max_tokens=500, ignore_eos=True)
    name = engine.add_request("gone", {"prompt_token_ids": request["prompt_ids"]}, params)
    for _ in range(40):
        engine.step()
    assert scheduler._views[name].generated > 0
    engine.abort_request([name], internal=True)
    for _ in range(3):
        engine.step()
    return {
        "requests": len(scheduler.requests),
        "views": len(scheduler._views),
        "blocks": free - pool.get_num_free_blocks(),
    }


if __name__ == "__main__":
    prepare_process()
    job = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(run(job)))
