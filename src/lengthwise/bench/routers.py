"""``lengthwise bench routers``: the same requests through several routers, on real replicas."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from lengthwise.bench import plan as plans
from lengthwise.bench.client import Known, Routed
from lengthwise.bench.front import Front, on_ray
from lengthwise.bench.job import STOCKS, BenchRequest, settings_of
from lengthwise.bench.router_figures import capacity, routed
from lengthwise.core.checks import at_least, folder_for, positive
from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.models.served import ENGINE_CONTEXT, context_of
from lengthwise.ray.app import Route, absolute, check, check_names
from lengthwise.results import setups
from lengthwise.results.files import write_requests, write_results
from lengthwise.results.record import Notes, Part, Run
from lengthwise.results.tables import show_routers
from lengthwise.workload import arrival_times as arrivals

Start = Callable[[Route], AbstractContextManager[Front]]


@dataclass(frozen=True)
class RouterPlan:
    """What to compare, beside what the bench of one engine takes.

    Attributes:
        base: model, prompts, policies of the replicas, predictors, rates and loads; no rate
            at all if there are loads only.
        routers: names; the first is what the others are compared with.
        replicas: vLLM engines.
        repeat: how often; each time the requests come at other times.
        report_s: seconds between two load reports of a replica.
    """

    base: plans.BenchPlan
    routers: list[str]
    replicas: int = 2
    repeat: int = 1
    report_s: float = 1.0

    def check(self) -> None:
        """Refuse numbers and times that no run could have; routes are checked one by one.

        Raises:
            UserError: names the flag.
        """
        at_least(1, repeat=self.repeat, instances=self.replicas)
        positive(report_interval=self.report_s)
        self.base.check_numbers()
        self.base.check_arrivals()
        if self.base.loads and len(self.base.prompts) <= self.base.seats * self.replicas:
            raise UserError("every request had a seat at once: more of them show the capacity")


def compare_routers(plan: RouterPlan, out: Path, start: Start = on_ray) -> list[Run]:
    """Serve the plan through every router; results.json after each run, and a table.

    Replicas are started once for each policy. Routers alternate, one repeat after the other,
    so that a machine that drifts drifts for all of them; within a repeat all get the same
    requests at the same times. Loads are shares of what all replicas finish in a burst under
    the first policy and router while every seat is taken; that burst is not reported.

    Raises:
        UserError: for bad input, before anything runs; or replicas that do not serve.
    """
    plan.check()
    folder_for(out)
    routes = {spec: _route(plan, spec) for spec in plan.base.policies}
    every = [replace(route, router=router) for route in routes.values() for router in plan.routers]
    for route in every:
        check_names(route)
    for route in every:
        check(route)
    context = context_of(plan.base.model)
    base, requests = plans.tokenized(plan.base, context)
    bench = _Bench(replace(plan, base=base), requests, out)
    for spec, route in routes.items():
        with start(route) as front:
            bench.serve(spec, front)
    show_routers(bench.runs)
    return bench.runs


def _route(plan: RouterPlan, spec: str) -> Route:
    """The settings that ``lengthwise route`` would have."""
    base = plan.base
    policy, folder = plans.with_predictors(base, spec)
    if policy in STOCKS:
        raise UserError(
            "replicas run lengthwise's scheduler: --policies fcfs decides as stock does"
        )
    return Route(
        base.model.resolve(),
        settings_of(policy, absolute(folder), base.settings),
        plan.replicas,
        plan.routers[0],
        base.seats,
        # Any port: the bench looks for a free one.
        port=0,
        report_s=plan.report_s,
        flags=_flags(base),
    )


def _flags(base: plans.BenchPlan) -> list[str]:
    """vLLM's flags for the engines that other benches have, too."""
    context = str(context_of(base.model))
    flags = ["--max-model-len", context, "--max-num-batched-tokens", str(ENGINE_CONTEXT)]
    for name, value in plans.engine_arguments(base).items():
        flags += [f"--{name.replace('_', '-')}", str(value)]
    return [*flags, "--enforce-eager"]


class _Bench:
    """What the runs share."""

    def __init__(self, plan: RouterPlan, requests: list[BenchRequest], out: Path) -> None:
        self._plan, self._requests, self._out = plan, requests, out
        self._answers: dict[str, list[int]] = {}
        self._capacity = 0.0
        self.runs: list[Run] = []

    def serve(self, spec: str, front: Front) -> None:
        """All runs of one policy, on replicas that have just started."""
        plan = self._plan
        front.warm_up(self._requests)
        if plan.base.loads and not self._capacity:
            burst = arrivals.burst(len(self._requests))
            timings, _ = self._run(front, plan.routers[0], "capacity", burst)
            self._capacity = capacity(timings, plan.base.seats)
        rates: list[tuple[float | None, float | None]] = [(rate, None) for rate in plan.base.rates]
        rates += [(load * self._capacity, load) for load in plan.base.loads]
        for rate, load in rates:
            for repeat in range(plan.repeat):
                seeded = replace(plan.base, seed=plan.base.seed + repeat)
                times = plans.arrival_times(seeded, rate)
                for router in plan.routers:
                    timings, known = self._run(front, router, spec, times)
                    labels, size = plans.labels_of(seeded, spec, rate, load)
                    # Routers read predictions even where the policy does not.
                    _, folder = plans.with_predictors(plan.base, spec)
                    labels = replace(labels, router=router, repeat=repeat, predictors=folder)
                    size = replace(size, replicas=plan.replicas)
                    self._keep((labels, size), timings, known)

    def _run(
        self, front: Front, router: str, what: str, times: list[float]
    ) -> tuple[list[Routed], Known]:
        """One router's run, and the router's own figures after it."""
        front.use(router)
        requests = [
            replace(request, arrival=time)
            for request, time in zip(self._requests, times, strict=True)
        ]
        bar = tqdm(total=len(requests), desc=visible(f"{what:>12} {router:>15}"), unit="request")
        timings = front.send(requests, self._plan.base.cap, bar.update)
        bar.close()
        if all(timing.finish is None for timing in timings):
            raise UserError(f"router {router} over {what} finished no request: {timings[0].error}")
        return timings, front.known()

    def _keep(self, labels: tuple[Part, ...], timings: list[Routed], known: Known) -> None:
        """The run's figures, and every request of it, in files."""
        plan = self._plan
        found = routed(timings, known, plan.replicas, plan.base.until)
        other = sum(
            timing.answer != self._answers.setdefault(timing.id, timing.answer)
            for timing in timings
            if timing.finish is not None
        )
        self.runs.append(Run.of(*labels, *found, Notes(other_answers=other)))
        write_results(self._out, self._setup(), self.runs)
        by_id = {request.id: request for request in self._requests}
        rows = (
            by_id[each.id].row(each, sent=each.sent, replica=each.replica, error=each.error)
            for each in timings
        )
        write_requests(self._out, len(self.runs) - 1, rows)

    def _setup(self) -> setups.RouterBench:
        plan = self._plan
        return setups.RouterBench(
            **plans.scheduling_setup(plan.base),
            routers=plan.routers,
            replicas=plan.replicas,
            repeat=plan.repeat,
            report_s=plan.report_s,
            capacity_requests_per_s=self._capacity or None,
        )
