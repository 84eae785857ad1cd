"""What a predictor is worth: the held-out requests, scheduled by its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lengthwise.answers.arrays import Answers
from lengthwise.core.checks import at_least
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.results.bootstrap import Resamples, interval
from lengthwise.results.capacity import ended_rate
from lengthwise.results.record import Run
from lengthwise.sim.engine import Simulator
from lengthwise.sim.figures import times_of
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import load_profile
from lengthwise.studies import sweep
from lengthwise.workload import Workload, resample

FIGURES = ("mean_latency_s", "mean_ttft_s", "p99_latency_s", "preemptions")


@dataclass(frozen=True)
class Trial:
    """How predictors are tried in the simulator.

    Attributes:
        policy: what schedules by them.
        loads: Poisson rates as shares of the capacity, besides a burst.
        requests: resampled from the held-out ones for each run.
        runs: repetitions; the same requests and arrivals for every predictor.
        workers: processes; 0 is one for each core.
    """

    policy: str = "trail"
    loads: tuple[float, ...] = (0.8, 1.1)
    requests: int = 400
    runs: int = 20
    seats: int = 16
    profile: str = "cpu-smollm2"
    workers: int = 0

    def __post_init__(self) -> None:
        if make_policy(self.policy).promises:
            raise UserError(
                f"policy {self.policy} orders by what service classes are promised, and collected "
                "answers are in none: give another --policy"
            )
        load_profile(self.profile)
        at_least(0, workers=self.workers)
        if self.runs < 2 or self.requests <= self.seats:
            raise UserError(f"--repeat must be at least 2 and --requests above {self.seats}")

    @property
    def setup(self) -> Setup:
        """Tracks have a prediction every eighth token: refining in between changes nothing."""
        return Setup(seats=self.seats, interval=8)


def worth(
    tracks: dict[str, Path], once: Sequence[str], held: Answers, trial: Trial
) -> dict[str, Any]:
    """Figures of FCFS, the oracle and each predictor in each scenario, ± over the runs.

    Args:
        tracks: each predictor's predictions, as files that ``recorded:FILE`` reads.
        once: those that read prompts only: they also rank ``sjf``, which never preempts.
        held: the requests.

    ``gain_kept`` is the share of what SRPT with true lengths wins over FCFS in mean latency.
    """
    specs = {"fcfs": "fcfs", "oracle": "oracle"}
    for name, path in tracks.items():
        specs[f"{trial.policy}@{name}"] = f"{trial.policy}@recorded:{path}"
        if name in once:
            specs[f"sjf@{name}"] = f"sjf@recorded:{path}"
    requests = workload(held)
    full = capacity(requests, trial)
    scenarios = {"burst": sweep.BURST}
    scenarios |= {f"load {load:g}": load * full for load in trial.loads}
    found: dict[str, Any] = {}
    for scenario, rate in scenarios.items():
        plan = sweep.SweepPlan(
            requests,
            list(specs.values()),
            trial.profile,
            trial.setup,
            [rate],
            "poisson",
            requests=trial.requests,
            seeds=trial.runs,
            workers=trial.workers,
        )
        found[scenario] = _judged(list(specs), sweep.sweep(plan, None), trial.runs)
    return {
        "setup": {
            "profile": trial.profile,
            "seats": trial.seats,
            "requests": trial.requests,
            "runs": trial.runs,
            "capacity_per_s": round(full, 4),
        },
        "scenarios": found,
    }


def workload(held: Answers) -> Workload:
    """The answers as requests of the simulator, all at once."""
    return Workload(
        np.zeros(len(held)),
        np.array([len(each.prompt_ids) for each in held.asked]),
        held.tokens,
        name="held out",
        id=tuple(each.id for each in held.asked),
    )


def capacity(requests: Workload, trial: Trial) -> float:
    """Requests per second that leave under FCFS while somebody waits for a seat.

    Raises:
        UserError: if there is a seat for everybody.
    """
    many = resample(requests, trial.requests, 0)
    outcome = Simulator(
        many, make_policy("fcfs"), make_predictor("none"), load_profile(trial.profile), trial.setup
    ).run()
    rate = ended_rate(times_of(many, outcome))
    if not rate:
        raise UserError("every simulated request had a seat at once: more --requests show capacity")
    return rate


def _judged(names: list[str], runs: list[Run], seeds: int) -> dict[str, Any]:
    """Figures by name; the runs come name by name and seed by seed."""
    resamples = Resamples.of(seeds)
    by_name = {name: runs[i * seeds : (i + 1) * seeds] for i, name in enumerate(names)}
    latency = {
        name: np.array([run["mean_latency_s"] for run in group]) for name, group in by_name.items()
    }
    best = latency["fcfs"] - latency["oracle"]
    found = {}
    for name, group in by_name.items():
        figures = {
            figure: interval(resamples.mean(np.array([run[figure] for run in group])))
            for figure in FIGURES
        }
        kept = interval(resamples.mean(latency["fcfs"] - latency[name], best))
        found[name] = figures | {"gain_kept": kept}
    return found
