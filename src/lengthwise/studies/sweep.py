"""Many simulated runs: rates by policies by seeds, on every core."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

from lengthwise.core.checks import at_least, positive
from lengthwise.core.policy import Source
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.results import until as reached
from lengthwise.results.runs import grouped, interval, mean
from lengthwise.results.tenants import show_tenants
from lengthwise.results.terminal import Table, say
from lengthwise.sim.engine import Simulator
from lengthwise.sim.figures import figures, overloaded
from lengthwise.sim.predictors import check_predictor, make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import load_profile
from lengthwise.workload import Workload, resample, with_arrivals

P = TypeVar("P")
C = TypeVar("C")

DEFAULTS = {"none": "constant", "prompt": "lognormal:0.7", "probe": "refined", "oracle": "oracle"}
"""Predictor of a policy that is given none, by the kind of prediction it uses."""

BURST = math.inf
"""The rate at which all requests come at once."""


class Serving(Protocol):
    """A kind of engine: what serves a workload under a policy."""

    def check(self, plan: Plan) -> None:
        """Raises UserError if it cannot serve the plan."""

    def source(self, policy: str) -> Source:
        """The prediction a policy uses; raises UserError if there is no such policy."""

    def run(
        self, plan: Plan, workload: Workload, policy: str, predictor: str, seed: int
    ) -> dict[str, Any]:
        """Figures of one run under the names of results.json."""

    def described(self, plan: Plan) -> dict[str, Any]:
        """Its settings, for results.json."""


class Continuous:
    """Continuous batching on one engine, as vLLM does it."""

    def check(self, plan: Plan) -> None:
        """Its step times must be there."""
        load_profile(plan.profile)

    def source(self, policy: str) -> Source:
        """As the policy says."""
        return make_policy(policy).source

    def run(
        self, plan: Plan, workload: Workload, policy: str, predictor: str, seed: int
    ) -> dict[str, Any]:
        """Figures of one run."""
        time = load_profile(plan.profile)
        made = make_policy(policy), make_predictor(predictor)
        outcome = Simulator(workload, *made, time, plan.setup, seed).run()
        piled_up = bool(workload.arrival[-1] > 0) and overloaded(outcome, plan.setup.seats)
        found = figures(workload, outcome, plan.until)
        return {"seats": plan.setup.seats, **found, "overloaded": piled_up}

    def described(self, plan: Plan) -> dict[str, Any]:
        """Seats, memory and what preemption costs."""
        return asdict(plan.setup)


@dataclass(frozen=True)
class Plan:
    """What to simulate.

    Attributes:
        policies: ``policy`` or ``policy@predictor``, such as ``trail:0.5@lognormal:0.4``.
        rates: requests per second, :data:`BURST` for all at once; None keeps the workload's
            own times.
        process: arrival process for the rates (see ``with_arrivals``).
        requests: how many to resample from the workload; None serves it as it is.
        seeds: independent repetitions, for the confidence intervals.
        until: also say when so many requests had finished.
        serving: which kind of engine; ``setup`` is the continuous one's.
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

    def check(self) -> None:
        """Refuse what cannot be simulated, before anything is.

        Raises:
            UserError: for a number out of range, an unknown policy, predictor or profile,
                rates that do not go with the arrivals, or an engine too small.
        """
        at_least(1, seeds=self.seeds, requests=self.requests, until=self.until)
        at_least(0, workers=self.workers)
        positive(cv=self.cv)
        for spec in self.policies:
            check_predictor(split(spec, self.serving)[1], self.workload, self.requests)
        self.serving.check(self)
        sample = self.workload if self.requests is None else resample(self.workload, 2, 0)
        for rate in self.rates:
            arriving(self, sample, rate, 0)
        if self.cv != 1.0 and all(rate in (None, BURST) for rate in self.rates):
            raise UserError("--cv goes with --rates in numbers: a trace and a burst have their own")


@dataclass(frozen=True)
class Case:
    """One run of a plan."""

    spec: str
    rate: float | None
    seed: int


def run_case(plan: Plan, case: Case) -> dict[str, Any]:
    """Simulate one case; its figures under the names of results.json."""
    workload = plan.workload
    if plan.requests is not None:
        workload = resample(workload, plan.requests, case.seed)
    workload = arriving(plan, workload, case.rate, case.seed)
    process = "trace" if case.rate is None else plan.process
    name, predictor = split(case.spec, plan.serving)
    start = time.perf_counter()
    found = plan.serving.run(plan, workload, name, predictor, case.seed)
    return {
        "policy": name,
        "predictor": predictor,
        "engine": "simulator",
        "model": Path(plan.profile).stem,
        "rate": None if case.rate == BURST else case.rate,
        "arrivals": "burst" if workload.arrival[-1] == 0 else process,
        "seed": case.seed,
        **found,
        "simulated_in_s": time.perf_counter() - start,
    }


def arriving(plan: Plan, workload: Workload, rate: float | None, seed: int) -> Workload:
    """The requests at one of the plan's rates."""
    if rate is None:
        return workload
    if rate == BURST:
        return with_arrivals(workload, "burst")
    return with_arrivals(workload, plan.process, rate, plan.cv, seed)


def split(spec: str, serving: Serving | None = None) -> tuple[str, str]:
    """Policy and predictor of ``policy@predictor``; each policy has a default predictor."""
    name, at, predictor = spec.partition("@")
    source = (serving or Continuous()).source(name)
    return name, predictor if at else DEFAULTS[source]


def sweep(plan: Plan, out: Path | None) -> list[dict[str, Any]]:
    """Every policy at every rate with every seed; results.json and a table.

    The result is in the plan's order whatever core finished first.

    Raises:
        UserError: for what :meth:`Plan.check` refuses, before anything runs.
    """
    plan.check()
    cases = [
        Case(spec, rate, seed)
        for rate in plan.rates
        for spec in plan.policies
        for seed in range(plan.seeds)
    ]
    runs = in_parallel(run_case, plan, cases, plan.workers)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"setup": _described(plan), "runs": runs}, indent=1)
        (out / "results.json").write_text(text + "\n")
    return runs


def in_parallel(
    run: Callable[[P, C], dict[str, Any]], plan: P, cases: list[C], workers: int
) -> list[dict[str, Any]]:
    """Run every case, on so many cores (0: all); the results are in the cases' order."""
    workers = min(workers or os.cpu_count() or 1, len(cases))
    with tqdm(total=len(cases), desc="simulate", unit="run") as bar:
        if workers == 1:
            runs = []
            for case in cases:
                runs.append(run(plan, case))
                bar.update()
            return runs
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _share, (run, plan)) as pool:
            futures = {pool.submit(_shared_case, case): i for i, case in enumerate(cases)}
            by_number: dict[int, dict[str, Any]] = {}
            for future in as_completed(futures):
                by_number[futures[future]] = future.result()
                bar.update()
    return [by_number[i] for i in range(len(cases))]


_SHARED: list[Any] = []


def _share(run: Any, plan: Any) -> None:
    _SHARED[:] = [run, plan]


def _shared_case(case: Any) -> dict[str, Any]:
    run, plan = _SHARED
    found: dict[str, Any] = run(plan, case)
    return found


def _described(plan: Plan) -> dict[str, Any]:
    return {
        "workload": plan.workload.name,
        "requests": plan.requests or len(plan.workload),
        "profile": plan.profile,
        "process": plan.process,
        "cv": plan.cv,
        **plan.serving.described(plan),
    }


def show(runs: list[dict[str, Any]]) -> None:
    """A line for each policy and rate; ± is a 95 % confidence interval over the seeds."""
    heads = "policy predictor rate mean p50 p99 TTFT maxwait tok/s preempt speed-up TTFT-ratio"
    until = runs[0].get("until")
    table = Table(
        "lengthwise simulate (times in simulated seconds)",
        [*heads.split(), *([f"first {until}"] if until else [])],
        left=("policy", "predictor"),
        width=150,
    )
    base: dict[Any, list[dict[str, Any]]] = {}
    for group in grouped(runs, ("rate", "arrivals", "policy", "predictor")):
        names = ("rate", "arrivals", "policy", "predictor")
        rate, arrivals, policy, predictor = (group[0][name] for name in names)
        if any(not run["finished"] for run in group):
            table.add_row(policy, predictor, str(rate), "all rejected")
            continue
        first = base.setdefault((rate, arrivals), group)
        middle, half = interval([run["mean_latency_s"] for run in group])
        table.add_row(
            policy,
            predictor,
            arrivals if rate is None else f"{rate:g}/s",
            f"{middle:.3g}s" + ("" if math.isnan(half) else f" ±{half:.2g}"),
            *(f"{mean(group, f'{name}_latency_s'):.3g}s" for name in ("p50", "p99")),
            f"{mean(group, 'mean_ttft_s'):.3g}s",
            f"{mean(group, 'max_waiting_s'):.3g}s",
            f"{mean(group, 'tokens_per_s'):.0f}",
            f"{mean(group, 'preemptions'):.0f}",
            f"{mean(first, 'mean_latency_s') / middle:.2f}x",
            f"{mean(first, 'mean_ttft_s') / mean(group, 'mean_ttft_s'):.2f}x",
            *([reached.shown(group)] if until else []),
        )
    table.print()
    show_tenants(runs)
    for rate in dict.fromkeys(run["rate"] for run in runs):
        if any(run.get("overloaded") for run in runs if run["rate"] == rate):
            what = "the trace's own rate" if rate is None else f"{rate:g} requests/s"
            say(f"{what} is above capacity: requests pile up, and figures grow with their number")
    rejected = max(run["rejected"] for run in runs)
    if rejected:
        say(f"{rejected} requests are larger than the KV memory: rejected")
