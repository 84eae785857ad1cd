"""A study's setup in results.json: all that is needed to run it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from lengthwise.results.record import ClassFigures

Options = dict[str, Any]
"""Settings of an engine or a system, as its own dataclass has them."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """What every bench has; ``prompts`` is how many, and the runs' request files name them.

    Attributes:
        probe: folder of trained predictors, where a policy names none.
        cv: coefficient of variation of the gaps between arrivals.
        trace: file with arrival times, if they come from one.
        classes: the service classes, as ``results/promises.py`` writes them; empty if none are.
    """

    model: str
    prompts: int
    policies: list[str]
    rates: list[float | None]
    seats: int
    cap: int
    seed: int
    until: int | None
    probe: str | None
    cv: float
    trace: str | None
    classes: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bench(Served):
    """``lengthwise bench policies``.

    Attributes:
        loads: rates as shares of the capacity.
        settings: of the scheduler.
    """

    loads: list[float]
    kv_blocks: int | None
    block_size: int
    settings: Options


@dataclass(frozen=True, kw_only=True)
class RouterBench(Bench):
    """``lengthwise bench routers``.

    Attributes:
        report_s: seconds between two load reports of a replica.
        capacity_requests_per_s: of all replicas; None where no load was asked for.
    """

    routers: list[str]
    replicas: int
    repeat: int
    report_s: float
    capacity_requests_per_s: float | None


@dataclass(frozen=True, kw_only=True)
class PaddedBench(Served):
    """``lengthwise bench padded``.

    Attributes:
        memory: KV tokens of an instance.
        learn: folders of collected answers that Magnus goes on learning from.
        slice_time: the fitted times of a batch.
    """

    instances: int
    memory: int
    learn: list[str]
    constants: Options
    slice_time: Options


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What every simulation has; the simulated engine's own settings stand beside it.

    Attributes:
        requests: how many are served in a run.
        resampled: whether they are drawn from the workload, with each run's seed.
        rows: of the file that the workload comes from; 0 if it comes from none.
        left_out: rows of the file that are no requests of the workload, by reason.
        found: what was worked out from the file's content, a sentence each.
        classes: the service classes, as ``results/promises.py`` writes them; empty if none are.
    """

    workload: str
    requests: int
    resampled: bool
    profile: str
    policies: list[str]
    cv: float
    seeds: int
    until: int | None
    rows: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    classes: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sweep(Simulated):
    """``lengthwise simulate policies`` and ``padded``: policies by rates by seeds.

    Attributes:
        rates: requests per second; ``burst`` for all at once, None for the workload's own times.
        process: of the arrivals at a rate in numbers: gamma, poisson or trace.
    """

    rates: list[float | Literal["burst"] | None]
    process: str


@dataclass(frozen=True, kw_only=True)
class Fleets(Simulated):
    """``lengthwise simulate fleet``.

    Attributes:
        layouts: instances, reports and deaths.
        loads: rates as shares of what the instances can serve.
        capacity_requests_per_s: of one instance.
    """

    routers: list[str]
    layouts: list[Options]
    loads: list[float]
    capacity_requests_per_s: float


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A figure of a policy against the first one's at the same load, in seconds.

    Attributes:
        load: factor of the trace's own arrival rate.
        low, high: 95 % interval of the change as a share; None where there is none.
    """

    policy: str
    load: float
    figure: str
    before_s: float
    after_s: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Borne:
    """The load that a policy bears within the target.

    Attributes:
        load: the largest factor of the arrival rate at which it kept the target; 0 if none did.
        beyond: the least at which it did not; None if it always did.
    """

    policy: str
    load: float
    beyond: float | None


@dataclass(frozen=True, kw_only=True)
class ClassBorne(Borne):
    """The load at which a class attains the share that is asked for.

    Attributes:
        service: the class.
    """

    service: str


@dataclass(frozen=True, kw_only=True)
class Advice(Simulated):
    """``lengthwise advise``.

    Attributes:
        loads: factors of the trace's own arrival rate; requests_per_s is that rate.
        calibration: where the seconds of a step come from, their error and interval.
        observed: what the data itself says of waiting and of full seats.
        waiting_share: share of the time in which requests waited under the first policy at the
            present load; of it, those in which all seats or the memory were full.
        target_s: seconds within which 99 % of the first tokens are to come.
        pairs_right: share of pairs of answers that the data itself puts in order.
        headline, reasons, switch: the advice.
        attain: share of each service class that is to get what is promised; None without classes.
        alone: what each class would attain if each request were alone on the engine.
        class_capacities: the load that each policy bears with that share of a class attained; a
            class that does not attain it alone is not among them.
    """

    loads: list[float]
    requests_per_s: float
    watermark: float
    calibration: Options
    observed: list[str]
    notes: list[str]
    waiting_share: float
    seats_full_share: float
    memory_full_share: float
    target_s: float | None
    pairs_right: float
    changes: list[Changed]
    capacities: list[Borne]
    headline: str
    reasons: list[str]
    switch: bool
    attain: float | None = None
    alone: dict[str, ClassFigures] = field(default_factory=dict)
    class_capacities: list[ClassBorne] = field(default_factory=list)


STUDIES: dict[str, type[Served] | type[Simulated]] = {
    "bench": Bench,
    "bench-padded": PaddedBench,
    "bench-routers": RouterBench,
    "simulate": Sweep,
    "simulate-fleets": Fleets,
    "advise": Advice,
}
"""What results.json calls each study."""
