"""One look at the seats: requests move between the queue, the seats and the pause by rank."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import chain
from operator import itemgetter
from typing import Generic, TypeVar

from lengthwise.core.engine import Engine
from lengthwise.core.foresight import Foresight
from lengthwise.core.heads import Heads
from lengthwise.core.paused import Paused
from lengthwise.core.policy import FIRST, LAST, Key, Policy, behind
from lengthwise.core.watcher import Watcher

R = TypeVar("R", bound=Hashable)

_key = itemgetter(0)
"""The key of a pair of key and request."""


class Exchange(Generic[R]):
    """Gives the seats of ``engine.running`` to the best ranks.

    Args:
        pause: whether a request that loses its seat keeps its KV cache.
        margin: how much better a rank must be to take a seat.
        most_paused: requests that may be paused before no waiting one takes a seat.
        on_pause: called with each request that is paused.
        watcher: is told of every move.

    Attributes:
        paused: requests that keep a KV cache without a seat.
        pauses: how often a request was paused.
        worst: no seated key is worse; winners that still wait are not counted.
        foresight: says whether a waiting request's memory lasts.
    """

    def __init__(
        self,
        engine: Engine[R],
        policy: Policy,
        pause: bool,
        margin: float,
        most_paused: float,
        on_pause: Callable[[R], None],
        watcher: Watcher[R],
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._pausing = pause
        self._margin = margin
        self._most_paused = most_paused
        self._on_pause = on_pause
        self._watcher = watcher
        self.paused: Paused[R] = Paused()
        self.foresight: Foresight[R] = Foresight(engine, policy, self.paused.requests)
        self.pauses = 0
        self.worst = FIRST

    def arrange(self) -> None:
        """Give the seats to the best ranks; leaves only their holders in ``running``.

        Waiting requests that win a seat stay in ``waiting``, first: the engine admits them.
        """
        engine = self._engine
        self.worst = LAST
        if not self.paused.requests and not engine.waiting and engine.free_blocks() > engine.seats:
            return
        key, view = self._policy.key, engine.view
        active = [(key(view(request)), request) for request in engine.running]
        heads = Heads(engine, self._policy)
        self.worst = max(map(_key, active), default=FIRST)
        if not self._settled(active, heads):
            self._fill(active, heads)
            active.sort(key=_key)
            self._swap(active, heads)
            engine.running = [request for _, request in active]
            self._make_room(heads.promised)
            self.worst = max(map(_key, active), default=FIRST)
        heads.put_back()

    def fill(self) -> None:
        """Give away free seats only: enough where no rank has changed since the last look."""
        engine = self._engine
        active = [(FIRST, request) for request in engine.running]
        heads = Heads(engine, self._policy)
        self._fill(active, heads)
        engine.running = [request for _, request in active]
        self._make_room(heads.promised)
        self.worst = max(self.worst, max(map(_key, active), default=FIRST))
        heads.put_back()

    def _settled(self, active: list[tuple[Key, R]], heads: Heads[R]) -> bool:
        """Whether no request moves: no seat is free, no better one outside, and memory suffices."""
        engine = self._engine
        if len(active) + heads.seated < engine.seats or engine.free_blocks() < engine.step_blocks:
            return False
        outside = min(self._best_waiting(active, heads), self._best_paused()[0])
        return behind(outside, self._margin) >= self.worst

    def _best_paused(self) -> tuple[Key, R | None]:
        """The best paused request that may take a seat now, and its key."""
        return self.paused.first(self._engine.sits)

    def _best_waiting(self, active: list[tuple[Key, R]], heads: Heads[R]) -> Key:
        """The best key that may take the seat of another now."""
        room = len(self.paused.requests) < self._most_paused
        may = heads.may_preempt and room and len(active) - 1 + heads.seated < heads.seats
        return heads.key if may else LAST

    def _fill(self, active: list[tuple[Key, R]], heads: Heads[R]) -> None:
        """Free seats go to the best of the paused and the waiting."""
        # Beside one that is admitted seats that are held stay empty, or there is no room for it.
        while len(active) + heads.seated < (heads.seats if heads.seated else self._engine.seats):
            key, paused = self._best_paused()
            if heads.best is not None and heads.key < key:
                if len(active) + heads.seated < heads.seats and self._fits(active, heads, []):
                    heads.seat()
                else:
                    # Memory, not seats, is short: smaller keys wait for it.
                    heads.close()
            elif paused is not None:
                self._resume(key, paused, active)
            else:
                return

    def _swap(self, active: list[tuple[Key, R]], heads: Heads[R]) -> None:
        """Better ranks outside take the seats of worse ones that may be interrupted."""
        worst = len(active) - 1
        while worst >= 0:
            waiting, (key, paused) = self._best_waiting(active, heads), self._best_paused()
            victim = active[worst]
            if behind(min(waiting, key), self._margin) >= victim[0]:
                break
            if not self._policy.preemptible(self._engine.view(victim[1])):
                worst -= 1
                continue
            if key <= waiting and paused is not None:
                winner: R | None = paused
                self._resume(key, paused, active)
            elif self._fits(active, heads, [victim]):
                winner = heads.best
                heads.seat()
            else:
                heads.close()
                continue
            del active[worst]
            worst -= 1
            self._stand_up(victim, winner, active, heads)
        active.sort(key=_key)

    def _resume(self, key: Key, request: R, active: list[tuple[Key, R]]) -> None:
        """A paused request gets a seat."""
        self.paused.forget(request)
        active.append((key, request))
        self._watcher.resumed(request)

    def _stand_up(
        self, pair: tuple[Key, R], winner: R | None, active: list[tuple[Key, R]], heads: Heads[R]
    ) -> None:
        """Pause a request, or discard its KV cache where it cannot be paused."""
        engine = self._engine
        engine.view(pair[1]).preemptions += 1
        holders = len(active) + len(self.paused.requests) + heads.seated + 1
        if not self._pausing or holders > engine.slots:
            self._watcher.unseated(pair[1], winner)
            engine.evict(pair[1])
            return
        self.pauses += 1
        self.paused.add(*pair)
        self._watcher.paused(pair[1], winner)
        self._on_pause(pair[1])

    def _fits(
        self, active: list[tuple[Key, R]], heads: Heads[R], leaving: list[tuple[Key, R]]
    ) -> bool:
        """Whether the best waiting request would start: its blocks are free or held by worse ranks.

        Args:
            leaving: who of the active loses the seat to it.
        """
        engine = self._engine
        assert heads.best is not None
        seated = (request for _, request in active)
        if not self.foresight.lasts(heads.best, chain(seated, heads.winners)):
            return False
        spare = engine.free_blocks() - heads.promised - engine.reserve
        spare -= engine.needed_blocks(heads.best)
        if spare < engine.step_blocks:
            outside = [*self.paused.pairs(), *leaving]
            spare += engine.freed_blocks([each for key, each in outside if key > heads.key])
        left = leaving[0][1] if leaving else None
        staying = (each for _, each in active if each is not left)
        return spare >= 0 and engine.starts(heads.best, staying, heads.winners, spare)

    def _make_room(self, promised: int) -> None:
        """Evict the worst paused requests until this step's blocks are free.

        The engine's own victims are the tail of ``running``, where the paused now are not.
        """
        engine = self._engine
        if not self.paused.requests or engine.free_blocks() >= promised + engine.step_blocks:
            return
        needed = promised + engine.growth_blocks(engine.running)
        while self.paused.requests and engine.free_blocks() + engine.coming_blocks() < needed:
            engine.evict(self.paused.take_worst())
