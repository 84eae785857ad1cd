"""One instance as a router believes it to be: what it holds, and how long that will take."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

Key = Hashable

_SLACK = 0.05
"""Seconds that clocks and messages may differ by."""

_STALE_S = 5.0
"""Seconds for which work runs down by the clock before it is computed anew."""

_EPS = 1e-9


@dataclass(frozen=True)
class Capacity:
    """What an instance can hold and do.

    Attributes:
        seats: most requests that it decodes at once.
        memory: tokens of KV cache.
        prefill_s: seconds of all its seats that one prompt token costs.
        pace: seconds between two tokens of a request in a seat, until a report tells.
        ranked: whether its policy serves shorter requests first.
    """

    seats: int
    memory: float = math.inf
    prefill_s: float = 0.0
    pace: float = 0.05
    ranked: bool = False

    def share(self, context: float) -> float:
        """The share of the instance that a request of so many tokens takes: seat or memory."""
        return max(1.0 / self.seats, min(context / self.memory, 1.0))


@dataclass(slots=True, eq=False)
class Flight:
    """A request on its way: dispatched, and not known to have ended.

    Attributes:
        id: the request's own; the same after a resubmission.
        prompt_tokens: length of the prompt.
        predicted: output tokens as predicted once at arrival; NaN is unknown.
        expected: the mean of what that has come to stand for.
        dispatched: when it was sent to its instance, in seconds.
        generated: tokens it had at the time ``seen``.
        streaming: whether a token of it was seen.
        told: tokens still to come at ``seen`` as its instance itself predicts; NaN if it does not.
        most: tokens at which it ends in any case, its ``max_tokens``.
    """

    id: str
    prompt_tokens: int
    predicted: float
    expected: float = math.nan
    dispatched: float = math.inf
    generated: float = 0.0
    seen: float = 0.0
    streaming: bool = False
    told: float = math.nan
    most: float = math.inf


@dataclass(frozen=True)
class Report:
    """What an instance says of itself, perhaps long ago.

    Attributes:
        at: when it was true, in seconds.
        held: generated tokens of each request it held then, by id.
        left: tokens still to come as it predicts them, of those that it predicts.
        pace: seconds between two tokens of a request in a seat; NaN if idle.
    """

    at: float
    held: Mapping[str, int]
    left: Mapping[str, float] = field(default_factory=dict)
    pace: float = math.nan


class Instance:
    """Requests in flight to one instance, and the time they will take.

    Args:
        key: names it.
        capacity: what it can hold and do.
        left: expected tokens to come from a prediction and the tokens generated.
    """

    def __init__(self, key: Key, capacity: Capacity, left: Callable[[float, float], float]) -> None:
        self.key = key
        self.pace = capacity.pace
        self.ranked = capacity.ranked
        self.flights: dict[str, Flight] = {}
        self.foreign = 0
        self._capacity = capacity
        self._left = left
        self._ended: dict[str, float] = {}
        self._fresh = False
        self._at = self._work = self._wait = 0.0
        self._lefts: list[float] = []
        self._until = [0.0]

    @property
    def in_flight(self) -> int:
        """Requests it holds: those sent from here, and those of others that it reported."""
        return len(self.flights) + self.foreign

    def dispatch(self, flight: Flight) -> None:
        """A request is sent to it."""
        self.flights[flight.id] = flight
        self._fresh = False

    def streams(self, id: str, generated: int, now: float) -> None:
        """So many tokens of a request were seen."""
        flight = self.flights.get(id)
        if flight is not None:
            flight.told -= generated - flight.generated
            flight.generated, flight.seen, flight.streaming = generated, now, True
            self._fresh = False

    def end(self, id: str, now: float) -> Flight | None:
        """A request was seen to end, or is taken back; None if it is not here."""
        flight = self.flights.pop(id, None)
        self._ended[id] = now
        self._fresh = False
        return flight

    def report(self, report: Report) -> list[Flight]:
        """Correct what is believed by what was true at the report's time.

        What was sent since then stays; what was seen to end since then is not counted again.
        Returns what ended unseen: sent before the report, and not in it.
        """
        self._fresh = False
        if report.pace > 0.0:
            self.pace = report.pace
        self.foreign = len(report.held.keys() - self.flights.keys() - self._ended.keys())
        self._ended = {id: at for id, at in self._ended.items() if at >= report.at - 1.0}
        gone = []
        for flight in list(self.flights.values()):
            generated = report.held.get(flight.id)
            if generated is not None:
                self._learn(flight, generated, report)
            elif flight.dispatched < report.at - _SLACK:
                gone.append(self.flights.pop(flight.id))
        return gone

    def _learn(self, flight: Flight, generated: int, report: Report) -> None:
        if report.at >= flight.seen and generated >= flight.generated:
            flight.generated, flight.seen = generated, report.at
            flight.streaming = generated > 0
        # Where tokens are seen as they stream, a report is always a little behind them.
        since = max(flight.generated - generated, 0)
        flight.told = report.left.get(flight.id, math.nan) - since

    def work(self, now: float) -> float:
        """Predicted seconds until all that it holds would be done, were it always full."""
        self._refresh(now)
        return max(self._work - (now - self._at), 0.0)

    def wait(self, now: float) -> float:
        """Predicted seconds until a request that is sent now would have a seat and memory."""
        self._refresh(now)
        return max(self._wait - (now - self._at), 0.0)

    def delay(self, now: float, size: float) -> float:
        """Predicted seconds that a request of so many tokens adds to everybody's time there.

        Shorter ones go first: it waits for what those have left, and each longer one waits
        for it: the sum over all of the smaller of the two.
        """
        self._refresh(now)
        shorter = bisect_left(self._lefts, size)
        tokens = self._until[shorter] + size * (len(self._lefts) - shorter)
        return tokens * self.pace

    def left(self, flight: Flight, now: float) -> float:
        """Expected tokens to come of a request in flight."""
        passed = max(now - flight.seen, 0.0) / self.pace if flight.streaming else 0.0
        generated = flight.generated + passed
        left = flight.told - passed
        if math.isnan(left):
            left = self._left(flight.predicted, generated)
        return max(min(left, flight.most - generated), 1.0)

    def _refresh(self, now: float) -> None:
        """Work and wait, computed anew after a change; in between they run down."""
        if self._fresh and now - self._at < _STALE_S:
            return
        self._at, self._fresh = now, True
        capacity = self._capacity
        # Those in seats first; the others as they came.
        held = sorted(self.flights.values(), key=lambda each: not each.streaming)
        prompts = sum(each.prompt_tokens for each in held if not each.streaming)
        lefts = [self.left(each, now) for each in held]
        shares = [
            capacity.share(each.prompt_tokens + each.generated + 0.5 * left)
            for each, left in zip(held, lefts, strict=True)
        ]
        held_shares = list(zip(lefts, shares, strict=True))
        full = sum(left * share for left, share in held_shares)
        self._work = full * self.pace + prompts * capacity.prefill_s
        self._wait = _room_after(held_shares) * self.pace + prompts * capacity.prefill_s
        self._lefts = sorted(lefts)
        self._until = [0.0, *accumulate(self._lefts)]


def _room_after(held: list[tuple[float, float]]) -> float:
    """Tokens until there is room for one more, if whoever waits is served in this order.

    ``held`` has the tokens to come and the share of each.
    """
    free, now = 1.0, 0.0
    ends: list[tuple[float, float]] = []
    for left, share in held:
        while free < share - _EPS and ends:
            now, freed = heapq.heappop(ends)
            free += freed
        free -= share
        heapq.heappush(ends, (now + left, share))
    # One more like them.
    wanted = sum(share for _, share in held) / len(held) if held else 0.0
    while free < wanted - _EPS and ends:
        now, freed = heapq.heappop(ends)
        free += freed
    return now
