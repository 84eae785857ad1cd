"""``lengthwise simulate fleet``: routers by instances by loads by seeds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from lengthwise.core.checks import at_least, positive
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.results import setups
from lengthwise.results.capacity import middle_rate
from lengthwise.results.files import plain, rows_of, write_requests, write_results
from lengthwise.results.promises import described, held, services_of
from lengthwise.results.record import Labels, Notes, Run, Size, Spread
from lengthwise.routing import make_router
from lengthwise.sim.cluster import Cluster, Layout
from lengthwise.sim.engine import Simulator
from lengthwise.sim.figures import figures, overloaded, times_of
from lengthwise.sim.predictors import check_predictor, make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import StepTime, load_profile
from lengthwise.studies.parallel import in_parallel
from lengthwise.studies.sweep import DEFAULTS, default_predictor, origin
from lengthwise.traces import Trace
from lengthwise.workload import Workload, resample, with_arrivals


@dataclass(frozen=True)
class FleetPlan:
    """What to simulate.

    Attributes:
        policies: ``policy`` or ``policy@predictor``; the predictor is the router's, too.
        layouts: the instances, and how stale reports are; one run for each.
        loads: arrival rates as shares of what the instances can serve (:func:`capacity`).
        requests: how many to resample from the workload.
        until: also measure the seconds until this many requests have finished.
        requests_in: folder where each run of the first seed leaves its requests; None keeps
            none.
        trace: what is known of the file that the workload comes from, for results.json.
    """

    workload: Workload
    policies: list[str]
    routers: list[str]
    profile: str
    setup: Setup
    layouts: list[Layout]
    loads: list[float] = field(default_factory=lambda: [0.9])
    cv: float = 1.0
    requests: int = 10_000
    seeds: int = 1
    workers: int = 0
    until: int | None = None
    requests_in: Path | None = None
    trace: Trace | None = None


@dataclass(frozen=True)
class FleetCase:
    """One run of a plan, at so many requests per second; ``number`` is its place among them."""

    layout: Layout
    load: float
    spec: str
    router: str
    seed: int
    rate: float
    number: int = 0


def capacity(workload: Workload, setup: Setup, time: StepTime) -> float:
    """Requests per second that leave one instance, serving in order, while many wait.

    Raises:
        UserError: if no request fits into its memory.
    """
    many = resample(workload, max(2000, 8 * setup.seats), 0)
    run = Simulator(many, make_policy("fcfs"), make_predictor("none"), time, setup).run()
    finish = run.finish[np.isfinite(run.finish)]
    if not len(finish):
        raise UserError(
            f"{workload.name}: no request fits into the KV memory: give more --kv-blocks"
        )
    return middle_rate(finish)


def fleet_sweep(plan: FleetPlan, out: Path | None) -> list[Run]:
    """Every case of the plan; results.json and the runs, in the plan's order.

    Raises:
        UserError: for an unknown policy, router, predictor or profile, before anything runs.
    """
    steps = load_profile(plan.profile)
    for spec in plan.policies:
        check_predictor(_split(plan, spec)[1], plan.workload, plan.requests)
    at_least(1, repeat=plan.seeds, requests=plan.requests, until=plan.until)
    at_least(0, workers=plan.workers)
    positive(cv=plan.cv)
    for load in plan.loads:
        positive(loads=load)
    one = capacity(plan.workload, plan.setup, steps)
    several = product(plan.layouts, plan.loads, plan.policies, plan.routers, range(plan.seeds))
    cases = [
        FleetCase(*case, rate=case[1] * case[0].instances * one, number=number)
        for number, case in enumerate(several)
    ]
    if plan.requests_in is not None:
        plan.requests_in.mkdir(parents=True, exist_ok=True)
    runs = in_parallel(run_case, plan, cases, plan.workers)
    if out is not None:
        setup = setups.Fleets(
            workload=plan.workload.name,
            requests=plan.requests,
            resampled=True,
            profile=plan.profile,
            policies=plan.policies,
            cv=plan.cv,
            seeds=plan.seeds,
            until=plan.until,
            routers=plan.routers,
            layouts=[plain(layout) for layout in plan.layouts],
            loads=plan.loads,
            capacity_requests_per_s=one,
            classes=described(plan.setup.classes),
            **origin(plan.trace),
        )
        write_results(out, setup, runs, plan.setup)
    return runs


def run_case(plan: FleetPlan, case: FleetCase) -> Run:
    """Simulate one case; its figures under the names of results.json."""
    n = case.layout.instances
    workload = resample(plan.workload, plan.requests, case.seed)
    workload = with_arrivals(workload, "gamma", case.rate, plan.cv, case.seed)
    name, predictor = _split(plan, case.spec)
    start = time.perf_counter()
    cluster = Cluster(
        workload,
        lambda: make_policy(name, plan.setup.classes),
        make_router(case.router),
        make_predictor(predictor),
        load_profile(plan.profile),
        plan.setup,
        case.layout,
        case.seed,
    )
    outcome = cluster.run()
    balance = outcome.balance
    labels = Labels(
        policy=name,
        predictor=predictor,
        router=case.router,
        stale_s=case.layout.stale_s,
        engine="simulator",
        model=Path(plan.profile).stem,
        rate=case.rate,
        load=case.load,
        seed=case.seed,
    )
    spread = Spread(
        failed=outcome.failed,
        resubmitted=outcome.resubmitted,
        predictions=outcome.predictions,
        seat_imbalance=balance.seats,
        work_imbalance=balance.work,
        busy_seats=balance.busy,
    )
    notes = Notes(
        overloaded=overloaded(outcome.total, n * plan.setup.seats),
        simulated_in_s=time.perf_counter() - start,
    )
    size = Size(seats=plan.setup.seats, instances=n)
    times, service = times_of(workload, outcome.total), services_of(plan.setup.classes, workload)
    if plan.requests_in is not None and case.seed == 0:
        rows = rows_of(workload, times, cluster.initial, service)
        write_requests(plan.requests_in, case.number, rows)
    got = *figures(workload, outcome.total, plan.until), held(plan.setup.classes, times, service)
    return Run.of(labels, size, *got, spread, notes)


def _split(plan: FleetPlan, spec: str) -> tuple[str, str]:
    """Policy and predictor; a policy that can do without leaves it to the routers."""
    name, at, predictor = spec.partition("@")
    policy = make_policy(name)
    default = default_predictor(policy)
    predicting = any(make_router(router).predicts for router in plan.routers)
    if predicting and (policy.source == "none" or not policy.needs_predictions):
        default = DEFAULTS["prompt"]
    return name, predictor if at else default
