"""The feeder asks as long as a client lives, shows silence as such, and never fails a server."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from lengthwise.live.state import EngineNow, Totals
from lengthwise.metrics import exporter
from lengthwise.vllm import asking, feeding

STATE = EngineNow(
    **{"engine": 0, "model": "smol", "policy": "fcfs", "at": 0.0, "seats": 2, "running": 1},
    **{"paused": 0, "waiting": 0, "waiting_by": [0] * 6, "longest_wait": 0.0},
    **{"kv_tokens": 64, "kv_used": 0, "totals": Totals()},
)


class Client:
    """A client of engine cores that answer by a function, or raise what it raises."""

    def __init__(self, answer: Callable[[int], str], client_index: int = 0) -> None:
        model = SimpleNamespace(served_model_name="smol", model="/smol")
        self.vllm_config = SimpleNamespace(model_config=model)
        self.resources = SimpleNamespace(engine_dead=False)
        self.engine_ranks_managed, self.core_engines = [0], [b"0"]
        self.client_index = client_index
        self.asked = self.added = 0
        self._answer = answer

    async def _call_utility_async(self, method: str, *args: int, engine: bytes) -> str:
        assert (method, args, engine) == (asking.UTILITY, (0, 0), b"0")
        self.asked += 1
        return self._answer(self.asked)

    async def add_request_async(self, request: Any) -> None:
        self.added += 1


def answering(asked: int) -> str:
    totals = Totals(steps=asked, arrived=asked)
    return msgspec.json.encode(msgspec.structs.replace(STATE, totals=totals)).decode()


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[CollectorRegistry]:
    """The metrics are a test's own, and time is short."""
    own = CollectorRegistry()
    made = exporter._made
    monkeypatch.setattr(exporter, "_made", lambda registry: made(own))
    monkeypatch.setattr(feeding, "EVERY_S", 0.001)
    monkeypatch.setattr(asking, "FRESH_S", 0.0)
    yield own
    assert not [name for name in REGISTRY._names_to_collectors if name.startswith("lengthwise")]


def up(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("lengthwise_up", {"model_name": "smol", "engine": "0"})


def arrived(registry: CollectorRegistry) -> float | None:
    labels = {"model_name": "smol", "engine": "0"}
    return registry.get_sample_value("lengthwise_requests_arrived_total", labels)


async def until(found: Callable[..., object]) -> None:
    while not found():
        await asyncio.sleep(0.001)


def test_metrics_follow_the_engine_until_it_is_dead(registry: CollectorRegistry) -> None:
    async def serve() -> None:
        client = Client(answering)
        feeding.feed(client)
        feeding.feed(client)
        await until(lambda: client.asked > 3)
        assert len(feeding._TASKS) == 1
        assert up(registry) == 1
        assert (arrived(registry) or 0) >= 3
        client.resources.engine_dead = True
        await until(lambda: not feeding._TASKS)
        assert up(registry) == 0

    asyncio.run(serve())


def test_silence_leaves_all_else_as_it_was_and_is_told_once(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    silent = False

    def moody(asked: int) -> str:
        if silent:
            raise RuntimeError("no such method")
        return answering(asked)

    async def serve() -> None:
        nonlocal silent
        client = Client(moody)
        feeding.feed(client)
        for _ in range(2):
            silent = False
            await until(lambda: up(registry) == 1)
            silent = True
            before = arrived(registry)
            await until(lambda enough=client.asked + 2: client.asked >= enough)
            assert (up(registry), arrived(registry)) == (0, before)

    with caplog.at_level(logging.WARNING, "vllm.lengthwise"):
        asyncio.run(serve())
    assert [record.message for record in caplog.records] == [
        "lengthwise's metrics stay as they are until the engine answers: no such method"
    ]


def test_an_engine_that_hangs_is_silent(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PATIENCE_S", 0.01)

    class Hanging(Client):
        async def _call_utility_async(self, *args: Any, **more: Any) -> str:
            self.asked += 1
            await asyncio.Event().wait()
            return ""

    async def serve() -> None:
        client = Hanging(answering)
        feeding.feed(client)
        await until(lambda: client.asked > 2)
        assert up(registry) == 0

    asyncio.run(serve())


def test_whatever_fails_is_told_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(exporter.Exporter, "show", broken)

    async def serve() -> None:
        client = Client(answering)
        feeding.feed(client)
        await until(lambda: client.asked > 3)

    with caplog.at_level(logging.WARNING, "vllm.lengthwise"):
        asyncio.run(serve())
    assert [record.message for record in caplog.records] == [
        "lengthwise's metrics cannot be set: no space left on device"
    ]


def test_of_several_servers_only_the_first_asks() -> None:
    async def serve() -> None:
        client = Client(answering, client_index=1)
        feeding.feed(client)
        assert not feeding._TASKS
        await asyncio.sleep(0.01)
        assert client.asked == 0

    asyncio.run(serve())


def test_it_begins_with_the_first_request_where_no_loop_runs_yet(
    registry: CollectorRegistry,
) -> None:
    client = Client(answering)
    feeding.feed(client)
    assert not feeding._TASKS

    async def serve() -> None:
        await client.add_request_async(None)
        await client.add_request_async(None)
        assert client.added == 2
        assert len(feeding._TASKS) == 1
        await until(lambda: client.asked > 1)
        assert up(registry) == 1

    asyncio.run(serve())


def test_it_keeps_no_client_alive() -> None:
    async def serve() -> None:
        feeding.feed(Client(answering))
        gc.collect()
        await until(lambda: not feeding._TASKS)

    asyncio.run(serve())
