"""The state of one engine, as metrics and the live page read it; it travels as JSON."""

from __future__ import annotations

from typing import Literal

import msgspec

from lengthwise.live.decision import Decision

Where = Literal["running", "paused", "waiting"]

EDGES = (32, 128, 512, 2048)
"""Waiting requests are counted by expected tokens of the answer: up to each of these, and above."""


class RequestNow(msgspec.Struct, frozen=True):
    """A request in the system.

    Attributes:
        number: by order of arrival; people read ``r17``.
        where: whether it has a seat, lost it for a while, or waits for one.
        prompt, cached, tokens: tokens of its prompt, of those the cached ones, and of its answer.
        left: tokens of the answer that are expected still; None if nobody knows.
        low, high: between which ``left`` is in 80 of 100 cases; None if nobody knows.
        waited: seconds since its arrival, as long as it waits for its first seat; then the
            seconds that it waited for that.
        overtaken: requests that arrived after it and were admitted before it.
        tenant, service: empty if unknown.
        promoted: whether it goes first for having starved.
        routed: the id that a router in front of several engines gave it; else empty.
    """

    number: int
    where: Where
    prompt: int
    cached: int
    tokens: int
    left: float | None
    low: float | None
    high: float | None
    waited: float
    overtaken: int
    tenant: str = ""
    service: str = ""
    promoted: bool = False
    routed: str = ""


class Totals(msgspec.Struct):
    """Counted since the engine started; they never fall.

    Attributes:
        arrived, admitted, paused, resumed, promoted, finished, aborted: requests.
        overtakings: pairs of requests of which the later one was admitted first.
        evicted: requests that lost their KV cache, by reason.
        recomputed: tokens that were computed again because of it.
        steps, full_steps: engine steps, and those that began with all seats taken.
        scheduler_s: seconds in ``schedule()`` and in handling outputs, vLLM's part included.
        ranking_s: of those what lengthwise added.
        tap_s: seconds in the worker for reading hidden states and for the probe.
        prompt_s: seconds of the engine's process for predicting from prompts.
        ignored_hints: hints of clients that were outside their limits.
    """

    arrived: int = 0
    admitted: int = 0
    paused: int = 0
    resumed: int = 0
    promoted: int = 0
    finished: int = 0
    aborted: int = 0
    overtakings: int = 0
    evicted: dict[str, int] = {}
    recomputed: int = 0
    steps: int = 0
    full_steps: int = 0
    scheduler_s: float = 0.0
    ranking_s: float = 0.0
    tap_s: float = 0.0
    prompt_s: float = 0.0
    ignored_hints: int = 0


class PredictorNow(msgspec.Struct, frozen=True):
    """How well one predictor did on the last requests that finished.

    Attributes:
        source: ``prompt``, ``probe``, ``client`` or ``router``.
        judged: requests that the figures rest on, at most the last 200.
        error: mean absolute error in tokens.
        pairs_right: share of pairs of requests that it orders rightly, from 0 to 1.
        used, missing: requests that were ranked by it, and that it gave no prediction of.
    """

    source: str
    judged: int = 0
    error: float | None = None
    pairs_right: float | None = None
    used: int = 0
    missing: int = 0


class LearnerNow(msgspec.Struct, frozen=True):
    """The process that learns from finished requests.

    Attributes:
        state: ``off`` if nothing is learned here, ``gathering`` before a version acts,
            ``acting``, or ``stopped`` if the process ended.
        told: finished requests that it was told of.
        starts: how often the process was started.
        prompt_version, probe_version: the versions that act; 0 for none.
    """

    state: Literal["off", "gathering", "acting", "stopped"] = "off"
    told: int = 0
    starts: int = 0
    prompt_version: int = 0
    probe_version: int = 0


class ClassNow(msgspec.Struct, frozen=True):
    """A service class.

    Attributes:
        waiting, running: requests, the paused among the waiting.
        finished: requests since the start.
        attained: of those, the ones that got all that their class promises.
        missed: of those by what was missed: ``ttft``, ``tpot``, ``deadline``.
    """

    name: str
    waiting: int = 0
    running: int = 0
    finished: int = 0
    attained: int = 0
    missed: dict[str, int] = {}


class Bound(msgspec.Struct, frozen=True):
    """How far requests may be overtaken now.

    Attributes:
        tolerance: how much longer than under FCFS the tail may wait, as a share.
        backlog: work that waits, in tokens.
        longest: the longest backlog of late, which is what anybody waits for at most under FCFS.
        spare: work that may still go first from behind the gate, in tokens.
        admitted: work that was admitted since the start, in tokens: the work clock.
    """

    tolerance: float
    backlog: float
    longest: float
    spare: float
    admitted: float = 0.0


class EngineNow(msgspec.Struct, frozen=True):
    """One engine; a server with data parallelism has several.

    Attributes:
        engine: vLLM's index of it.
        model, policy: what it serves, and in which order.
        at: seconds since 1970.
        seats: most requests in a step.
        running, paused, waiting: requests, the paused not among the waiting.
        waiting_by: waiting requests by expected tokens of the answer: one number for each of
            ``EDGES``, one for more, one for unknown.
        longest_wait: seconds for which the request that came first has waited.
        kv_tokens, kv_used: tokens that the KV cache holds, and those in use.
        bound: None for policies without one.
        requests: those in the system, at most as many as were asked for: seats first, then
            the paused, then the waiting in the order in which they would be admitted now.
        decisions: the last ones, oldest first, as many as were asked for.
    """

    engine: int
    model: str
    policy: str
    at: float
    seats: int
    running: int
    paused: int
    waiting: int
    waiting_by: list[int]
    longest_wait: float
    kv_tokens: int
    kv_used: int
    totals: Totals
    bound: Bound | None = None
    predictors: list[PredictorNow] = []
    learner: LearnerNow = LearnerNow()
    classes: list[ClassNow] = []
    requests: list[RequestNow] = []
    decisions: list[Decision] = []
