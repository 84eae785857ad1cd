"""The bench of kills, as far as nothing is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lengthwise.bench.beside import compare
from lengthwise.bench.insisting import bodies, send_all
from lengthwise.bench.kills import main
from lengthwise.errors import UserError


@pytest.mark.parametrize(
    ("victims", "said"),
    [("king", "no 'king' to kill"), ("scale,replica", "scale comes last"), ("", "no '' to kill")],
)
def test_who_cannot_be_killed_is_named(victims: str, said: str) -> None:
    found = CliRunner().invoke(main, ["model", "--victims", victims])
    assert isinstance(found.exception, UserError)
    assert said in str(found.exception)


class Server:
    """Chat completions of two words; ``script`` says what happens to the next requests."""

    def __init__(self, *script: str) -> None:
        self.script, self.asked = list(script), 0

    async def answer(self, http: Any) -> Any:
        from aiohttp import web

        self.asked += 1
        body = await http.json()
        does = self.script.pop(0) if self.script else ""
        if does == "503":
            return web.Response(status=503)
        if does == "reset":
            http.transport.abort()
            return web.Response()
        if not body["stream"]:
            return web.json_response({"choices": [{"message": {"content": "two words"}}]})
        answer = web.StreamResponse()
        await answer.prepare(http)
        for word, finish in (("two", "null"), (" words", '"stop"')):
            if does == "breaks" and finish != "null":
                break
            event = (
                f'{{"choices": [{{"delta": {{"content": "{word}"}}, "finish_reason": {finish}}}]}}'
            )
            await answer.write(f"data: {event}\n\n".encode())
        return answer


def sent(server: Server, stream: bool, monkeypatch: pytest.MonkeyPatch) -> Any:
    from aiohttp import web

    monkeypatch.setattr("lengthwise.bench.insisting._PAUSE_S", 0.001)

    async def whole() -> Any:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", server.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = "http://{}:{}".format(*runner.addresses[0])
        found = await send_all(address, [{"stream": stream}])
        await runner.cleanup()
        return found[0]

    return asyncio.run(whole())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("script", [[], ["503"], ["reset", "503"]])
def test_a_client_sends_again_what_has_not_begun(
    script: list[str], stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp")
    answer = sent(Server(*script), stream, monkeypatch)
    assert (answer.text, answer.tries, answer.broken) == ("two words", 1 + len(script), False)


def test_a_stream_that_had_begun_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    server = Server("breaks")
    answer = sent(server, True, monkeypatch)
    assert (answer.text, answer.broken, server.asked) == (None, True, 1)


def test_half_of_the_requests_are_streams_and_no_two_are_alike() -> None:
    made = bodies(Path("model"), 200, 4)
    assert sum(body["stream"] for body in made) == 100
    assert len({body["messages"][0]["content"] for body in made}) == 200


def test_what_a_server_adds_to_itself_is_little(server: Any) -> None:
    found = compare(server.address, server.address, "/v1/routing", None, 5)
    assert found["direct_p50"] > 0.0
    assert found["through_p99"] >= found["through_p50"]
    assert found["added_p50"] == pytest.approx(found["through_p50"] - found["direct_p50"], abs=0.01)
