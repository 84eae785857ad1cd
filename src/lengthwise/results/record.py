"""What results.json holds, typed: the runs that ``bench`` and ``simulate`` measured.

A :class:`Run` is flat, as a row of a table is. It is put together from parts that are
measured separately: its labels, what clients saw, what the engine did, and so on. A field
that an engine cannot measure is unset, and left out of the file. The names are those of the
file; those ending in ``_s`` are seconds, in ``_ms`` milliseconds, in ``_share`` between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

from msgspec import UNSET, UnsetType

Number = float | UnsetType
Count = int | UnsetType


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a run was.

    Attributes:
        predictor: what predicts, by name; ``predictors`` is a folder of trained ones.
        rate: requests per second; None is a burst, or a trace's own times.
        load: the rate as a share of the capacity, if it was given as one.
        repeat: which repetition of a comparison of routers, from 0.
        stale_s: age of what a router knows.
    """

    policy: str
    engine: str
    model: str
    rate: float | None
    seed: int
    predictor: str | UnsetType | None = UNSET
    predictors: str | UnsetType | None = UNSET
    arrivals: str | UnsetType = UNSET
    load: float | UnsetType | None = UNSET
    router: str | UnsetType = UNSET
    repeat: Count = UNSET
    stale_s: Number = UNSET


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the engines were.

    Attributes:
        seats: most requests at once; ``cap`` most tokens of an answer.
        memory: KV tokens that an instance of padded batches holds.
        instances, replicas: how many engines, simulated or of padded batches, or real.
    """

    seats: Count = UNSET
    cap: Count = UNSET
    memory: Count = UNSET
    instances: Count = UNSET
    replicas: Count = UNSET


@dataclass(frozen=True, kw_only=True)
class TenantFigures:
    """What one tenant's finished requests got of a run."""

    requests: int
    output_tokens: int
    mean_latency_s: float
    p99_latency_s: float
    mean_ttft_s: float
    mean_max_waiting_s: float


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """What the requests of one service class got of a run; times unset where none finished.

    Attributes:
        met: requests that finished and met every target of the class.
        attained_share: ``met`` as a share of all its requests; None if it has none.
        late_ttft, late_tpot, late_deadline: requests that finished and missed that target;
            unset where it is not promised. One request may miss several.
        goodput_requests_per_s, goodput_tokens_per_s: of the requests that met their targets.
    """

    requests: int
    finished: int
    met: int
    attained_share: float | None
    goodput_requests_per_s: float
    goodput_tokens_per_s: float
    late_ttft: Count = UNSET
    late_tpot: Count = UNSET
    late_deadline: Count = UNSET
    mean_latency_s: Number = UNSET
    p99_latency_s: Number = UNSET
    mean_ttft_s: Number = UNSET
    p99_ttft_s: Number = UNSET


@dataclass(frozen=True, kw_only=True)
class Promised:
    """What requests got of what their service classes are promised; unset without classes.

    Attributes:
        classes: by the class's name.
        attained_share: of the requests that were promised anything, the share that finished and
            met every target; None if there are none.
        goodput_requests_per_s, goodput_tokens_per_s: of these that met their targets.
        jain_classes: Jain's index over the classes' mean latency per output token.
    """

    classes: dict[str, ClassFigures] | UnsetType = UNSET
    attained_share: float | UnsetType | None = UNSET
    goodput_requests_per_s: Number = UNSET
    goodput_tokens_per_s: Number = UNSET
    jain_classes: Number = UNSET


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the clients saw; figures of finished requests, unset where none finished.

    Latency is from arrival to the last token, TTFT to the first; TPOT is the time between
    two tokens. A request's waiting is its longest time without a token.

    Attributes:
        rejected: requests that no engine could hold.
        makespan_s: from the first arrival to the last token.
        tenants: by the tenant's name; empty if no request has one.
        jain_tenants: Jain's index over the tenants' mean latency per output token: 1 if all are
            served alike, 1/n if one of n has all of the delay; unset without tenants.
        until, until_s: how many requests, and when so many had finished (None: fewer did).
    """

    requests: int
    finished: int
    rejected: Count = UNSET
    mean_latency_s: Number = UNSET
    p50_latency_s: Number = UNSET
    p95_latency_s: Number = UNSET
    p99_latency_s: Number = UNSET
    mean_ttft_s: Number = UNSET
    p99_ttft_s: Number = UNSET
    mean_tpot_s: Number = UNSET
    mean_latency_per_token_s: Number = UNSET
    max_waiting_s: Number = UNSET
    mean_max_waiting_s: Number = UNSET
    output_tokens: Count = UNSET
    tokens_per_s: Number = UNSET
    requests_per_s: Number = UNSET
    makespan_s: Number = UNSET
    tenants: dict[str, TenantFigures] | UnsetType = UNSET
    jain_tenants: Number = UNSET
    until: Count = UNSET
    until_s: float | UnsetType | None = UNSET


@dataclass(frozen=True, kw_only=True)
class Work:
    """What an engine did.

    Attributes:
        full_requests_per_s: while every seat was taken.
        preemptions: pauses and evictions.
        recomputed_tokens: tokens computed again after an eviction, or before a later slice.
        slices: those after each request's first.
        scheduler_ms_per_step: all of ``schedule()``; ``ranking_ms_per_step`` is our part of it.
    """

    full_requests_per_s: Number = UNSET
    preemptions: Count = UNSET
    evictions: Count = UNSET
    recomputed_tokens: Count = UNSET
    slices: Count = UNSET
    steps: Count = UNSET
    step_ms: Number = UNSET
    scheduler_ms_per_step: Number = UNSET
    ranking_ms_per_step: Number = UNSET
    predictor_ms_per_step: Number = UNSET


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What a router made of several instances.

    Attributes:
        failed: requests that some instance began and never ended.
        resubmitted: how often requests were sent again.
        predictions: how often the router's predictor was asked.
        by_replica: requests that each replica served.
        seat_imbalance, work_imbalance: standard deviation over mean across the instances.
        busy_seats: of an instance in the mean.
        latest_send_s: how late the bench sent a request at most.
    """

    failed: Count = UNSET
    resubmitted: Count = UNSET
    predictions: Count = UNSET
    by_replica: dict[str, int] | UnsetType = UNSET
    seat_imbalance: Number = UNSET
    work_imbalance: Number = UNSET
    busy_seats: Number = UNSET
    latest_send_s: Number = UNSET


@dataclass(frozen=True, kw_only=True)
class Batched:
    """What systems of padded batches did.

    Attributes:
        batches: those that ran to their end; ``oom_events`` are those that ran out of memory.
        invalid_tokens: computed for rows that had ended; ``pad_tokens`` for padding.
        slices_per_request: batches that a request took part in.
        early_return_share: of the slices, those whose members had all ended before its time.
        load_imbalance_s: standard deviation of the instances' last ends.
        busy_imbalance: standard deviation of their busy times, as a share of the mean.
        wall_s: seconds that the batches took on the wall's clock.
        slice_time_error: of the fitted times, as a share; None if they were not fitted.
    """

    batches: Count = UNSET
    mean_batch_size: Number = UNSET
    invalid_tokens: Count = UNSET
    pad_tokens: Count = UNSET
    slices_per_request: Number = UNSET
    early_return_share: Number = UNSET
    load_imbalance_s: Number = UNSET
    busy_imbalance: Number = UNSET
    busy_s: Number = UNSET
    oom_events: Count = UNSET
    lost_tokens: Count = UNSET
    planning_ms_per_batch: Number = UNSET
    predictor_ms_per_request: Number = UNSET
    wall_s: Number = UNSET
    slice_time_error: float | UnsetType | None = UNSET


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What a run has beside its figures.

    Attributes:
        other_answers: requests whose answer is not that of the first run.
        overloaded: whether requests piled up, so that figures grow with their number.
        simulated_in_s: real seconds that the simulation took.
    """

    other_answers: Count = UNSET
    overloaded: bool | UnsetType = UNSET
    simulated_in_s: Number = UNSET


class Part(Protocol):
    """Some of a run's fields: one of the dataclasses above."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Run(Labels, Size, Seen, Promised, Work, Spread, Batched, Notes):
    """One run: a policy, perhaps behind a router, at one rate with one seed.

    A field can also be read by its name, ``run["mean_latency_s"]``, as tables do.
    """

    @classmethod
    def of(cls, *parts: Part) -> Run:
        """A run from its parts; what a later one sets replaces what an earlier one set."""
        found: dict[str, Any] = {}
        for part in parts:
            found |= {name: value for name, value in _values(part) if value is not UNSET}
        return cls(**found)

    def __getitem__(self, name: str) -> Any:
        value = getattr(self, name, UNSET)
        if value is UNSET:
            raise KeyError(name)
        return value

    def __contains__(self, name: str) -> bool:
        return getattr(self, name, UNSET) is not UNSET

    def get(self, name: str, default: Any = None) -> Any:
        """The field of this name, or the default where it is unset."""
        value = getattr(self, name, UNSET)
        return default if value is UNSET else value


def _values(part: Part) -> Iterator[tuple[str, Any]]:
    for each in fields(part):
        yield each.name, getattr(part, each.name)
