"""Foresight: a request waits until the memory that it is expected to need will last.

A request grows with every token. Where the KV memory is short, an engine that admits whatever
fits now takes memory away from running requests later and computes it again. Foresight adds up
what the seated requests are expected to hold when each of them ends, and admits nobody with
whom that is more than there is.

Expectations may be wrong together, as where the longest answers are far longer than the mean.
So it also learns from its failures: what an evicted request held is kept free from then on, and
less of it with every request that finishes. In balance the share of the memory that is kept
free, and idle, is the share of the tokens that are lost to evictions: fewer evictions would cost
more than they save.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from lengthwise.core.engine import Engine
from lengthwise.core.policy import Policy

R = TypeVar("R", bound=Hashable)

_MOST_KEPT = 0.5
"""Share of the memory that is kept free at most."""


class Footprint(NamedTuple):
    """A request's memory, in tokens: those expected still to come, and those it holds."""

    left: float
    held: float

    def before(self, tokens: float) -> Footprint:
        """When it had so many tokens less."""
        return Footprint(self.left + tokens, self.held - tokens)


class Foresight(Generic[R]):
    """Says which waiting request may be admitted, for policies that foresee.

    Args:
        engine: its memory, its queue, and who sits.
        policy: says how many tokens are expected (:meth:`Policy.expected`).
        paused: requests that hold memory without a seat; always the same list.

    Attributes:
        refused: nobody could be admitted, and nothing has come, gone or moved since. The
            seating clears it.
        short: whether what is expected has mattered of late: memory was not plentiful.
        kept: tokens of memory that are kept free for what is not foreseen.
    """

    def __init__(self, engine: Engine[R], policy: Policy, paused: Sequence[R]) -> None:
        self._engine = engine
        self._policy = policy
        self._paused = paused
        self.refused = self.short = False
        self.kept = 0.0
        # All that the holders of memory were expected to hold in the end, at some step.
        self._sum, self._summed_at = math.inf, 0

    def expects_anew(self) -> None:
        """What is expected of those who hold memory has changed."""
        self.refused = False
        self._sum = math.inf

    def evicted(self, request: R) -> None:
        """A request lost its memory; if to others, who needed it, that was not foreseen."""
        engine = self._engine
        self.refused = False
        if not self._policy.foresees:
            return
        held = self._held(request)
        before = engine.free_blocks() * engine.block_tokens - held
        if before < engine.step_blocks * engine.block_tokens:
            self.kept = min(self.kept + held, _MOST_KEPT * engine.kv_tokens)

    def gone(self, request: R) -> None:
        """A request is gone, and what it held is free."""
        self.refused = False
        if self.kept:
            turned_over = self._held(request) / self._engine.kv_tokens
            self.kept *= max(1.0 - turned_over, 0.0)

    def next(self) -> R | None:
        """The waiting request to be admitted next; None if none may be.

        That is the first, if its memory lasts. Others go before it only as far as the policy
        lets them, and only if it can then still be admitted when it could be without them.
        """
        engine, policy, waiting = self._engine, self._policy, self._engine.waiting
        if not waiting:
            return None
        if not policy.foresees:
            return waiting.peek()
        # Without a free seat nobody is admitted, whatever the memory: it need not be looked at.
        if self.refused or len(engine.running) >= engine.seats:
            return None
        head = waiting.peek()
        if self._may(head):
            return head
        known = self._known(engine.running)
        opening = _Opening(known, self._new(head), self._room)
        for request in waiting.fronts():
            if (
                policy.may_overtake(engine.view(request))
                and opening.stays_with(self._new(request))
                and (not engine.admissible(request) or self._last(known, request))
            ):
                return request
        self.refused = True
        return None

    def lasts(self, request: R, seated: Iterable[R]) -> bool:
        """Whether memory lasts with this request, as far as can be foreseen.

        Whatever is expected, a request is admitted if nobody else holds memory.

        Args:
            seated: requests in seats, and those that are promised one before it.
        """
        if not self._policy.foresees or self._engine.kv_tokens <= 0:
            return True
        if self._is_plenty(self._footprint(request)):
            return True
        return self._last(self._known(seated), request)

    def _last(self, known: list[Footprint], request: R) -> bool:
        """Whether memory lasts with this request beside those that hold memory now."""
        return not known or fit([*known, self._new(request)], self._room)

    def _is_plenty(self, mine: Footprint) -> bool:
        """Whether memory is far more than all need, by the last sum: no look at each of them.

        Since then it can only have grown by those that were admitted, and by a token a step of
        each that goes on for longer than expected.
        """
        engine = self._engine
        if engine.free_blocks() * engine.block_tokens < self._room / 2:
            return False
        grown = (engine.step - self._summed_at) * engine.seats
        if self._sum + grown + sum(mine) > self._room / 2:
            return False
        self._sum += sum(mine)
        return True

    def _may(self, request: R) -> bool:
        # The engine itself passes over one that is not ready: it must not keep others.
        engine = self._engine
        return not engine.admissible(request) or self.lasts(request, engine.running)

    @property
    def _room(self) -> float:
        """Tokens that the memory holds, less those that stay free at an admission."""
        engine = self._engine
        return engine.kv_tokens - engine.reserve * engine.block_tokens - self.kept

    def _known(self, seated: Iterable[R]) -> list[Footprint]:
        """The footprints of all that hold memory."""
        holders = [*seated, *self._paused]
        engine, expected, half = self._engine, self._policy.expected, self._engine.block_tokens / 2
        known = []
        # As _footprint has it, but this is asked of every running request before an admission.
        for view in map(engine.view, holders):
            tokens = expected(view)
            holds = view.prompt_tokens + view.generated + half
            known.append(Footprint(tokens if tokens > 0.0 else 0.0, holds))
        left, held = map(sum, zip(*known, strict=True)) if known else (0.0, 0.0)
        used = engine.kv_tokens - engine.free_blocks() * engine.block_tokens
        self._sum, self._summed_at = held + left, engine.step
        self.short = max(self._sum, used) > self._room / 2
        if not self.short:
            return known
        used += sum(map(engine.pending_tokens, holders))
        if used < held:
            # Requests that share a prefix hold less than all their tokens: each its part.
            return [Footprint(left, mine * used / held) for left, mine in known]
        if used > held + len(known) * engine.block_tokens:
            # Others hold memory, and nobody knows how long: loads from elsewhere, sessions.
            known.append(Footprint(max(left for left, _ in known), used - held))
        return known

    def _new(self, request: R) -> Footprint:
        """The footprint of a waiting request, less what others hold of it."""
        left, held = self._footprint(request)
        return Footprint(left, held - self._engine.shared_tokens(request) if self.short else held)

    def _footprint(self, request: R) -> Footprint:
        expected = self._policy.expected(self._engine.view(request))
        return Footprint(max(expected, 0.0), self._held(request))

    def _held(self, request: R) -> float:
        """Tokens of memory that it holds; of its last block it fills half on average."""
        view = self._engine.view(request)
        return view.prompt_tokens + view.generated + self._engine.block_tokens / 2


class _Opening:
    """When a request whose memory does not last now can be admitted, as far as is foreseen.

    While requests run on, what each holds grows as what it is still to generate falls: whether
    they fit is the same question now as later. A request that is admitted later counts as one of
    now, with so many tokens more to come and as many fewer held.
    """

    def __init__(self, known: list[Footprint], head: Footprint, room: float) -> None:
        self._ends = sorted(known)
        self._head = head
        self._room = room
        numbers = range(1, len(known))
        ended = 1 + bisect_left(numbers, True, key=lambda n: fit(self._later(n), room))
        self._at = self._ends[ended - 1].left
        self._then = self._later(ended)

    def stays_with(self, other: Footprint) -> bool:
        """Whether another that is admitted now has ended by then, or leaves it its room."""
        return other.left <= self._at or fit([*self._then, other], self._room)

    def _later(self, ended: int) -> list[Footprint]:
        """Who holds memory when so many have ended and the head is admitted."""
        return [*self._ends[ended:], self._head.before(self._ends[ended - 1].left)]


def fit(requests: list[Footprint], room: float) -> bool:
    """Whether so much memory always holds them, as each ends when its expected tokens have come."""
    held = 0.0
    # Those that go on for longest first: when one ends, they and it hold the most they ever do.
    for count, (left, mine) in enumerate(sorted(requests, reverse=True), 1):
        held += mine
        if held + count * left > room:
            return False
    return True
