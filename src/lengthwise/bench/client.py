"""An open-loop client: streams completions from an address, however far behind it is."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lengthwise.results.timings import Life
from lengthwise.workload.clients import TENANT_HINT

if TYPE_CHECKING:
    from aiohttp import ClientSession


@dataclass
class Routed(Life):
    """A request that some replica served.

    Attributes:
        sent: when it really left, in seconds of the run; all else counts from ``arrival``.
        replica: who served it.
        error: why there is no answer, or not all of it.
    """

    sent: float = 0.0
    replica: str = ""
    error: str = ""


def send_all(
    address: str,
    requests: Sequence[dict[str, Any]],
    cap: int,
    salt: str,
    finished: Callable[[], object] = lambda: None,
) -> list[Routed]:
    """Every request at its time, with greedy answers; what became of each.

    Args:
        address: of a server with ``/v1/completions`` as vLLM has it.
        requests: ``id``, ``prompt_ids``, ``tenant``, ``priority``, and ``arrival`` in seconds.
        cap: most tokens of an answer.
        salt: prefixes cached for another one are of no use to these requests.
        finished: called whenever one has ended.
    """
    lives = [Routed(it["id"], it["arrival"], tenant=it["tenant"]) for it in requests]
    bodies = [_body(it, cap, salt) for it in requests]
    asyncio.run(_send(f"{address}/v1/completions", lives, bodies, finished))
    return lives


def _body(request: dict[str, Any], cap: int, salt: str) -> dict[str, Any]:
    tenant = request["tenant"]
    return {
        "prompt": request["prompt_ids"],
        "priority": request["priority"],
        "vllm_xargs": {} if tenant is None else {TENANT_HINT: tenant},
        "max_tokens": cap,
        "temperature": 0,
        "stream": True,
        "return_token_ids": True,
        "cache_salt": salt,
    }


async def _send(
    url: str,
    lives: Sequence[Routed],
    bodies: Sequence[dict[str, Any]],
    finished: Callable[[], object],
) -> None:
    from aiohttp import ClientSession, ClientTimeout, TCPConnector

    # An open loop: as many connections as there are requests, and no answer is given up.
    async with ClientSession(
        connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None)
    ) as session:
        start = time.perf_counter()

        async def one(life: Routed, body: dict[str, Any]) -> None:
            await asyncio.sleep(life.arrival - (time.perf_counter() - start))
            await _follow(session, url, life, body, start)
            finished()

        await asyncio.gather(*map(one, lives, bodies))


async def _follow(
    session: ClientSession, url: str, life: Routed, body: dict[str, Any], start: float
) -> None:
    """Send one request and note when each token of its answer comes."""
    from aiohttp import ClientError

    life.sent = time.perf_counter() - start
    try:
        async with session.post(url, json=body) as answer:
            if answer.status != 200:
                life.error = f"HTTP {answer.status}: {(await answer.text())[:200]}"
                return
            async for line in answer.content:
                if line.startswith(b"data: {"):
                    _note(life, json.loads(line[6:]), time.perf_counter() - start)
    except (ClientError, OSError) as error:
        life.error = f"{type(error).__name__}: {error}"
    if life.finish is None and not life.error:
        life.error = "the stream ended before the answer did"


def _note(life: Routed, event: dict[str, Any], now: float) -> None:
    if "error" in event:
        life.error = str(event["error"]["message"])
        return
    for choice in event["choices"]:
        life.replica = event.get("replica", "")
        life.answer += choice.get("token_ids", [])
        life.saw(now, life.answer, choice["finish_reason"] is not None)
