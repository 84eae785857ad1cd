"""What is compared: policies, what they are told, and the engine that they serve on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lengthwise.core.arrays import Floats, Rng
from lengthwise.core.checks import at_least, positive
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import Guess, check_predictor, make_predictor
from lengthwise.sim.predictors.base import Predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Scaled, StepTime
from lengthwise.workload.workload import Workload

STOCK = "fcfs"
"""What a stock vLLM does; the first of all that are compared."""

DATA = "data"
"""The predictor that only knows what the trace itself tells (``advise/supported.py``)."""

PRESENT = 1.0
"""The load of the trace as it is."""


def more(load: float) -> str:
    """How much more traffic than at present a load is, in per cent."""
    return f"{100 * (load - PRESENT):+.0f} %"


@dataclass(frozen=True)
class Contender:
    """A policy and what it is told.

    Attributes:
        predictor: :data:`DATA`, or a name of a simulated predictor.
        watermark: blocks that stay free at an admission, as a share of all.
    """

    policy: str
    predictor: str = "none"
    watermark: float = 0.0

    @classmethod
    def parse(cls, text: str, watermark: float = 0.0) -> Contender:
        """From ``policy`` or ``policy@predictor``.

        Raises:
            UserError: if there is no such policy.
        """
        policy, at, predictor = text.partition("@")
        make_policy(policy)
        return cls(policy, predictor if at else "none", watermark)

    def __str__(self) -> str:
        told = "" if self.predictor == "none" else f"@{self.predictor}"
        kept = f" (watermark {100 * self.watermark:g} %)" if self.watermark else ""
        return f"{self.policy}{told}{kept}"


@dataclass(frozen=True, eq=False)
class AdvicePlan:
    """Requests, contenders and the engine.

    Attributes:
        workload: the requests that are served, with their own times.
        contenders: the first is what the others are compared with.
        steps: seconds of a step; ``setup`` has the seats and the memory.
        loads: factors of the arrival rate.
        predicted: [n] output tokens that the data itself tells, NaN for unknown; None where it
            tells nothing.
        speeds: factors of the seconds of a step, the least and the most that the calibration
            leaves possible.
        target: seconds within which 99 % of the first tokens are to come.
        attain: share of each class's requests that are to get what they are promised, where
            ``setup`` has service classes.
        seed: of the predictors' errors and of the resamples.
    """

    workload: Workload
    contenders: tuple[Contender, ...]
    steps: StepTime
    setup: Setup
    loads: tuple[float, ...] = (PRESENT, 1.1, 1.25, 1.5)
    predicted: Floats | None = None
    speeds: tuple[float, float] = (1.0, 1.0)
    target: float | None = None
    seed: int = 0
    attain: float = 0.99

    def check(self) -> None:
        """Refuse what cannot be simulated, before anything is.

        Raises:
            UserError: for a number out of range, an unknown predictor, or requests that all
                come at once.
        """
        at_least(0, seed=self.seed)
        positive(ttft_target=self.target)
        for load in self.loads:
            positive(loads=load)
        if not self.workload.arrival[-1] > 0:
            raise UserError(
                f"{self.workload.name} does not say when its requests came: there is no load to "
                "advise on; give a trace with times, or --rate"
            )
        for each in self.contenders:
            if each.predictor != DATA:
                check_predictor(each.predictor, self.workload, None)

    @property
    def stock(self) -> Contender:
        """What the others are compared with."""
        return self.contenders[0]

    @property
    def advised(self) -> Contender:
        """The contender that would be switched to: the first other one."""
        return self.contenders[min(1, len(self.contenders) - 1)]

    def setup_of(self, contender: Contender) -> Setup:
        """The engine with a contender's watermark."""
        return replace(self.setup, reserve=round(contender.watermark * self.setup.blocks))

    def at(self, load: float) -> Workload:
        """The requests, so many times as fast."""
        return replace(self.workload, arrival=self.workload.arrival / load)

    def simulator(self, contender: Contender, load: float, speed: float = 1.0) -> Simulator:
        """What serves the requests under a contender; steps take ``speed`` times as long."""
        steps = self.steps if speed == 1.0 else Scaled(self.steps, speed)
        setup = self.setup_of(contender)
        policy = make_policy(contender.policy, setup.classes)
        predictor = self._predictor(contender.predictor)
        return Simulator(self.at(load), policy, predictor, steps, setup, self.seed)

    def _predictor(self, name: str) -> Predictor:
        if name != DATA:
            return make_predictor(name)
        told = self.predicted

        def rule(workload: Workload, rng: Rng) -> Floats:
            return np.full(len(workload), np.nan) if told is None else told

        return Guess("prompt", rule)
