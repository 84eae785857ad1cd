"""A small server that streams like ``lengthwise route``."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest


class Server:
    """Answers ``[n, ...]`` with n tokens, one each ``pace`` seconds; the replicas in turn.

    Attributes:
        bodies: what was asked, and when.
        script: what to do instead, by the prompt's first token.
        before: answers to be complete before those to a prompt that "waits".
        routers: who was in charge, one after the other.
        first: token id that answers begin with.
    """

    def __init__(self, web: Any, replicas: int = 2, pace: float = 0.02) -> None:
        self._web, self.replicas, self.pace = web, replicas, pace
        self.bodies: list[dict[str, Any]] = []
        self.script: dict[int, Any] = {}
        self.before = 0
        self.routers: list[str] = []
        self.served = self.open = 0
        self.first = 100
        self.address = ""

    def use_router(self, name: str) -> None:
        assert not self.open
        self.routers.append(name)

    async def routing(self, _: Any) -> Any:
        loads = {f"r{i}": self.open for i in range(self.replicas)}
        told = {"in_flight": loads, "predictions": self.served, "resubmitted": 0}
        return self._web.json_response([told])

    async def _others(self) -> None:
        while self.served - self.open < self.before:
            await asyncio.sleep(0.001)

    async def complete(self, http: Any) -> Any:
        body = await http.json()
        self.bodies.append(body)
        wanted = body["prompt"][0]
        if self.script.get(wanted) == "refuse":
            return self._web.json_response({"error": {"message": "no"}}, status=400)
        replica = f"r{self.served % self.replicas}"
        self.served += 1
        self.open += 1
        if self.script.get(wanted) == "waits":
            # The limit only ends a test that hangs.
            await asyncio.wait_for(self._others(), 600)
        answer = self._web.StreamResponse(headers={"x-lengthwise-replica": replica})
        await answer.prepare(http)
        tokens = min(wanted, body["max_tokens"])
        for i in range(tokens):
            await asyncio.sleep(self.pace)
            if i and self.script.get(wanted) in ("fail", "cut"):
                if self.script[wanted] == "fail":
                    await _event(answer, {"error": {"message": "it broke"}})
                break
            finish = "stop" if i == tokens - 1 else None
            choice = {"text": "x", "token_ids": [self.first + i], "finish_reason": finish}
            await _event(answer, {"choices": [choice]})
        self.open -= 1
        await answer.write(b"data: [DONE]\n\n")
        return answer


async def _event(answer: Any, content: dict[str, Any]) -> None:
    await answer.write(f"data: {json.dumps(content)}\n\n".encode())


@pytest.fixture
def server() -> Iterator[Server]:
    web = pytest.importorskip("aiohttp.web", reason="needs aiohttp: pip install lengthwise[ray]")
    it, loop = Server(web), asyncio.new_event_loop()
    app = web.Application()
    app.router.add_get("/v1/routing", it.routing)
    app.router.add_post("/v1/completions", it.complete)
    runner = web.AppRunner(app)

    async def begin() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        it.address = "http://{}:{}".format(*runner.addresses[0])

    loop.run_until_complete(begin())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield it
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(600)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
