"""Who sits in an engine's seats: pause, evict and resume running requests by rank."""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Hashable
from operator import itemgetter
from typing import Generic, TypeVar

from lengthwise.core.engine import Engine
from lengthwise.core.heads import Heads
from lengthwise.core.patience import NEVER, Patience
from lengthwise.core.policy import FIRST, LAST, Key, Policy, behind

R = TypeVar("R", bound=Hashable)

UNLIMITED = sys.maxsize

LOOK_EVERY = 4
"""Steps between two looks at full seats in which nothing new happened: ranks move by a
token a step, and a seat is not taken for less than the margin anyway."""


_key = itemgetter(0)
"""The key of a pair of key and request."""


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
        # A paused request generates nothing, so its key is the one it lost its seat with,
        # but under a timed policy: see observe().
        self._paused_keys: list[Key] = []
        # Who keeps a KV cache without a seat, best rank first.
        self.paused: list[R] = []
        self._look_every = look_every
        self._unlooked = 0
        self._patience: Patience[R] | None = None
        if policy.threshold != NEVER:
            self._patience = Patience(policy.threshold.amount, engine.view)
        self.pauses = 0
        # The worst key that arrange() left in a seat, waiting winners not counted;
        # the last of all if it did not look.
        self.worst = LAST

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

    def observe(self) -> None:
        """Tell a timed policy the time and who sits; before a step's decisions.

        The paused must be out of ``running``.
        """
        if not self._policy.timed:
            return
        engine = self._engine
        self._policy.observe(engine.now, map(engine.view, engine.running))
        if self.paused:
            pairs = sorted(((self._key(each), each) for each in self.paused), key=_key)
            self._paused_keys, self.paused = [key for key, _ in pairs], [each for _, each in pairs]

    def gone(self, request: R) -> None:
        """The request has finished or was aborted."""
        self._policy.leave(self._engine.view(request))
        self.forget(request)

    def forget(self, request: R) -> None:
        """The request is not paused any more: the engine itself evicted it, or it is gone."""
        for i, paused in enumerate(self.paused):
            if paused is request:
                del self.paused[i], self._paused_keys[i]
                return

    def idle(self, request: R, since: float | None = None) -> None:
        """From now on (or so) it waits without a token: it arrived, or lost its memory."""
        if self._patience is not None:
            self._patience.watch(request, self._clock if since is None else since)

    @property
    def _clock(self) -> float:
        """What the policy's threshold counts: steps, or seconds."""
        return self._engine.now if self._policy.threshold.seconds else self._engine.step

    @property
    def bounded(self) -> bool:
        """Whether anybody is ever promoted."""
        return self._patience is not None

    @property
    def next_promotion(self) -> float:
        """The step or second at which somebody may have starved."""
        return math.inf if self._patience is None else self._patience.next

    def promote(self) -> bool:
        """Promote whoever has starved by now; whether anybody has."""
        now = self._clock
        if self.next_promotion > now:
            return False
        assert self._patience is not None
        engine = self._engine
        starved = self._patience.starved(
            now, lambda request: request in engine.waiting or request in self.paused
        )
        for request in starved:
            engine.view(request).promote(now, self._policy.quantum)
            if request in engine.waiting:
                engine.waiting.update(request)
            else:
                self.forget(request)
                self._pause((self._key(request), request))
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
        self.worst = LAST
        if not self.paused and not engine.waiting and engine.free_blocks() > engine.seats:
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
        """Give away free seats only: enough where no rank has changed since :meth:`arrange`."""
        engine = self._engine
        active = [(FIRST, request) for request in engine.running]
        heads = Heads(engine, self._policy)
        self._fill(active, heads)
        engine.running = [request for _, request in active]
        self._make_room(heads.promised)
        heads.put_back()

    def _settled(self, active: list[tuple[Key, R]], heads: Heads[R]) -> bool:
        """Whether nobody moves: no seat free, nobody outside better, memory for the step."""
        engine = self._engine
        if len(active) + heads.seated < engine.seats or engine.free_blocks() < engine.step_blocks:
            return False
        return behind(self._outside(heads), self._margin) >= self.worst

    def _key(self, request: R) -> Key:
        return self._policy.key(self._engine.view(request))

    def _outside(self, heads: Heads[R]) -> Key:
        """The best key that may take a seat from someone now."""
        room = len(self.paused) < self._most_paused
        return min(heads.key if heads.may_preempt and room else LAST, self._first_paused())

    def _first_paused(self) -> Key:
        return self._paused_keys[0] if self.paused else LAST

    def _resume(self) -> tuple[Key, R]:
        """Take the best paused request and its key."""
        return self._paused_keys.pop(0), self.paused.pop(0)

    def _with_keys(self) -> list[tuple[Key, R]]:
        return list(zip(self._paused_keys, self.paused, strict=True))

    def _fill(self, active: list[tuple[Key, R]], heads: Heads[R]) -> None:
        """Free seats go to the best of the paused and the waiting."""
        while len(active) + heads.seated < self._engine.seats:
            if heads.best is not None and heads.key < self._first_paused():
                if self._fits(heads, self._with_keys()):
                    heads.seat()
                else:
                    # Memory, not seats, is short: smaller keys wait for it.
                    heads.close()
            elif self.paused:
                active.append(self._resume())
            else:
                return

    def _swap(self, active: list[tuple[Key, R]], heads: Heads[R]) -> None:
        """Better ranks outside take the seats of worse ones that may be interrupted."""
        worst = len(active) - 1
        while worst >= 0:
            outside = self._outside(heads)
            victim = active[worst]
            if behind(outside, self._margin) >= victim[0]:
                break
            if not self._policy.preemptible(self._engine.view(victim[1])):
                worst -= 1
                continue
            if outside == self._first_paused():
                active.append(self._resume())
            elif self._fits(heads, [*self._with_keys(), victim]):
                heads.seat()
            else:
                heads.close()
                continue
            del active[worst]
            worst -= 1
            self._stand_up(victim, heads)
        active.sort(key=_key)

    def _stand_up(self, pair: tuple[Key, R], heads: Heads[R]) -> None:
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

    def _pause(self, pair: tuple[Key, R]) -> None:
        at = bisect_right(self._paused_keys, pair[0])
        self._paused_keys.insert(at, pair[0])
        self.paused.insert(at, pair[1])

    def _fits(self, heads: Heads[R], outside: list[tuple[Key, R]]) -> bool:
        """Whether the best waiting request's blocks are free or held by worse ranks."""
        engine = self._engine
        assert heads.best is not None
        needed = heads.promised + engine.needed_blocks(heads.best) + engine.reserve
        free = engine.free_blocks()
        return needed <= free or needed <= free + sum(
            engine.held_blocks(request) for key, request in outside if key > heads.key
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
            self._paused_keys.pop()
            engine.evict(self.paused.pop())
