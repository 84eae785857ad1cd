"""One HTTP request to one replica, and its answer to the client as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientPayloadError,
    ClientSession,
    ClientTimeout,
    TCPConnector,
)
from starlette.types import Send
from yarl import URL

from lengthwise.ray.counted import Counted
from lengthwise.ray.door import GONE, ID, REPLICA

Headers = list[tuple[bytes, bytes]]

_IDLE_S, _CONNECT_S = 60.0, 5.0
_WHOLE = 2**20
"""Bytes of an answer of known length that is passed on once it is here, so that a replica may
die in the middle of it."""

_OURS_ALONE = {
    *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
    *("upgrade", "expect", "content-length", ID, GONE, REPLICA),
}
"""Headers that are about one connection, not about the request."""

_ANSWERS_ALONE = _OURS_ALONE - {"content-length"} | {"date", "server"}


class GoneError(Exception):
    """The replica is gone, and nothing of its answer was passed on.

    Attributes:
        died: whether it had the request; else it could not be reached.
    """

    def __init__(self, died: bool) -> None:
        super().__init__("the replica is gone")
        self.died = died


class BrokenError(Exception):
    """The replica died in the middle of an answer of which the client has some.

    Attributes:
        events: whether that is a stream of events, which can end with one that says so.
    """

    def __init__(self, events: bool) -> None:
        super().__init__("the replica died in the middle of this answer")
        self.events = events


@dataclass(frozen=True)
class Request:
    """What the client sent.

    Attributes:
        target: path and query, as bytes came.
        id: the route's own id of it.
    """

    method: str
    target: str
    headers: Headers
    body: bytes
    id: str

    def sent(self) -> list[tuple[str, str]]:
        """Its headers for a replica."""
        kept = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]
        return [(name, value) for name, value in kept if name not in _OURS_ALONE] + [(ID, self.id)]


def session() -> ClientSession:
    """Connections to replicas: as many as there are requests, and no answer is given up."""
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=_IDLE_S),
        timeout=ClientTimeout(total=None, sock_connect=_CONNECT_S),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


async def ask(session: ClientSession, address: str, request: Request) -> tuple[int, Headers, bytes]:
    """Status, headers and body of a whole answer.

    Raises:
        GoneError: if there is none.
    """
    try:
        async with _sent(session, address, request) as answer:
            return answer.status, _kept(answer.raw_headers), await answer.read()
    except (ClientConnectionError, ClientPayloadError) as error:
        raise GoneError(died=not isinstance(error, ClientConnectorError)) from error


async def forward(
    session: ClientSession,
    place: tuple[str, str],
    request: Request,
    send: Send,
    counted: Counted,
    streams: Callable[[int], None],
) -> None:
    """Pass a request to a replica and its answer to the client.

    Args:
        place: the replica's name and address.
        counted: is shown the bytes that pass.
        streams: is told the tokens that passed so far.

    Raises:
        GoneError: before anything of the answer was passed on.
        BrokenError: after that.
    """
    begun = events = False
    key, address = place
    try:
        async with _sent(session, address, request) as answer:
            if GONE in answer.headers:
                raise GoneError(died=True)
            events = "event-stream" in answer.headers.get("content-type", "")
            whole = await answer.read() if (answer.content_length or _WHOLE) < _WHOLE else None
            headers = [*_kept(answer.raw_headers), (REPLICA.encode(), key.encode())]
            start = {"type": "http.response.start", "status": answer.status, "headers": headers}
            if whole is not None:
                counted.take(whole)
                begun = True
                await send(start)
                await send({"type": "http.response.body", "body": whole})
                return
            async for chunk in answer.content.iter_any():
                if not begun:
                    begun = True
                    await send(start)
                counted.take(chunk)
                streams(counted.tokens)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if not begun:
                begun = True
                await send(start)
            await send({"type": "http.response.body", "body": b""})
    except (ClientConnectionError, ClientPayloadError) as error:
        if begun:
            raise BrokenError(events) from error
        raise GoneError(died=not isinstance(error, ClientConnectorError)) from error


def _sent(session: ClientSession, address: str, request: Request) -> Any:
    return session.request(
        request.method,
        URL(address + request.target, encoded=True),
        headers=request.sent(),
        data=request.body or None,
        allow_redirects=False,
    )


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    lower = [(name.lower(), value) for name, value in headers]
    return [(name, value) for name, value in lower if name.decode() not in _ANSWERS_ALONE]
