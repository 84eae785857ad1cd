"""What is simulated, each alone on a core: a contender at a load, or the load that it bears."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lengthwise.advise.plan import PRESENT, AdvicePlan, Contender
from lengthwise.advise.watch import Watch, Watched
from lengthwise.sim.engine import Simulator
from lengthwise.sim.setup import Outcome

_MOST_LOAD = 8.0
"""Loads above this are not tried."""

_STRIDE = 1.5
"""Ratio of the loads that are tried while only one side is known."""

_CLOSE = 1.04
"""How close the load that is borne and the one that is not are in the end, as a ratio."""


@dataclass(frozen=True, eq=False)
class Answered:
    """The plan's requests, served once.

    Attributes:
        watched: seats, queue and memory, if they were asked for.
    """

    contender: Contender
    load: float
    speed: float
    outcome: Outcome
    watched: Watched | None


@dataclass(frozen=True)
class Serve:
    """Serve all requests."""

    contender: Contender
    load: float = PRESENT
    speed: float = 1.0
    watch: bool = False

    def run(self, plan: AdvicePlan) -> Answered:
        """When each request got its tokens."""
        simulator = plan.simulator(self.contender, self.load, self.speed)
        watch = Watch(simulator) if self.watch else None
        outcome = simulator.run(watch)
        watched = None if watch is None else watch.watched()
        return Answered(self.contender, self.load, self.speed, outcome, watched)


@dataclass(frozen=True)
class Capacity:
    """How much more of the same traffic the engine takes.

    Attributes:
        load: the largest factor of the arrival rate that was tried at which 99 % of the first
            tokens came within the target; 0 if none.
        beyond: the least at which they did not; infinite if there was none.
    """

    contender: Contender
    load: float
    beyond: float


@dataclass(frozen=True)
class Find:
    """Find the load that a contender bears within the plan's target.

    Attributes:
        borne, beyond: loads at which it is known to keep the target, and not to; 0 and infinite
            if none is.
    """

    contender: Contender
    borne: float = 0.0
    beyond: float = math.inf

    @classmethod
    def between(cls, plan: AdvicePlan, contender: Contender, runs: Sequence[Answered]) -> Find:
        """With what a contender's runs at several loads tell already."""
        assert plan.target is not None
        kept = {each.load: _kept(plan, each, plan.target) for each in runs}
        beyond = min((load for load, good in kept.items() if not good), default=math.inf)
        borne = max((load for load, good in kept.items() if good and load < beyond), default=0.0)
        return cls(contender, borne, beyond)

    def run(self, plan: AdvicePlan) -> Capacity:
        """Raises or lowers the load until both sides are known, then closes in."""
        assert plan.target is not None
        target = plan.target
        ends = search(self.borne, self.beyond, lambda load: self._bears(plan, load, target))
        return Capacity(self.contender, *ends)

    def _bears(self, plan: AdvicePlan, load: float, target: float) -> bool:
        simulator = plan.simulator(self.contender, load)
        late = _Late(simulator, plan, load, target)
        simulator.run(late)
        return not late.too_many


def search(borne: float, beyond: float, bears: Callable[[float], bool]) -> tuple[float, float]:
    """Raises or lowers the load until both sides are known, then closes in.

    Args:
        borne, beyond: loads that are known to be borne, and not to; 0 and infinite if none is.
        bears: whether a load is borne.

    Returns:
        The largest load that was found to be borne, and the least that was not.
    """
    while not (borne and beyond / borne <= _CLOSE):
        if borne >= _MOST_LOAD or beyond <= 1.0 / _MOST_LOAD:
            break
        if math.isinf(beyond):
            load = borne * _STRIDE or PRESENT
        else:
            load = math.sqrt(borne * beyond) or beyond / _STRIDE
        if bears(load):
            borne = load
        else:
            beyond = load
    return borne, beyond


def _kept(plan: AdvicePlan, run: Answered, target: float) -> bool:
    """Whether 99 % of the first tokens came in time."""
    late = run.outcome.first - plan.at(run.load).arrival > target
    return bool(late.sum() <= _allowed(len(late)))


def _allowed(n: int) -> int:
    """First tokens of n that may come late."""
    return int(0.01 * n)


class _Late:
    """Counts first tokens that came too late; with more than 1 % of all a run is over."""

    def __init__(self, simulator: Simulator, plan: AdvicePlan, load: float, target: float) -> None:
        self._simulator = simulator
        self._arrival = (plan.workload.arrival / load).tolist()
        self._target = target
        self._left = _allowed(len(self._arrival))

    @property
    def too_many(self) -> bool:
        """Whether 99 % can not be in time any more."""
        return self._left < 0

    def __call__(self) -> bool:
        simulator = self._simulator
        simulator.finished.clear()
        if simulator.begun:
            # They had their first token before the steps that begin now.
            due = simulator.engine.clock.now - self._target
            self._left -= sum(self._arrival[i] < due for i in simulator.begun)
            simulator.begun.clear()
        return self.too_many


def serve(plan: AdvicePlan, job: Serve) -> Answered:
    """One run; a function, for other processes."""
    return job.run(plan)


def find_load(plan: AdvicePlan, job: Find) -> Capacity:
    """One contender's load; a function, for other processes."""
    return job.run(plan)
