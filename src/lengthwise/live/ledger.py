"""What becomes of each request, kept as totals, as decisions, and as who overtook whom."""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass

from lengthwise.core.request import Request
from lengthwise.live.decision import Decision, Kind, Reason
from lengthwise.live.journal import Journal
from lengthwise.live.state import EDGES, Totals


@dataclass(slots=True, eq=False)
class Entry:
    """One request in the system.

    Attributes:
        number: 1, 2, 3, ... by order of arrival.
        arrived: seconds, by the ledger's clock.
        waited: seconds until its first seat; None while it waits for that.
        ttft: seconds until its first token; None before.
        overtaken: requests that arrived later and were admitted before it, once it has a seat.
        label: which of the classes of expected tokens it is counted in while it waits, or -1.
    """

    number: int
    arrived: float
    waited: float | None = None
    ttft: float | None = None
    overtaken: int = 0
    label: int = -1


class Ledger:
    """Told by a scheduler what becomes of requests; O(log n) and a small copy for each event.

    Args:
        journal: gets every decision.
        clock: seconds, by which waiting is counted.
        wall: seconds since 1970.

    Attributes:
        entries: by request id.
        waiting: requests that wait for a seat.
        waiting_by: waiting requests by expected tokens of the answer, as
            :attr:`lengthwise.live.state.EngineNow.waiting_by` has it.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.totals = Totals()
        self.entries: dict[str, Entry] = {}
        self.waiting = 0
        self.waiting_by = [0] * (len(EDGES) + 2)
        self._journal = journal
        self._clock, self._wall = clock, wall
        self._decisions = 0
        # Numbers of those that wait for their first seat, and of those that went before one.
        self._unseated: list[int] = []
        self._passed: list[int] = []
        self._arrivals: dict[int, float] = {}

    # What the scheduler tells.

    def arrives(self, view: Request) -> None:
        """A request came."""
        self.totals.arrived += 1
        entry = self.entries[view.id] = Entry(self.totals.arrived, self._clock())
        self._unseated.append(entry.number)
        self._arrivals[entry.number] = entry.arrived
        self._decide("arrived", view)
        self.waits(view)

    def waits(self, view: Request) -> None:
        """It waits for a seat, or more is known of it while it does."""
        entry = self.entries[view.id]
        self._waits_no_more(entry)
        entry.label = label_of(left_of(view))
        self.waiting_by[entry.label] += 1
        self.waiting += 1

    def predicted(self, view: Request) -> None:
        """There is a prediction of it; in a queue it may count as another size now."""
        entry = self.entries.get(view.id)
        if entry is not None and entry.label >= 0:
            self.waits(view)

    def seated(self, view: Request) -> None:
        """It got a seat from the queue, the first one or another."""
        entry = self.entries[view.id]
        self._waits_no_more(entry)
        if entry.waited is not None:
            self.totals.resumed += 1
            self._decide("resumed", view)
            return
        entry.waited = self._clock() - entry.arrived
        entry.overtaken = self._overtaken(entry.number)
        overtook = self._leaves(entry)
        if overtook:
            insort(self._passed, entry.number)
        self.totals.admitted += 1
        self.totals.overtakings += overtook
        self._decide("admitted", view, overtook=overtook)

    def paused(self, view: Request, winner: Request | None) -> None:
        """It lost its seat and keeps its KV cache."""
        self.totals.paused += 1
        self._decide("paused", view, winner=winner)

    def resumed(self, view: Request) -> None:
        """It was paused, and has a seat again."""
        self.totals.resumed += 1
        self._decide("resumed", view)

    def promoted(self, view: Request) -> None:
        """It goes first for a while, for having starved."""
        self.totals.promoted += 1
        self._decide("promoted", view, "starved")

    def evicted(
        self, view: Request, reason: Reason, winner: Request | None = None, recompute: int = 0
    ) -> None:
        """It lost its KV cache, and with it so many computed tokens, and waits again."""
        self.totals.evicted[reason] = self.totals.evicted.get(reason, 0) + 1
        self.totals.recomputed += recompute
        self._decide("evicted", view, reason, winner, recompute=recompute)
        self.waits(view)

    def begins(self, view: Request) -> None:
        """Its first token is there."""
        entry = self.entries.get(view.id)
        if entry is not None and entry.ttft is None:
            entry.ttft = self._clock() - entry.arrived

    def gone(self, view: Request, reason: Reason) -> None:
        """It has finished, or was aborted; ``view.generated`` is final."""
        ended = reason in ("stop", "length")
        if ended:
            self.totals.finished += 1
        else:
            self.totals.aborted += 1
        self._decide("finished" if ended else "aborted", view, reason)
        self.forget(view.id)

    def forget(self, request_id: str) -> None:
        """It is not to be counted any more."""
        entry = self.entries.pop(request_id, None)
        if entry is None:
            return
        self._waits_no_more(entry)
        if entry.waited is None:
            self._leaves(entry)

    # What metrics and pages ask.

    def overtaken(self, entry: Entry) -> int:
        """Requests that arrived after it and were admitted before it."""
        return entry.overtaken if entry.waited is not None else self._overtaken(entry.number)

    def waited(self, entry: Entry) -> float:
        """Seconds that it waits, or waited, for its first seat."""
        return self._clock() - entry.arrived if entry.waited is None else entry.waited

    @property
    def longest_wait(self) -> float:
        """Seconds for which the request that came first has waited for its first seat."""
        return self._clock() - self._arrivals[self._unseated[0]] if self._unseated else 0.0

    # Within.

    def _overtaken(self, number: int) -> int:
        return len(self._passed) - bisect_right(self._passed, number)

    def _waits_no_more(self, entry: Entry) -> None:
        if entry.label >= 0:
            self.waiting_by[entry.label] -= 1
            self.waiting -= 1
            entry.label = -1

    def _leaves(self, entry: Entry) -> int:
        """It waits for its first seat no more; how many do that came before it."""
        at = bisect_left(self._unseated, entry.number)
        del self._unseated[at], self._arrivals[entry.number]
        if at == 0:
            # Nobody is left whom those before the new oldest one could have overtaken.
            oldest = self._unseated[0] if self._unseated else math.inf
            del self._passed[: bisect_left(self._passed, oldest)]
        return at

    def _decide(
        self,
        kind: Kind,
        view: Request,
        reason: Reason = "",
        winner: Request | None = None,
        overtook: int = 0,
        recompute: int = 0,
    ) -> None:
        self._decisions += 1
        entry = self.entries[view.id]
        known = None if winner is None else self.entries.get(winner.id)
        self._journal.add(
            Decision(
                index=self._decisions,
                at=self._wall(),
                kind=kind,
                number=entry.number,
                request=view.id,
                reason=reason,
                winner=None if known is None else known.number,
                left=left_of(view),
                winner_left=None if winner is None else left_of(winner),
                waited=self._clock() - entry.arrived,
                overtook=overtook,
                recompute=recompute,
                prompt=view.prompt_tokens,
                tokens=view.generated,
                predicted=view.initial,
                tenant=view.tenant or "",
                service=view.service,
                ttft=entry.ttft,
                overtaken=entry.overtaken,
            )
        )


def left_of(view: Request) -> float | None:
    """Predicted tokens that it needs still; None if nothing is predicted."""
    return view.remaining if view.predicted else None


def label_of(tokens: float | None) -> int:
    """The class of so many expected tokens: an index of ``EngineNow.waiting_by``."""
    return len(EDGES) + 1 if tokens is None else bisect_left(EDGES, tokens)
