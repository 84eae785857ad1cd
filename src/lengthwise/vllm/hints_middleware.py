"""ASGI middleware that remembers what an HTTP request says until it becomes an engine's request.

It changes no body: the hints join the request where it leaves for the engine (``trust.py``), which
is after vLLM has checked API key and body. The hints are read there, too, so that a request that
never comes so far costs next to nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from functools import cache
from typing import Any

from lengthwise.vllm.http_hints import PRIORITY_HEADER, Said, read
from lengthwise.vllm.ours import is_ours, served_with, settings_in

logger = logging.getLogger("vllm.lengthwise")

MIDDLEWARE = "lengthwise.vllm.hints_middleware.HintsMiddleware"
"""What vLLM's ``--middleware`` takes."""

LARGEST = 1 << 20
"""Bytes of a body beyond which its fields are not looked at: reading as many takes 1 ms."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_heard: ContextVar[Heard | None] = ContextVar("lengthwise_heard", default=None)


def heard() -> Heard | None:
    """The HTTP request that the running task serves; None outside of one."""
    return _heard.get()


class Heard:
    """One HTTP request: its headers, and its body as far as it has been received.

    Args:
        headers: as ASGI has them.
    """

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._headers = headers
        self._chunks: list[bytes] | None = [] if _is_json(headers) else None
        self._size = 0
        self._said: Said | None = None

    def said(self) -> Said:
        """Its hints, read when they are asked for first."""
        if self._said is None:
            body = None if self._chunks is None else b"".join(self._chunks)
            self._said, self._chunks = read(self._headers, body), None
        return self._said

    def listening(self, receive: Receive) -> Receive:
        """The same messages, of which the body is remembered."""

        async def listen() -> MutableMapping[str, Any]:
            message = await receive()
            if self._chunks is not None and message["type"] == "http.request":
                self._take(message.get("body", b""))
            return message

        return listen

    def _take(self, chunk: bytes) -> None:
        assert self._chunks is not None
        self._size += len(chunk)
        if self._size > LARGEST:
            self._chunks = None
        else:
            self._chunks.append(chunk)


class HintsMiddleware:
    """For ``vllm serve --middleware``; without our scheduler it does nothing.

    vLLM puts its own middlewares inside this one, the check of the API key among them: what they
    turn away has not been read here.

    Args:
        app: vLLM's application.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        trust = _trust(scope) if scope["type"] == "http" and scope["method"] == "POST" else None
        if trust is None:
            await self._app(scope, receive, send)
            return
        heard = Heard(scope["headers"])
        if trust != "headers" and any(name == PRIORITY_HEADER for name, _ in scope["headers"]):
            # vLLM itself would read it.
            kept = [each for each in scope["headers"] if each[0] != PRIORITY_HEADER]
            scope = {**scope, "headers": kept}
        before = _heard.set(heard)
        try:
            await self._app(scope, heard.listening(receive), send)
        finally:
            _heard.reset(before)


def _trust(scope: Scope) -> str | None:
    """Who is trusted to say whose request it is, by the server's settings; None if not ours."""
    arguments = served_with(scope.get("app"))
    if arguments is None:
        _tell_once()
        return None
    if not is_ours(getattr(arguments, "scheduler_cls", None)):
        return None
    return str(settings_in(arguments).get("trust", "body"))


@cache
def _tell_once() -> None:
    logger.warning("lengthwise reads no hints of HTTP: this vLLM keeps no arguments in its app")


def _is_json(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and b"json" in value.lower() for name, value in headers)
