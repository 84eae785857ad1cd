"""What clients connect to: checks the key, places each request, passes it on, sends it again."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import msgspec
from aiohttp import ClientSession
from starlette.types import Receive, Scope, Send

from lengthwise.core.handed_on import packed
from lengthwise.ray import metrics
from lengthwise.ray.asked import Asked, read, with_hints
from lengthwise.ray.auth import Keys
from lengthwise.ray.balancer import Balancer, Place
from lengthwise.ray.counted import Counted
from lengthwise.ray.forward import BrokenError, GoneError, Headers, Request, ask, forward, session
from lengthwise.ray.retry import Patience
from lengthwise.ray.routes import GENERATING, HINTED, asks_everywhere, goes_everywhere
from lengthwise.vllm.hints import PREDICTED_HINT, ROUTED_HINT

_JSON = [(b"content-type", b"application/json")]


class Front:
    """An ASGI application that is the one address of several replicas.

    Args:
        balancer: of this process; it gives None until Ray Serve has made one.
        keys: without one of them nothing that vLLM guards is served, or read.
    """

    def __init__(
        self, balancer: Callable[[], Balancer | None], keys: Keys, patience: Patience | None = None
    ) -> None:
        self._balancer, self._keys = balancer, keys
        self._patience = patience or Patience()
        self._session: ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the start and end of the server."""
        if scope["type"] == "lifespan":
            await self._lives(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1011, "reason": "not through a route"})
        else:
            await self._http(scope, receive, send)

    async def _lives(self, receive: Receive, send: Send) -> None:
        await receive()
        self._session = session()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._session.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if not self._keys.open(method, path, scope["headers"]):
            await _say(send, 401, {"error": "Unauthorized"})
        elif not self._keys.any and _is_private(path) and not _is_local(scope):
            await _say(send, 403, {"error": "only from this machine, as there is no --api-key"})
        elif path == "/v1/routing":
            found = self._balancer()
            await _say(send, 200, [] if found is None else [found.describe()])
        elif path == "/health":
            await self._health(send)
        elif path == "/metrics":
            await self._metrics(scope, send)
        else:
            body = await _body(receive)
            if body is not None:
                await _unless_left(self._serve(_request(scope, body), path, send), receive)

    async def _health(self, send: Send) -> None:
        found = self._balancer()
        await _plain(send, 200 if found is not None and found.addresses() else 503, [], b"")

    async def _metrics(self, scope: Scope, send: Send) -> None:
        # A compressed page could not be read.
        asked = [each for each in scope["headers"] if each[0] != b"accept-encoding"]
        answers = await self._all(_request({**scope, "headers": asked}, b""))
        pages = {key: body.decode() for key, (status, _, body) in answers.items() if status == 200}
        await _plain(send, 200, [(b"content-type", metrics.TYPE)], metrics.together(pages))

    async def _serve(self, request: Request, path: str, send: Send) -> None:
        if goes_everywhere(request.method, path):
            answers = list((await self._all(request)).values())
            await self._first(answers, lambda status: status >= 400, send)
        elif asks_everywhere(path):
            answers = list((await self._all(request)).values())
            await self._first(answers, lambda status: status != 404, send)
        else:
            await self._one(request, path, send)

    async def _all(self, request: Request) -> dict[str, tuple[int, Headers, bytes]]:
        """What each replica that is alive answers."""
        found = self._balancer()
        places = {} if found is None else found.addresses()
        assert self._session is not None
        asked = [ask(self._session, address, request) for address in places.values()]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return {
            key: answer
            for key, answer in zip(places, answers, strict=True)
            if not isinstance(answer, BaseException)
        }

    async def _first(
        self,
        answers: list[tuple[int, Headers, bytes]],
        wanted: Callable[[int], bool],
        send: Send,
    ) -> None:
        """The first answer of such a status, or else any."""
        if not answers:
            await self._none(send)
            return
        status, headers, body = next((it for it in answers if wanted(it[0])), answers[0])
        await _plain(send, status, headers, body)

    async def _one(self, request: Request, path: str, send: Send) -> None:
        """A request for one replica, sent again if that one died before its answer began."""
        asked = read(request.id, path, request.body)
        counted, done = Counted(), False
        try:
            done = await self._tried(request, asked, path, send, counted)
        except BrokenError as error:
            if not error.events:
                raise
            await send({"type": "http.response.body", "body": _broken(str(error))})
        finally:
            counted.end()
            balancer = self._balancer()
            if balancer is not None and path in GENERATING:
                balancer.finished(asked.id, counted.tokens if done else 0, counted.prompt)

    async def _tried(
        self, request: Request, asked: Asked, path: str, send: Send, counted: Counted
    ) -> bool:
        deaths = 0
        for pause in self._patience.pauses():
            balancer = self._balancer()
            place = None if balancer is None else await _placed(balancer, asked, path)
            if place is None or balancer is None:
                await asyncio.sleep(pause)
                continue
            sent = _hinted(request, asked, place) if path in HINTED else request
            try:
                assert self._session is not None
                where = place.key, place.address
                streams = _streams(balancer, asked.id)
                await forward(self._session, where, sent, send, counted, streams)
            except GoneError as gone:
                balancer.lost(place.key)
                deaths += gone.died
                if deaths >= self._patience.deaths:
                    break
                if not balancer.addresses():
                    await asyncio.sleep(pause)
            else:
                return True
        await self._none(send)
        return False

    async def _none(self, send: Send) -> None:
        again = str(self._patience.again_s).encode()
        message = "no replica could answer: try again"
        error = {"message": message, "type": "ServiceUnavailableError", "code": 503}
        body = msgspec.json.encode({"error": error})
        await _plain(send, 503, [*_JSON, (b"retry-after", again)], body)


async def _placed(balancer: Balancer, asked: Asked, path: str) -> Place | None:
    """Where a request goes now; one that is no work goes to the next replica."""
    if path not in GENERATING:
        return balancer.any()
    balancer.submit(asked)
    if balancer.collect:
        await asyncio.sleep(balancer.collect)
    return balancer.place(asked)


def _streams(balancer: Balancer, id: str) -> Callable[[int], None]:
    return lambda tokens: balancer.streams(id, tokens)


def _hinted(request: Request, asked: Asked, place: Place) -> Request:
    hints: dict[str, Any] = {ROUTED_HINT: asked.id}
    if place.predicted is not None:
        hints[PREDICTED_HINT] = packed(place.predicted)
    elif _passes_for_router(asked.body):
        hints[PREDICTED_HINT] = []
    return replace(request, body=with_hints(request.body, asked.body, hints))


def _passes_for_router(body: dict[str, Any]) -> bool:
    """Whether a client sends a prediction in the form that only a router's has."""
    hints = body.get("vllm_xargs")
    return isinstance(hints, dict) and isinstance(hints.get(PREDICTED_HINT), list)


def _request(scope: Scope, body: bytes) -> Request:
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    id = uuid.uuid4().hex
    return Request(scope["method"], target.decode("latin-1"), list(scope["headers"]), body, id)


def _is_private(path: str) -> bool:
    """Whether vLLM's server gives it to this machine only: a replica takes us for a client."""
    return path.startswith(("/lengthwise", "/v1/lengthwise"))


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is None or ip_address(client[0]).is_loopback
    except ValueError:
        return False


async def _body(receive: Receive) -> bytes | None:
    """The whole body, which may have to be sent again; None if the client left."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _unless_left(serving: Any, receive: Receive) -> None:
    """Serve, but no longer than the client is there: its replica aborts what nobody waits for."""
    served, left = asyncio.ensure_future(serving), asyncio.ensure_future(receive())
    try:
        await asyncio.wait({served, left}, return_when=asyncio.FIRST_COMPLETED)
        if served.done():
            served.result()
    finally:
        for each in (served, left):
            each.cancel()
        await asyncio.gather(served, left, return_exceptions=True)


async def _say(send: Send, status: int, content: Any) -> None:
    await _plain(send, status, _JSON, msgspec.json.encode(content))


async def _plain(send: Send, status: int, headers: Headers, body: bytes) -> None:
    kept = [each for each in headers if each[0] != b"content-length"]
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*kept, length]})
    await send({"type": "http.response.body", "body": body})


def _broken(message: str) -> bytes:
    error = {"error": {"message": message, "type": "server_error", "code": 502}}
    return b"data: " + msgspec.json.encode(error) + b"\n\ndata: [DONE]\n\n"
