"""``lengthwise simulate --instances``: routers by instances by loads by seeds."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.routing import make_router
from lengthwise.sim.cluster import Cluster, Layout
from lengthwise.sim.figures import figures, overloaded
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import StepTime, load_profile
from lengthwise.sim.sweep import DEFAULTS, in_parallel
from lengthwise.sim.workload import Workload, resample, with_arrivals


@dataclass(frozen=True)
class FleetPlan:
    """What to simulate.

    Attributes:
        policies: ``policy`` or ``policy@predictor``; the predictor is the router's, too.
        layouts: the instances, and how stale reports are; one run for each.
        loads: arrival rates as shares of what the instances can serve (:func:`capacity`).
        requests: how many to resample from the workload.
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


@dataclass(frozen=True)
class FleetCase:
    """One run of a plan."""

    layout: Layout
    load: float
    spec: str
    router: str
    seed: int


def capacity(workload: Workload, setup: Setup, time: StepTime) -> float:
    """Requests per second that one instance serves while it is full.

    Full is with all seats taken, or all memory, whichever comes first; a request decodes its
    share of such steps, and its prompt's chunks are added.
    """
    output, prompt = workload.output.mean(), workload.prompt.mean()
    # What a request holds in the mean over its time in a seat: long ones hold it longer.
    holds = (workload.output * (workload.prompt + workload.output / 2)).sum()
    context = float(holds / workload.output.sum())
    seats = max(min(setup.seats, setup.blocks * setup.block_size / context), 1.0)
    held = int(seats * context)
    decode = time.seconds(0, round(seats), held)
    chunk = min(setup.budget, 512)
    prefill = (time.seconds(chunk, round(seats), held) - decode) / chunk
    return float(1.0 / (output * decode / seats + prompt * prefill))


def fleet_sweep(plan: FleetPlan, out: Path | None) -> list[dict[str, Any]]:
    """Every case of the plan; results.json and the runs, in the plan's order.

    Raises:
        UserError: for an unknown policy, router, predictor or profile, before anything runs.
    """
    load_profile(plan.profile)
    for spec in plan.policies:
        make_predictor(_split(spec)[1])
    for name in plan.routers:
        make_router(name)
    if plan.seeds < 1 or any(not load > 0 for load in plan.loads):
        raise UserError("give --seeds from 1 and --loads above 0")
    cases = [
        FleetCase(layout, load, spec, router, seed)
        for layout in plan.layouts
        for load in plan.loads
        for spec in plan.policies
        for router in plan.routers
        for seed in range(plan.seeds)
    ]
    runs = in_parallel(run_case, plan, cases, plan.workers)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps({"runs": runs}, indent=1) + "\n")
    return runs


def run_case(plan: FleetPlan, case: FleetCase) -> dict[str, Any]:
    """Simulate one case; its figures under the names of results.json."""
    steps, n = load_profile(plan.profile), case.layout.instances
    rate = case.load * n * capacity(plan.workload, plan.setup, steps)
    workload = resample(plan.workload, plan.requests, case.seed)
    workload = with_arrivals(workload, "gamma", rate, plan.cv, case.seed)
    name, predictor = _split(case.spec)
    start = time.perf_counter()
    outcome = Cluster(
        workload,
        lambda: make_policy(name),
        make_router(case.router),
        make_predictor(predictor),
        steps,
        plan.setup,
        case.layout,
        case.seed,
    ).run()
    balance = outcome.balance
    return {
        "policy": name,
        "predictor": predictor,
        "router": case.router,
        "instances": n,
        "stale_s": case.layout.stale_s,
        "engine": "simulator",
        "model": Path(plan.profile).stem,
        "rate": rate,
        "load": case.load,
        "seats": plan.setup.seats,
        "seed": case.seed,
        **figures(workload, outcome.total),
        "failed": outcome.failed,
        "resubmitted": outcome.resubmitted,
        "predictions": outcome.predictions,
        "seat_imbalance": balance.seats,
        "work_imbalance": balance.work,
        "busy_seats": balance.busy,
        "overloaded": overloaded(outcome.total, n * plan.setup.seats),
        "simulated_in_s": time.perf_counter() - start,
    }


def _split(spec: str) -> tuple[str, str]:
    """Policy and predictor; a policy that predicts nothing leaves it to the router."""
    name, at, predictor = spec.partition("@")
    source = make_policy(name).source
    return name, predictor if at else DEFAULTS["prompt" if source == "none" else source]


def show_fleets(runs: list[dict[str, Any]]) -> None:
    """A line for each router; p99 is also given against the first router of its group."""
    table = Table(title="lengthwise simulate, several instances (simulated seconds)")
    heads = "N load policy predictor router mean p50 p99 p99-change TTFT p99-TTFT imbalance req/s"
    for head in heads.split():
        left = head in ("policy", "predictor", "router")
        table.add_column(head, justify="left" if left else "right")
    first: dict[Any, float] = {}
    for group in _grouped(runs):
        run = group[0]
        key = (run["instances"], run["load"], run["policy"], run["predictor"])
        mean = {name: float(np.mean([each[name] for each in group])) for name in _SHOWN}
        base = first.setdefault(key, mean["p99_latency_s"])
        table.add_row(
            str(run["instances"]),
            f"{run['load']:g}",
            *(run[name] for name in ("policy", "predictor", "router")),
            *(f"{mean[f'{name}_latency_s']:.2f}s" for name in ("mean", "p50", "p99")),
            f"{100 * (mean['p99_latency_s'] / base - 1):+.1f} %",
            *(f"{mean[f'{name}_ttft_s']:.2f}s" for name in ("mean", "p99")),
            f"{mean['work_imbalance']:.2f}",
            f"{float(np.mean([each['finished'] / each['makespan_s'] for each in group])):.2f}",
        )
    console = Console(width=160)
    console.print(table)
    lost = sum(run["failed"] for run in runs)
    if lost:
        console.print(f"{lost} requests had begun to stream when their instance died: failed")


_SHOWN = (
    *("mean_latency_s", "p50_latency_s", "p99_latency_s", "mean_ttft_s", "p99_ttft_s"),
    "work_imbalance",
)


def _grouped(runs: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    names = ("instances", "load", "policy", "predictor", "router", "stale_s")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs:
        if run["finished"]:
            groups.setdefault(tuple(run[name] for name in names), []).append(run)
    return list(groups.values())
