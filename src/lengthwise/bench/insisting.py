"""A client that sends a request again where that is safe, as OpenAI's own does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.traces.prompts import read_prompts

if TYPE_CHECKING:
    from aiohttp import ClientSession

_TRIES, _PAUSE_S = 8, 1.0
_BEFORE = 0.2
"""Share of the requests after whose answers ``some`` is called."""


@dataclass
class Answer:
    """What a client got for one request.

    Attributes:
        tries: how often it was sent by the client.
        broken: whether a stream ended in an error after its first token.
    """

    text: str | None = None
    tries: int = 0
    broken: bool = False


def bodies(model: Path, count: int, tokens: int) -> list[dict[str, Any]]:
    """So many requests of different prompts, every other one a stream."""
    prompts = [prompt.text for prompt in read_prompts("builtin")]
    return [
        {
            "model": str(model),
            "messages": [{"role": "user", "content": f"({i}) {prompts[i % len(prompts)]}"[:200]}],
            "max_tokens": tokens,
            "temperature": 0,
            "stream": i % 2 == 1,
        }
        for i in range(count)
    ]


async def send_all(
    address: str, asked: list[dict[str, Any]], some: Callable[[], None] | None = None
) -> list[Answer]:
    """All of them at once; ``some`` is called once a share of them is answered."""
    from aiohttp import ClientSession, ClientTimeout, TCPConnector

    answers = [Answer() for _ in asked]
    left = int(_BEFORE * len(asked))

    async def one(session: ClientSession, answer: Answer, body: dict[str, Any]) -> None:
        nonlocal left
        await _follow(session, f"{address}/v1/chat/completions", body, answer)
        left -= 1
        if left == 0 and some is not None:
            some()

    timeout = ClientTimeout(total=None, sock_connect=5.0)
    async with ClientSession(connector=TCPConnector(limit=0), timeout=timeout) as session:
        await asyncio.gather(*(one(session, *each) for each in zip(answers, asked, strict=True)))
    return answers


async def _follow(session: ClientSession, url: str, body: dict[str, Any], answer: Answer) -> None:
    from aiohttp import ClientError

    while answer.tries < _TRIES and answer.text is None and not answer.broken:
        if answer.tries:
            await asyncio.sleep(_PAUSE_S * answer.tries)
        answer.tries += 1
        try:
            async with session.post(url, json=body) as got:
                if got.status < 500:
                    await _read(got, body["stream"], answer)
        except (ClientError, OSError):
            continue


async def _read(got: Any, stream: bool, answer: Answer) -> None:
    if not stream:
        answer.text = str((await got.json())["choices"][0]["message"]["content"])
        return
    text, ended = "", False
    try:
        async for line in got.content:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                for choice in event.get("choices", ()):
                    text += choice["delta"].get("content") or ""
                    ended = ended or choice["finish_reason"] is not None
    finally:
        answer.broken = bool(text) and not ended
    answer.text = text if ended else None
