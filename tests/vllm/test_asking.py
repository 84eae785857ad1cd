"""Engines are asked as often as their answers may cost, by whoever asks."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from lengthwise.live.state import EngineNow, Totals
from lengthwise.vllm import asking
from lengthwise.vllm.asking import Asking, NoAnswerError


def state(number: int) -> bytes:
    counts = (1, 0, 0, 0, [], 0.0, 100, 0, Totals())
    return msgspec.json.encode(EngineNow(number, "m", "fcfs", 0.0, *counts))


class Client:
    """Two engines that answer out of order."""

    def __init__(self) -> None:
        self.asked = 0

    async def call_utility_all_async(self, *_: Any) -> list[bytes]:
        self.asked += 1
        await asyncio.sleep(0)
        return [state(1), state(0)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.parametrize(("rows", "fresh"), [(0, 0.25), (10, 0.25), (50, 0.9), (400, 7.9)])
def test_long_lists_stay_fresh_for_longer(clock: list[float], rows: int, fresh: float) -> None:
    client = Client()
    asked = Asking(client)

    def at(seconds: float) -> int:
        clock[0] = 100.0 + seconds
        found = asyncio.run(asked.states(rows))
        assert [each.engine for each in found] == [0, 1]
        return client.asked

    assert [at(0.0), at(fresh - 0.01), at(fresh + 0.01)] == [1, 1, 2]


def test_whoever_asks_at_once_gets_one_answer(clock: list[float]) -> None:
    client = Client()
    asked = Asking(client)

    async def all_at_once() -> None:
        await asyncio.gather(*(asked.states(5, 5) for _ in range(9)))

    asyncio.run(all_at_once())
    assert client.asked == 1


def test_what_is_no_state_is_no_answer() -> None:
    class Odd:
        async def call_utility_all_async(self, *_: Any) -> list[bytes]:
            return [b"{}"]

    with pytest.raises(NoAnswerError):
        asyncio.run(Asking(Odd()).states())
