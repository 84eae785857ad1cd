"""The seats of an engine: running requests are paused, evicted and resumed by rank."""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable
from typing import Generic, TypeVar

from lengthwise.core.engine import Engine
from lengthwise.core.exchange import Exchange
from lengthwise.core.foresight import Foresight
from lengthwise.core.patience import NEVER, Patience
from lengthwise.core.policy import LAST, Key, Policy, behind
from lengthwise.core.watcher import Watcher

R = TypeVar("R", bound=Hashable)

UNLIMITED = sys.maxsize

LOOK_EVERY = 4
"""Steps between two looks at all ranks in which nothing new happened: ranks move by a
token a step, and a seat is not taken for less than the margin anyway."""


class Seats(Generic[R]):
    """Decides before each step of an engine which requests sit in ``engine.running``.

    An engine calls :meth:`step` before each of its steps, :meth:`idle` when a request
    arrives, :meth:`evicted` when one has lost its memory, and :meth:`gone` when one has
    finished or was aborted.

    A request that loses its seat is paused: it is taken out of ``running``, gets no token,
    and keeps its KV cache.

    Args:
        pause: False to discard the KV cache at once instead.
        margin: how much better a rank must be to take a seat.
        paused_per_seat: the policy's bound on paused requests, or another.
        look_every: steps between two looks at all ranks if nothing is new; None for never,
            where the engine sets ``unsettled`` whenever a decision may change.
        watcher: is told of every move; nobody is where there is none.

    Attributes:
        paused: requests that keep a KV cache without a seat, best rank first.
        unsettled: whether an arrival or a new prediction may move a seat; engines set it,
            a look clears it.
        bounded: whether requests are ever promoted.
        foresight: says which waiting request the engine may admit.
    """

    def __init__(
        self,
        engine: Engine[R],
        policy: Policy,
        pause: bool,
        margin: float,
        paused_per_seat: float | None = None,
        look_every: int | None = LOOK_EVERY,
        watcher: Watcher[R] | None = None,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._telling = policy.listens
        policy.begins(engine.seats, engine.kv_tokens)
        self._margin = margin
        self._watcher = Watcher[R]() if watcher is None else watcher
        bound = policy.paused_per_seat if paused_per_seat is None else paused_per_seat
        self._exchange: Exchange[R] = Exchange(
            engine, policy, pause, margin, bound * engine.seats, self.idle, self._watcher
        )
        self._paused = self._exchange.paused
        self.foresight: Foresight[R] = self._exchange.foresight
        self.paused = self._paused.requests
        self.unsettled = False
        self._look_every = look_every
        self._unlooked = 0
        self._patience: Patience[R] | None = None
        if policy.threshold != NEVER:
            self._patience = Patience(policy.threshold.amount, engine.view)
        self.bounded = self._patience is not None

    # What engines call.

    def step(self) -> None:
        """Before a step: the policy sees the time, the starved are promoted, the best sit."""
        if self._telling:
            self._observe()
        if self._patience is not None and self._promote():
            self.unsettled = True
        if self._policy.preemptive:
            self._look()

    def idle(self, request: R, since: float | None = None) -> None:
        """From now on (or so) it waits without a token: it arrived, or lost its memory."""
        self.foresight.refused = False
        if self._patience is not None:
            self._patience.watch(request, self._clock if since is None else since)

    def gone(self, request: R) -> None:
        """The request has finished or was aborted."""
        self.foresight.gone(request)
        if self._telling:
            self._policy.leave(self._engine.view(request))
        self._paused.forget(request)

    def evicted(self, request: R) -> None:
        """The request has lost its memory and waits again, whoever took it."""
        self._paused.forget(request)
        self.foresight.evicted(request)
        self.idle(request)

    def forget(self, request: R) -> None:
        """The request gave its memory back of its own accord, and comes again."""
        self.foresight.refused = False
        self._paused.forget(request)

    # What engines ask between two steps.

    @property
    def pauses(self) -> int:
        """How often a request was paused."""
        return self._exchange.pauses

    @property
    def contested(self) -> bool:
        """Whether a request is left without a seat, or the next arrival would be."""
        if self.paused:
            return True
        engine = self._engine
        full = len(engine.running) >= engine.seats or engine.free_blocks() <= engine.seats
        return full or bool(engine.waiting)

    @property
    def looks_next(self) -> bool:
        """Whether the next step reads all ranks, or what is expected, whatever happens."""
        if self._look_every is None:
            return False
        if self._policy.preemptive:
            return self._unlooked + 1 >= self._look_every
        return self.foresight.short and self._engine.step % self._look_every == 0

    @property
    def next_promotion(self) -> float:
        """The step or second at which a request may have starved."""
        return math.inf if self._patience is None else self._patience.next

    # An engine that skips steps in which nothing is decided tells and asks more.

    def admitted(self, request: R) -> None:
        """A request got its seat from the queue."""
        if self._policy.preemptive:
            self._exchange.worst = max(self._exchange.worst, self._key(request))

    def worsened(self) -> None:
        """Keys of seated requests may have got worse, and what is expected of them changed."""
        self.foresight.expects_anew()
        self.unsettled = bool(self._engine.waiting) or bool(self.paused)
        self._exchange.worst = LAST

    def beats(self, request: R) -> bool:
        """Whether a request that just came may take a seat."""
        view = self._engine.view(request)
        if not self._policy.may_preempt(view):
            return False
        return behind(self._policy.key(view), self._margin) < self._exchange.worst

    # What happens in a step.

    def _observe(self) -> None:
        engine = self._engine
        self._policy.observe(engine.now, map(engine.view, engine.running))
        if self.paused and self._policy.timed:
            self._paused.rank_anew(self._key)

    @property
    def _clock(self) -> float:
        """What the policy's threshold counts: steps, or seconds."""
        return self._engine.now if self._policy.threshold.seconds else self._engine.step

    def _promote(self) -> bool:
        """Promote every request that has starved by now; whether there is any."""
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
            self._watcher.promoted(request)
            if request in engine.waiting:
                engine.waiting.update(request)
            else:
                self._paused.forget(request)
                self._paused.add(self._key(request), request)
        return bool(starved)

    def _look(self) -> None:
        """Arrange the seats if that may change anything."""
        engine = self._engine
        self._unlooked += 1
        if self._due():
            self._unlooked = 0
            self.unsettled = self.foresight.refused = False
            self._exchange.arrange()
        elif self.paused and len(engine.running) < engine.seats:
            self._exchange.fill()

    def _due(self) -> bool:
        """Whether all ranks are to be read now."""
        engine = self._engine
        seats, seated = engine.seats, len(engine.running)
        if self._look_every is not None:
            # A free seat is no reason: the queue's first takes it, or a paused one that ranks
            # before it. Where many sit, a seat is free in nearly every step.
            return (
                self.unsettled
                or self._unlooked >= self._look_every
                or engine.free_blocks() < engine.step_blocks
            )
        if self.unsettled and seated + len(engine.waiting) + len(self.paused) > seats:
            return True
        # A free seat goes to a paused request; with memory short others must make room.
        return bool(self.paused) and seated < seats and engine.free_blocks() < engine.step_blocks

    def _key(self, request: R) -> Key:
        return self._policy.key(self._engine.view(request))
