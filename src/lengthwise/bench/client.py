"""An open-loop client: streams completions from an address, however far behind it is."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lengthwise.bench.job import BenchRequest
from lengthwise.results.timings import Timing
from lengthwise.workload.clients import TENANT_HINT

if TYPE_CHECKING:
    from aiohttp import ClientSession


@dataclass
class Routed(Timing):
    """A request that some replica served.

    Attributes:
        sent: when it really left, in seconds of the run; all else counts from ``arrival``.
        replica: the id of the replica that served it.
        error: why there is no answer, or not all of it.
    """

    sent: float = 0.0
    replica: str = ""
    error: str = ""


@dataclass(frozen=True)
class Known:
    """A router's own figures, as ``/v1/routing`` has them.

    Attributes:
        in_flight: requests on each replica that it knows.
        predictions: how often its predictor was asked.
        resubmitted: how often it sent a request again.
    """

    in_flight: dict[str, int] = field(default_factory=dict)
    predictions: int = 0
    resubmitted: int = 0


def send_all(
    address: str,
    requests: Sequence[BenchRequest],
    cap: int,
    salt: str,
    finished: Callable[[], object] = lambda: None,
) -> list[Routed]:
    """Every request at its time, with greedy answers; what became of each.

    Args:
        address: of a server with ``/v1/completions`` as vLLM has it.
        requests: what to send, and when.
        cap: most tokens of an answer.
        salt: prefixes cached for another one are of no use to these requests.
        finished: called whenever one has ended.
    """
    timings = [Routed(it.id, it.arrival, tenant=it.tenant) for it in requests]
    bodies = [_body(it, cap, salt) for it in requests]
    asyncio.run(_send(f"{address}/v1/completions", timings, bodies, finished))
    return timings


def _body(request: BenchRequest, cap: int, salt: str) -> dict[str, Any]:
    tenant = request.tenant
    return {
        "prompt": request.prompt_ids,
        "priority": request.priority,
        "vllm_xargs": {} if tenant is None else {TENANT_HINT: tenant},
        "max_tokens": request.cap(cap),
        "temperature": 0,
        "stream": True,
        "return_token_ids": True,
        "cache_salt": salt,
    }


async def _send(
    url: str,
    timings: Sequence[Routed],
    bodies: Sequence[dict[str, Any]],
    finished: Callable[[], object],
) -> None:
    from aiohttp import ClientSession, ClientTimeout, TCPConnector

    # An open loop: as many connections as there are requests, and no answer is given up.
    async with ClientSession(
        connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None)
    ) as session:
        start = time.perf_counter()

        async def one(timing: Routed, body: dict[str, Any]) -> None:
            await asyncio.sleep(timing.arrival - (time.perf_counter() - start))
            await _follow(session, url, timing, body, start)
            finished()

        await asyncio.gather(*map(one, timings, bodies))


async def _follow(
    session: ClientSession, url: str, timing: Routed, body: dict[str, Any], start: float
) -> None:
    """Send one request and note when each token of its answer comes."""
    from aiohttp import ClientError

    timing.sent = time.perf_counter() - start
    try:
        async with session.post(url, json=body) as answer:
            if answer.status != 200:
                timing.error = f"HTTP {answer.status}: {(await answer.text())[:200]}"
                return
            timing.replica = answer.headers.get("x-lengthwise-replica", "")
            async for line in answer.content:
                if line.startswith(b"data: {"):
                    _note(timing, json.loads(line[6:]), time.perf_counter() - start)
    except (ClientError, OSError) as error:
        timing.error = f"{type(error).__name__}: {error}"
    if timing.finish is None and not timing.error:
        timing.error = "the stream ended before the answer did"


def _note(timing: Routed, event: dict[str, Any], now: float) -> None:
    if "error" in event:
        timing.error = str(event["error"]["message"])
        return
    for choice in event["choices"]:
        timing.answer += choice.get("token_ids", [])
        timing.saw(now, timing.answer, choice["finish_reason"] is not None)
