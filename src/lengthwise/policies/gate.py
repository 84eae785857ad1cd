"""The gate: how far requests that came later may be served first, on a clock of admitted work.

The *work clock* is the work admitted so far. Under FCFS a request is admitted when the clock
has moved on by the work that waited at its arrival, whatever the engine's speed. Requests that
arrive at about the same time form an *epoch*. The gate stands behind the first epoch whose last
request would be admitted too late if more of the later ones went first.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

_PART = 16
"""Parts of the longest backlog: an epoch lasts one; the peak sinks by the admitted work over it."""

_RELATIVE = 4
"""An epoch waits at most for so many times the backlog that was the longest when it came."""

_OVERSHOT = 2
"""Largest requests by which what is allowed may be overshot."""

_UNNOTICED = 1 / 8
"""Share of the work in seats that nobody notices: who holds a seat waits for as much anyway."""

_FADE = 0.999
"""What is left of the largest request's size with every arrival."""


def bound(backlog: float, largest: float, tolerance: float) -> float:
    """The longest wait that :class:`Gate` allows, on its clock.

    Args:
        backlog: the longest that there was, which is FCFS's longest wait.
        largest: the largest work of a request.
    """
    return ((1 + 1 / _PART + tolerance) * backlog + 2 * largest) / (1 - tolerance)


@dataclass(slots=True, eq=False)
class Epoch:
    """Requests that arrived at about the same time.

    Attributes:
        number: their order.
        start: the work clock as the epoch began.
        work, requests: what of it waits.
        peak: the longest backlog when its last request came.
    """

    number: int
    start: float
    work: float = 0.0
    requests: int = 0
    peak: float = 0.0

    def __lt__(self, other: Epoch) -> bool:
        return self.number < other.number

    def add(self, work: float) -> None:
        """A request of it waits."""
        self.work += work
        self.requests += 1

    def take(self, work: float) -> None:
        """One of its requests does not wait any more."""
        self.requests -= 1
        # Sums of many floats drift; nothing is nothing.
        self.work = max(self.work - work, 0.0) if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Admission:
    """What an admission changed, so that it can be undone."""

    saved: float
    peak: float


class Gate:
    """Keeps the bound; all work is in tokens.

    With P the longest backlog so far and w the largest work of a request, the wait of a request
    on the work clock is at most ``((1 + 1/16 + tolerance) P + 2 w) / (1 - tolerance)``
    (:func:`bound`), as long as only requests are admitted of which :meth:`passes` is true.

    Args:
        tolerance: share of all admitted work that may go to small requests behind the gate.

    Attributes:
        clock: work admitted so far.
        backlog: work that waits.
        peak: the longest backlog of late.
        saved: work that may be admitted from behind the gate.
        changes: how often anything changed that decides who passes.
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self.clock = self.backlog = self.peak = self.saved = 0.0
        self._seated = self._most_seated = self._largest = 0.0
        self._waiting = 0
        self._epochs: list[Epoch] = []
        self._numbers = 0
        self.changes = 0
        self._at: int | None = None

    def enter(self, work: float) -> Epoch:
        """A request arrives; the epoch that it belongs to."""
        self._largest = max(self._largest * _FADE, work)
        self.peak = max(self.peak, self.backlog)
        if not self._epochs or self.clock - self._epochs[-1].start > self.peak / _PART:
            if self._epochs and not self._epochs[-1].requests:
                self._epochs.pop()
            self._epochs.append(Epoch(self._numbers, self.clock))
            self._numbers += 1
        epoch = self._epochs[-1]
        epoch.peak = self.peak
        self._add(epoch, work)
        return epoch

    def passes(self, epoch: Epoch, work: float) -> bool:
        """Whether a waiting request may be admitted now, as far as the bound is concerned."""
        return epoch.number <= self._gate() or work <= self.saved

    def admit(self, epoch: Epoch, work: float) -> Admission:
        """A waiting request gets a seat."""
        saved, peak = self.saved, self.peak
        spent = 0.0 if epoch.number <= self._gate() else work
        self.saved = min(saved + self.tolerance * work - spent, self.tolerance * peak)
        # A wrapper may admit what this gate would not.
        self.saved = max(self.saved, 0.0)
        self._take(epoch, work)
        self.clock += work
        self._seated += work
        self._most_seated = max(self._most_seated, self._seated)
        self.peak = max(peak - work / _PART, self.backlog)
        return Admission(self.saved - saved, self.peak - peak)

    def undo(self, epoch: Epoch, work: float, done: Admission) -> None:
        """The admission was only a look: the request waits on in its epoch."""
        self.clock -= work
        self._seated -= work
        self._add(epoch, work)
        self.peak -= done.peak
        self.saved = max(self.saved - done.saved, 0.0)

    def rate(self, epoch: Epoch, before: float, work: float) -> None:
        """A waiting request's work is known better."""
        self._largest = max(self._largest, work)
        self._take(epoch, before)
        self._add(epoch, work)
        self.peak = max(self.peak, self.backlog)

    def abandon(self, epoch: Epoch, work: float) -> None:
        """A waiting request is gone."""
        self._take(epoch, work)

    def finish(self, work: float) -> None:
        """A request that held a seat is gone."""
        self._seated = max(self._seated - work, 0.0)

    def _add(self, epoch: Epoch, work: float) -> None:
        if not epoch.requests and epoch not in self._epochs:
            insort(self._epochs, epoch)
        epoch.add(work)
        self.backlog += work
        self._waiting += 1
        self._changed()

    def _take(self, epoch: Epoch, work: float) -> None:
        epoch.take(work)
        self._waiting -= 1
        self.backlog = max(self.backlog - work, 0.0) if self._waiting else 0.0
        if not epoch.requests and epoch is not self._epochs[-1]:
            self._epochs.remove(epoch)
        self._changed()

    def _changed(self) -> None:
        self._at = None
        self.changes += 1

    def _gate(self) -> int:
        """The number of the last epoch before the gate; found anew after each change."""
        if self._at is None:
            self._at = self._find()
        return self._at

    def _find(self) -> int:
        due = self.clock
        # With few seats backlogs are a few requests long, and the gate leaves room for those.
        room = max(_OVERSHOT * self._largest - _UNNOTICED * self._most_seated, 0.0)
        longest = max(self.peak - room, 0.0)
        for epoch in self._epochs:
            due += epoch.work
            allowed = min(longest, _RELATIVE * epoch.peak + self._most_seated)
            if epoch.requests and due >= epoch.start + allowed:
                return epoch.number
        return self._epochs[-1].number if self._epochs else 0
