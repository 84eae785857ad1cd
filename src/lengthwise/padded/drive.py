"""The loop around a system: arrivals in, batches out, on any engine that runs them."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.padded.base import Batch, Ran, System
from lengthwise.results.timings import Timing

Pending = Callable[[], Ran]
"""A running batch; a call waits for its result."""


class Engine(Protocol):
    """Instances that run one batch each at a time."""

    def start(self, instance: int, batch: Batch) -> Pending:
        """Begin a batch."""


class Lengths(Protocol):
    """Predicts lengths for the system, and may learn from finished requests."""

    def predict(self, request: Request) -> float | None:
        """Expected output tokens of a request that arrives; None is unknown."""

    def finished(self, request: Request, now: float) -> None:
        """The request has ended; ``generated`` is its length."""


class NoLengths:
    """For systems that use no prediction."""

    def predict(self, request: Request) -> None:
        """Nothing is known."""

    def finished(self, request: Request, now: float) -> None:
        """Nothing is learned."""


@dataclass(frozen=True)
class Served:
    """A batch that ran.

    Attributes:
        start, end: seconds on the engine's clock.
        size, length, padding: requests, tokens each was padded to, pad tokens of all inputs.
        begun: context tokens that an earlier slice had computed already.
        slice: most tokens it might have run for, or None.
    """

    instance: int
    start: float
    end: float
    size: int
    length: int
    padding: int
    begun: int
    slice: int | None
    ran: Ran


@dataclass(kw_only=True)
class BatchTiming(Timing):
    """A request from outside: its tokens come when a batch with it returns.

    Attributes:
        slices: batches that it took part in.
    """

    request: Request
    slices: int = 0

    @classmethod
    def begin(cls, request: Request) -> BatchTiming:
        """Nothing has come yet."""
        return cls(request.id, request.arrival, tenant=request.tenant, request=request)

    def returned(self, now: float, tokens: int, finished: bool) -> None:
        """A batch returned with so many of its tokens."""
        self.slices += 1
        self.tokens += tokens
        if self.first is None:
            self.first = now
        elif self.last is not None:
            self.longest_gap = max(self.longest_gap, now - self.last)
        self.last = now
        if finished:
            self.finish = now


@dataclass
class Log:
    """A run's requests and batches.

    Attributes:
        planning_s, predicting_s: real seconds that systems and predictors took.
    """

    timings: list[BatchTiming]
    batches: list[Served] = field(default_factory=list)
    rejected: int = 0
    planning_s: float = 0.0
    predicting_s: float = 0.0

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the block's real seconds to one of the two."""
        start = time.perf_counter()
        yield
        setattr(self, name, getattr(self, name) + time.perf_counter() - start)


def serve(
    requests: Sequence[Request],
    system: System,
    engine: Engine,
    instances: int,
    lengths: Lengths | None = None,
    progress: Callable[[], object] | None = None,
) -> Log:
    """Serve requests, in order of arrival, to their ends; times on the engine's own clock.

    The clock goes from event to event: a batch takes the seconds that its engine gives, waiting
    takes none. ``progress`` is called for each request that is done.

    Raises:
        UserError: if the system leaves requests unserved.
    """
    return _Run(requests, system, engine, instances, lengths, progress).to_the_end()


class _Run:
    """One run of :func:`serve`."""

    def __init__(
        self,
        requests: Sequence[Request],
        system: System,
        engine: Engine,
        instances: int,
        lengths: Lengths | None,
        progress: Callable[[], object] | None,
    ) -> None:
        self._system, self._engine = system, engine
        self._lengths = lengths or NoLengths()
        self._progress = progress or (lambda: None)
        self._timings = {request: BatchTiming.begin(request) for request in requests}
        self._log = Log(list(self._timings.values()))
        self._coming = sorted(requests, key=lambda request: (request.arrival, request.seq))[::-1]
        self._idle = list(range(instances))
        self._pending: list[tuple[float, int, Batch, Pending]] = []
        self._running: list[tuple[float, int, int, Batch, Served]] = []
        self._now = 0.0
        self._left = len(requests)

    def to_the_end(self) -> Log:
        """Run until no request is left, event by event."""
        while self._left:
            self._deliver()
            self._start()
            self._resolve()
            self._go_on()
        return self._log

    def _deliver(self) -> None:
        """Hand arrived requests to the system."""
        while self._coming and self._coming[-1].arrival <= self._now:
            request = self._coming.pop()
            if self._system.source != "none":
                with self._log.timed("predicting_s"):
                    request.predict(self._lengths.predict(request))
            with self._log.timed("planning_s"):
                self._system.add(request, self._now)

    def _start(self) -> None:
        """Start batches on idle instances; a system may plan although none is idle."""
        with self._log.timed("planning_s"):
            assigned = self._system.assign(self._now, tuple(self._idle))
        for instance, batch in assigned:
            self._idle.remove(instance)
            pending = self._engine.start(instance, batch)
            self._pending.append((self._now, instance, batch, pending))

    def _resolve(self) -> None:
        """Get the ends of the batches that were just started; they run at the same time."""
        for start, instance, batch, pending in self._pending:
            begun = sum(
                request.prompt_tokens + request.generated
                for request in batch.requests
                if request.generated
            )
            shape = (len(batch), batch.length, batch.padding, begun, batch.slice)
            ran = pending()
            served = Served(instance, start, start + ran.seconds, *shape, ran)
            entry = (served.end, len(self._log.batches), instance, batch, served)
            self._log.batches.append(served)
            heapq.heappush(self._running, entry)
        self._pending.clear()

    def _go_on(self) -> None:
        """To the next event: an arrival, the end of a batch, or the system's own time."""
        if not self._left:
            return
        arrival = self._coming[-1].arrival if self._coming else math.inf
        end = self._running[0][0] if self._running else math.inf
        wake = self._system.wake(self._now)
        moment = min(arrival, end, wake)
        # What it would do then it could have done just now: time would stand still for ever.
        if not math.isfinite(moment) or wake <= self._now:
            raise UserError(f"{self._system.name} leaves {self._left} requests unserved")
        self._now = max(self._now, moment)
        while self._running and self._running[0][0] <= self._now:
            _, _, instance, batch, served = heapq.heappop(self._running)
            self._idle.append(instance)
            self._returned(instance, batch, served)
        self._idle.sort()

    def _returned(self, instance: int, batch: Batch, served: Served) -> None:
        ran = served.ran
        if ran.out_of_memory:
            self._out_of_memory(instance, batch, ran)
            return
        unfinished = []
        for request, tokens, done in zip(batch.requests, ran.tokens, ran.finished, strict=True):
            request.generated += tokens
            request.started = True
            self._timings[request].returned(served.end, tokens, done)
            if done:
                self._gone(request)
            else:
                request.preemptions += 1
                unfinished.append(request)
        with self._log.timed("planning_s"):
            self._system.ran(instance, batch, ran)
            for request in unfinished:
                self._system.add(request, self._now)

    def _out_of_memory(self, instance: int, batch: Batch, ran: Ran) -> None:
        """Halves are tried again; a request alone that does not fit never will."""
        with self._log.timed("planning_s"):
            self._system.ran(instance, batch, ran)
            if len(batch) > 1:
                self._system.split(instance, batch)
                return
        self._log.rejected += 1
        self._left -= 1
        self._progress()

    def _gone(self, request: Request) -> None:
        with self._log.timed("predicting_s"):
            self._lengths.finished(request, self._now)
        self._left -= 1
        self._progress()
