"""Everything that the advice rests on: the simulated runs, and what is compared of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from lengthwise.advise.attain import (
    ClassCapacity,
    FindClasses,
    alone,
    find_classes,
    promised_at,
)
from lengthwise.advise.jobs import Answered, Capacity, Find, Serve, find_load, serve
from lengthwise.advise.plan import DATA, PRESENT, AdvicePlan, Contender
from lengthwise.advise.supported import Supported
from lengthwise.advise.watch import Watched
from lengthwise.core.service import Classes
from lengthwise.report.attained import Shift, shifts
from lengthwise.report.change import FIGURES, Change, Figure, change
from lengthwise.report.served import Served
from lengthwise.results.promises import services_of
from lengthwise.results.record import Labels, Notes, Promised, Run, Size
from lengthwise.sim.figures import figures, overloaded
from lengthwise.studies.parallel import in_parallel

MEAN, P99, TTFT, TTFT_P99 = (
    next(each for each in FIGURES if each.name == name)
    for name in ("mean latency", "p99 latency", "mean TTFT", "p99 TTFT")
)

_LATE = 1.5
_LEAST_TARGET = 1.0


@dataclass(frozen=True, eq=False)
class Advice:
    """What was found.

    Attributes:
        plan: what was asked.
        supported: what the data tells about answers.
        runs: every contender at every load, in the plan's order.
        unsure: the first contender and the one that is advised, at the present load, with the
            least and the most seconds of a step that the calibration leaves possible; empty if
            it leaves one.
        capacities: the load that each bears within the plan's target.
        alone: what each class would attain if each request were alone, the most that any order
            can do; all unset without classes.
        class_capacities: the load at which each class attains the plan's share, by contender.
    """

    plan: AdvicePlan
    supported: Supported
    runs: Sequence[Answered]
    unsure: Sequence[Answered]
    capacities: Sequence[Capacity]
    alone: Promised = field(default_factory=Promised)
    class_capacities: Sequence[ClassCapacity] = ()

    @property
    def classes(self) -> Classes | None:
        """The service classes of the requests, if there are any."""
        return self.plan.setup.classes

    @property
    def stock(self) -> Contender:
        """What the others are compared with."""
        return self.plan.stock

    @property
    def advised(self) -> Contender:
        """The contender that would be switched to."""
        return self.plan.advised

    def run(self, contender: Contender, load: float) -> Answered:
        """A contender's run at a load."""
        return next(each for each in self.runs if each.contender == contender and each.load == load)

    @property
    def watched(self) -> Watched:
        """Seats, queue and memory of the first contender at the present load."""
        found = self.run(self.stock, PRESENT).watched
        assert found is not None
        return found

    @cached_property
    def changes(self) -> dict[tuple[Contender, float, str], Change]:
        """Each figure of each contender at each load, against the first one at that load."""
        found = {}
        for load in self.plan.loads:
            base = self.served(self.run(self.stock, load))
            for contender in self.plan.contenders:
                here = self.served(self.run(contender, load))
                for figure in (MEAN, P99, TTFT, TTFT_P99):
                    found[contender, load, figure.name] = change(base, here, figure)
        return found

    def change(self, contender: Contender, load: float, figure: Figure) -> Change:
        """A figure against the first contender's at the same load."""
        return self.changes[contender, load, figure.name]

    @cached_property
    def promised(self) -> dict[tuple[Contender, float], Promised]:
        """What each class got, of each contender at each load."""
        return {
            (run.contender, run.load): promised_at(self.plan, run.load, run.outcome)
            for run in self.runs
        }

    @cached_property
    def shifts(self) -> dict[tuple[Contender, float], dict[str, Shift]]:
        """Each class's attainment under each contender, against the first one at that load."""
        if self.classes is None:
            return {}
        found = {}
        for load in self.plan.loads:
            base = self.served(self.run(self.stock, load))
            for contender in self.plan.contenders:
                here = self.served(self.run(contender, load))
                found[contender, load] = shifts(base, here, self.classes)
        return found

    def change_at(self, speed: float, figure: Figure) -> Change:
        """The advised policy's change at the present load if steps take ``speed`` times as long."""
        old, new = self._both_at(speed)
        return change(old, new, figure)

    def shifts_at(self, speed: float) -> dict[str, Shift]:
        """Each class's attainment under both at the present load and such a speed."""
        return {} if self.classes is None else shifts(*self._both_at(speed), self.classes)

    def _both_at(self, speed: float) -> tuple[Served, Served]:
        """The first contender's requests, and the advised one's, at the present load."""
        runs = (*self.unsure, *(each for each in self.runs if each.load == PRESENT))
        old, new = (
            next(each for each in runs if each.contender == contender and each.speed == speed)
            for contender in (self.stock, self.advised)
        )
        return self.served(old), self.served(new)

    def served(self, run: Answered) -> Served:
        """A run's requests, as charts read them."""
        workload = self.plan.at(run.load)
        told = self.plan.predicted if run.contender.predictor == DATA else None
        return Served(
            str(run.contender),
            workload.arrival,
            run.outcome.first,
            run.outcome.finish,
            workload.prompt,
            workload.output,
            run.outcome.gap,
            told,
            workload.tenant,
            workload.id,
            services_of(self.classes, workload),
        )

    def record(self, run: Answered, model: str) -> Run:
        """A run under the names of results.json."""
        workload, setup = self.plan.at(run.load), self.plan.setup
        labels = Labels(
            policy=str(run.contender),
            predictor=run.contender.predictor,
            engine="simulator",
            model=model,
            rate=workload.rate,
            arrivals="trace",
            seed=self.plan.seed,
        )
        notes = Notes(overloaded=overloaded(run.outcome, setup.seats))
        own = self.promised[run.contender, run.load]
        size = Size(seats=setup.seats)
        return Run.of(labels, *figures(workload, run.outcome), own, size, notes)


def find(plan: AdvicePlan, supported: Supported, workers: int = 0) -> Advice:
    """Simulate all that the advice needs, on every core.

    Raises:
        UserError: for what :meth:`AdvicePlan.check` refuses, before anything runs.
    """
    plan.check()
    both = (plan.stock, plan.advised)
    # Long ones first, so that no core waits for another at the end.
    serves = [
        Serve(contender, load, watch=load == PRESENT and contender in both)
        for load in sorted(plan.loads, reverse=True)
        for contender in reversed(plan.contenders)
    ]
    speeds = [each for each in plan.speeds if each != 1.0]
    serves += [Serve(each, PRESENT, speed) for speed in speeds for each in both]
    done = in_parallel(serve, plan, serves, workers, "advise")
    runs = sorted(
        (each for each in done if each.speed == 1.0),
        key=lambda each: (each.load, plan.contenders.index(each.contender)),
    )
    unsure = [each for each in done if each.speed != 1.0]
    if plan.setup.classes is not None:
        return _held(plan, supported, runs, unsure, workers)
    if plan.target is None:
        plan = replace(plan, target=_target(plan, runs))
    return Advice(plan, supported, runs, unsure, _capacities(plan, runs, workers))


def _held(
    plan: AdvicePlan,
    supported: Supported,
    runs: Sequence[Answered],
    unsure: Sequence[Answered],
    workers: int,
) -> Advice:
    """With the load that each class bears; that of a single target only if it is asked for."""
    best = alone(plan)
    jobs = [
        FindClasses.between(plan, each, [run for run in runs if run.contender == each], best)
        for each in plan.contenders
    ]
    found = in_parallel(find_classes, plan, jobs, workers, "most traffic by class")
    borne = [capacity for several in found for capacity in several]
    capacities = [] if plan.target is None else _capacities(plan, runs, workers)
    return Advice(plan, supported, runs, unsure, capacities, best, borne)


def _capacities(plan: AdvicePlan, runs: Sequence[Answered], workers: int) -> list[Capacity]:
    finds = [
        Find.between(plan, each, [run for run in runs if run.contender == each])
        for each in plan.contenders
    ]
    return in_parallel(find_load, plan, finds, workers, "most traffic")


def _target(plan: AdvicePlan, runs: Sequence[Answered]) -> float:
    """Half as much again as 99 % of the first tokens take now, at least a second."""
    now = next(each for each in runs if each.contender == plan.stock and each.load == PRESENT)
    ttft = now.outcome.first - plan.workload.arrival
    return float(f"{max(_LATE * float(np.nanquantile(ttft, 0.99)), _LEAST_TARGET):.2g}")
