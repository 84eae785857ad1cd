"""The API server's side of the live state: asks every engine core of the server, not too often."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import msgspec

from lengthwise.live.state import EngineNow

_EARLY_S = 0.1
"""Whoever asks as often as answers are renewed gets a new one each time."""

UTILITY = "lengthwise_state"
"""The method of vLLM's EngineCore that answers, put there by :mod:`lengthwise.vllm.answering`."""

FRESH_S = 0.25
"""Seconds for which an answer counts as the present state: engines are not asked more often."""

FRESH_ROW_S = 0.02
"""The same for each request that an answer may list: 50 of them a second cost an engine about a
millisecond, however many pages are open."""

PATIENCE_S = 2.0
"""Seconds after which an answer is given up; an engine answers between two steps."""


class NoAnswerError(Exception):
    """No engine gave an answer in time, or none has a lengthwise scheduler."""


class Asking:
    """Asks the engines of one API server.

    Whoever asks while an answer is fresh, or on its way, gets that one.

    Args:
        client: vLLM's asynchronous client of its engine cores.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: dict[tuple[int, int], tuple[float, list[EngineNow]]] = {}
        self._locks: dict[tuple[int, int], asyncio.Lock] = {}

    async def states(self, rows: int = 0, decisions: int = 0) -> list[EngineNow]:
        """The state of each engine that answers, by their numbers.

        Args:
            rows: most requests of each that are listed.
            decisions: most decisions of each, the last ones.

        Raises:
            NoAnswerError: if no engine did.
        """
        key = (rows, decisions)
        async with self._locks.setdefault(key, asyncio.Lock()):
            at, known = self._known.get(key, (-math.inf, []))
            if time.monotonic() - at < max(FRESH_S, rows * FRESH_ROW_S - _EARLY_S):
                return known
            found = await self._ask(rows, decisions)
            self._known[key] = (time.monotonic(), found)
            return found

    async def _ask(self, rows: int, decisions: int) -> list[EngineNow]:
        try:
            asked = [self._one(engine, rows, decisions) for engine in self._client.core_engines]
            found = await asyncio.gather(*asked, return_exceptions=True)
        except Exception as error:
            raise NoAnswerError(str(error) or type(error).__name__) from error
        answered = [each for each in found if isinstance(each, EngineNow)]
        if not answered:
            # vLLM raises bare exceptions where a method of the engine core fails or is missing.
            why = next((each for each in found if isinstance(each, Exception)), None)
            raise NoAnswerError(str(why) or type(why).__name__) from why
        return sorted(answered, key=lambda each: each.engine)

    async def _one(self, engine: Any, rows: int, decisions: int) -> EngineNow:
        """One engine's state: vLLM's call for all of them fails if one does."""
        # Not wait_for: that of Python 3.11 may lose a cancellation, and a server not end.
        async with asyncio.timeout(PATIENCE_S):
            call = self._client._call_utility_async
            answer = await call(UTILITY, rows, decisions, engine=engine)
        return msgspec.json.decode(answer, type=EngineNow)
