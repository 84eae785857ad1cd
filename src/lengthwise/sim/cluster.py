"""Several simulated engines on one clock, and a router in front of them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from lengthwise.core.checks import at_least, not_negative, positive
from lengthwise.core.policy import Policy
from lengthwise.core.prediction import Prediction
from lengthwise.errors import UserError
from lengthwise.results.balance import Balance
from lengthwise.routing import Capacity, Fleet, Report, Router
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import Predictor
from lengthwise.sim.refining import refines
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import StepTime
from lengthwise.sim.traffic import Traffic
from lengthwise.workload import Workload


@dataclass(frozen=True)
class Death:
    """An instance that dies, and comes back empty.

    Attributes:
        instance: its number, from 0.
        at, back: seconds; ``back`` may be infinite.
    """

    instance: int
    at: float
    back: float = math.inf


@dataclass(frozen=True)
class Layout:
    """Which instances there are, and what the router gets to know of them.

    Attributes:
        instances: how many.
        report_s: seconds between two load reports of an instance.
        stale_s: age in seconds of all that the router learns, reports and tokens.
        deaths: which instances fail, and when.

    Raises:
        UserError: for a number out of range, or a death of an instance that is not there.
    """

    instances: int
    report_s: float = 1.0
    stale_s: float = 0.0
    deaths: tuple[Death, ...] = ()

    def __post_init__(self) -> None:
        at_least(1, instances=self.instances)
        positive(report_interval=self.report_s)
        not_negative(stale=self.stale_s)
        for death in self.deaths:
            if not 0 <= death.instance < self.instances or not 0 <= death.at < death.back:
                raise UserError(f"{death}: give an instance from 0, its end, and a later return")


@dataclass(frozen=True)
class ClusterOutcome:
    """What a run did.

    Attributes:
        total: all instances together; failed requests have no finish.
        failed: requests that had begun to stream when their instance died.
        resubmitted: how often others were sent again.
        predictions: how often the router's predictor was asked.
        balance: how evenly seats and work were spread over time.
    """

    total: Outcome
    failed: int
    resubmitted: int
    predictions: int
    balance: Balance


class Cluster:
    """Serves one workload by several instances.

    Args:
        workload, predictor, time, setup, seed: as a single :class:`Simulator` has them;
            requests are predicted once, for the router and for the instances' policies.
        policy: makes one policy for each instance.
        router: chooses instances, from predictions and load reports.
        layout: the instances.
    """

    def __init__(
        self,
        workload: Workload,
        policy: Callable[[], Policy],
        router: Router,
        predictor: Predictor,
        time: StepTime,
        setup: Setup,
        layout: Layout,
        seed: int = 0,
    ) -> None:
        one = policy()
        refining = refines(one, predictor)
        predicting = one.source != "none" or router.predicts
        self._traffic = Traffic(workload, predictor, seed, predicting, refining)
        self._make: Callable[[], Simulator] = lambda: Simulator(
            workload, policy(), predictor, time, setup, seed, traffic=self._traffic
        )
        self._layout = layout
        self._capacity = _capacity(time, setup, one.source != "none")
        self._router = router
        self._fleet = Fleet(router, self._predict)
        self._engines: dict[int, Simulator] = {}
        self._gone: list[Simulator] = []
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._dues: list[tuple[float, int, Simulator]] = []
        self._number = count()
        self._gathering = False
        self._left = len(workload)
        # Arrivals and returning instances: without them and with idle engines all is over.
        self._coming = len(workload) + sum(each.back < math.inf for each in layout.deaths)
        self._failed = self._resubmitted = 0
        self._balance = Balance(workload.output)

    def _predict(self, id: str) -> Prediction | None:
        return self._traffic.prediction(int(id))

    @property
    def initial(self) -> list[float] | None:
        """n output tokens predicted at arrival, NaN for unknown; None without predictions."""
        return self._traffic.initial

    def run(self) -> ClusterOutcome:
        """Serve every request to its end, or to the end of its instance."""
        for k in range(self._layout.instances):
            self._join(k)
        self._at(self._layout.report_s, self._tick)
        for death in self._layout.deaths:
            self._at(death.at, partial(self._die, death.instance))
            if death.back < math.inf:
                self._at(death.back, partial(self._return, death.instance))
        for i, arrival in enumerate(self._traffic.arrival):
            self._until(arrival)
            self._coming -= 1
            self._submit(i, arrival)
        while self._left and self._next() < math.inf:
            self._until(math.nextafter(self._next(), math.inf))
        return self._outcome()

    # The clock.

    def _at(self, time: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._number), what))

    def _next(self) -> float:
        """When something happens next: an engine's step ends, or an event."""
        dues = self._dues
        while dues and dues[0][2].due != dues[0][0]:
            heapq.heappop(dues)
        return min(
            dues[0][0] if dues else math.inf, self._events[0][0] if self._events else math.inf
        )

    def _until(self, time: float) -> None:
        """Let everything happen that happens before this time."""
        while (now := self._next()) < time:
            if self._dues and self._dues[0][0] == now:
                _, k, engine = heapq.heappop(self._dues)
                engine.proceed()
                self._watch(k, engine)
                self._news(engine, now)
            else:
                heapq.heappop(self._events)[2](now)

    def _watch(self, k: int, engine: Simulator) -> None:
        if engine.due < math.inf:
            heapq.heappush(self._dues, (engine.due, k, engine))

    def _later(self, now: float, what: Callable[[float], None]) -> None:
        """The router learns something, as late as it learns everything."""
        if self._layout.stale_s == 0.0:
            what(now)
        else:
            self._at(now + self._layout.stale_s, what)

    # Requests.

    def _submit(self, i: int, now: float) -> None:
        self._fleet.submit(str(i), self._traffic.prompt[i])
        if self._router.collect == 0.0:
            self._route(now)
        elif not self._gathering:
            self._gathering = True
            self._at(now + self._router.collect, self._route)

    def _route(self, now: float) -> None:
        self._gathering = False
        for sent in self._fleet.route(now):
            k = sent.key
            assert isinstance(k, int)
            engine = self._engines[k]
            before = engine.due
            engine.offer(int(sent.id), now)
            if engine.due != before:
                self._watch(k, engine)

    def _news(self, engine: Simulator, now: float) -> None:
        """First and last tokens on their way through the router to the clients."""
        begun, engine.begun = engine.begun, []
        finished, engine.finished = engine.finished, []
        self._left -= len(finished)
        if begun or finished:
            self._later(now, lambda then: self._tell(begun, finished, now, then))

    def _tell(self, begun: list[int], finished: list[int], seen: float, now: float) -> None:
        traffic = self._traffic
        for i in begun:
            self._fleet.streams(str(i), 1, seen)
        for i in finished:
            done = traffic.finish[i] < math.inf
            self._fleet.finished(str(i), traffic.output[i] if done else 0, now)

    # Instances.

    def _join(self, k: int) -> None:
        self._engines[k] = self._make()
        self._fleet.join(k, self._capacity)

    def _return(self, k: int, now: float) -> None:
        self._coming -= 1
        if k not in self._engines:
            self._join(k)
            self._route(now)

    def _die(self, k: int, now: float) -> None:
        """Connections break at once: what had not begun to stream is sent elsewhere."""
        engine = self._engines.pop(k, None)
        if engine is None:
            return
        self._gone.append(engine)
        held = engine.held()
        engine.due = math.inf
        self._fleet.died(k)
        for i in sorted(held):
            if held[i]:
                self._failed += 1
                self._left -= 1
                self._fleet.finished(str(i), 0, now)
            else:
                self._resubmitted += 1
                self._submit(i, now)

    def _tick(self, now: float) -> None:
        """Every instance reports its load."""
        held = {k: engine.held() for k, engine in self._engines.items()}
        self._balance.sample(
            [len(engine.running) for engine in self._engines.values()], list(held.values())
        )
        reports = [
            (k, Report(now, {str(i): n for i, n in held[k].items()}, {}, engine.pace()))
            for k, engine in self._engines.items()
        ]
        self._later(now, lambda _: self._report(reports))
        if self._coming or any(each.due < math.inf for each in self._engines.values()):
            self._at(now + self._layout.report_s, self._tick)

    def _report(self, reports: list[tuple[int, Report]]) -> None:
        for k, report in reports:
            self._fleet.reported(k, report)

    def _outcome(self) -> ClusterOutcome:
        outcomes = [each.outcome() for each in (*self._engines.values(), *self._gone)]
        counts = ("rejected", "steps", "busy_s", "pauses", "evictions", "recomputed")
        sums = {name: sum(getattr(each, name) for each in outcomes) for name in counts}
        total = replace(outcomes[0], **sums, backlog=self._traffic.backlog())
        return ClusterOutcome(
            total, self._failed, self._resubmitted, self._fleet.predictions, self._balance
        )


def _capacity(time: StepTime, setup: Setup, ranked: bool) -> Capacity:
    """An engine's capacity as a router knows it, from the profile."""
    seats, budget, memory = setup.seats, setup.budget, setup.blocks * setup.block_size
    one, full = time.seconds(0, 1, 0), time.seconds(0, seats, 0)
    prefill = (time.seconds(budget, seats, 0) - full) / budget
    context = (time.seconds(0, seats, memory) - full) / memory
    return Capacity(seats, memory, prefill, (full - one) / seats, context, full, ranked)
