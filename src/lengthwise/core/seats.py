"""Who sits in an engine's seats: pause, evict and resume running requests by rank."""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from lengthwise.core.patience import Patience
from lengthwise.core.policy import Policy
from lengthwise.core.queue import RankQueue
from lengthwise.core.request import Request

R = TypeVar("R", bound=Hashable)

UNLIMITED = sys.maxsize

LOOK_EVERY = 4
"""Steps between two looks at full seats in which nothing new happened: ranks move by a
token a step, and a seat is not taken for less than the margin anyway."""


class Engine(Protocol[R]):
    """What the seating asks of an engine; vLLM and the simulator both answer.

    Attributes:
        seats: most requests in one step.
        slots: most requests that can hold a KV cache at once, paused ones included.
        running: who sits now; the tail falls first when memory runs out.
        waiting: who has no KV cache, in the policy's order.
        step_blocks: more blocks of KV memory than one step can take.
        step: how many steps there have been.
        reserve: blocks that must stay free when a request is admitted.
    """

    seats: int
    slots: int
    running: list[R]
    step_blocks: int
    reserve: int

    @property
    def waiting(self) -> RankQueue[R]:
        """The queue of waiting requests."""

    @property
    def step(self) -> int:
        """Steps so far."""

    @property
    def taken_seats(self) -> int:
        """Seats that go to requests the seating does not see."""

    def view(self, request: R) -> Request:
        """What the policy sees of the request, up to date."""

    def admissible(self, request: R) -> bool:
        """Whether a waiting request could be admitted now, memory aside."""

    def free_blocks(self) -> int:
        """Free blocks of KV memory."""

    def held_blocks(self, request: R) -> int:
        """Blocks the request holds."""

    def needed_blocks(self, request: R) -> int:
        """Blocks for all tokens the request has, and one more."""

    def evict(self, request: R) -> None:
        """Discard its KV cache and let it wait; calls :meth:`Seats.forget`."""


class Seats(Generic[R]):
    """Decides before each step who sits in ``engine.running``.

    A request that loses its seat is paused: it is taken out of ``running`` for the time
    of a step, gets no token, and keeps its KV cache. Engines may keep the paused at the
    tail of ``running`` between steps (:meth:`rejoin`), worst rank last.

    Args:
        pause: False to discard the KV cache at once instead.
        margin: how much better a rank must be to take a seat.
        paused_per_seat: the policy's bound on paused requests, or another.
        look_every: steps between two looks of :meth:`look` if nothing is new.
    """

    def __init__(
        self,
        engine: Engine[R],
        policy: Policy,
        pause: bool,
        margin: float,
        paused_per_seat: float | None = None,
        look_every: int = LOOK_EVERY,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._pausing = pause
        self._margin = margin
        bound = policy.paused_per_seat if paused_per_seat is None else paused_per_seat
        self._most_paused = bound * engine.seats
        # A paused request generates nothing, so its rank is the one it lost its seat with.
        self._paused_ranks: list[float] = []
        # Who keeps a KV cache without a seat, best rank first.
        self.paused: list[R] = []
        self._look_every = look_every
        self._unlooked = 0
        self._patience: Patience[R] | None = None
        if policy.threshold < math.inf:
            self._patience = Patience(policy.threshold, engine.view)
        self.pauses = 0
        # The worst rank that arrange() left in a seat, waiting winners not counted;
        # infinite if it did not look.
        self.worst = math.inf

    @property
    def contested(self) -> bool:
        """Whether somebody is left without a seat, or the next arrival would be."""
        if self.paused:
            return True
        engine = self._engine
        full = len(engine.running) >= engine.seats or engine.free_blocks() <= engine.seats
        return full or bool(engine.waiting)

    def leave(self) -> None:
        """Take the paused out of ``running`` again, where :meth:`rejoin` put them."""
        if self.paused:
            del self._engine.running[-len(self.paused) :]

    def rejoin(self) -> None:
        """Show the paused at the tail of ``running``."""
        self._engine.running.extend(self.paused)

    def forget(self, request: R) -> None:
        """The request has finished, was aborted or evicted."""
        for i, paused in enumerate(self.paused):
            if paused is request:
                del self.paused[i], self._paused_ranks[i]
                return

    def idle(self, request: R) -> None:
        """From now on the request waits without a token: it arrived, or lost its memory."""
        if self._patience is not None:
            self._patience.watch(request, self._engine.step)

    @property
    def next_promotion(self) -> float:
        """The step at which somebody may have starved."""
        return math.inf if self._patience is None else self._patience.next

    def promote(self) -> bool:
        """Promote whoever has starved by now; whether anybody has."""
        if self.next_promotion > self._engine.step:
            return False
        assert self._patience is not None
        engine = self._engine
        starved = self._patience.starved(
            engine.step, lambda request: request in engine.waiting or request in self.paused
        )
        for request in starved:
            engine.view(request).promote(engine.step, self._policy.quantum)
            if request in engine.waiting:
                engine.waiting.update(request)
            else:
                self.forget(request)
                self._pause((self._policy.rank(engine.view(request)), request))
        return bool(starved)

    def look(self, news: bool) -> None:
        """:meth:`arrange` if it may change anything, else every few steps.

        ``news``: a waiting request has a new prediction.
        """
        engine = self._engine
        self._unlooked += 1
        if (
            news
            or self._unlooked >= self._look_every
            or len(engine.running) < engine.seats
            or engine.free_blocks() < engine.step_blocks
        ):
            self._unlooked = 0
            self.arrange()

    @property
    def looks_next(self) -> bool:
        """Whether the next :meth:`look` reads all ranks, whatever happens."""
        return self._unlooked + 1 >= self._look_every

    def arrange(self) -> None:
        """Give the seats to the best ranks; leaves only their holders in ``running``.

        Waiting requests that win a seat stay in ``waiting``, first: the engine admits them.
        """
        engine = self._engine
        self.worst = math.inf
        if not self.paused and not engine.waiting and engine.free_blocks() > engine.seats:
            return
        rank = self._policy.rank
        active = [(rank(engine.view(request)), request) for request in engine.running]
        heads = _Heads(engine, self._policy)
        self.worst = max(map(_rank, active), default=-math.inf)
        if not self._settled(active, heads):
            active.sort(key=_rank)
            self._fill(active, heads)
            self._swap(active, heads)
            engine.running = [request for _, request in active]
            self._make_room(heads.promised)
            self.worst = max(map(_rank, active), default=-math.inf)
        heads.put_back()

    def fill(self) -> None:
        """Give away free seats only: enough where no rank has changed since :meth:`arrange`."""
        engine = self._engine
        active = [(-math.inf, request) for request in engine.running]
        heads = _Heads(engine, self._policy)
        self._fill(active, heads)
        engine.running = [request for _, request in active]
        self._make_room(heads.promised)
        heads.put_back()

    def _settled(self, active: list[tuple[float, R]], heads: _Heads[R]) -> bool:
        """Whether nobody moves: no seat free, nobody outside better, memory for the step."""
        engine = self._engine
        if len(active) + heads.seated < engine.seats or engine.free_blocks() < engine.step_blocks:
            return False
        return self._outside(heads) + self._margin >= self.worst

    def _outside(self, heads: _Heads[R]) -> float:
        """The best rank that may take a seat from someone now."""
        room = len(self.paused) < self._most_paused
        return min(heads.rank if heads.may_preempt and room else math.inf, self._first_paused())

    def _first_paused(self) -> float:
        return self._paused_ranks[0] if self.paused else math.inf

    def _resume(self) -> tuple[float, R]:
        """Take the best paused request and its rank."""
        return self._paused_ranks.pop(0), self.paused.pop(0)

    def _with_ranks(self) -> list[tuple[float, R]]:
        return list(zip(self._paused_ranks, self.paused, strict=True))

    def _fill(self, active: list[tuple[float, R]], heads: _Heads[R]) -> None:
        """Free seats go to the best of the paused and the waiting."""
        while len(active) + heads.seated < self._engine.seats:
            if heads.best is not None and heads.rank < self._first_paused():
                if self._fits(heads, self._with_ranks()):
                    heads.seat()
                else:
                    # Memory, not seats, is short: smaller ranks wait for it.
                    heads.close()
            elif self.paused:
                active.append(self._resume())
            else:
                return

    def _swap(self, active: list[tuple[float, R]], heads: _Heads[R]) -> None:
        """Better ranks outside take the seats of worse ones that may be interrupted."""
        worst = len(active) - 1
        while worst >= 0:
            outside = self._outside(heads)
            victim = active[worst]
            if outside + self._margin >= victim[0]:
                break
            if not self._policy.preemptible(self._engine.view(victim[1])):
                worst -= 1
                continue
            if outside == self._first_paused():
                active.append(self._resume())
            elif self._fits(heads, [*self._with_ranks(), victim]):
                heads.seat()
            else:
                heads.close()
                continue
            del active[worst]
            worst -= 1
            self._stand_up(victim, heads)
        active.sort(key=_rank)

    def _stand_up(self, pair: tuple[float, R], heads: _Heads[R]) -> None:
        """Pause a request, or discard its KV cache where it cannot be paused."""
        engine = self._engine
        engine.view(pair[1]).preemptions += 1
        standing = len(engine.running) + len(self.paused) + heads.seated
        if not self._pausing or standing > engine.slots:
            engine.evict(pair[1])
            return
        self.pauses += 1
        self._pause(pair)
        self.idle(pair[1])

    def _pause(self, pair: tuple[float, R]) -> None:
        at = bisect_right(self._paused_ranks, pair[0])
        self._paused_ranks.insert(at, pair[0])
        self.paused.insert(at, pair[1])

    def _fits(self, heads: _Heads[R], outside: list[tuple[float, R]]) -> bool:
        """Whether the best waiting request's blocks are free or held by worse ranks."""
        engine = self._engine
        assert heads.best is not None
        needed = heads.promised + engine.needed_blocks(heads.best) + engine.reserve
        free = engine.free_blocks()
        return needed <= free or needed <= free + sum(
            engine.held_blocks(request) for rank, request in outside if rank > heads.rank
        )

    def _make_room(self, promised: int) -> None:
        """Evict the worst paused requests until this step's blocks are free.

        The engine's own victims are the tail of ``running``, where the paused now are not.
        """
        engine = self._engine
        if not self.paused or engine.free_blocks() >= promised + engine.step_blocks:
            return
        growth = sum(
            max(engine.needed_blocks(request) - engine.held_blocks(request), 0)
            for request in engine.running
        )
        while self.paused and engine.free_blocks() < promised + growth:
            engine.evict(self.paused[-1])


def _rank(pair: tuple[float, R]) -> float:
    return pair[0]


class _Heads(Generic[R]):
    """The waiting requests that take a seat in this step, best first."""

    def __init__(self, engine: Engine[R], policy: Policy) -> None:
        self._engine = engine
        self._policy = policy
        self._taken: list[R] = []
        self.seated = engine.taken_seats
        self.promised = 0
        self._closed = False
        self._look()

    def _look(self) -> None:
        """Find the best waiting request that could be admitted now."""
        waiting = self._engine.waiting
        self.best: R | None = None
        self.rank, self.may_preempt = math.inf, False
        while waiting and not self._closed:
            request = waiting.peek()
            if not self._engine.admissible(request):
                self._taken.append(waiting.pop())
                continue
            self.best = request
            view = self._engine.view(request)
            self.rank = self._policy.rank(view)
            self.may_preempt = self._policy.may_preempt(view)
            return

    def seat(self) -> None:
        """The best one gets a seat and is promised its blocks; look at the next."""
        engine = self._engine
        best = engine.waiting.pop()
        self._taken.append(best)
        self.seated += 1
        self.promised += engine.needed_blocks(best) + engine.reserve
        self._look()

    def close(self) -> None:
        """Nobody else is admitted in this step."""
        self._closed = True
        self._look()

    def put_back(self) -> None:
        """The engine itself admits them, in the same order."""
        for request in self._taken:
            self._engine.waiting.push(request)
