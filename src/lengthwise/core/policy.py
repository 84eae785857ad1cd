"""The one shape of every scheduling policy."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from typing import Literal, NamedTuple

from lengthwise.core.patience import NEVER, Threshold
from lengthwise.core.request import Request
from lengthwise.core.service import Classes

COMMITTED = -math.inf
"""Rank of a request that must run to completion: before everything else."""

UNPREDICTED = 0.0
"""Rank of a request without a prediction: in order of arrival, before the predicted
(whose ranks are above it), so that a failing predictor degrades to FCFS."""

AWAITED = 1e12
"""Rank of a request whose prediction is on its way: after the predicted, in order of arrival.
Were it before them, the requests scored last would take the seats in a burst."""

Source = Literal["none", "prompt", "probe", "oracle"]

Key = tuple[float, ...]
"""What queues and seats compare: the rank, and before it the numbers of wrappers."""

FIRST: Key = (COMMITTED,)
LAST: Key = (math.inf,)


def unpredicted(request: Request) -> float:
    """Rank of a request without a prediction."""
    return AWAITED if request.awaited else UNPREDICTED


def behind(key: Key, margin: float) -> Key:
    """The key of a request that is worse by ``margin`` tokens."""
    return (*key[:-1], key[-1] + margin)


class Overtaking(NamedTuple):
    """How far requests may be overtaken now, by policies that bound it; work is in tokens.

    Attributes:
        tolerance: how much longer than under FCFS the tail may wait, as a share.
        backlog: work that waits.
        longest: the longest backlog of late, which is FCFS's longest wait.
        spare: work that may still go first from behind the gate.
        admitted: work that was admitted so far: the work clock.
    """

    tolerance: float
    backlog: float
    longest: float
    spare: float
    admitted: float


class Listener:
    """The events that engines tell a policy, vLLM and the simulator alike.

    Between two steps requests leave, then enter; then comes ``observe``, and with the next
    step's decisions they exit the queue for a seat, or enter it again. The simulator skips
    steps in which no request comes, goes or could be preempted, with their ``observe``.
    """

    def begins(self, seats: int, kv_tokens: int) -> None:
        """Once, before all else: the engine's seats, and the tokens that its KV cache holds.

        0 tokens stand for an engine without such a bound.
        """

    def observe(self, now: float, running: Iterable[Request]) -> None:
        """Before keys are read: the time in seconds, and the seated requests, up to date."""

    def enters(self, request: Request) -> None:
        """The request waits now: it arrived, was evicted, or was put back."""

    def changes(self, request: Request) -> None:
        """Of a waiting request more is known: a prediction came, or it was promoted."""

    def exits(self, request: Request) -> None:
        """The request was taken from the head of the queue, for a seat.

        If the engine then gives it none, it enters again, and that undoes this.
        """

    def leave(self, request: Request) -> None:
        """The request has finished or was aborted; ``generated`` is final."""


_EVENTS = ("observe", "enters", "changes", "exits", "leave")
"""What a queue of its own is needed for; every policy is told how it begins."""


def hears(kind: type, silent: type = Listener) -> bool:
    """Whether a policy class overrides what another does when an event is told."""
    return any(getattr(kind, event) is not getattr(silent, event) for event in _EVENTS)


class Policy(Listener, ABC):
    """Orders requests and says which may be preempted; knows no engine and no true length.

    Attributes:
        name: what the command line calls it.
        source: the best prediction it uses: none, a prompt-only one, the probe's
            (with the prompt-only one until prefill), or the oracle's.
        needs_predictions: whether it orders nothing without them, so that engines refuse to
            start it without a predictor.
        preemptive: whether a seat may be taken from a running request at all.
            Engines skip the comparison for policies that never preempt.
        paused_per_seat: most requests to a seat that may be paused with their KV cache.
            Among thousands waiting some prompt always promises to be shorter than what
            runs; without a bound each would be prefilled, found longer, and paused in turn.
        threshold: time without a token after which a request has starved and is promoted.
        quantum: tokens for which it then goes first.
        timed: whether keys of waiting requests move by themselves, with the clock or with
            other requests' service. Engines then keep them in :class:`Lanes`.
        reads_cache: whether its keys depend on what the prefix cache has of a prompt.
        steady: whether a running request's key can only improve but for new predictions.
        foresees: whether nobody is admitted whose expected memory does not last
            (:mod:`lengthwise.core.foresight`).
        promises: whether it orders by what service classes are promised (:meth:`promise`);
            without classes it promises nothing.
        slice: most tokens served at a time, after which a request goes back to the pool and
            is ranked anew (:mod:`lengthwise.vllm.slices`); infinite: no slices.
    """

    name: str
    source: Source
    preemptive: bool
    needs_predictions: bool = True
    paused_per_seat: float = 2
    threshold: Threshold = NEVER
    quantum: int = 1
    timed: bool = False
    reads_cache: bool = False
    steady: bool = True
    foresees: bool = False
    promises: bool = False
    slice: float = math.inf

    @property
    def listens(self) -> bool:
        """Whether engines tell it events: it is timed, or overrides one that a queue tells."""
        return self.timed or hears(type(self))

    @property
    def version(self) -> int | None:
        """Another number whenever keys of waiting requests may have moved; None: at any time.

        Queues of timed policies look at the keys again only if it, or the queue, has changed.
        """
        return None

    def promise(self, classes: Classes) -> None:
        """Once, before the engine begins: what is promised to the requests of each class."""

    @abstractmethod
    def rank(self, request: Request) -> float:
        """The request's rank now; the smaller goes first, ties go by arrival."""

    def key(self, request: Request) -> Key:
        """What the request is compared by now; the last number is in tokens, as margins are."""
        return (self.rank(request),)

    def lane(self, request: Request) -> Hashable:
        """Requests of one lane keep their order, however keys move (timed policies)."""
        return None

    def shifted(self) -> bool:
        """Whether, since this was asked last, a key was read of a request whose lane is another.

        Only the first of a lane may move to another one by itself.
        """
        return False

    def place(self, request: Request) -> Key:
        """The request's order inside its lane, ties by arrival; must not move by itself."""
        return self.key(request)

    def preemptible(self, request: Request) -> bool:
        """Whether a running request may lose its seat to a better key now."""
        return False

    def may_preempt(self, request: Request) -> bool:
        """Whether a waiting request may take a running one's seat."""
        return self.preemptive and (request.predicted or request.started)

    def expected(self, request: Request) -> float:
        """Output tokens that are expected of it from now on (policies that foresee)."""
        return request.remaining if request.predicted else 0.0

    def may_overtake(self, request: Request) -> bool:
        """Whether a waiting request may be admitted while the first one's memory does not last."""
        return False

    @property
    def overtaking(self) -> Overtaking | None:
        """How far requests may be overtaken now; None where nothing bounds it."""
        return None

    def holds(self, request: Request) -> float:
        """Tokens for which a running request's key gets no worse (unsteady policies)."""
        return math.inf
