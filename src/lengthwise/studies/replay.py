"""Is the simulator right? Replay what the real engine served, and compare."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.checks import at_least
from lengthwise.errors import UserError, reading
from lengthwise.policies import POLICIES, make_policy
from lengthwise.results.terminal import Table
from lengthwise.sim.engine import Simulator
from lengthwise.sim.figures import figures
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear, load_profile
from lengthwise.studies.sweep import DEFAULTS
from lengthwise.workload import Workload

COMPARED = ("mean_latency_s", "mean_ttft_s", "p99_latency_s", "preemptions")

_AGAIN = "run lengthwise bench again"


@dataclass(frozen=True)
class Run:
    """One run of ``lengthwise bench``: what it was and what each request lived through."""

    figures: dict[str, Any]
    workload: Workload
    blocks: int | None
    block_size: int
    windows: NDArray[np.float64] | None = None


def read_runs(folder: Path) -> list[Run]:
    """The runs of a bench's results folder.

    Raises:
        UserError: if it is not one, or damaged.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise UserError(f"no results.json in {folder}: give a folder that lengthwise bench wrote")
    with reading(path, _AGAIN):
        results = json.loads(path.read_text())
        setup = results["setup"]
        found = []
        for number, run in enumerate(results["runs"]):
            requests = folder / f"requests-{number}.jsonl"
            with reading(requests, _AGAIN):
                rows = [json.loads(line) for line in requests.read_text().splitlines()]
            rows.sort(key=lambda row: row["arrival"])
            arrival = np.array([row["arrival"] for row in rows])
            steps = folder / f"steps-{number}.json"
            with reading(steps, _AGAIN):
                windows = np.array(json.loads(steps.read_text())) if steps.is_file() else None
            found.append(
                Run(
                    run,
                    Workload(
                        arrival - arrival[0],
                        np.array([row["prompt_tokens"] for row in rows]),
                        np.array([row["tokens"] for row in rows]),
                        name=f"{folder.name}-{number}",
                        id=tuple(row["id"] for row in rows),
                        tenant=tuple(row.get("tenant") for row in rows),
                        priority=np.array([row.get("priority", 0) for row in rows]),
                    ),
                    setup["kv_blocks"],
                    setup["block_size"],
                    windows,
                )
            )
    return found


@dataclass(frozen=True)
class Weather:
    """How many times as long as a profile says steps took, by the time they began.

    A shared machine is not always as fast as when it was calibrated.

    Attributes:
        starts: seconds, increasing; a factor holds from one to the next.
        factors: as many. Before the first start and after the last end, the nearest holds.
        mean: over all steps.
    """

    starts: list[float]
    factors: list[float]
    mean: float

    @classmethod
    def of(cls, windows: NDArray[np.float64], time: Linear) -> Weather:
        """From a run's windows (``vllm/steps.py``), [n, 6]."""
        start, steps, prefill, decodes, context, seconds = windows.T
        prompts = time.prefill * prefill
        expected = time.base * steps + prompts + time.decode * decodes + time.context * context
        factors = (seconds / expected).tolist()
        return cls(start.tolist(), factors, float(seconds.sum() / expected.sum()))

    def __call__(self, now: float) -> float:
        """The factor at a time in seconds."""
        return self.factors[max(bisect_right(self.starts, now) - 1, 0)]


def replay(
    run: Run,
    profile: str,
    predictor: str | None,
    setup: Setup,
    seed: int = 0,
    slowness: Callable[[float], float] | None = None,
) -> dict[str, Any]:
    """The same requests, arrivals, seats and blocks in the simulator; its figures.

    ``slowness`` is how much longer the bench's steps took than the profile says, by time.
    """
    name = "fcfs" if run.figures["policy"] == "stock" else run.figures["policy"]
    policy = make_policy(name)
    setup = replace(
        setup,
        seats=run.figures["seats"],
        block_size=run.block_size,
        blocks=run.blocks or setup.blocks,
    )
    spec = predictor if policy.source == "probe" and predictor else DEFAULTS[policy.source]
    time = load_profile(profile)
    simulator = Simulator(run.workload, policy, make_predictor(spec), time, setup, seed, slowness)
    outcome = simulator.run()
    return figures(run.workload, outcome)


def compare(
    folder: Path, profile: str, predictor: str | None, setup: Setup, seeds: int = 1
) -> list[dict[str, Any]]:
    """Replay each run that the simulator knows the policy of; errors as shares.

    The simulator's figures are means over ``seeds`` draws of the predictor's errors. The
    machine's speed is taken from the first run of each rate, for all runs of that rate,
    which took turns with it.

    Raises:
        UserError: for what is no bench's folder, profile or predictor, or no seeds.
    """
    at_least(1, seeds=seeds)
    load_profile(profile)
    if predictor is not None:
        make_predictor(predictor)
    rows = []
    weathers: dict[Any, Weather] = {}
    for run in read_runs(folder):
        if run.figures["policy"].partition(":")[0].partition("+")[0] not in {*POLICIES, "stock"}:
            continue
        rate = run.figures["rate"]
        if rate not in weathers:
            weathers[rate] = _weather(run, profile, predictor, setup)
        weather = weathers[rate]
        draws = [replay(run, profile, predictor, setup, seed, weather) for seed in range(seeds)]
        row: dict[str, Any] = {
            "policy": run.figures["policy"],
            "rate": rate,
            "speed": weather.mean,
        }
        for name in COMPARED:
            real = run.figures[name]
            made = float(np.mean([draw[name] for draw in draws]))
            row[name] = {"engine": real, "simulator": made}
            row[name]["error"] = made / real - 1.0 if real else (0.0 if not made else None)
        rows.append(row)
    return rows


def _weather(run: Run, profile: str, predictor: str | None, setup: Setup) -> Weather:
    """By the run's windows, or on the whole where it kept none or the profile has no terms."""
    time = load_profile(profile)
    if isinstance(time, Linear) and run.windows is not None and len(run.windows):
        return Weather.of(run.windows, time)
    real = run.figures["step_ms"] * run.figures["steps"]
    weather = Weather([0.0], [1.0], 1.0)
    # Slower steps are fuller where requests arrive over time: so again, until it settles.
    for _ in range(5):
        made = replay(run, profile, predictor, setup, slowness=weather)
        mean = weather.mean * real / (made["step_ms"] * made["steps"])
        weather = Weather([0.0], [mean], mean)
    return weather


def show(rows: list[dict[str, Any]]) -> None:
    """Engine, simulator and error of each figure."""
    heads = ("policy", "rate", "mean latency", "mean TTFT", "p99 latency", "preemptions")
    table = Table("engine → simulator", heads, left=heads, width=150)
    for row in rows:
        cells = []
        for name in COMPARED:
            it = row[name]
            error = "" if it["error"] is None else f" ({100 * it['error']:+.1f} %)"
            cells.append(f"{it['engine']:.4g} → {it['simulator']:.4g}{error}")
        table.add_row(
            row["policy"], "burst" if row["rate"] is None else f"{row['rate']:g}/s", *cells
        )
    table.print()
