"""Promises kept under load: ``python -m lengthwise.studies.targets TRACE...``.

Requests of a trace, at its own times, spread over three classes; several policies on one
simulated engine at the present load, a quarter more, and in overload. Load 1 is the rate at which
requests leave under FCFS when 1.4 times as many come.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lengthwise.core.classes_file import classes_of, read_classes
from lengthwise.core.service import Classes, Sender, ServiceClass
from lengthwise.results.tables import print_table
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import load_profile
from lengthwise.studies.parallel import in_parallel
from lengthwise.studies.scenarios import capacity, serve
from lengthwise.traces import read_workload
from lengthwise.workload import Workload
from lengthwise.workload.class_mix import parse_mix, with_mix

CLASSES = {
    "default": "standard",
    "class": {
        "interactive": {"ttft": "1s", "tpot": "200ms", "tenants": ["interactive"]},
        "standard": {"ttft": "10s"},
        "batch": {"tenants": ["batch"]},
    },
}

LOADS = {"present": 0.8, "+25 %": 1.0, "overload": 1.3}

POLICIES = "lengthwise+targets,lengthwise,fcfs,edf,fcfs+priority"


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        traces: files of requests.
        window: requests of a run; seed n takes the n-th window of the trace, around its end.
    """

    traces: list[str]
    policies: list[str]
    loads: dict[str, float]
    seeds: list[int]
    window: int
    setup: Setup
    profile: str
    mix: dict[str, float]
    classes: Classes


class Case(NamedTuple):
    """All policies on one window of a trace at one load."""

    trace: str
    load: float
    seed: int


class Figures(NamedTuple):
    """What came of one run.

    Attributes:
        goodput: requests a second that got all that they were promised, of those that were
            promised anything.
        attained: share of each class, in the classes' order; NaN where nothing is promised.
        mean, p99: seconds of latency, of all requests.
        longest: seconds to the first token, of the class without a promise.
    """

    goodput: float
    attained: tuple[float, ...]
    mean: float
    p99: float
    longest: float


def window(workload: Workload, number: int, size: int) -> Workload:
    """So many requests in a row at their own times."""
    count = max(len(workload) // size, 1)
    start = (number % count) * size
    rows = np.arange(start, min(start + size, len(workload)))
    arrival = workload.arrival[rows]
    return workload.rows(rows, arrival - arrival[0])


def run_case(plan: Plan, case: Case) -> list[Figures]:
    """The figures of each policy."""
    time = load_profile(plan.profile)
    whole = read_workload(case.trace)
    rate = capacity(whole, time, replace(plan.setup, classes=None), case.seed)
    traffic = window(whole, case.seed, plan.window).scaled_to(case.load * rate)
    traffic = with_mix(traffic, plan.classes, plan.mix, case.seed)
    setup = replace(plan.setup, classes=plan.classes)
    return [
        figures(traffic, serve(traffic, spec, time, setup, case.seed), plan.classes)
        for spec in plan.policies
    ]


def figures(workload: Workload, outcome: Outcome, classes: Classes) -> Figures:
    """Who got what was promised."""
    services = [
        classes.of(Sender(tenant, int(priority))).name
        for tenant, priority in zip(workload.tenant, workload.priority, strict=True)
    ]
    of = np.array(services)
    ttft, latency = outcome.first - workload.arrival, outcome.finish - workload.arrival
    met = {each.name: _met(each, ttft, latency, workload, of == each.name) for each in classes.all}
    span = float(np.nanmax(outcome.finish))
    kept = sum(int(met[each.name].sum()) for each in classes.all if each.target)
    rest = np.isin(of, [each.name for each in classes.all if not each.target])
    done = latency[~np.isnan(latency)]
    return Figures(
        kept / span,
        tuple(
            float(met[each.name].mean()) if each.target and len(met[each.name]) else np.nan
            for each in classes.all
        ),
        float(done.mean()),
        float(np.percentile(done, 99)),
        float(np.nanmax(ttft[rest])) if rest.any() else np.nan,
    )


def _met(
    each: ServiceClass, ttft: np.ndarray, latency: np.ndarray, workload: Workload, rows: np.ndarray
) -> np.ndarray:
    several = zip(ttft[rows], latency[rows], workload.output[rows], strict=True)
    return np.array([each.target.met(*one) for one in several], dtype=bool)


def show(plan: Plan, cases: Sequence[Case], found: Sequence[list[Figures]]) -> None:
    """A table: means over seeds."""
    rows = []
    for trace, (name, load) in product(plan.traces, plan.loads.items()):
        here = [f for c, f in zip(cases, found, strict=True) if c.trace == trace and c.load == load]
        for i, spec in enumerate(plan.policies):
            mean = [np.mean([each[i][k] for each in here], axis=0) for k in range(5)]
            shares = [f"{100 * x:.1f}" for x in mean[1] if not np.isnan(x)]
            numbers = [f"{mean[0]:.3f}", *shares, *(f"{x:.2f}" for x in mean[2:])]
            rows.append((Path(trace).name.split(".")[0], name, spec, *numbers))
    kept = [f"{each.name} %" for each in plan.classes.all if each.target]
    heads = ("trace", "load", "policy", "goodput/s", *kept, "mean s", "p99 s", "batch longest s")
    print_table("promises kept", heads, rows, left=("trace", "load", "policy"), width=140)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", nargs="+")
    parser.add_argument("--policies", default=POLICIES)
    parser.add_argument("--loads", default=",".join(f"{n}={x}" for n, x in LOADS.items()))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--window", type=int, default=3_000)
    parser.add_argument("--seats", type=int, default=256)
    parser.add_argument("--kv-blocks", type=int, default=25_000)
    parser.add_argument("--profile", default="a100-llama3-8b")
    parser.add_argument("--mix", default="interactive=0.4,standard=0.4,batch=0.2")
    parser.add_argument("--classes", help="file of service classes")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    loads = {
        name: float(x) for name, _, x in (each.partition("=") for each in args.loads.split(","))
    }
    classes = read_classes(args.classes) if args.classes else classes_of(CLASSES)
    setup = Setup(args.seats, blocks=args.kv_blocks, reserve=args.kv_blocks // 100)
    plan = Plan(
        args.traces,
        args.policies.split(","),
        loads,
        [int(seed) for seed in args.seeds.split(",")],
        args.window,
        setup,
        args.profile,
        parse_mix(args.mix),
        classes,
    )
    cases = [Case(*each) for each in product(plan.traces, loads.values(), plan.seeds)]
    show(plan, cases, in_parallel(run_case, plan, cases, args.workers))


if __name__ == "__main__":
    main()
