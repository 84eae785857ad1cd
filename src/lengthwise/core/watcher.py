"""Who is told what becomes of requests: for operators, not for policies."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

R = TypeVar("R", bound=Hashable)


class Watcher(Generic[R]):
    """What the seats tell of each move that they make; this one does nothing with it."""

    def paused(self, request: R, winner: R | None) -> None:
        """A request lost its seat to another one and keeps its KV cache."""

    def resumed(self, request: R) -> None:
        """A paused request has a seat again."""

    def unseated(self, request: R, winner: R | None) -> None:
        """A request is about to lose its seat and its KV cache to another one."""

    def promoted(self, request: R) -> None:
        """A request goes first for a while, for having starved."""
