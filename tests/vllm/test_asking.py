"""An API server asks its engines not too often, whichever way vLLM's client has to ask them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from lengthwise.live.state import EngineNow, Totals
from lengthwise.vllm import asking
from lengthwise.vllm.asking import Asking, NoAnswerError


def state(engine: int) -> str:
    now = EngineNow(engine, "m", "fcfs", 0.0, 2, 0, 0, 0, [0] * 6, 0.0, 64, 0, Totals())
    return msgspec.json.encode(now).decode()


class Latest:
    """A client of two engines that answer in another order than theirs."""

    def __init__(self) -> None:
        self.asked = 0

    async def call_utility_all_async(self, method: str, rows: int, decisions: int) -> list[str]:
        assert method == asking.UTILITY
        self.asked += 1
        await asyncio.sleep(0)
        return [state(1), state(0)]


class Older:
    """A client of vLLM 0.31."""

    core_engines = (b"1", b"0")

    async def _call_utility_async(self, method: str, *args: int, engine: bytes) -> str:
        assert (method, args) == (asking.UTILITY, (3, 4))
        return state(int(engine))


def test_engines_are_in_order_and_asked_once_while_an_answer_is_fresh() -> None:
    async def ask() -> None:
        client = Latest()
        made = Asking(client)
        found = await asyncio.gather(*(made.states() for _ in range(5)))
        assert [[each.engine for each in states] for states in found] == [[0, 1]] * 5
        assert client.asked == 1
        await made.states(rows=5)
        assert client.asked == 2

    asyncio.run(ask())


def test_an_older_client_is_asked_engine_by_engine() -> None:
    found = asyncio.run(Asking(Older()).states(3, 4))
    assert [each.engine for each in found] == [0, 1]


@pytest.mark.parametrize("client", [object(), None])
def test_a_client_that_cannot_ask_gives_no_answer(client: Any) -> None:
    with pytest.raises(NoAnswerError):
        asyncio.run(Asking(client).states())
