"""The shape of wrappers, written after a ``+``: a policy around another."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar

from lengthwise.core.policy import Key, Overtaking, Policy, hears
from lengthwise.core.request import Request
from lengthwise.core.service import Classes


class Wrapper(Policy):
    """A policy around another; the inner one decides all that the wrapper does not override.

    Attributes:
        still: whether keys of waiting requests move only when the inner policy's do.
    """

    still: ClassVar[bool] = False

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.name = f"{policy.name}+{type(self).name}"
        self.source, self.preemptive = policy.source, policy.preemptive
        self.needs_predictions = policy.needs_predictions
        self.paused_per_seat = policy.paused_per_seat
        self.threshold, self.quantum = policy.threshold, policy.quantum
        self.timed, self.steady = policy.timed, policy.steady
        self.foresees = policy.foresees
        self.reads_cache = policy.reads_cache
        self.slice = policy.slice
        self.promises = policy.promises

    @property
    def listens(self) -> bool:
        return self.timed or hears(type(self), Wrapper) or self._policy.listens

    @property
    def version(self) -> int | None:
        return self._policy.version if self.still else None

    @property
    def overtaking(self) -> Overtaking | None:
        return self._policy.overtaking

    def promise(self, classes: Classes) -> None:
        self._policy.promise(classes)
        # What it orders by may take that.
        self.timed |= self._policy.timed

    def rank(self, request: Request) -> float:
        return self._policy.rank(request)

    def key(self, request: Request) -> Key:
        return self._policy.key(request)

    def lane(self, request: Request) -> Hashable:
        return self._policy.lane(request)

    def shifted(self) -> bool:
        return self._policy.shifted()

    def place(self, request: Request) -> Key:
        return self._policy.place(request)

    def preemptible(self, request: Request) -> bool:
        return self._policy.preemptible(request)

    def may_preempt(self, request: Request) -> bool:
        return self._policy.may_preempt(request)

    def expected(self, request: Request) -> float:
        return self._policy.expected(request)

    def may_overtake(self, request: Request) -> bool:
        return self._policy.may_overtake(request)

    def holds(self, request: Request) -> float:
        return self._policy.holds(request)

    def observe(self, now: float, running: Iterable[Request]) -> None:
        self._policy.observe(now, running)

    def begins(self, seats: int, kv_tokens: int) -> None:
        self._policy.begins(seats, kv_tokens)

    def enters(self, request: Request) -> None:
        self._policy.enters(request)

    def changes(self, request: Request) -> None:
        self._policy.changes(request)

    def exits(self, request: Request) -> None:
        self._policy.exits(request)

    def leave(self, request: Request) -> None:
        self._policy.leave(request)
