"""What the middleware costs a request: ``python tests/vllm/hint_cost.py`` prints microseconds."""

from __future__ import annotations

import asyncio
import json
import time
from argparse import Namespace
from types import SimpleNamespace
from typing import Any

from lengthwise.vllm.hints_middleware import HintsMiddleware
from lengthwise.vllm.trust import bring

OURS = Namespace(scheduler_cls="lengthwise.vllm.Scheduler", additional_config={})
APP = SimpleNamespace(state=SimpleNamespace(args=OURS))
ORDINARY = [(b"host", b"h"), (b"accept", b"*/*"), (b"content-type", b"application/json")]
GATEWAY = [(b"x-llm-d-slo-ttft-ms", b"250"), (b"x-session-id", b"s")]
RUNS = 3000


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Stands for vLLM: takes the body, and sends a request to the engine."""
    await receive()
    params = SimpleNamespace(extra_args=None)
    bring(SimpleNamespace(sampling_params=params, priority=0), "body")


async def seconds(served: Any, headers: Any, body: bytes) -> float:
    """Of one request, the fastest of five rounds."""

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_: Any) -> None: ...

    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(RUNS):
            scope = {"type": "http", "method": "POST", "headers": headers, "app": APP}
            await served(scope, receive, send)
        best = min(best, (time.perf_counter() - start) / RUNS)
    return best


def main() -> None:
    """Print a line for each kind of request."""
    hints = {"user": "acme", "prediction": {"type": "content", "content": "x" * 400}}
    for name, size, more, headers in (
        ("no hint, 1 kB", 1000, {}, ORDINARY),
        ("no hint, 10 kB", 10_000, {}, ORDINARY),
        ("no hint, 1 MB", 1_000_000, {}, ORDINARY),
        ("hints, 1 kB", 1000, hints, [*ORDINARY, *GATEWAY]),
    ):
        body = json.dumps({"messages": [{"role": "user", "content": "x" * size}], **more}).encode()
        without = asyncio.run(seconds(app, headers, body))
        took = asyncio.run(seconds(HintsMiddleware(app), headers, body))
        print(f"{name}: {(took - without) * 1e6:.1f} us")


if __name__ == "__main__":
    main()
