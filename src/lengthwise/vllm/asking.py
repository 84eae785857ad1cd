"""The API server's side of the live state: asks every engine core of the server, not too often."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from lengthwise.live.state import EngineNow

UTILITY = "lengthwise_state"
"""The method of vLLM's EngineCore that answers, put there by :mod:`lengthwise.vllm.answering`."""

FRESH_S = 0.25
"""Seconds for which an answer counts as the present state: engines are not asked more often."""

PATIENCE_S = 2.0
"""Seconds after which an answer is given up; an engine answers between two steps."""


class NoAnswerError(Exception):
    """An engine gave no answer in time, or has no lengthwise scheduler."""


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
        """The state of each engine, by their numbers.

        Args:
            rows: most requests of each that are listed.
            decisions: most decisions of each, the last ones.

        Raises:
            NoAnswerError: if an engine gave none.
        """
        key = (rows, decisions)
        async with self._locks.setdefault(key, asyncio.Lock()):
            at, known = self._known.get(key, (-FRESH_S, []))
            if time.monotonic() - at < FRESH_S:
                return known
            found = await self._ask(rows, decisions)
            self._known[key] = (time.monotonic(), found)
            return found

    async def _ask(self, rows: int, decisions: int) -> list[EngineNow]:
        call = self._client.call_utility_all_async
        try:
            # Not wait_for: that of Python 3.11 may lose a cancellation, and a server not end.
            async with asyncio.timeout(PATIENCE_S):
                answers = await call(UTILITY, rows, decisions)
            found = [msgspec.json.decode(answer, type=EngineNow) for answer in answers]
        except Exception as error:
            # vLLM raises bare exceptions where a method of the engine core fails or is missing.
            raise NoAnswerError(str(error) or type(error).__name__) from error
        return sorted(found, key=lambda each: each.engine)
