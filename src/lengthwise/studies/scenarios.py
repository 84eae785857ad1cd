"""Traffic in which the order matters: ``python -m lengthwise.studies.scenarios WORKLOAD``.

A burst, spikes over a half load, an episode of overload, and Poisson arrivals just above and
below capacity; every policy beside the first one, on one simulated engine with vLLM's watermark.
Load 1 is the rate at which requests leave under FCFS when 1.4 times as many come.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lengthwise.core.arrays import Floats, Rng
from lengthwise.policies import make_policy
from lengthwise.results.capacity import middle_rate
from lengthwise.results.tables import print_table
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import StepTime, load_profile
from lengthwise.studies.sweep import split
from lengthwise.traces import read_workload
from lengthwise.workload import Workload, resample, with_arrivals

_BURST = 2_000
_POISSON = 10_000
_MANY = 1.4
"""Load at which an engine's own rate is measured."""


def _gaps(rate: float, seconds: float, rng: Rng) -> Floats:
    """Poisson arrivals during so many seconds."""
    return np.sort(rng.uniform(0.0, seconds, rng.poisson(rate * seconds)))


def _burst(rate: float, rng: Rng) -> Floats:
    return np.zeros(_BURST)


def _spikes(rate: float, rng: Rng) -> Floats:
    """2,000 within 2 s at 30 s, and 1,000 at 150 s, over a load of a half for 300 s."""
    first, second = rng.uniform(30.0, 32.0, 2_000), rng.uniform(150.0, 151.0, 1_000)
    return np.sort(np.concatenate((_gaps(0.5 * rate, 300.0, rng), first, second)))


def _episode(rate: float, rng: Rng) -> Floats:
    """A minute at 0.6, one at 1.5, three at 0.6."""
    parts = [(0.0, 60.0, 0.6), (60.0, 60.0, 1.5), (120.0, 180.0, 0.6)]
    return np.concatenate([start + _gaps(load * rate, s, rng) for start, s, load in parts])


def _steady(load: float) -> Callable[[float, Rng], Floats]:
    return lambda rate, rng: np.cumsum(rng.exponential(1.0 / (load * rate), _POISSON))


SCENARIOS: dict[str, Callable[[float, Rng], Floats]] = {
    "burst": _burst,
    "spikes": _spikes,
    "episode": _episode,
    "1.05": _steady(1.05),
    "0.95": _steady(0.95),
}


class Figures(NamedTuple):
    """What is compared, in seconds; and evictions."""

    mean: float
    p99: float
    ttft: float
    longest: float
    evictions: float

    @classmethod
    def of(cls, workload: Workload, outcome: Outcome) -> Figures:
        latency, first = outcome.finish - workload.arrival, outcome.first - workload.arrival
        served = latency[~np.isnan(latency)]
        return cls(
            float(served.mean()),
            float(np.percentile(served, 99)),
            float(np.nanmean(first)),
            float(np.nanmax(first)),
            outcome.evictions,
        )


def serve(workload: Workload, spec: str, time: StepTime, setup: Setup, seed: int) -> Outcome:
    """One run under ``policy@predictor``."""
    policy, predictor = split(spec)
    made = make_policy(policy, setup.classes), make_predictor(predictor)
    return Simulator(workload, *made, time, setup, seed).run()


def capacity(workload: Workload, time: StepTime, setup: Setup, seed: int) -> float:
    """Requests per second at load 1."""
    sample = resample(workload, 3_000, seed)
    burst = serve(with_arrivals(sample, "burst"), "fcfs", time, setup, seed)
    rate = middle_rate(burst.finish[~np.isnan(burst.finish)])
    crowd = with_arrivals(resample(workload, 6_000, seed), "poisson", _MANY * rate, seed=seed)
    finish = serve(crowd, "fcfs", time, setup, seed).finish
    return middle_rate(finish[~np.isnan(finish)])


def arrivals(workload: Workload, scenario: str, rate: float, seed: int) -> Workload:
    """Requests drawn from the workload, at the scenario's times."""
    times = SCENARIOS[scenario](rate, np.random.default_rng([seed, 14]))
    return replace(resample(workload, len(times), seed), arrival=times - times[0])


def main() -> None:
    """Print a table of ratios to the first policy, means over seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload")
    parser.add_argument("--policies", default="fcfs,lengthwise@none")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--seeds", default="5,6,7")
    parser.add_argument("--seats", type=int, default=256)
    parser.add_argument("--kv-blocks", type=int, default=25_000)
    parser.add_argument("--watermark", type=float, default=0.01, help="share of the blocks")
    parser.add_argument("--profile", default="a100-llama3-8b")
    args = parser.parse_args()
    workload, time = read_workload(args.workload), load_profile(args.profile)
    reserve = int(args.watermark * args.kv_blocks)
    setup = Setup(seats=args.seats, blocks=args.kv_blocks, reserve=reserve)
    specs, seeds = args.policies.split(","), [int(seed) for seed in args.seeds.split(",")]
    rates = {seed: capacity(workload, time, setup, seed) for seed in seeds}
    rows = []
    for scenario in args.scenarios.split(","):
        found: dict[str, list[Figures]] = {spec: [] for spec in specs}
        for seed in seeds:
            traffic = arrivals(workload, scenario, rates[seed], seed)
            for spec in specs:
                outcome = serve(traffic, spec, time, setup, seed)
                found[spec].append(Figures.of(traffic, outcome))
        rows += [row(scenario, spec, found[spec], found[specs[0]]) for spec in specs]
    title = f"{workload.name}: ratios to {specs[0]}; load 1 is {np.mean([*rates.values()]):.3g}/s"
    heads = ("scenario", "policy", "mean", "p99", "TTFT", "longest wait", "evictions")
    print_table(title, heads, rows, width=110)


def row(scenario: str, spec: str, found: list[Figures], base: list[Figures]) -> tuple[str, ...]:
    """A line of the table: seed by seed against the first policy."""
    ratios = np.array([each[:4] for each in found]) / np.array([each[:4] for each in base])
    evictions = np.mean([each.evictions for each in found])
    return scenario, spec, *(f"{x:.3f}" for x in ratios.mean(axis=0)), f"{evictions:.0f}"


if __name__ == "__main__":
    main()
