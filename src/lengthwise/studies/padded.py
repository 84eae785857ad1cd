"""Simulated instances under systems of batches, as ``lengthwise simulate`` runs them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.core.checks import at_least
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.padded import SYSTEMS, BatchTime, Constants, Limits, SliceTime, make_system
from lengthwise.padded.drive import serve
from lengthwise.padded.figures import figures
from lengthwise.results.record import Batched, Part, Size
from lengthwise.results.timings import Times
from lengthwise.sim.padded import Instances, Slower, load_batch_time, requests_of
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.steps import load_profile
from lengthwise.studies.capped import capped
from lengthwise.studies.sweep import DEFAULTS, Measured
from lengthwise.workload import Workload

if TYPE_CHECKING:
    from lengthwise.studies.sweep import SweepPlan

CONTINUOUS = "ccb"
"""Conservative continuous batching: as many seats as memory holds of the longest requests."""

QUANTISED = "vsq"
"""Vanilla fixed batches with quantised weights: a stated factor of memory and of time."""


class Given:
    """A simulated predictor's predictions for a workload, request by request."""

    def __init__(self, predicted: Floats) -> None:
        self._predicted = predicted.tolist()

    def predict(self, request: Request) -> float:
        """Expected tokens; NaN is unknown."""
        return float(self._predicted[request.seq])

    def finished(self, request: Request, now: float) -> None:
        """Nothing is learned."""


@dataclass(frozen=True)
class Batches:
    """Instances that run padded batches to their end.

    Attributes:
        instances: how many.
        memory: KV tokens that one holds.
        cap: most tokens of an answer; longer ones are cut there.
        constants: of the systems.
    """

    instances: int = 1
    memory: int = 24_576
    cap: int = 1024
    constants: Constants = field(default_factory=Constants)

    def check(self, plan: SweepPlan) -> None:
        """Times must be there, and memory for the longest request.

        Raises:
            UserError: if not, or for answers of no token.
        """
        at_least(1, max_tokens=self.cap)
        self._limits(plan.workload, load_batch_time(plan.profile), self.memory)
        if any(spec.partition("@")[0] == CONTINUOUS for spec in plan.policies):
            load_profile(plan.profile)

    def predictor(self, policy: str) -> str:
        """What suits the system.

        Raises:
            UserError: if there is no such system.
        """
        if policy in (CONTINUOUS, QUANTISED):
            return DEFAULTS["none"]
        if policy not in SYSTEMS:
            known = ", ".join([*SYSTEMS, QUANTISED, CONTINUOUS])
            raise UserError(f"policy {policy!r} is none of padded batches: these are {known}")
        tiny = Limits(1, 1, 1, SliceTime((0, 0, 0, 1), (0, 0, 0, 1)))
        return DEFAULTS[make_system(policy, tiny, self.constants).source]

    def run(
        self, plan: SweepPlan, workload: Workload, policy: str, predictor: str, seed: int
    ) -> Measured:
        """Figures of one run."""
        workload = replace(workload, output=np.minimum(workload.output, self.cap))
        if policy == CONTINUOUS:
            seats = self.constants.seats or self.constants.size or self._safe(workload)
            time = load_profile(plan.profile)
            parts, times = capped(workload, time, self.instances, seats, plan.until)
            return Measured((*parts, Size(seats=seats, instances=self.instances)), times)
        batch_time, memory = load_batch_time(plan.profile), self.memory
        if policy == QUANTISED:
            policy, batch_time = "vanilla", Slower(batch_time, self.constants.quantised_time)
            memory = int(memory * self.constants.quantised_memory)
        limits = self._limits(workload, batch_time, memory)
        requests = requests_of(workload)
        said = make_predictor(predictor).at_arrival(workload, np.random.default_rng([seed, 3]))
        engine = Instances(requests, workload, batch_time, memory)
        system = make_system(policy, limits, self.constants)
        log = serve(requests, system, engine, self.instances, Given(said))
        error = limits.time.error
        fit = Batched(slice_time_error=None if math.isnan(error) else error)
        found = figures(log, self.instances, plan.until)
        parts = *found, fit, Size(instances=self.instances)
        return Measured(parts, Times.of(log.timings), said.tolist())

    def described(self, plan: SweepPlan) -> Part:
        """Instances, memory and constants."""
        return self

    def _limits(self, workload: Workload, time: BatchTime, memory: int) -> Limits:
        """What systems know of the instances: times are fitted to a profile of them."""
        longest = int(workload.prompt.max()) + self.cap
        fitted = SliceTime.profiled(time, max(memory, longest), longest)
        return Limits(self.instances, memory, longest, fitted)

    def _safe(self, workload: Workload) -> int:
        return max(self.memory // (int(workload.prompt.max()) + self.cap), 1)
