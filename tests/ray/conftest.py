"""Replicas without an engine, and a front before them, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lengthwise.ray.balancer import Balancer
from lengthwise.ray.door import GONE
from lengthwise.ray.status import Status
from lengthwise.routing import Capacity

pytest.importorskip("aiohttp", reason="needs aiohttp: pip install lengthwise[ray]")
pytest.importorskip("uvicorn", reason="needs uvicorn: pip install lengthwise[ray]")


class FakeReplica:
    """Answers what it was asked; ``does`` is what it does instead, with requests still to come.

    Attributes:
        asked: bodies that came, read; and paths.
        left: requests whose client went away.
    """

    def __init__(self, name: str) -> None:
        from aiohttp import web

        self.name, self.address = name, ""
        self.does: list[str] = []
        self.asked: list[Any] = []
        self.headers: list[Any] = []
        self.paths: list[str] = []
        self.left = 0
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)

    async def start(self) -> None:
        from aiohttp import web

        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.address = "http://{}:{}".format(*self.runner.addresses[0])

    async def _answer(self, http: Any) -> Any:
        from aiohttp import web

        body = await http.read()
        self.paths.append(f"{http.method} {http.path_qs}")
        self.headers.append(http.headers)
        try:
            self.asked.append(json.loads(body))
        except ValueError:
            self.asked.append(body)
        does = self.does.pop(0) if self.does else ""
        if does == "gone":
            return web.Response(status=503, headers={GONE: "engine"})
        if does == "dies":
            http.transport.abort()
            return web.Response()
        if does == "waits":
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                self.left += 1
                raise
        if does == "missing":
            return web.json_response({"error": "no such thing"}, status=404)
        if http.path == "/metrics":
            return web.Response(text="# TYPE x gauge\nx 1.0\n")
        if isinstance(self.asked[-1], dict) and self.asked[-1].get("stream"):
            return await self._stream(http, does)
        usage = {"prompt_tokens": 9, "completion_tokens": 3}
        return web.json_response({"from": self.name, "usage": usage}, headers={"x-mine": "yes"})

    async def _stream(self, http: Any, does: str) -> Any:
        from aiohttp import web

        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await answer.prepare(http)
        for i in range(4):
            await answer.write(f'data: {{"i": {i}}}\n\n'.encode())
            await asyncio.sleep(0.01)
            if i == 1 and does == "breaks":
                http.transport.abort()
                return answer
        await answer.write(b"data: [DONE]\n\n")
        return answer


class Fleet:
    """Two such replicas, a balancer that knows them, and the front's address."""

    def __init__(self) -> None:
        self.replicas = [FakeReplica("a"), FakeReplica("b")]
        self.balancer = Balancer("least-in-flight", Capacity(4))
        self.address = ""

    def sees(self, *names: str, later: float = 0.0) -> None:
        """All replicas of these names have just reported."""
        known = {it.name: it for it in self.replicas if it.name in (names or ("a", "b"))}
        now = time.time() + later
        self.balancer.sees({key: Status(now, it.address) for key, it in known.items()})


@pytest.fixture
def fleet() -> Callable[..., Any]:
    """``async with fleet(keys=[...], patience=...) as (fleet, session)``."""
    import uvicorn
    from aiohttp import ClientSession

    from lengthwise.ray.auth import Keys
    from lengthwise.ray.front import Front

    @asynccontextmanager
    async def run(keys: Any = (), **more: Any) -> AsyncIterator[Any]:
        it = Fleet()
        for replica in it.replicas:
            await replica.start()
        it.sees()
        front = Front(lambda: it.balancer, Keys(list(keys)), **more)
        server = uvicorn.Server(uvicorn.Config(front, log_level="critical", ws="none"))
        listening = socket.create_server(("127.0.0.1", 0))
        it.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        serving = asyncio.ensure_future(server._serve([listening]))
        while not server.started:
            await asyncio.sleep(0.005)
        async with ClientSession(it.address) as session:
            yield it, session
        server.should_exit = True
        await serving
        for replica in it.replicas:
            await replica.runner.cleanup()

    return run
