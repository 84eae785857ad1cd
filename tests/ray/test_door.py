"""What stands before vLLM's server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lengthwise.ray.door import GONE, ID, Door


class Server:
    """An ASGI server of a script: messages, "dies", "waits", or an error."""

    def __init__(self, *script: Any) -> None:
        self.script, self.died = script, False
        self.active: set[str] = set()
        self.generating: set[str] = set()
        self.door = Door(self, lambda: self.died)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.active, self.generating = set(self.door.active), set(self.door.generating)
        for step in self.script:
            if step == "dies":
                self.died = True
            elif isinstance(step, Exception):
                raise step
            else:
                await send(step)

    def ask(self, path: str = "/v1/completions") -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        scope = {"type": "http", "path": path, "headers": [(ID.encode(), b"mine")]}
        asyncio.run(self.door(scope, receive, send))
        return sent


def head(status: int) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": []}


def part(text: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text, "more_body": True}


def test_answers_pass_as_they_are_and_are_counted_meanwhile() -> None:
    script = [head(200), part(b"a"), part(b"b")]
    server = Server(*script)
    assert server.ask() == script
    assert server.active == server.generating == {"mine"}
    assert server.door.active == server.door.generating == set()


def test_only_what_generates_is_an_engine_s_work() -> None:
    server = Server(head(200), part(b"a"))
    server.ask("/tokenize")
    assert (server.active, server.generating) == ({"mine"}, set())


@pytest.mark.parametrize(
    "script",
    [
        ["dies", head(500), part(b"error")],
        [head(200), "dies", part(b"data: error"), part(b"data: [DONE]")],
        ["dies", RuntimeError("dead")],
        [head(200), "dies", RuntimeError("dead")],
    ],
)
def test_an_answer_that_had_not_begun_is_gone(script: list[Any]) -> None:
    first, second = Server(*script).ask()
    assert first["status"] == 503
    assert GONE.encode() in dict(first["headers"])
    assert not second.get("more_body")


def test_an_answer_that_had_begun_ends_as_vllm_ends_it() -> None:
    script = [head(200), part(b"a"), "dies", part(b"data: error")]
    assert Server(*script).ask() == [head(200), part(b"a"), part(b"data: error")]


def test_errors_of_a_living_engine_are_vllm_s_own() -> None:
    server = Server(ValueError("mine"))
    with pytest.raises(ValueError, match="mine"):
        server.ask()
    assert server.door.active == set()


def test_an_empty_answer_is_one() -> None:
    script = [head(200), {"type": "http.response.body"}]
    assert Server(*script).ask() == script
