"""One instance as a router believes it to be: the requests it holds, and their seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from lengthwise.core.prediction import Prediction
from lengthwise.routing.outlook import Held, Outlook
from lengthwise.routing.prefixes import NOTHING, Prefix, Prefixes

Key = Hashable

_SLACK = 0.05
"""Seconds that clocks and messages may differ by."""

_STALE_S = 1.0
"""Seconds for which remaining work runs down by the clock before it is computed anew."""

_SMOOTHING = 0.2
"""Weight of one report in the pace: one second may hold many prompts, or none."""


@dataclass(frozen=True)
class Capacity:
    """What an instance can hold and do.

    Attributes:
        seats: most requests that it decodes at once.
        memory: tokens of KV cache.
        prefill_s: seconds by which a prompt token delays a step.
        decode_s, context_s: seconds by which one more request in it, and one more token in
            the KV cache, lengthen each step.
        pace: seconds between two tokens of a request in a seat, until the first report.
        ranked: whether its policy serves shorter requests first.
    """

    seats: int
    memory: float = math.inf
    prefill_s: float = 0.0
    decode_s: float = 0.0
    context_s: float = 0.0
    pace: float = 0.05
    ranked: bool = False

    def share(self, context: float) -> float:
        """The share of the instance that ``context`` tokens take: seat or memory."""
        return max(1.0 / self.seats, min(context / self.memory, 1.0))


@dataclass(slots=True, eq=False)
class Flight:
    """A request on its way: dispatched, and not known to have ended.

    Attributes:
        id: the request's own; the same after a resubmission.
        prompt_tokens: length of the prompt.
        prediction: of its output tokens, made once at arrival; None is unknown.
        expected: the mean of what that has come to stand for.
        dispatched: when it was sent to its instance, in seconds.
        generated: tokens it had at the time ``seen``.
        streaming: whether a token of it was seen.
        reported: remaining tokens at ``seen``, as the instance predicts them; NaN: it does not.
        most: tokens at which it ends in any case, its ``max_tokens``.
        prefix: of its prompt, by which instances that have it cached are found.
        uncached: tokens of its prompt that its instance had not cached, as far as is known.
        left: expected tokens to come at the time ``at``; NaN if that is not known any more.
    """

    id: str
    prompt_tokens: int
    prediction: Prediction | None
    expected: float = math.nan
    dispatched: float = math.inf
    generated: float = 0.0
    seen: float = 0.0
    streaming: bool = False
    reported: float = math.nan
    most: float = math.inf
    prefix: Prefix = NOTHING
    uncached: float = math.nan
    left: float = math.nan
    at: float = 0.0

    @property
    def predicted(self) -> float:
        """Output tokens as predicted at arrival; NaN if unknown."""
        return math.nan if self.prediction is None else self.prediction.tokens


@dataclass(frozen=True)
class Report:
    """A load report of an instance, perhaps an old one.

    Attributes:
        at: the time at which it was true, in seconds.
        held: generated tokens of each request it held then, by id.
        left: predicted remaining tokens by id, of the requests that it predicts.
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
        self.capacity = capacity
        self.flights: dict[str, Flight] = {}
        self.foreign: dict[str, Flight] = {}
        self._left = left
        self._prefixes = Prefixes(capacity.memory)
        self._ended: dict[str, float] = {}
        self._fresh = False
        self._at = self._prefill = 0.0
        self._fastest = math.inf
        self._outlook = Outlook((), ())

    @property
    def in_flight(self) -> int:
        """Requests it holds: those sent from here, and those of other routers that it reported."""
        return len(self.flights) + len(self.foreign)

    def uncached(self, flight: Flight) -> float:
        """Tokens of a request's prompt that it would have to compute, as far as is known."""
        return flight.prompt_tokens * (1.0 - self._prefixes.share(flight.prefix))

    def dispatch(self, flight: Flight) -> None:
        """Count a request that is sent to it."""
        flight.uncached = self.uncached(flight)
        self._prefixes.add(flight.prefix)
        self.flights[flight.id] = flight
        self._fresh = False

    def streams(self, id: str, generated: int, now: float) -> None:
        """``generated`` tokens of a request were seen."""
        flight = self.flights.get(id)
        if flight is not None:
            flight.reported -= generated - flight.generated
            flight.generated, flight.seen, flight.streaming = generated, now, True
            flight.left = math.nan
            self._fresh = False

    def end(self, id: str, now: float) -> Flight | None:
        """A request was seen to end, or is taken back; None if it is not here."""
        flight = self.flights.pop(id, None)
        self._ended[id] = now
        self._fresh = False
        return flight

    def report(self, report: Report) -> list[Flight]:
        """Correct what is believed by what was true at the report's time.

        Requests sent since then stay; requests seen to end since then are not counted again.
        Returns the requests that ended unseen: sent before the report, and not in it.
        """
        self._fresh = False
        self._learn_pace(report.pace)
        others = report.held.keys() - self.flights.keys() - self._ended.keys()
        self.foreign = {id: _foreign(id, report) for id in others}
        self._ended = {id: at for id, at in self._ended.items() if at >= report.at - 1.0}
        gone = []
        for flight in list(self.flights.values()):
            generated = report.held.get(flight.id)
            if generated is not None:
                self._learn(flight, generated, report)
            elif flight.dispatched < report.at - _SLACK:
                gone.append(self.flights.pop(flight.id))
        return gone

    def _learn_pace(self, pace: float) -> None:
        """Average tokens a second, not seconds a token: a second of prompts has few steps.

        Idle (NaN), it may be as fast as it ever was.
        """
        self._fastest = min(self._fastest, pace if pace > 0.0 else math.inf)
        latest = pace if pace > 0.0 else min(self._fastest, self.pace)
        self.pace = 1.0 / (1.0 / self.pace + _SMOOTHING * (1.0 / latest - 1.0 / self.pace))

    def _learn(self, flight: Flight, generated: int, report: Report) -> None:
        if report.at >= flight.seen and generated >= flight.generated:
            flight.generated, flight.seen = generated, report.at
            flight.streaming = generated > 0
            flight.left = math.nan
        # Tokens seen as they stream may be ahead of the report, or still on their way.
        since = flight.generated - generated
        flight.reported = report.left.get(flight.id, math.nan) - since

    def work(self, now: float) -> float:
        """Predicted seconds until all requests it holds are done, if its seats stay full."""
        return self._by_now(self._look(now).work, now)

    def wait(self, now: float, flight: Flight) -> float:
        """Predicted seconds until a request that is sent now has a seat, memory, its turn."""
        return self._by_now(self._look(now).wait(self._share(flight, flight.expected)), now)

    def queue(self, now: float, flight: Flight) -> float:
        """Predicted seconds of waiting that a request adds, its own and that of other requests.

        Where shorter requests go first it waits only for their remaining tokens, and each longer
        request waits for it. With room for it, no request waits.
        """
        wait = self.wait(now, flight)
        if not self.capacity.ranked:
            return wait
        share = self._share(flight, flight.expected)
        return min(wait, self.beside(now, flight.expected) * self.pace * share)

    def taken(self, now: float) -> float:
        """The share of its seats or memory that all its requests take; above 1 if some wait."""
        return self._look(now).taken

    def beside(self, now: float, size: float) -> float:
        """Tokens that its requests decode beside one of ``size``: Σ min(remaining, size)."""
        return self._look(now).beside(size)

    def left(self, flight: Flight, now: float) -> float:
        """Expected remaining tokens of a request in flight."""
        if math.isnan(flight.left) or now - flight.at > _STALE_S:
            flight.left, flight.at = self._expect(flight, now), now
        passed = (now - flight.at) / self.pace if flight.streaming else 0.0
        return max(flight.left - passed, 1.0)

    def _expect(self, flight: Flight, now: float) -> float:
        passed = max(now - flight.seen, 0.0) / self.pace if flight.streaming else 0.0
        generated = flight.generated + passed
        left = flight.reported - passed
        if math.isnan(left):
            left = self._left(flight.predicted, generated)
        return max(min(left, flight.most - generated), 1.0)

    def _by_now(self, tokens: float, now: float) -> float:
        """Seconds left of ``tokens`` and the prompts before them, counted from the last look."""
        return max(tokens * self.pace + self._prefill - (now - self._at), 0.0)

    def _share(self, flight: Flight, left: float) -> float:
        return self.capacity.share(flight.prompt_tokens + flight.generated + 0.5 * left)

    def _look(self, now: float) -> Outlook:
        """The outlook, computed anew after a change; in between, times run down by the clock."""
        if self._fresh and now - self._at < _STALE_S:
            return self._outlook
        self._at, self._fresh = now, True
        seated: list[Held] = []
        queued: list[Held] = []
        prompts = 0.0
        for flight in (*self.flights.values(), *self.foreign.values()):
            left = self.left(flight, now)
            (seated if flight.streaming else queued).append(Held(left, self._share(flight, left)))
            prompts += 0 if flight.streaming else flight.uncached
        self._prefill = prompts * self.capacity.prefill_s
        self._outlook = Outlook(seated, queued)
        return self._outlook


def _foreign(id: str, report: Report) -> Flight:
    """A request of another router, of which nothing is known but what its instance reports."""
    generated = report.held[id]
    return Flight(
        id,
        prompt_tokens=0,
        prediction=None,
        generated=generated,
        seen=report.at,
        streaming=generated > 0,
        reported=report.left.get(id, math.nan),
        uncached=0.0,
    )
