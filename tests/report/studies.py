"""Made studies, as bench and simulate leave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lengthwise.results import setups
from lengthwise.results.files import RequestRow, write_requests, write_results
from lengthwise.results.record import Labels, Notes, Run, Size, Work
from lengthwise.results.timings import Times, seen
from lengthwise.sim.setup import Setup

SWEEP = setups.Sweep(
    **{"workload": "made", "requests": 60, "resampled": True, "profile": "made-profile"},
    **{"policies": ["fcfs", "sjf"], "cv": 1.0, "seeds": 2, "until": None},
    **{"rates": [2.0, 4.0], "process": "gamma"},
)
SPEEDS = {"fcfs": 1.0, "sjf": 0.6, "oracle": 0.4}


def rows(policy: str, rate: float | None, seed: int, slower: float = 1.0) -> list[RequestRow]:
    """Sixty requests; under sjf they wait less, and at higher rates more."""
    rng = np.random.default_rng(seed)
    arrival = np.cumsum(rng.exponential(1.0 / (rate or 1e9), 60))
    arrival -= arrival[0]
    waits = slower * SPEEDS[policy] * (rate or 1.0) * rng.exponential(1.0, 60)
    tokens = rng.geometric(1 / 40, 60)
    return [
        RequestRow(
            id=f"r{i}",
            arrival=float(arrival[i]),
            first=float(arrival[i] + waits[i]),
            finish=float(arrival[i] + waits[i] + 0.02 * tokens[i]),
            longest_gap=0.02,
            tokens=int(tokens[i]),
            prompt_tokens=10,
        )
        for i in range(60)
    ]


def write_study(
    folder: Path,
    policies: Sequence[str] = ("fcfs", "sjf"),
    rates: Sequence[float | None] = (2.0, 4.0),
    seeds: Sequence[int] = (0, 1),
    slower: float = 1.0,
    seats: int = 8,
    requests: bool = True,
) -> Path:
    """A simulation's folder, with the requests of each rate's first seed."""
    runs = []
    for rate in rates:
        for policy in policies:
            for seed in seeds:
                made = rows(policy, rate, seed, slower)
                if requests and seed == seeds[0]:
                    folder.mkdir(parents=True, exist_ok=True)
                    write_requests(folder, len(runs), made)
                times = Times(
                    *(np.array([getattr(row, name) for row in made]) for name in NAMES),
                    np.array([row.tokens for row in made]),
                )
                labels = Labels(
                    policy=policy,
                    predictor="constant",
                    engine="simulator",
                    model="made-profile",
                    rate=rate,
                    seed=seed,
                    arrivals="burst" if rate is None else "gamma",
                )
                work = Work(preemptions=3, evictions=1, recomputed_tokens=50)
                size, notes = Size(seats=seats), Notes(overloaded=rate == 4.0)
                runs.append(Run.of(labels, seen(times, rejected=0), work, size, notes))
    setup = replace(SWEEP, policies=list(policies), seeds=len(seeds))
    write_results(folder, setup, runs, Setup(seats=seats, blocks=100))
    return folder


NAMES = ("arrival", "first", "finish", "longest_gap")
