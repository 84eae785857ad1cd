"""``lengthwise.simulate``: one workload under one policy, and what came of it."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats, Rng
from lengthwise.core.policy import Policy
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.results import setups
from lengthwise.results.files import as_json, content_of, plain
from lengthwise.results.record import Labels, Notes, Run, Size
from lengthwise.sim.engine import Simulator
from lengthwise.sim.figures import figures, overloaded
from lengthwise.sim.predictors import Guess, make_predictor
from lengthwise.sim.predictors.base import Predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import load_profile
from lengthwise.studies.sweep import default_predictor, served
from lengthwise.traces import read_workload
from lengthwise.workload import Workload

if TYPE_CHECKING:
    from pandas import DataFrame

Rate = float | str | None


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A simulated run: its figures, and when each of n requests got its tokens.

    Attributes:
        run: the figures, typed; ``summary()`` has them by name.
        workload: what was served.
        arrival, first, finish: [n] seconds; NaN where the engine could not hold the request.
        prompt, output: [n] tokens.
        longest_gap: [n] longest time between two tokens, in seconds.
        setup: what it takes to run it again.
        engine: the simulated engine's settings.
    """

    run: Run
    workload: Workload
    first: NDArray[np.float64]
    finish: NDArray[np.float64]
    longest_gap: NDArray[np.float64]
    setup: setups.Sweep
    engine: Setup

    @property
    def arrival(self) -> NDArray[np.float64]:
        """[n] seconds."""
        return self.workload.arrival

    @property
    def prompt(self) -> NDArray[np.int64]:
        """[n] tokens."""
        return self.workload.prompt

    @property
    def output(self) -> NDArray[np.int64]:
        """[n] tokens."""
        return self.workload.output

    @property
    def latency(self) -> NDArray[np.float64]:
        """[n] seconds from arrival to the last token."""
        return self.finish - self.arrival

    @property
    def ttft(self) -> NDArray[np.float64]:
        """[n] seconds from arrival to the first token."""
        return self.first - self.arrival

    def __len__(self) -> int:
        return len(self.workload)

    def summary(self) -> dict[str, Any]:
        """The run's figures under the names of results.json."""
        found: dict[str, Any] = plain(self.run)
        return found

    def to_json(self) -> str:
        """A results.json with this run in it, as ``lengthwise simulate`` writes it."""
        return as_json(content_of(self.setup, [self.run], self.engine))

    def to_pandas(self) -> DataFrame:
        """A row for each request, times in seconds; the index is the order of arrival.

        Raises:
            UserError: if pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError:
            raise UserError("to_pandas needs pandas: pip install 'lengthwise[pandas]'") from None
        columns: dict[str, Any] = {"id": self.workload.id} if self.workload.id else {}
        columns |= {
            "arrival_s": self.arrival,
            "prompt_tokens": self.prompt,
            "output_tokens": self.output,
            "first_s": self.first,
            "finish_s": self.finish,
            "ttft_s": self.ttft,
            "latency_s": self.latency,
            "longest_gap_s": self.longest_gap,
        }
        if self.workload.tenant:
            columns["tenant"] = self.workload.tenant
        return DataFrame(columns)

    def __repr__(self) -> str:
        run = self.run
        mean, p99 = (run.get(f"{name}_latency_s", math.nan) for name in ("mean", "p99"))
        return (
            f"<Result: {run.finished} of {run.requests} requests under {run.policy}, "
            f"latency mean {mean:.3g} s, p99 {p99:.3g} s>"
        )


def simulate(
    workload: Workload | str | Path,
    policy: str | Policy | type[Policy] = "lengthwise",
    predictor: str | Predictor | Sequence[float] | Floats | None = None,
    profile: str | Path = "a100-llama3-8b",
    seats: int = 256,
    rate: Rate = None,
    requests: int | None = None,
    seed: int = 0,
    *,
    cv: float = 1.0,
    until: int | None = None,
    engine: Setup | None = None,
) -> Result:
    """Serve a workload under a policy on a simulated engine with continuous batching.

    Args:
        workload: what :func:`read_workload` gives, or the file that it reads.
        policy: a name as the command line has it (``trail:0.8+fair``), or your own class or
            object; an object is copied, so that no run inherits anything from another.
        predictor: a name as the command line has it (``lognormal:0.4``, ``oracle``), or n
            predicted lengths in tokens (NaN is unknown). None is what suits the policy: nothing
            for those that need none.
        profile: seconds of a step: a shipped profile's name, or a file of
            ``lengthwise calibrate``.
        seats: most requests in a step, unless ``engine`` is given, which has its own.
        rate: requests per second; ``"burst"`` is all at once, ``"trace"`` the workload's own
            times, which it must have. None takes them as they are.
        requests: draw so many from the workload at random; None serves it as it is.
        seed: of that draw, of random arrivals, and of the predictor's errors.
        cv: coefficient of variation of the gaps at a rate; 1 is Poisson.
        until: also report when so many requests had finished.
        engine: the simulated engine in detail.

    Raises:
        UserError: a ValueError, for whatever of this cannot be used.
    """
    given = workload if isinstance(workload, Workload) else read_workload(workload)
    process, per_second = _arrivals(given, rate)
    if requests is not None and requests < 1:
        raise UserError(f"requests must be at least 1, not {requests}")
    setup = engine or Setup(seats=seats, budget=max(Setup.budget, seats))
    chosen, name = _policy(policy)
    traffic = served(given, process, per_second, cv, requests, seed)
    predicts, spec = _predictor(predictor, chosen, len(traffic))
    described = setups.Sweep(
        workload=given.name,
        requests=len(traffic),
        resampled=requests is not None,
        profile=str(profile),
        policies=[f"{name}@{spec}"],
        cv=cv,
        seeds=1,
        until=until,
        rates=["burst" if process == "burst" else per_second],
        process=process,
    )
    labels = Labels(
        policy=name,
        predictor=spec,
        engine="simulator",
        model=Path(profile).stem,
        rate=per_second,
        arrivals="burst" if traffic.arrival[-1] == 0 else process,
        seed=seed,
    )
    return _run(labels, traffic, chosen, predicts, described, setup)


def _run(
    labels: Labels,
    traffic: Workload,
    policy: Policy,
    predictor: Predictor,
    described: setups.Sweep,
    setup: Setup,
) -> Result:
    """Simulate, and return the run's result."""
    steps = load_profile(described.profile)
    start = time.perf_counter()
    outcome = Simulator(traffic, policy, predictor, steps, setup, labels.seed).run()
    notes = Notes(
        overloaded=bool(traffic.arrival[-1] > 0) and overloaded(outcome, setup.seats),
        simulated_in_s=time.perf_counter() - start,
    )
    found = figures(traffic, outcome, described.until)
    run = Run.of(labels, Size(seats=setup.seats), *found, notes)
    return Result(run, traffic, outcome.first, outcome.finish, outcome.gap, described, setup)


def _arrivals(workload: Workload, rate: Rate) -> tuple[str, float | None]:
    """The process and requests per second that a rate stands for."""
    if rate is None:
        return "trace", None
    if rate == "burst":
        return "burst", None
    if rate == "trace":
        if len(workload) > 1 and not workload.arrival[-1] > 0:
            raise UserError(f"{workload.name} has no arrival times: give rate a number, or burst")
        return "trace", None
    if isinstance(rate, str) or not 0 < rate < math.inf:
        raise UserError(f'rate is requests per second, "burst" or "trace", not {rate!r}')
    return "gamma", float(rate)


def _policy(policy: str | Policy | type[Policy]) -> tuple[Policy, str]:
    """A policy of its own for the run, and its name."""
    if isinstance(policy, str):
        return make_policy(policy), policy
    if isinstance(policy, Policy):
        return copy.deepcopy(policy), policy.name
    if isinstance(policy, type) and issubclass(policy, Policy):
        return policy(), policy.name
    raise UserError(f"policy is a name, or a lengthwise.Policy of your own, not {policy!r}")


def _predictor(
    predictor: str | Predictor | Sequence[float] | Floats | None, policy: Policy, n: int
) -> tuple[Predictor, str]:
    """What predicts, and its name."""
    if predictor is None:
        predictor = default_predictor(policy)
    if isinstance(predictor, str):
        return make_predictor(predictor), predictor
    if hasattr(predictor, "at_arrival"):
        return cast(Predictor, predictor), type(predictor).__name__
    try:
        tokens = np.array(predictor, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError("predictor is a name, or predicted tokens: numbers") from None
    if tokens.shape != (n,):
        raise UserError(f"{n} requests are served: as many predicted lengths are needed")
    if np.any(tokens < 0) or np.isinf(tokens).any():
        raise UserError("predicted lengths are tokens from 0 up, or NaN for unknown")

    def rule(workload: Workload, rng: Rng) -> Floats:
        return np.maximum(tokens, 1.0)

    return Guess("prompt", rule), "given"
