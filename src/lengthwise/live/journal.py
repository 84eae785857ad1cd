"""The last decisions of an engine; logs and spans are told of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from lengthwise.live.decision import Decision


class Journal:
    """Keeps the last decisions, and hands each to whoever listens.

    Args:
        most: decisions that are kept.
    """

    def __init__(self, most: int = 2000) -> None:
        self._kept: deque[Decision] = deque(maxlen=most)
        self.listeners: list[Callable[[Decision], None]] = []

    def add(self, decision: Decision) -> None:
        """A decision was made."""
        self._kept.append(decision)
        for listener in self.listeners:
            listener(decision)

    def last(self, most: int, after: int = 0) -> list[Decision]:
        """The last decisions, oldest first, of index above ``after``."""
        found: list[Decision] = []
        for decision in reversed(self._kept):
            if len(found) >= most or decision.index <= after:
                break
            found.append(decision)
        return found[::-1]
