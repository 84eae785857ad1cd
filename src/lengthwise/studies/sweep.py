"""Many simulated runs: rates by policies by seeds, on every core."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from lengthwise.core.checks import at_least, positive
from lengthwise.core.policy import Policy
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.results import setups
from lengthwise.results.files import RequestRow, rows_of, write_requests, write_results
from lengthwise.results.promises import described, held, services_of
from lengthwise.results.record import Labels, Notes, Part, Run, Size
from lengthwise.results.timings import Times
from lengthwise.sim.engine import Simulator
from lengthwise.sim.figures import figures, overloaded, times_of
from lengthwise.sim.predictors import check_predictor, make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import load_profile
from lengthwise.studies.parallel import in_parallel
from lengthwise.traces import Trace
from lengthwise.workload import Workload, resample, with_arrivals

DEFAULTS = {"none": "constant", "prompt": "lognormal:0.7", "probe": "refined", "oracle": "oracle"}
"""Predictor of a policy that needs one and is given none, by the kind of prediction it uses."""

BURST = math.inf
"""The rate at which all requests come at once."""


@dataclass(frozen=True)
class Measured:
    """What one run measured.

    Attributes:
        parts: of its figures.
        times: of its requests, in the workload's order.
        predicted: [n] output tokens predicted at arrival, NaN for unknown; None without
            predictions.
    """

    parts: tuple[Part, ...]
    times: Times
    predicted: Sequence[float] | None = None

    def rows(self, workload: Workload, service: Sequence[str] = ()) -> Iterator[RequestRow]:
        """Its requests as files have them; those without an id are numbered.

        Args:
            service: the names of their classes, or none at all.
        """
        return rows_of(workload, self.times, self.predicted, service)


class Serving(Protocol):
    """A kind of engine: what serves a workload under a policy."""

    def check(self, plan: SweepPlan) -> None:
        """Raises UserError if it cannot serve the plan."""

    def predictor(self, policy: str) -> str:
        """What a policy is told by default; raises UserError if there is no such policy."""

    def run(
        self, plan: SweepPlan, workload: Workload, policy: str, predictor: str, seed: int
    ) -> Measured:
        """What one run measured."""

    def described(self, plan: SweepPlan) -> Part:
        """Its settings, for results.json."""


class Continuous:
    """Continuous batching on one engine, as vLLM does it."""

    def check(self, plan: SweepPlan) -> None:
        """Its step times must be there."""
        load_profile(plan.profile)

    def predictor(self, policy: str) -> str:
        """What suits the policy."""
        return default_predictor(make_policy(policy))

    def run(
        self, plan: SweepPlan, workload: Workload, policy: str, predictor: str, seed: int
    ) -> Measured:
        """Figures of one run."""
        time = load_profile(plan.profile)
        made = make_policy(policy, plan.setup.classes), make_predictor(predictor)
        simulator = Simulator(workload, *made, time, plan.setup, seed)
        outcome = simulator.run()
        piled_up = bool(workload.arrival[-1] > 0) and overloaded(outcome, plan.setup.seats)
        found = figures(workload, outcome, plan.until)
        parts = *found, Size(seats=plan.setup.seats), Notes(overloaded=piled_up)
        return Measured(parts, times_of(workload, outcome), simulator.initial)

    def described(self, plan: SweepPlan) -> Part:
        """Seats, memory and what preemption costs."""
        return plan.setup


@dataclass(frozen=True)
class SweepPlan:
    """What to simulate.

    Attributes:
        policies: ``policy`` or ``policy@predictor``, such as ``trail:0.5@lognormal:0.4``.
        rates: requests per second, :data:`BURST` for all at once; None keeps the workload's
            own times.
        process: arrival process for the rates (see ``with_arrivals``).
        requests: how many to resample from the workload; None serves it as it is.
        seeds: independent repetitions, for the confidence intervals.
        until: also measure the seconds until this many requests have finished.
        serving: which kind of engine; ``setup`` is the continuous one's.
        requests_in: folder where each run of the first seed leaves its requests; None keeps
            none.
        trace: what is known of the file that the workload comes from, for results.json.
    """

    workload: Workload
    policies: list[str]
    profile: str
    setup: Setup
    rates: list[float | None] = field(default_factory=lambda: [None])
    process: str = "poisson"
    cv: float = 1.0
    requests: int | None = None
    seeds: int = 1
    workers: int = 0
    until: int | None = None
    serving: Serving = field(default_factory=Continuous)
    requests_in: Path | None = None
    trace: Trace | None = None

    def check(self) -> None:
        """Refuse what cannot be simulated, before anything is.

        Raises:
            UserError: for a number out of range, an unknown policy, predictor or profile,
                rates that do not go with the arrivals, or an engine too small.
        """
        at_least(1, repeat=self.seeds, requests=self.requests, until=self.until)
        at_least(0, workers=self.workers)
        positive(cv=self.cv)
        for spec in self.policies:
            check_predictor(split(spec, self.serving)[1], self.workload, self.requests)
        self.serving.check(self)
        sample = self.workload if self.requests is None else resample(self.workload, 2, 0)
        for rate in self.rates:
            served(sample, self.process, rate, self.cv, None, 0)
        if self.cv != 1.0 and all(rate in (None, BURST) for rate in self.rates):
            raise UserError("--cv goes with --rates in numbers: a trace and a burst have their own")


def origin(trace: Trace | None) -> dict[str, Any]:
    """What results.json says of the file that a workload comes from."""
    if trace is None:
        return {}
    left_out = {each.reason: each.rows for each in trace.left_out}
    return {"rows": trace.rows, "left_out": left_out, "found": [*trace.found]}


@dataclass(frozen=True)
class Case:
    """One run of a plan; ``number`` is its place among them."""

    spec: str
    rate: float | None
    seed: int
    number: int = 0


def run_case(plan: SweepPlan, case: Case) -> Run:
    """Simulate one case; its figures under the names of results.json."""
    workload = served(plan.workload, plan.process, case.rate, plan.cv, plan.requests, case.seed)
    process = "trace" if case.rate is None else plan.process
    name, predictor = split(case.spec, plan.serving)
    start = time.perf_counter()
    found = plan.serving.run(plan, workload, name, predictor, case.seed)
    labels = Labels(
        policy=name,
        predictor=predictor,
        engine="simulator",
        model=Path(plan.profile).stem,
        rate=None if case.rate == BURST else case.rate,
        arrivals="burst" if workload.arrival[-1] == 0 else process,
        seed=case.seed,
    )
    notes = Notes(simulated_in_s=time.perf_counter() - start)
    classes = None if plan.setup is None else plan.setup.classes
    service = services_of(classes, workload)
    run = Run.of(labels, *found.parts, held(classes, found.times, service), notes)
    if plan.requests_in is not None and case.seed == 0:
        write_requests(plan.requests_in, case.number, found.rows(workload, service))
    return run


def served(
    workload: Workload,
    process: str,
    rate: float | None,
    cv: float,
    requests: int | None,
    seed: int,
) -> Workload:
    """What a run serves: requests resampled from the workload, or it as it is, at their times.

    Without a rate the workload's own times stay, unless the process is ``burst``; at the rate
    :data:`BURST` all come at once.
    """
    if requests is not None:
        workload = resample(workload, requests, seed)
    if rate == BURST or (rate is None and process == "burst"):
        return with_arrivals(workload, "burst")
    return workload if rate is None else with_arrivals(workload, process, rate, cv, seed)


def split(spec: str, serving: Serving | None = None) -> tuple[str, str]:
    """Policy and predictor of ``policy@predictor``; each policy has a default predictor."""
    name, at, predictor = spec.partition("@")
    default = (serving or Continuous()).predictor(name)
    return name, predictor if at else default


def default_predictor(policy: Policy) -> str:
    """What a policy is told where no predictor is named: nothing, if it can do without.

    A policy that needs no predictions is simulated as it serves where none was trained.
    """
    return DEFAULTS[policy.source] if policy.needs_predictions else "none"


def sweep(plan: SweepPlan, out: Path | None) -> list[Run]:
    """Every policy at every rate with every seed; results.json in ``out``.

    The result is in the plan's order whatever core finished first.

    Raises:
        UserError: for what :meth:`Plan.check` refuses, before anything runs.
    """
    plan.check()
    several = product(plan.rates, plan.policies, range(plan.seeds))
    cases = [Case(spec, rate, seed, i) for i, (rate, spec, seed) in enumerate(several)]
    if plan.requests_in is not None:
        plan.requests_in.mkdir(parents=True, exist_ok=True)
    runs = in_parallel(run_case, plan, cases, plan.workers)
    if out is not None:
        setup = setups.Sweep(
            workload=plan.workload.name,
            requests=plan.requests or len(plan.workload),
            resampled=plan.requests is not None,
            profile=plan.profile,
            policies=plan.policies,
            cv=plan.cv,
            seeds=plan.seeds,
            until=plan.until,
            rates=["burst" if rate == BURST else rate for rate in plan.rates],
            process=plan.process,
            classes=described(plan.setup.classes),
            **origin(plan.trace),
        )
        write_results(out, setup, runs, plan.serving.described(plan))
    return runs
