"""``lengthwise bench --routers``: the same requests through several routers, on real replicas."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lengthwise.bench import plan as plans
from lengthwise.bench.client import Routed
from lengthwise.bench.front import Front, on_ray
from lengthwise.bench.plan import setup_of
from lengthwise.bench.router_figures import capacity, routed, show_routers
from lengthwise.bench.worker import STOCK
from lengthwise.core.checks import at_least, folder_for, positive
from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.models.served import context_of
from lengthwise.ray.app import Route, absolute, check, check_names
from lengthwise.results.files import write_requests, write_results
from lengthwise.vllm.settings import Settings
from lengthwise.workload import arrival_times as arrivals

Start = Callable[[Route], AbstractContextManager[Front]]


@dataclass(frozen=True)
class Plan:
    """What to compare, beside what the bench of one engine takes.

    Attributes:
        base: model, prompts, policies of the replicas, predictors, rates and loads; no rate
            at all if there are loads only.
        routers: names; the first is what the others are compared with.
        replicas: vLLM engines.
        repeat: how often; each time the requests come at other times.
        report_s: seconds between two load reports of a replica.
    """

    base: plans.Plan
    routers: list[str]
    replicas: int = 2
    repeat: int = 1
    report_s: float = 1.0

    def check(self) -> None:
        """Refuse numbers and times that no run could have; routes are checked one by one.

        Raises:
            UserError: names the flag.
        """
        at_least(1, repeat=self.repeat, replicas=self.replicas)
        positive(report=self.report_s)
        self.base.check_numbers()
        self.base.check_arrivals()
        if self.base.loads and len(self.base.prompts) <= self.base.seats * self.replicas:
            raise UserError("every request had a seat at once: more of them show the capacity")


def compare_routers(plan: Plan, out: Path, start: Start = on_ray) -> list[dict[str, Any]]:
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


def _route(plan: Plan, spec: str) -> Route:
    """What ``lengthwise route`` would be told."""
    base = plan.base
    given = plans.with_predictors(base, spec)
    if given["policy"] == STOCK:
        raise UserError(
            "replicas run lengthwise's scheduler: --policies fcfs decides as stock does"
        )
    given["probe"] = absolute(given["probe"])
    return Route(
        base.model.resolve(),
        Settings(**given, **base.settings),
        plan.replicas,
        plan.routers[0],
        base.seats,
        # Any port: the bench looks for a free one.
        port=0,
        report_s=plan.report_s,
        engine=plans.engine_arguments(base),
    )


class _Bench:
    """What the runs share."""

    def __init__(self, plan: Plan, requests: list[dict[str, Any]], out: Path) -> None:
        self._plan, self._requests, self._out = plan, requests, out
        self._answers: dict[str, list[int]] = {}
        self._capacity = 0.0
        self.runs: list[dict[str, Any]] = []

    def serve(self, spec: str, front: Front) -> None:
        """All runs of one policy, on replicas that have just started."""
        plan = self._plan
        front.warm_up(self._requests)
        if plan.base.loads and not self._capacity:
            burst = arrivals.burst(len(self._requests))
            lives, _ = self._run(front, plan.routers[0], "capacity", burst)
            self._capacity = capacity(lives, plan.base.seats)
        rates: list[tuple[float | None, float | None]] = [(rate, None) for rate in plan.base.rates]
        rates += [(load * self._capacity, load) for load in plan.base.loads]
        for rate, load in rates:
            for repeat in range(plan.repeat):
                seeded = replace(plan.base, seed=plan.base.seed + repeat)
                times = plans.arrival_times(seeded, rate)
                for router in plan.routers:
                    lives, known = self._run(front, router, spec, times)
                    labels = plans.labels(seeded, spec, rate, load)
                    labels |= {"router": router, "replicas": plan.replicas, "repeat": repeat}
                    # Routers read predictions even where the policy does not.
                    labels["predictors"] = plans.with_predictors(plan.base, spec)["probe"]
                    self._keep(labels, lives, known)

    def _run(
        self, front: Front, router: str, what: str, times: list[float]
    ) -> tuple[list[Routed], dict[str, Any]]:
        """One router's run, and what the router said afterwards."""
        front.use(router)
        requests = [
            {**request, "arrival": time}
            for request, time in zip(self._requests, times, strict=True)
        ]
        bar = tqdm(total=len(requests), desc=visible(f"{what:>12} {router:>15}"), unit="request")
        lives = front.send(requests, self._plan.base.cap, bar.update)
        bar.close()
        if all(life.finish is None for life in lives):
            raise UserError(f"router {router} over {what} finished no request: {lives[0].error}")
        return lives, front.known()

    def _keep(self, labels: dict[str, Any], lives: list[Routed], known: dict[str, Any]) -> None:
        """The run's figures, and every request of it, in files."""
        plan = self._plan
        found = routed(lives, known, plan.replicas, plan.base.until)
        answers = {life.id: life.answer for life in lives if life.finish is not None}
        other = sum(
            answer != self._answers.setdefault(id, answer) for id, answer in answers.items()
        )
        self.runs.append({**labels, **found, "other_answers": other})
        measured = {"report_s": plan.report_s, "capacity_requests_per_s": self._capacity or None}
        write_results(self._out, setup_of(plan.base) | measured, self.runs)
        more = ("sent", "replica", "error")
        rows = [asdict(life) for life in lives]
        write_requests(self._out, len(self.runs) - 1, self._requests, rows, more)
