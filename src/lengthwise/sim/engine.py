"""A continuous-batching engine as a discrete-event simulation.

It steps as vLLM does (decodes first, then chunks of prompts, then admissions, within a
token budget; paged KV memory; preemption by recompute or swap), with the policy, queue
and seating objects that drive vLLM. Between two decisions it does not step: decode steps
in which no request comes, goes or could be preempted are one event.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from lengthwise.core.policy import Policy
from lengthwise.core.request import Request
from lengthwise.core.service import Sender
from lengthwise.core.slices import slice_end
from lengthwise.sim.decodes import Job
from lengthwise.sim.predictors import Predictor
from lengthwise.sim.prefill import Prefill
from lengthwise.sim.refining import Refining, refines
from lengthwise.sim.seating import SimulatedEngine
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import StepTime
from lengthwise.sim.stretch import Doing, Stretch
from lengthwise.sim.traffic import Traffic
from lengthwise.workload import Workload


class Simulator:
    """Serves one workload under one policy.

    Alone it serves all of it (:meth:`run`); as one of several instances it serves what it is
    offered (``sim/cluster.py``), and ``due`` says when its steps under way end.

    Args:
        workload: arrivals and true lengths; only the engine and the predictor read these.
        policy: any of :mod:`lengthwise.policies`.
        predictor: gives the policy its predictions.
        time: seconds of a step.
        seed: of the predictor's errors; the same seed gives the same run to the bit.
        slowness: how many times as long steps take that begin at a time in seconds.
        traffic: the requests as several instances share them; None makes its own.

    Attributes:
        engine: seats, queue and memory.
        due: when the steps under way end; infinite if there are none.
        begun, finished: requests that had a first and a last token; whatever reads these
            lists clears them.
    """

    def __init__(
        self,
        workload: Workload,
        policy: Policy,
        predictor: Predictor,
        time: StepTime,
        setup: Setup,
        seed: int = 0,
        slowness: Callable[[float], float] | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        refining = refines(policy, predictor)
        self._traffic = traffic or Traffic(
            workload, predictor, seed, policy.source != "none", refining
        )
        self._setup = setup
        self._policy = policy
        self._sliced = policy.slice < math.inf
        self.engine = SimulatedEngine(policy, setup, time, slowness, self._traffic)
        self._prefill = Prefill(self.engine, policy, setup)
        self._stretch = Stretch(self.engine, policy, setup.interval if refining else None)
        self._refining: Refining | None = None
        if refining:
            self._refining = Refining(self.engine, self._traffic, setup.interval)
        # Arrivals matter when a seat is free, or can be taken; but a policy that listens is
        # told when they come, and patience counts from then.
        bounded = self.engine.seating.bounded
        self._heeding = policy.preemptive or policy.listens or bounded

        self.due = math.inf
        self._doing: Doing | None = None
        # What joins the queue when the steps under way end: arrivals among them that were
        # compared with the seated, and ends of slices; then all other arrivals, by number.
        self._entering: list[Job] = []
        self._inbox: list[int] = []
        self.begun: list[int] = []
        self.finished: list[int] = []
        self._rejected = self._in_system = 0
        self._backlog = [0, 0]
        self._paced = (0, 0.0)

    @property
    def initial(self) -> list[float] | None:
        """n output tokens predicted at arrival, NaN for unknown; None without predictions."""
        return self._traffic.initial

    def run(self, enough: Callable[[], bool] | None = None) -> Outcome:
        """Serve every request to its end.

        Args:
            enough: asked each time that steps have begun; true ends the run there.
        """
        for i, arrival in enumerate(self._traffic.arrival):
            while self.due < arrival:
                self.proceed()
                if enough is not None and enough():
                    return self.outcome()
            self.offer(i, arrival)
        while self.due < math.inf:
            self.proceed()
            if enough is not None and enough():
                break
        return self.outcome()

    def outcome(self) -> Outcome:
        """What was done so far."""
        traffic, engine = self._traffic, self.engine
        return Outcome(
            traffic.first,
            traffic.finish,
            traffic.gap,
            self._rejected,
            engine.clock.steps,
            engine.clock.busy,
            engine.seating.pauses,
            engine.evictions,
            engine.recomputed,
            (self._backlog[0], self._backlog[1]),
        )

    def offer(self, i: int, now: float) -> None:
        """Request i comes, at a time between the start and the end of the steps under way."""
        doing = self._doing
        if doing is None:
            # Requests that come at the same time are in the first step, too.
            self.engine.clock.now = self.due = now
        if doing is None or not doing.stop:
            self._inbox.append(i)
            return
        job = self._arrive(i)
        if job is not None:
            self._entering.append(job)
            self._stretch.interrupt(doing, job, now)
            self.due = self.engine.clock.now + doing.seconds

    def proceed(self) -> None:
        """End the steps under way, and begin the next."""
        if self._doing is not None:
            self._end(self._doing)
        if self._inbox:
            self._deliver()
        if not self._in_system:
            self._doing = None
            self.due = math.inf
            return
        self.engine.arrange()
        self._doing = self._begin()
        self.due = self.engine.clock.now + self._doing.seconds

    @property
    def running(self) -> list[Job]:
        """The seated jobs."""
        return self.engine.running

    def held(self) -> dict[int, int]:
        """Tokens of every request that was offered and has not finished, by its number."""
        engine = self.engine
        jobs = (*engine.running, *engine.seating.paused, *engine.waiting, *self._entering)
        found = {job.index: engine.view(job).generated for job in jobs}
        return found | dict.fromkeys(self._inbox, 0)

    def pace(self) -> float:
        """Mean seconds of a step since the last call; NaN if there was none."""
        clock = self.engine.clock
        steps, busy = clock.steps - self._paced[0], clock.busy - self._paced[1]
        self._paced = clock.steps, clock.busy
        return busy / steps if steps else math.nan

    # Arrivals.

    def _deliver(self) -> None:
        seating = self.engine.seating
        for i in self._inbox:
            job = self._arrive(i)
            if job is None:
                continue
            self.engine.waiting.push(job)
            seating.idle(job)
            if self._policy.preemptive and seating.beats(job):
                seating.unsettled = True
        self._inbox.clear()

    def _arrive(self, i: int) -> Job | None:
        """Request i is predicted; None if it could never fit."""
        traffic = self._traffic
        if i == traffic.n // 2:
            self._backlog[0] = self._in_system
        if i == traffic.n - 1:
            self._backlog[1] = self._in_system
        prompt, output = traffic.prompt[i], traffic.output[i]
        if not self._setup.holds(prompt + output):
            self._rejected += 1
            self.finished.append(i)
            return None
        view = Request(str(i), traffic.arrival[i], i, prompt)
        view.tenant, view.priority = traffic.tenant[i], traffic.priority[i]
        if self._setup.classes is not None:
            view.service = self._setup.classes.of(Sender(view.tenant, view.priority)).name
        view.cached_tokens = min(traffic.prefix[i], prompt - 1)
        if self._policy.source != "none":
            traffic.predict(i, view)
        job = Job(i, view, prompt, output, view.cached_tokens)
        self._in_system += 1
        if self._sliced:
            self._cut(job)
        return job

    # Steps.

    def _begin(self) -> Doing:
        """One step with prompts in it, or a stretch of decode steps."""
        engine = self.engine
        clock = engine.clock
        chunks = self._prefill.step()
        clock.begin()
        if chunks is not None and (chunks.tokens or chunks.swap_s):
            seconds = clock.mixed(chunks.tokens, chunks.context, chunks.swap_s)
            return Doing(1, seconds, chunks.complete)
        if not engine.decodes.count:
            raise RuntimeError(f"the simulated engine stalled at {clock.now} s")
        steps = self._stretch.steps()
        stop = self._heeding or len(engine.running) < engine.seats
        return Doing(steps, clock.decoding(steps), [], stop)

    def _end(self, done: Doing) -> None:
        """Tokens, then those that leave, then those that came."""
        engine = self.engine
        engine.clock.passed(done.steps, done.seconds)
        engine.free -= engine.decodes.advance(done.steps)
        for job in done.sampling:
            self._sample(job)
        for job in engine.decodes.ended():
            self._leave(job)
        for job in self._entering:
            engine.waiting.push(job)
        self._entering.clear()
        if self._refining is not None and engine.seating.contested:
            self._refining.refine()
        if not self._policy.steady:
            engine.seating.worsened()

    def _sample(self, job: Job) -> None:
        """A prompt is done: its first token, or its next after an eviction."""
        engine = self.engine
        if job.generated == 0:
            self._traffic.first[job.index] = engine.clock.now
            self.begun.append(job.index)
        engine.resumed(job, engine.clock.now)
        job.generated += 1
        if job.generated < job.until:
            engine.decodes.begin(job)
        else:
            self._leave(job)

    def _leave(self, job: Job) -> None:
        """A job has the last token of its answer, or of a slice of it."""
        engine = self.engine
        if job.generated < job.output:
            engine.put_back(job)
            self._cut(job)
            self._entering.append(job)
            engine.seating.idle(job)
            return
        self._traffic.finish[job.index] = engine.clock.now
        self.finished.append(job.index)
        engine.release(job)
        engine.seating.gone(job)
        self._in_system -= 1

    def _cut(self, job: Job) -> None:
        """Note where the job's next slice ends."""
        most = int(self._policy.slice)
        end = slice_end(job.prompt, job.generated, most, self._setup.block_size)
        job.until = min(job.output, end)
