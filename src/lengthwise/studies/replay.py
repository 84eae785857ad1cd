"""Is the simulator right? Replay what the real engine served, and compare."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.checks import at_least
from lengthwise.core.policy import Policy
from lengthwise.core.service import Classes
from lengthwise.errors import UserError, reading
from lengthwise.policies import make_policy
from lengthwise.results.files import Results, read_requests, read_results
from lengthwise.results.promises import kept
from lengthwise.results.record import Labels, Run
from lengthwise.results.runs import mean
from lengthwise.results.tables import print_table
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
class Served:
    """One run of ``lengthwise bench``: what it was and what each request got of it."""

    figures: Run
    workload: Workload
    blocks: int | None
    block_size: int
    windows: NDArray[np.float64] | None = None
    classes: Classes | None = None


def read_runs(folder: Path) -> list[Served]:
    """The runs of a bench's results folder.

    Raises:
        UserError: if it is not one, or damaged.
    """
    results = read_results(folder)
    if results.study != "bench":
        raise UserError(
            f"{folder} is of {results.study}: give a folder that lengthwise bench wrote"
        )
    return [_served(folder, number, results) for number in range(len(results.runs))]


def _served(folder: Path, number: int, results: Results) -> Served:
    rows = sorted(read_requests(folder, number), key=lambda row: row.arrival)
    arrival = np.array([row.arrival for row in rows])
    workload = Workload(
        arrival - arrival[0],
        np.array([row.prompt_tokens for row in rows]),
        np.array([row.tokens for row in rows]),
        name=f"{folder.name}-{number}",
        id=tuple(row.id for row in rows),
        tenant=tuple(row.tenant for row in rows),
        priority=np.array([row.priority for row in rows]),
    )
    steps = folder / f"steps-{number}.json"
    with reading(steps, _AGAIN):
        windows = np.array(json.loads(steps.read_text())) if steps.is_file() else None
    setup = results.setup
    sizes = setup["kv_blocks"], setup["block_size"]
    return Served(results.runs[number], workload, *sizes, windows, kept(setup))


@dataclass(frozen=True)
class Weather:
    """How much slower steps were than a profile has them, by the time they began.

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
    run: Served,
    profile: str,
    predictor: str | None,
    setup: Setup,
    seed: int = 0,
    slowness: Callable[[float], float] | None = None,
) -> Run:
    """The same requests, arrivals, seats and blocks in the simulator; its figures.

    ``slowness`` is the bench's time of a step over the profile's, by the time it began.
    """
    was = run.figures
    name = _STOCK.get(was.policy, was.policy)
    policy = make_policy(name, run.classes)
    setup = replace(
        setup,
        classes=run.classes,
        seats=was["seats"],
        block_size=run.block_size,
        blocks=run.blocks or setup.blocks,
    )
    told = make_predictor(_told(was, policy, predictor))
    time = load_profile(profile)
    simulator = Simulator(run.workload, policy, told, time, setup, seed, slowness)
    labels = Labels(
        policy=name, engine="simulator", model=Path(profile).stem, rate=was.rate, seed=seed
    )
    return Run.of(labels, *figures(run.workload, simulator.run()))


def _told(was: Run, policy: Policy, predictor: str | None) -> str:
    """The predictor of a replay; a policy that had none in the bench, and needs none, has none."""
    if not policy.needs_predictions and was.get("predictors") is None:
        return "none"
    if predictor and (policy.source == "probe" or not policy.needs_predictions):
        return predictor
    if policy.source == "probe" and not policy.needs_predictions:
        # It orders by what is known at arrival; the probe only refines that.
        return f"{DEFAULTS['prompt']}+{DEFAULTS['probe']}"
    return DEFAULTS[policy.source]


@dataclass(frozen=True)
class Compared:
    """A figure of the engine and of the simulator; the error is a share of the engine's."""

    engine: float
    simulator: float
    error: float | None

    @classmethod
    def of(cls, engine: float, simulator: float) -> Compared:
        """No error if both are 0; none that is a share if only the engine's is."""
        if engine:
            return cls(engine, simulator, simulator / engine - 1.0)
        return cls(engine, simulator, None if simulator else 0.0)


@dataclass(frozen=True)
class Replayed:
    """A run of the bench beside its replay.

    Attributes:
        speed: the bench's time of a step over the profile's.
    """

    policy: str
    rate: float | None
    speed: float
    mean_latency_s: Compared
    mean_ttft_s: Compared
    p99_latency_s: Compared
    preemptions: Compared


def compare(
    folder: Path, profile: str, predictor: str | None, setup: Setup, seeds: int = 1
) -> list[Replayed]:
    """Replay each run that the simulator knows the policy of; errors as shares.

    The simulator's figures are means over ``seeds`` draws of the predictor's errors. The
    machine's speed is taken from the first run of each rate, for all runs of that rate,
    which took turns with it.

    Raises:
        UserError: for what is no bench's folder, profile or predictor, or no seeds.
    """
    at_least(1, repeat=seeds)
    load_profile(profile)
    if predictor is not None:
        make_predictor(predictor)
    rows = []
    weathers: dict[float | None, Weather] = {}
    for run in read_runs(folder):
        was = run.figures
        if not _known(was.policy):
            continue
        if was.rate not in weathers:
            weathers[was.rate] = _weather(run, profile, predictor, setup)
        weather = weathers[was.rate]
        draws = [replay(run, profile, predictor, setup, seed, weather) for seed in range(seeds)]
        compared = {name: Compared.of(was[name], mean(draws, name)) for name in COMPARED}
        rows.append(Replayed(was.policy, was.rate, weather.mean, **compared))
    return rows


_STOCK = {"stock": "fcfs", "stock-priority": "fcfs+priority"}
"""vLLM's own orders, as the simulator has them."""


def _known(policy: str) -> bool:
    """Whether the simulator has this policy; one's own may be gone since the bench."""
    try:
        return policy in _STOCK or bool(make_policy(policy))
    except UserError:
        return False


def _weather(run: Served, profile: str, predictor: str | None, setup: Setup) -> Weather:
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


def show(rows: Sequence[Replayed]) -> None:
    """Engine, simulator and error of each figure."""
    lines = []
    for row in rows:
        cells = [row.policy, "burst" if row.rate is None else f"{row.rate:.4g}/s"]
        for name in COMPARED:
            it = getattr(row, name)
            error = "" if it.error is None else f" ({100 * it.error:+.1f} %)"
            cells.append(f"{it.engine:.4g} → {it.simulator:.4g}{error}")
        lines.append(cells)
    heads = ("policy", "rate", "mean latency", "mean TTFT", "p99 latency", "preemptions")
    print_table("engine → simulator", heads, lines, heads, 150)
