"""The middleware passes everything on as it came, and remembers it for the engine's request."""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from lengthwise.vllm.hints_middleware import LARGEST, HintsMiddleware, heard
from lengthwise.workload.clients import TENANT_HINT

OURS = Namespace(scheduler_cls="lengthwise.vllm.Scheduler", additional_config={})
JSON = (b"content-type", b"application/json")


def server(trust: str) -> Namespace:
    """Arguments of a vLLM with this setting."""
    return Namespace(**{**vars(OURS), "additional_config": {"lengthwise": {"trust": trust}}})


class App:
    """Stands where vLLM's application does: reads the body and asks for the hints."""

    def __init__(self, reads: bool = True) -> None:
        self.reads = reads
        self.scope: Any = None
        self.messages: list[Any] = []
        self.said: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        while self.reads:
            message = await receive()
            self.messages.append(message)
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        # As a streamed answer does: in a task of its own.
        self.said = await asyncio.create_task(self._ask())
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def _ask(self) -> Any:
        found = heard()
        return None if found is None else found.said()


def serve(
    app: App,
    chunks: Iterable[bytes],
    arguments: Any = OURS,
    headers: Iterable[tuple[bytes, bytes]] = (JSON,),
    **scope: Any,
) -> list[Any]:
    """One request through the middleware; what was sent back."""
    pieces = list(chunks)
    coming = [
        {"type": "http.request", "body": piece, "more_body": i < len(pieces) - 1}
        for i, piece in enumerate(pieces)
    ]
    coming.append({"type": "http.disconnect"})
    sent: list[Any] = []
    state = SimpleNamespace(state=SimpleNamespace(args=arguments))
    whole = {"type": "http", "method": "POST", "headers": list(headers), "app": state, **scope}

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(HintsMiddleware(app)(whole, receive, send))
    assert heard() is None
    return sent


def test_a_body_in_pieces_is_passed_on_as_it_came_and_read() -> None:
    app, body = App(), json.dumps({"user": "acme", "prompt": "Hi"}).encode()
    sent = serve(app, [body[:5], b"", body[5:]])
    assert b"".join(each["body"] for each in app.messages) == body
    assert len(app.messages) == 3
    assert app.said.by_body == {TENANT_HINT: "acme"}
    assert [each["type"] for each in sent] == ["http.response.start"]


def test_a_client_that_leaves_is_heard_by_the_app() -> None:
    app = App()
    serve(app, [])
    assert app.messages == [{"type": "http.disconnect"}]


def test_a_request_that_is_turned_away_is_not_read() -> None:
    app = App(reads=False)
    serve(app, [b'{"user": "acme"}'])
    assert app.said.by_body == {}


def test_a_large_body_is_passed_on_and_not_looked_at() -> None:
    app, body = App(), b'{"user": "acme", "prompt": "' + b"x" * LARGEST + b'"}'
    serve(app, [body[: LARGEST // 2], body[LARGEST // 2 :]])
    assert b"".join(each["body"] for each in app.messages) == body
    assert app.said.by_body == {}


def test_only_json_is_looked_at() -> None:
    app = App()
    serve(app, [b'{"user": "acme"}'], headers=[(b"content-type", b"multipart/form-data")])
    assert app.said.by_body == {}


@pytest.mark.parametrize(
    ("arguments", "scope"),
    [
        (OURS, {"method": "OPTIONS"}),
        (OURS, {"method": "HEAD"}),
        (OURS, {"type": "websocket"}),
        (Namespace(scheduler_cls=None), {}),
        (Namespace(scheduler_cls="collections.OrderedDict"), {}),
        (None, {}),
    ],
)
def test_elsewhere_nothing_is_done(arguments: Any, scope: dict[str, Any]) -> None:
    app, headers = App(), [JSON, (b"x-vllm-priority", b"-5")]
    serve(app, [b"{}"], arguments, headers, **scope)
    assert app.said is None
    assert app.scope["headers"] == headers


@pytest.mark.parametrize(("trust", "kept"), [("body", False), ("headers", True), ("none", False)])
def test_vllms_own_header_of_priority_is_there_only_if_headers_are_trusted(
    trust: str, kept: bool
) -> None:
    app, header = App(), (b"x-vllm-priority", b"-5")
    serve(app, [b"{}"], server(trust), [JSON, header])
    assert (header in app.scope["headers"]) is kept
    assert JSON in app.scope["headers"]
    assert app.said.by_headers == {"priority": "-5"}, "it is counted in any case"
