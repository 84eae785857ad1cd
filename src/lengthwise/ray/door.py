"""Stands before vLLM's server in a replica: counts requests, and tells when its engine died."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lengthwise.ray.routes import GENERATING

ID, GONE, REPLICA = "x-lengthwise-id", "x-lengthwise-gone", "x-lengthwise-replica"
"""Headers: the route's id of a request; that its engine died before an answer began; who served."""


class Door:
    """Passes requests on.

    The head of an answer waits for its first byte. So an answer whose engine died before that
    never begins, and the route may ask another replica.

    Args:
        app: vLLM's server.
        dead: whether its engine has died.

    Attributes:
        active: ids of the requests that are being served.
        generating: of those, the ones that its engine works on.
    """

    def __init__(self, app: ASGIApp, dead: Callable[[], bool]) -> None:
        self._app, self._dead = app, dead
        self.active: set[str] = set()
        self.generating: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or what else a server is told."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = ID.encode()
        found = next((value.decode() for key, value in scope["headers"] if key == name), None)
        id = found or uuid.uuid4().hex
        self.active.add(id)
        if scope["path"] in GENERATING:
            self.generating.add(id)
        answer = _Answer(send, self._dead)
        try:
            await self._app(scope, receive, answer.take)
        except Exception:
            if answer.begun or not self._dead():
                raise
            await answer.gone()
        finally:
            self.active.discard(id)
            self.generating.discard(id)


class _Answer:
    """One answer on its way out."""

    def __init__(self, send: Send, dead: Callable[[], bool]) -> None:
        self._send, self._dead = send, dead
        self._head: Message | None = None
        self._gone = False
        self.begun = False

    async def take(self, message: Message) -> None:
        """The next message of vLLM's server."""
        if message["type"] == "http.response.start":
            self._head = message
        elif self.begun:
            if not self._gone:
                await self._send(message)
        elif self._dead():
            await self.gone()
        else:
            self.begun = True
            if self._head is not None:
                await self._send(self._head)
            await self._send(message)

    async def gone(self) -> None:
        """The answer is that there is none."""
        self.begun = self._gone = True
        headers: list[Any] = [(GONE.encode(), b"engine"), (b"retry-after", b"5")]
        await self._send({"type": "http.response.start", "status": 503, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"the engine died"})
