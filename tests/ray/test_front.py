"""What clients connect to, over real HTTP with replicas that do what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lengthwise.core.prediction import point
from lengthwise.ray.retry import Patience
from lengthwise.vllm.hints import PREDICTED_HINT, ROUTED_HINT

CHAT = "/v1/chat/completions"
QUICK = Patience(tries=3, first_s=0.01, most_s=0.01)
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}

Test = Callable[[Any, Any], Awaitable[None]]


def run(fleet: Any, test: Test, **more: Any) -> None:
    async def whole() -> None:
        async with fleet(patience=QUICK, **more) as (it, session):
            await test(it, session)

    asyncio.run(whole())


def idle(it: Any) -> bool:
    return not any(it.balancer.describe()["in_flight"].values())


def test_any_route_passes_with_its_method_query_headers_and_body(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        for _ in range(2):
            async with session.put(
                "/a%2Fb?x=1&y=%20", data=b"\x00raw", headers={"x-a": "b"}
            ) as got:
                assert got.status == 200
                assert got.headers["x-mine"] == "yes"
                assert got.headers["x-lengthwise-replica"] in ("a", "b")
        for replica in it.replicas:
            # One after the other.
            assert replica.paths == ["PUT /a%2Fb?x=1&y=%20"]
            assert replica.asked == [b"\x00raw"]
            assert replica.headers[0]["x-a"] == "b"

    run(fleet, test)


def test_hints_go_along_with_what_generates(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        it.balancer._predict = lambda asked, tokens: point(12.0, "router")
        it.balancer.use("predicted")
        async with session.post(CHAT, json={**BODY, "vllm_xargs": {"mine": 1}}) as got:
            assert (await got.json())["usage"]["completion_tokens"] == 3
        (sent,) = [body for replica in it.replicas for body in replica.asked]
        (headers,) = [each for replica in it.replicas for each in replica.headers]
        assert sent["messages"] == BODY["messages"]
        assert sent["vllm_xargs"]["mine"] == 1
        assert sent["vllm_xargs"][ROUTED_HINT] == headers["x-lengthwise-id"]
        assert sent["vllm_xargs"][PREDICTED_HINT] == [12.0, 0.0]
        assert idle(it)

    run(fleet, test)


def test_no_client_passes_for_a_router(fleet: Any) -> None:
    """Replicas believe a prediction that is a list, as only their router sends it."""

    async def test(it: Any, session: Any) -> None:
        for said in ([1.0, 0.0], 5.0):
            async with session.post(CHAT, json={**BODY, "vllm_xargs": {PREDICTED_HINT: said}}):
                pass
        sent = [
            body["vllm_xargs"].get(PREDICTED_HINT) for each in it.replicas for body in each.asked
        ]
        assert sorted(sent, key=str) == [5.0, []]

    run(fleet, test)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("death", ["gone", "dies"])
def test_what_had_not_begun_is_sent_to_another_replica(
    fleet: Any, death: str, stream: bool
) -> None:
    async def test(it: Any, session: Any) -> None:
        for replica in it.replicas:
            replica.does = [death]
        it.replicas[1].does = []
        # Whichever comes first, one request meets the one that dies.
        answers = [await _ask(session, stream) for _ in range(2)]
        assert [status for status, _ in answers] == [200, 200]
        assert it.balancer.addresses().keys() == {"b"}
        assert it.balancer.describe()["resubmitted"] == 1
        assert idle(it)
        it.sees(later=9.0)
        assert it.balancer.addresses().keys() == {"a", "b"}

    run(fleet, test)


async def _ask(session: Any, stream: bool = False) -> tuple[int, str]:
    async with session.post(CHAT, json={**BODY, "stream": stream}) as got:
        return got.status, await got.text()


def test_a_replica_that_cannot_be_reached_is_no_loss(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        await it.replicas[0].runner.cleanup()
        assert [status for status, _ in [await _ask(session) for _ in range(4)]] == [200] * 4
        assert it.balancer.addresses().keys() == {"b"}

    run(fleet, test)


def test_a_stream_that_had_begun_ends_with_an_error_event(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        for replica in it.replicas:
            replica.does = ["breaks"]
        status, text = await _ask(session, stream=True)
        events = [line.removeprefix("data: ") for line in text.splitlines() if line]
        assert status == 200
        assert events[-1] == "[DONE]"
        assert "in the middle" in json.loads(events[-2])["error"]["message"]
        assert sum(len(replica.asked) for replica in it.replicas) == 1
        assert idle(it)

    run(fleet, test)


def test_with_nothing_left_a_client_is_told_when_to_come_again(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        it.balancer.sees({})
        for path in (CHAT, "/v1/models", "/reset_prefix_cache"):
            async with session.post(path, json=BODY) as got:
                assert got.status == 503
                assert int(got.headers["retry-after"]) > 0
                assert (await got.json())["error"]["code"] == 503
        async with session.get("/health") as got:
            assert got.status == 503
        assert not it.balancer._asked

    run(fleet, test)


def test_a_request_that_kills_engines_kills_no_more_than_a_few(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        for replica in it.replicas:
            replica.does = ["gone"] * 9
        asking = asyncio.ensure_future(_ask(session))
        while not asking.done():
            await asyncio.sleep(0.005)
            it.sees(later=60.0)
        assert asking.result()[0] == 503
        assert sum(len(replica.asked) for replica in it.replicas) <= QUICK.deaths

    run(fleet, test)


def test_the_replica_hears_when_the_client_leaves(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        for replica in it.replicas:
            replica.does = ["waits"]
        asking = asyncio.ensure_future(_ask(session))
        while not any(replica.asked for replica in it.replicas):
            await asyncio.sleep(0.005)
        asking.cancel()
        while not any(replica.left for replica in it.replicas):
            await asyncio.sleep(0.005)
        while not idle(it):
            await asyncio.sleep(0.005)

    run(fleet, test)


def test_without_a_key_nothing_is_read(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        for path in (CHAT, "/v1/routing", "/v1/models"):
            async with session.post(path, data=b"{") as got:
                assert got.status == 401
        good = {"authorization": "Bearer secret"}
        async with session.get("/v1/routing", headers=good) as got:
            assert (await got.json())[0]["in_flight"] == {"a": 0, "b": 0}
        async with session.post(CHAT, json=BODY, headers=good) as got:
            assert got.status == 200
        async with session.get("/health") as got:
            assert got.status == 200
        assert sum(len(replica.asked) for replica in it.replicas) == 1

    run(fleet, test, keys=["secret"])


def test_what_changes_a_server_is_told_to_all(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        async with session.post("/reset_prefix_cache") as got:
            assert got.status == 200
        assert [replica.paths for replica in it.replicas] == [["POST /reset_prefix_cache"]] * 2
        it.replicas[1].does = ["missing"]
        async with session.post("/pause") as got:
            assert got.status == 404

    run(fleet, test)


def test_a_stored_response_is_found_wherever_it_is(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        it.replicas[0].does = ["missing"]
        async with session.get("/v1/responses/resp_1") as got:
            assert (await got.json())["from"] == "b"
        for replica in it.replicas:
            replica.does = ["missing"]
        async with session.get("/v1/responses/resp_1") as got:
            assert got.status == 404

    run(fleet, test)


def test_metrics_are_of_all_replicas(fleet: Any) -> None:
    async def test(it: Any, session: Any) -> None:
        async with session.get("/metrics") as got:
            page = await got.text()
        assert 'x{replica="a"} 1.0' in page
        assert 'x{replica="b"} 1.0' in page

    run(fleet, test)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'{"messages": 3}'])
def test_what_is_wrong_vllm_says(fleet: Any, body: bytes) -> None:
    async def test(it: Any, session: Any) -> None:
        async with session.post(CHAT, data=body) as got:
            assert got.status == 200
        (sent,) = [each for replica in it.replicas for each in replica.asked]
        if isinstance(sent, dict):
            assert sent.pop("vllm_xargs")
            assert sent == json.loads(body)
        else:
            assert sent in (body, [1])

    run(fleet, test)
