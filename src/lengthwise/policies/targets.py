"""``+targets``: what service classes are promised first, then the policy."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import accumulate

from lengthwise.core.policy import FIRST, Key, Policy
from lengthwise.core.request import Request
from lengthwise.core.service import Classes, Target
from lengthwise.policies.shares import Shares
from lengthwise.policies.sizes import Sizes
from lengthwise.policies.tempo import Tempo
from lengthwise.policies.work import Capacity
from lengthwise.policies.wrapper import Wrapper

_LANE = math.log(1.25)

_ALPHA = 1.0 / math.log(100.0)
"""Among the endangered a hundredth of the work counts as much as the time that all need."""

_AHEAD = 4.0
"""A request is in danger once it has less time than so often what those before it need."""

_EARLY = 0.1
"""And once this share of its time is over, whatever is expected."""

_HOPE = 0.5
"""A target is given up when not even this share of the expected time to a first token is left:
some are far faster than the mean, and who is given up by mistake is lost for certain."""

_STARTED, _OWED, _DANGER, _SAFE, _REST = -1.0, 0.0, 1.0, 2.0, 3.0


@dataclass(slots=True)
class _Known:
    """A request that has not ended.

    Attributes:
        service: index of its class; the number of classes if it has none.
        work, log: in tokens, and its logarithm.
        latest: when it needs a seat, in seconds, for its targets to hold.
        soon: until when it is in no danger, whatever the queue.
        on_time: whether its targets may still hold; never again once they do not.
        before: the credits before it was admitted; None while it waits.
    """

    service: int
    work: float
    log: float
    latest: float
    soon: float
    on_time: bool
    before: list[float] | None = None

    @property
    def size(self) -> int:
        """Requests of about the same work."""
        return round(self.log / _LANE)


class Targeted(Wrapper):
    """Keeps promises of service classes; what is not promised goes by the policy.

    Waiting requests go in this order:

    1. groups that are *owed* (:class:`lengthwise.policies.shares.Shares`): a class that was
       served less than its share, and all requests without a promise if they were served less
       than ``tolerance``;
    2. requests *in danger*: their targets can still be met, but not if all that are promised
       as much went first. Earlier classes of the file first; inside a class the earliest
       target, less work counting as more time;
    3. those whose targets hold, in the policy's order;
    4. those without a target, or whose target is missed already, in the policy's order: what is
       late does not make others late.

    How long a prompt takes, and how fast the queue moves, is learned from the engine's clock.
    If nothing is promised, all is as without this wrapper. Preemption is the policy's own.

    Args:
        policy: orders all that is not in danger.
        tolerance: share of the work that those without a promise, or behind theirs, cannot lose.

    Raises:
        ValueError: if the tolerance is outside [0, 1).
    """

    name = "targets"

    def __init__(self, policy: Policy, tolerance: float = 0.02) -> None:
        if not 0.0 <= tolerance < 1.0:
            raise ValueError(f"a share of the work is from 0 to below 1, not {tolerance}")
        super().__init__(policy)
        self.promises = True
        self._tolerance = tolerance
        self._targets: dict[str, tuple[int, Target]] = {}
        self._rest = 0
        self._shares = Shares([])
        self._tempo = Tempo()
        self._sizes = Sizes()
        self._capacity = Capacity()
        self._known: dict[str, _Known] = {}
        self._waiting = 0
        self._due: list[float] = []
        self._behind: list[int] = []
        self._now: list[tuple[float, float, float, float]] = []
        self._overdue = False
        self._changes = 0
        self._next = math.inf

    def promise(self, classes: Classes) -> None:
        super().promise(classes)
        if not classes.promised:
            return
        self.timed = True
        self._targets = {each.name: (i, each.target) for i, each in enumerate(classes.all)}
        self._rest = len(classes.all)
        self._shares = Shares([*(each.share for each in classes.all), self._tolerance])
        # Without a share of its own a class's late requests go with those of all others.
        self._behind = [i if each.share else self._rest for i, each in enumerate(classes.all)]
        self._behind.append(self._rest)
        self._due = [0.0] * self._rest

    # Order.

    @property
    def listens(self) -> bool:
        # Where nothing is promised nothing is counted, and engines do as they do without it.
        return super().listens if self._rest else self._policy.listens

    @property
    def version(self) -> int | None:
        inner = self._policy.version if self._policy.timed else 0
        return None if inner is None else inner + self._changes

    def key(self, request: Request) -> Key:
        known = self._known.get(request.id)
        if known is None or request.started:
            return self._unranked(request, known)
        ahead, weight, owed, owed_behind = (self._now or self._read())[known.service]
        now = self._tempo.now
        order: Key
        if not known.on_time or now > known.latest:
            self._overdue |= known.on_time
            owed, order = owed_behind, (_REST, *self._policy.key(request))
        elif now < (danger := min(known.latest - ahead, known.soon)):
            self._next = min(self._next, danger)
            order = (_SAFE, *self._policy.key(request))
        else:
            self._next = min(self._next, known.latest)
            order = (_DANGER, float(known.service), known.latest + weight * known.log)
        return (_OWED, -owed, *order) if owed > 0.0 else order

    def _unranked(self, request: Request, known: _Known | None) -> Key:
        """The key of a request that has started, or is not known here."""
        inner = self._policy.key(request)
        if not self._rest or inner == FIRST:
            return inner
        if request.started and not self.preemptive:
            return (_STARTED, *inner)
        return (_SAFE if known is not None and known.on_time else _REST, *inner)

    def _read(self) -> list[tuple[float, float, float, float]]:
        """What keys of each class depend on; the last is of requests without one."""
        second = self._tempo.drain(1.0)
        drains = [work * second for work in accumulate(self._due)] + [0.0]
        owed = self._shares.owed()
        rest = owed[-1]
        self._now = [
            (_AHEAD * drain, _ALPHA * drain, own, max(own, rest))
            for drain, own in zip(drains, owed, strict=True)
        ]
        return self._now

    def lane(self, request: Request) -> Hashable:
        inner = self._policy.lane(request)
        known = self._known.get(request.id) if self._rest else None
        if known is None:
            return inner
        if known.on_time and not request.started:
            if self._tempo.now <= known.latest:
                return known.service, True, inner if inner is not None else known.size
            self._misses(known)
        return self._behind[known.service], False, inner

    def shifted(self) -> bool:
        overdue, self._overdue = self._overdue, False
        return super().shifted() or overdue

    def place(self, request: Request) -> Key:
        return self._policy.place(request)

    def _misses(self, known: _Known) -> None:
        """Its targets cannot hold any more."""
        waiting = known.before is None
        if waiting:
            self._shares.waits(self._groups(known), -1)
            self._due[known.service] = max(self._due[known.service] - known.work, 0.0)
        known.on_time = False
        if waiting:
            self._shares.waits(self._groups(known), 1)
        self._change()

    def _groups(self, known: _Known) -> tuple[int, ...]:
        """The groups whose shares it has a part in."""
        if known.on_time:
            return (known.service,)
        return (known.service, self._rest) if known.service < self._rest else (self._rest,)

    # Events.

    def begins(self, seats: int, kv_tokens: int) -> None:
        self._capacity = Capacity(seats, kv_tokens)
        super().begins(seats, kv_tokens)

    def observe(self, now: float, running: Iterable[Request]) -> None:
        if not self._rest:
            super().observe(now, running)
            return
        seen: Iterable[Request] = ()
        if self._tempo.looks:
            seen = running = list(running)
        self._tempo.observe(now, seen, self._waiting > 0)
        if now >= self._next:
            self._next = math.inf
            self._change()
        super().observe(now, running)

    def enters(self, request: Request) -> None:
        super().enters(request)
        if not self._rest or request.started:
            return
        known = self._known.get(request.id)
        if known is None:
            known = self._known[request.id] = self._rate(request)
            self._shares.waits(self._groups(known), 1)
        elif known.before is not None:
            self._tempo.unseated(request, known.work)
            self._shares.undo(self._groups(known), known.before)
            known.before = None
        else:
            return
        self._wait(known, 1)

    def changes(self, request: Request) -> None:
        super().changes(request)
        known = self._known.get(request.id)
        if known is None or known.before is not None:
            return
        self._wait(known, -1)
        self._shares.waits(self._groups(known), -1)
        late = not known.on_time
        known = self._known[request.id] = self._rate(request)
        known.on_time &= not late
        self._shares.waits(self._groups(known), 1)
        self._wait(known, 1)

    def exits(self, request: Request) -> None:
        super().exits(request)
        known = self._known.get(request.id)
        if known is None or known.before is not None or request.started:
            return
        self._wait(known, -1)
        known.before = self._shares.admit(self._groups(known), known.work)
        self._tempo.seated(request, known.work)

    def leave(self, request: Request) -> None:
        super().leave(request)
        known = self._known.pop(request.id, None)
        if known is None:
            return
        if known.before is None:
            self._wait(known, -1)
            self._shares.waits(self._groups(known), -1)
            return
        self._tempo.gone(request)
        self._sizes.finished(request, request.initial)

    def _wait(self, known: _Known, change: int) -> None:
        """It waits, or does so no more."""
        self._change()
        self._waiting += change
        if known.on_time:
            due = self._due[known.service] + change * known.work
            self._due[known.service] = max(due, 0.0)

    def _change(self) -> None:
        self._changes += 1
        self._now = []

    # What a request needs.

    def _rate(self, request: Request) -> _Known:
        answer = self._sizes.answer(request)
        work = max(self._capacity.work(request, answer), 1.0)
        service, target = self._targets.get(request.service, (self._rest, Target()))
        first = _HOPE * self._tempo.first_token(request)
        limits = [
            limit
            for limit in (
                None if target.ttft is None else target.ttft - first,
                None
                if target.deadline is None
                else target.deadline - first - self._tempo.answer(answer - 1.0),
            )
            if limit is not None
        ]
        least = min(limits, default=math.inf)
        latest = request.arrival + least
        soon = request.arrival + _EARLY * least
        return _Known(service, work, math.log(work), latest, soon, math.isfinite(least))
