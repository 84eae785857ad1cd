"""Promises at a load: what each class attains, alone and among all; the load that it bears."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lengthwise.advise.jobs import Answered, search
from lengthwise.advise.plan import STOCK, AdvicePlan, Contender
from lengthwise.results.promises import held, services_of
from lengthwise.results.record import Promised
from lengthwise.sim.engine import Simulator
from lengthwise.sim.figures import times_of
from lengthwise.sim.setup import Outcome

_APART = 1e6
"""Seconds between two requests that are each served alone."""


@dataclass(frozen=True)
class ClassCapacity:
    """How much of the same traffic the engine takes with a class's promises kept.

    Attributes:
        service: the class.
        load: the largest factor of the arrival rate that was tried at which the class attained
            the share that is asked for; 0 if none.
        beyond: the least at which it did not; infinite if there was none.
    """

    contender: Contender
    service: str
    load: float
    beyond: float


def promised_at(plan: AdvicePlan, load: float, outcome: Outcome) -> Promised:
    """The figures by class of a run at a load; all unset without classes."""
    workload, classes = plan.at(load), plan.setup.classes
    return held(classes, times_of(workload, outcome), services_of(classes, workload))


def alone(plan: AdvicePlan) -> Promised:
    """What each class would attain if each of its requests were alone on the engine.

    No order of serving does better: this is the most that any policy can attain.
    """
    n = len(plan.workload)
    apart = replace(plan.workload, arrival=np.linspace(0.0, _APART * n, n, endpoint=False))
    quiet = replace(plan, workload=apart)
    outcome = quiet.simulator(Contender(STOCK), 1.0).run()
    return promised_at(quiet, 1.0, outcome)


@dataclass(frozen=True)
class FindClasses:
    """Find the load at which each class still attains the share that is asked for.

    Attributes:
        services: the classes that are looked for.
        known: for loads that were simulated, whether each class attained it.
    """

    contender: Contender
    services: tuple[str, ...]
    known: tuple[tuple[float, dict[str, bool]], ...] = ()

    @classmethod
    def between(
        cls, plan: AdvicePlan, contender: Contender, runs: Sequence[Answered], best: Promised
    ) -> FindClasses:
        """With what a contender's runs at several loads tell already.

        Args:
            best: what each class attains where each request is alone: a class that does not
                attain its share there bears no load, and is not looked for.
        """
        known = tuple(
            (each.load, attains(promised_at(plan, each.load, each.outcome), plan.attain))
            for each in runs
        )
        able = attains(best, plan.attain)
        services = tuple(name for name in promised_classes(plan) if able.get(name, False))
        return cls(contender, services, known)

    def run(self, plan: AdvicePlan) -> list[ClassCapacity]:
        """A capacity for each class; a run tells of all classes, so each load is tried once."""
        known = dict(self.known)
        return [self._borne(plan, name, known) for name in self.services]

    def _borne(
        self, plan: AdvicePlan, name: str, known: dict[float, dict[str, bool]]
    ) -> ClassCapacity:
        def bears(load: float) -> bool:
            if name not in known.setdefault(load, {}):
                known[load] |= _tried(plan, self.contender, load, name)
            return known[load][name]

        told = {load: found[name] for load, found in known.items() if name in found}
        beyond = min((load for load, good in told.items() if not good), default=math.inf)
        borne = max((load for load, good in told.items() if good and load < beyond), default=0.0)
        return ClassCapacity(self.contender, name, *search(borne, beyond, bears))


def promised_classes(plan: AdvicePlan) -> list[str]:
    """The classes that are promised anything and have requests, in the file's order."""
    classes = plan.setup.classes
    there = set(services_of(classes, plan.workload))
    every = () if classes is None else classes.all
    return [each.name for each in every if each.target and each.name in there]


def attains(found: Promised, share: float) -> dict[str, bool]:
    """Whether each class with requests attained the share."""
    classes = found.classes if isinstance(found.classes, dict) else {}
    return {
        name: own.requests - own.met <= allowed(own.requests, share)
        for name, own in classes.items()
        if own.requests
    }


def allowed(requests: int, share: float) -> int:
    """Requests of so many that may miss their targets."""
    # A share like 0.99 is a little off as a float.
    return int((1.0 - share) * requests + 1e-9)


def _tried(plan: AdvicePlan, contender: Contender, load: float, name: str) -> dict[str, bool]:
    """What a run at a load tells: of every class, or of those that missed too often at once."""
    simulator = plan.simulator(contender, load)
    missed = _Missed(plan, load, simulator, name)
    outcome = simulator.run(missed)
    if missed.too_often:
        return dict.fromkeys(missed.failed(), False)
    return attains(promised_at(plan, load, outcome), plan.attain)


class _Missed:
    """Counts requests that can not get what they are promised any more, by class.

    The run is over once one class, the one that is looked for, has too many.
    """

    def __init__(self, plan: AdvicePlan, load: float, simulator: Simulator, name: str) -> None:
        workload, classes = plan.at(load), plan.setup.classes
        assert classes is not None
        self._simulator = simulator
        self._arrival, self._output = workload.arrival.tolist(), workload.output.tolist()
        self._service = services_of(classes, workload)
        self._targets = {each.name: each.target for each in classes.all}
        self._name = name
        self._late: set[int] = set()
        self._left = {
            each: allowed(self._service.count(each), plan.attain) for each in set(self._service)
        }

    @property
    def too_often(self) -> bool:
        """Whether the class that is looked for can not attain its share any more."""
        return self._left[self._name] < 0

    def failed(self) -> list[str]:
        """The classes that can not."""
        return [each for each, left in self._left.items() if left < 0]

    def __call__(self) -> bool:
        simulator = self._simulator
        if simulator.begun or simulator.finished:
            outcome = simulator.outcome()
            for i in simulator.begun:
                limit = self._targets[self._service[i]].ttft
                if limit is not None and outcome.first[i] - self._arrival[i] > limit:
                    self._miss(i)
            for i in simulator.finished:
                if not self._met(i, float(outcome.first[i]), float(outcome.finish[i])):
                    self._miss(i)
            simulator.begun.clear()
            simulator.finished.clear()
        return self.too_often

    def _met(self, i: int, first: float, finish: float) -> bool:
        """Whether a request that finished, or was rejected, got what is promised."""
        arrival, target = self._arrival[i], self._targets[self._service[i]]
        met = target.met(first - arrival, finish - arrival, self._output[i])
        return math.isfinite(finish) and met

    def _miss(self, i: int) -> None:
        if i not in self._late:
            self._late.add(i)
            self._left[self._service[i]] -= 1


def find_classes(plan: AdvicePlan, job: FindClasses) -> list[ClassCapacity]:
    """One contender's loads; a function, for other processes."""
    return job.run(plan)
