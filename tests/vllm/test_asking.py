"""An API server asks its engines not too often, and takes the answers that there are."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from lengthwise.live.state import EngineNow, Totals
from lengthwise.vllm import asking
from lengthwise.vllm.asking import Asking, NoAnswerError


class Client:
    """vLLM's client of two engines, named in another order than theirs; some do not answer."""

    core_engines = (b"1", b"0")

    def __init__(self, *silent: bytes) -> None:
        self.silent = silent
        self.asked: list[bytes] = []

    async def _call_utility_async(self, method: str, *args: int, engine: bytes) -> str:
        assert (method, len(args)) == (asking.UTILITY, 2)
        self.asked.append(engine)
        if engine in self.silent:
            await asyncio.Event().wait()
        totals = Totals()
        now = EngineNow(int(engine), "m", "fcfs", 0.0, 2, 0, 0, 0, [0] * 6, 0.0, 64, 0, totals)
        return msgspec.json.encode(now).decode()


def test_engines_are_in_order_and_asked_once_while_an_answer_is_fresh() -> None:
    async def ask() -> None:
        client = Client()
        made = Asking(client)
        found = await asyncio.gather(*(made.states() for _ in range(5)))
        assert [[each.engine for each in states] for states in found] == [[0, 1]] * 5
        assert client.asked == [b"1", b"0"]
        await made.states(rows=5)
        assert client.asked == [b"1", b"0"] * 2

    asyncio.run(ask())


def test_an_engine_that_hangs_does_not_silence_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE_S", 0.01)
    assert [each.engine for each in asyncio.run(Asking(Client(b"0")).states())] == [1]
    with pytest.raises(NoAnswerError, match="TimeoutError"):
        asyncio.run(Asking(Client(b"0", b"1")).states())


@pytest.mark.parametrize("client", [object(), None])
def test_a_client_that_cannot_ask_gives_no_answer(client: Any) -> None:
    with pytest.raises(NoAnswerError):
        asyncio.run(Asking(client).states())


def test_a_cancellation_is_not_lost() -> None:
    async def ask() -> None:
        task = asyncio.create_task(Asking(Client(b"0", b"1")).states())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(ask())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.parametrize(("rows", "fresh"), [(0, 0.25), (10, 0.25), (50, 0.9), (400, 7.9)])
def test_long_lists_stay_fresh_for_longer(clock: list[float], rows: int, fresh: float) -> None:
    client = Client()
    made = Asking(client)

    def at(seconds: float) -> int:
        clock[0] = 100.0 + seconds
        asyncio.run(made.states(rows))
        return len(client.asked)

    assert [at(0.0), at(fresh - 0.01), at(fresh + 0.01)] == [2, 2, 4]


def test_what_is_no_state_is_no_answer() -> None:
    class Odd(Client):
        async def _call_utility_async(self, *_: Any, **__: Any) -> str:
            return "{}"

    with pytest.raises(NoAnswerError):
        asyncio.run(Asking(Odd()).states())
