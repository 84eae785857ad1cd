"""Prometheus families of requests: their order, its bound, their memory, their service classes."""

from __future__ import annotations

from collections.abc import Callable

from lengthwise.live.state import EDGES, Bound, ClassNow, EngineNow
from lengthwise.metrics.family import Family, Values, counter, each, gauge, single, total

EVICTED_FOR = ("memory", "seat", "reset")
"""Why a request loses its KV cache (:data:`lengthwise.live.decision.Reason`)."""

PROMISES = ("ttft", "tpot", "deadline")
"""What a service class may promise (:class:`lengthwise.core.service.Target`)."""

EXPECTED = (
    *(f"{low + 1}-{high}" for low, high in zip((0, *EDGES), EDGES, strict=False)),
    f"{EDGES[-1] + 1}+",
    "unknown",
)
"""Classes of waiting requests by expected tokens of the answer, as labels show them."""


def _bound(read: Callable[[Bound], float]) -> Callable[[EngineNow], Values]:
    return lambda now: {} if now.bound is None else {(): read(now.bound)}


def _class(read: Callable[[ClassNow], float]) -> Callable[[EngineNow], Values]:
    return lambda now: {(one.name,): read(one) for one in now.classes}


def _waiting(now: EngineNow) -> Values:
    return {(label,): count for label, count in zip(EXPECTED, now.waiting_by, strict=True)}


def _missed(now: EngineNow) -> Values:
    return {
        (one.name, *promise): count
        for one in now.classes
        for promise, count in each(PROMISES, one.missed).items()
    }


ORDER: tuple[Family, ...] = (
    gauge(
        "lengthwise_policy_info",
        "Which policy orders the requests: 1, with its name as a label.",
        lambda now: {(now.policy,): 1},
        "policy",
    ),
    gauge("lengthwise_seats", "Most requests in a step.", single(lambda now: now.seats)),
    gauge(
        "lengthwise_requests_running",
        "Requests that have a seat.",
        single(lambda now: now.running),
    ),
    gauge(
        "lengthwise_requests_paused",
        "Requests that lost their seat for a while and keep their KV cache.",
        single(lambda now: now.paused),
    ),
    gauge(
        "lengthwise_requests_waiting",
        "Requests that wait for a seat, by the tokens that they are expected to generate still.",
        _waiting,
        "expected_tokens",
    ),
    gauge(
        "lengthwise_longest_wait_seconds",
        "Seconds for which the oldest request without a seat yet has waited; 0 if there is none.",
        single(lambda now: now.longest_wait),
    ),
    counter(
        "lengthwise_requests_arrived_total",
        "Requests that reached the engine.",
        total(lambda totals: totals.arrived),
    ),
    counter(
        "lengthwise_requests_admitted_total",
        "Requests that got their first seat.",
        total(lambda totals: totals.admitted),
    ),
    counter(
        "lengthwise_requests_finished_total",
        "Requests that were answered.",
        total(lambda totals: totals.finished),
    ),
    counter(
        "lengthwise_requests_aborted_total",
        "Requests that ended without their whole answer.",
        total(lambda totals: totals.aborted),
    ),
    counter(
        "lengthwise_overtakings_total",
        "Pairs of requests of which the later one was admitted first.",
        total(lambda totals: totals.overtakings),
    ),
    counter(
        "lengthwise_promotions_total",
        "Times that a request went first for having starved.",
        total(lambda totals: totals.promoted),
    ),
    counter(
        "lengthwise_pauses_total",
        "Times that a request lost its seat to another and kept its KV cache.",
        total(lambda totals: totals.paused),
    ),
    counter(
        "lengthwise_resumes_total",
        "Times that a paused or evicted request got a seat again.",
        total(lambda totals: totals.resumed),
    ),
)

BOUND: tuple[Family, ...] = (
    gauge(
        "lengthwise_bound_tolerance_ratio",
        "How much longer than in the order of arrival the tail may wait, as a share.",
        _bound(lambda bound: bound.tolerance),
    ),
    gauge(
        "lengthwise_bound_backlog_tokens",
        "Work that waits now, in tokens.",
        _bound(lambda bound: bound.backlog),
    ),
    gauge(
        "lengthwise_bound_longest_backlog_tokens",
        "The longest backlog of late, in tokens: nobody waits for more in the order of arrival.",
        _bound(lambda bound: bound.longest),
    ),
    gauge(
        "lengthwise_bound_spare_tokens",
        "Work that may still go first from behind the gate, in tokens.",
        _bound(lambda bound: bound.spare),
    ),
    counter(
        "lengthwise_bound_admitted_tokens_total",
        "Work that was admitted, in tokens: the clock by which waits are bounded.",
        _bound(lambda bound: bound.admitted),
    ),
)

MEMORY: tuple[Family, ...] = (
    gauge(
        "lengthwise_kv_cache_tokens",
        "Tokens that the KV cache holds.",
        single(lambda now: now.kv_tokens),
    ),
    gauge(
        "lengthwise_kv_cache_used_tokens",
        "Tokens of the KV cache in use.",
        single(lambda now: now.kv_used),
    ),
    counter(
        "lengthwise_evictions_total",
        "Times that a request lost its KV cache and waits again, by why.",
        lambda now: each(EVICTED_FOR, now.totals.evicted),
        "reason",
    ),
    counter(
        "lengthwise_recomputed_tokens_total",
        "Tokens that were computed again because their request had lost its KV cache.",
        total(lambda totals: totals.recomputed),
    ),
)

CLASSES: tuple[Family, ...] = (
    gauge(
        "lengthwise_class_requests_running",
        "Requests of a service class that have a seat.",
        _class(lambda one: one.running),
        "service_class",
    ),
    gauge(
        "lengthwise_class_requests_waiting",
        "Requests of a service class that wait or are paused.",
        _class(lambda one: one.waiting),
        "service_class",
    ),
    counter(
        "lengthwise_class_requests_finished_total",
        "Requests of a service class that were answered.",
        _class(lambda one: one.finished),
        "service_class",
    ),
    counter(
        "lengthwise_class_requests_attained_total",
        "Of these, the requests that got all that their class promises.",
        _class(lambda one: one.attained),
        "service_class",
    ),
    counter(
        "lengthwise_class_targets_missed_total",
        "Targets that finished requests of a service class missed.",
        _missed,
        "service_class",
        "target",
    ),
)
