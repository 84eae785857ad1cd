"""A continuous-batching engine as a discrete-event simulation.

It steps as vLLM does (decodes first, then chunks of prompts, then admissions, within a
token budget; paged KV memory; preemption by recompute or swap), with the policy, queue
and seating objects that drive vLLM. Between two decisions it does not step: decode steps
in which nobody comes, goes or could be preempted are one event.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lengthwise.core.lanes import waiting_queue
from lengthwise.core.policy import FIRST, LAST, Policy, behind
from lengthwise.core.request import Request
from lengthwise.core.seats import UNLIMITED, Seats
from lengthwise.core.slices import slice_end
from lengthwise.sim.decodes import Decodes, Job
from lengthwise.sim.predictors import Predictor
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import StepTime, steps_within
from lengthwise.sim.traffic import Traffic
from lengthwise.workload import Workload


def refines(policy: Policy, predictor: Predictor) -> bool:
    """Whether predictions are made anew while serving; what a probe has read ends with a slice."""
    return policy.source == "probe" and predictor.refines and policy.slice == math.inf


def _steady(now: float) -> float:
    return 1.0


@dataclass(slots=True)
class _Step:
    """What the engine is doing: steps under way, and whose prompts they complete.

    ``stop`` tells whether an arrival is admitted, or compared, at the end of the step it
    falls into; else at the end of all of them.
    """

    steps: int
    seconds: float
    sampling: list[Job]
    stop: bool = False


@dataclass(slots=True)
class _Chunks:
    """The prompts' part of a step.

    ``budget`` tokens and ``spare`` blocks are left; ``of`` has who computes how many. Their
    ``tokens`` and ``context``, ``swap_s`` seconds of copying, and whose prompts they complete.
    """

    budget: int
    spare: int
    of: list[tuple[Job, int]] = field(default_factory=list)
    tokens: int = 0
    context: int = 0
    swap_s: float = 0.0
    complete: list[Job] = field(default_factory=list)

    def add(self, job: Job, chunk: int) -> None:
        self.budget -= chunk
        self.of.append((job, chunk))


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
    """

    slots = UNLIMITED
    taken_seats = 0

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
        self.setup = setup
        self.seats = setup.seats
        self.reserve = setup.reserve
        self.step_blocks = setup.seats + -(-setup.budget // setup.block_size)
        self._policy = policy
        self._time = time
        self._slowness = slowness or _steady
        self._refining = refines(policy, predictor)
        self.traffic = traffic or Traffic(
            workload, predictor, seed, policy.source != "none", self._refining
        )

        self.running: list[Job] = []
        self.waiting = waiting_queue(policy, self.view)
        self._seating: Seats[Job] = Seats(
            self, policy, setup.pause, setup.margin, setup.paused_per_seat
        )
        self._sliced = policy.slice < math.inf
        # Arrivals are nobody's business until a seat is free, or can be taken; but a timed
        # policy sees them come, and patience counts from then.
        self._heeding = policy.preemptive or policy.timed or self._seating.bounded
        # Whether an arrival or a new prediction may change who sits, and a bound on the
        # seated keys: without a new prediction they only fall, if the policy is steady.
        self._unsettled = False
        self._worst = FIRST

        self.now = self._busy = 0.0
        self.due = math.inf
        self._doing: _Step | None = None
        # How many times as long the steps under way take.
        self._slow = 1.0
        # Who came since the last step began.
        self._inbox: list[int] = []
        self._free = setup.blocks
        self._prefilling: list[Job] = []
        self._decodes = Decodes(setup.block_size)

        # Who had a first and a last token: for whoever watches, who clears them.
        self.begun: list[int] = []
        self.finished: list[int] = []
        self._rejected = self._steps = self._evictions = self._recomputed = 0
        self._in_system = 0
        self._backlog = [0, 0]
        self._paced = (0, 0.0)

    def run(self) -> Outcome:
        """Serve every request to its end."""
        for i, arrival in enumerate(self.traffic.arrival):
            while self.due < arrival:
                self.proceed()
            self.offer(i, arrival)
        while self.due < math.inf:
            self.proceed()
        return self.outcome()

    def outcome(self) -> Outcome:
        """What was done so far."""
        traffic = self.traffic
        return Outcome(
            traffic.first,
            traffic.finish,
            traffic.gap,
            self._rejected,
            self._steps,
            self._busy,
            self._seating.pauses,
            self._evictions,
            self._recomputed,
            (self._backlog[0], self._backlog[1]),
        )

    def offer(self, i: int, now: float) -> None:
        """Request i comes, at a time between the start and the end of the steps under way."""
        doing = self._doing
        if doing is None:
            # Whoever else comes at this time is in the first step, too.
            self.now = self.due = now
        if doing is None or not doing.stop:
            self._inbox.append(i)
            return
        job = self._arrive(i)
        if job is not None:
            self._interrupt(doing, job, now)

    def _interrupt(self, doing: _Step, job: Job, now: float) -> None:
        """End the steps under way where an arrival among them may change who sits."""
        full = len(self.running) >= self.seats
        decisive = not full or self._policy.timed or self._beats(job)
        if not decisive and not self._seating.bounded:
            return
        after = self._steps_until(now, doing.steps)
        if self._seating.bounded:
            by_seconds = self._policy.threshold.seconds
            since = self.now + self._seconds(after) if by_seconds else self._steps + after
            self._seating.idle(job, since)
        if decisive:
            self._unsettled = full
            doing.steps, doing.stop = after, False
        else:
            doing.steps = self._until_promotion(doing.steps)
        doing.seconds = self._seconds(doing.steps)
        self.due = self.now + doing.seconds

    def proceed(self) -> None:
        """End the steps under way, and begin the next."""
        if self._doing is not None:
            self._end(self._doing)
        self._deliver()
        self._doing = None
        self.due = math.inf
        if not self._in_system:
            return
        if self._policy.timed:
            self._seating.observe()
        if self._seating.promote():
            self._unsettled = True
        if self._policy.preemptive:
            self._seat()
        self._doing = self._begin()
        self.due = self.now + self._doing.seconds

    def held(self) -> dict[int, int]:
        """Tokens of every request that was offered and has not finished, by its number."""
        jobs = (*self.running, *self._seating.paused, *self.waiting)
        found = {job.index: self.view(job).generated for job in jobs}
        return found | dict.fromkeys(self._inbox, 0)

    def pace(self) -> float:
        """Seconds of a step in the mean since it was last asked; NaN if there was none."""
        steps, busy = self._steps - self._paced[0], self._busy - self._paced[1]
        self._paced = self._steps, self._busy
        return busy / steps if steps else math.nan

    # What the seating asks.

    @property
    def step(self) -> int:
        """Steps so far."""
        return self._steps

    def view(self, job: Job) -> Request:
        """The policy's view, with the tokens generated by now."""
        view = job.view
        view.generated = self._decodes.generated(job)
        return view

    def admissible(self, job: Job) -> bool:
        """Nothing but memory keeps a waiting request."""
        return True

    def free_blocks(self) -> int:
        """Free blocks of KV memory."""
        return self._free

    def held_blocks(self, job: Job) -> int:
        """Blocks the job holds."""
        return self._decodes.blocks(job)

    def needed_blocks(self, job: Job) -> int:
        """Blocks for all its tokens and one more."""
        return -(-(job.prompt + self._decodes.generated(job) + 1) // self.setup.block_size)

    def evict(self, job: Job) -> None:
        """Memory is taken from a job; it waits."""
        if job.seated:
            self._stand_up(job)
        self._evictions += 1
        self._free += job.held
        job.view.preemptions += 1
        if self.setup.eviction == "swap":
            job.swapped = job.held
        else:
            self._drop(job)
        job.held = 0
        self.waiting.push(job)
        self._seating.idle(job)

    def _drop(self, job: Job) -> None:
        """Of a job's computed tokens only what is cached stays, in full blocks."""
        size = self.setup.block_size
        kept = int(self.setup.cached * job.computed) // size * size
        self._recomputed += job.computed - kept
        job.computed = kept

    # Arrivals.

    def _deliver(self) -> None:
        for i in self._inbox:
            job = self._arrive(i)
            if job is None:
                continue
            self._seating.idle(job)
            if self._policy.preemptive and self._beats(job):
                self._unsettled = True
        self._inbox.clear()

    def _arrive(self, i: int) -> Job | None:
        """Request i joins the queue, or is refused if it could never fit."""
        traffic = self.traffic
        if i == traffic.n // 2:
            self._backlog[0] = self._in_system
        if i == traffic.n - 1:
            self._backlog[1] = self._in_system
        prompt, output = traffic.prompt[i], traffic.output[i]
        most = -(-(prompt + output) // self.setup.block_size) + self.reserve
        if most > self.setup.blocks:
            self._rejected += 1
            self.finished.append(i)
            return None
        view = Request(str(i), traffic.arrival[i], i, prompt)
        view.tenant, view.priority = traffic.tenant[i], traffic.priority[i]
        if self._policy.source != "none" and traffic.initial is not None:
            view.predict(traffic.initial[i])
        job = Job(i, view, prompt, output, min(traffic.prefix[i], prompt - 1))
        self._in_system += 1
        if self._sliced:
            self._cut(job)
        self.waiting.push(job)
        return job

    def _beats(self, job: Job) -> bool:
        """Whether an arrival may take somebody's seat."""
        policy, view = self._policy, job.view
        if not policy.may_preempt(view):
            return False
        return behind(policy.key(view), self.setup.margin) < self._worst

    # Slices.

    def _cut(self, job: Job) -> None:
        """Say where the job's next slice ends."""
        most = int(self._policy.slice)
        end = slice_end(job.prompt, job.generated, most, self.setup.block_size)
        job.until = min(job.output, end)

    def _slice_over(self, job: Job) -> None:
        """A job goes back to the pool; of its KV memory it finds what is cached."""
        self._free += job.held
        job.held = 0
        self._drop(job)
        job.seated = False
        job.last = self.now
        self.running.remove(job)
        self._cut(job)
        self.waiting.push(job)
        self._seating.idle(job)

    # Seats.

    def _seat(self) -> None:
        """Let the seating decide if anything changed that it would decide by."""
        before = self.running
        wanting = len(before) + len(self.waiting) + len(self._seating.paused)
        if self._unsettled and wanting > self.seats:
            self._unsettled = False
            self._seating.arrange()
            self._worst = self._seating.worst
        elif self._seating.paused and len(before) < self.seats:
            if self._free < self.step_blocks:
                self._seating.arrange()
            else:
                self._seating.fill()
        if self.running is before:
            return
        now_seated = set(self.running)
        for job in before:
            if job.seated and job not in now_seated:
                self._stand_up(job)
        for job in self.running:
            if not job.seated:
                self._sit_down(job)
                self._worst = max(self._worst, self._policy.key(self.view(job)))

    def _sit_down(self, job: Job) -> None:
        job.seated = True
        if self._computed(job):
            decodes = self._decodes
            decodes.begin(job)
            token = self._time.seconds(0, decodes.count, decodes.context)
            self._resumed(job, self.now + token * self._slowness(self.now))
        else:
            self._prefilling.append(job)

    def _computed(self, job: Job) -> bool:
        """Whether all tokens but the last are in the KV cache."""
        return job.generated > 0 and job.computed == job.prompt + job.generated - 1

    def _stand_up(self, job: Job) -> None:
        if job.decoding:
            self._decodes.stop(job)
            job.last = self.now
        else:
            self._prefilling.remove(job)
        job.seated = False

    # Steps.

    def _begin(self) -> _Step:
        """One step with prompts in it, or a stretch of decode steps."""
        fell = self._make_room()
        chunks = self._prefill(fell)
        self._slow = self._slowness(self.now)
        if chunks.tokens or chunks.swap_s:
            seconds = self._time.seconds(chunks.tokens, self._decodes.count, chunks.context)
            return _Step(1, (seconds + chunks.swap_s) * self._slow, chunks.complete)
        if not self._decodes.count:
            raise RuntimeError(f"the simulated engine stalled at {self.now} s")
        steps = self._stretch()
        stop = self._heeding or len(self.running) < self.seats
        return _Step(steps, self._seconds(steps), [], stop)

    def _end(self, done: _Step) -> None:
        self._spend(done.seconds)
        self._advance(done.steps)
        for job in done.sampling:
            self._sample(job)
        for job in self._decodes.ended():
            self._leave(job)
        if self._refining and self._seating.contested:
            self._refine()
        if not self._policy.steady:
            self._reconsider()

    def _make_room(self) -> bool:
        """Evict from the tail until every decoding job has a block for its next token."""
        fell = False
        while self._decodes.growth(1) > self._free:
            self._fall()
            fell = True
        return fell

    def _prefill(self, fell: bool) -> _Chunks:
        """Chunks of prompts within the budget and the memory, and what they complete."""
        chunks = _Chunks(self.setup.budget - self._decodes.count, self._spare())
        for job in list(self._prefilling):
            fell |= self._go_on(job, chunks)
        while not fell and chunks.budget > 0 and len(self.running) < self.seats and self.waiting:
            if not self._admit(self.waiting.peek(), chunks):
                break
        chunks.context += self._decodes.context
        for job, chunk in chunks.of:
            if not job.seated:
                continue
            chunks.tokens += chunk
            chunks.context += job.computed
            job.computed += chunk
            if job.computed == job.prompt + job.generated:
                self._prefilling.remove(job)
                chunks.complete.append(job)
        return chunks

    def _spare(self) -> int:
        """Blocks that are free when every decoding job has its next token."""
        return self._free - self._decodes.growth(1)

    def _go_on(self, job: Job, chunks: _Chunks) -> bool:
        """A seated prompt's next chunk; whether somebody lost its memory for it."""
        fell = False
        chunk = min(job.prompt + job.generated - job.computed, chunks.budget)
        need = -(-(job.computed + chunk) // self.setup.block_size) - job.held
        while (
            job.seated
            and need > chunks.spare
            and (self._seating.paused or self.running[-1] is not job)
        ):
            self._fall()
            chunks.spare = self._spare()
            fell = True
        if need <= chunks.spare and job.seated:
            chunks.spare -= need
            self._free -= need
            job.held += need
            chunks.add(job, chunk)
        return fell

    def _admit(self, job: Job, chunks: _Chunks) -> bool:
        """The first of those who wait gets a seat, if its memory is there."""
        if self._computed(job):
            chunk, need, more = 0, -(-job.computed // self.setup.block_size), 1
        else:
            chunk, more = min(job.prompt + job.generated - job.computed, chunks.budget), 0
            need = max(job.swapped, -(-(job.computed + chunk) // self.setup.block_size))
        if need + more + self.reserve > chunks.spare:
            return False
        self.waiting.pop()
        chunks.swap_s += job.swapped * self.setup.swap_s
        job.swapped = 0
        job.view.started = True
        self.running.append(job)
        chunks.spare -= need + more
        self._free -= need
        job.held = need
        self._sit_down(job)
        if self._policy.preemptive:
            self._worst = max(self._worst, self._policy.key(self.view(job)))
        if not job.decoding:
            chunks.add(job, chunk)
        return True

    def _fall(self) -> None:
        """Somebody loses its memory: the worst paused one, else the tail of ``running``."""
        paused = self._seating.paused
        if not paused and self._policy.preemptive:
            # As the seating leaves it before every step in which memory is short.
            self.running.sort(key=lambda job: self._policy.key(self.view(job)))
        victim = paused[-1] if paused else self.running.pop()
        self._seating.forget(victim)
        self.evict(victim)

    def _sample(self, job: Job) -> None:
        """A prompt is done: its first token, or its next after an eviction."""
        if job.generated == 0:
            self.traffic.first[job.index] = self.now
            self.begun.append(job.index)
        self._resumed(job, self.now)
        job.generated += 1
        if job.generated < job.until:
            self._decodes.begin(job)
        else:
            self._leave(job)

    def _resumed(self, job: Job, now: float) -> None:
        if not math.isnan(job.last):
            gap = self.traffic.gap
            gap[job.index] = max(gap[job.index], now - job.last)
            job.last = math.nan

    def _stretch(self) -> int:
        """How many decode steps until something may have to be decided."""
        steps = self._decodes.until_end()
        if self._refining and self._seating.contested:
            steps = min(steps, self.setup.interval)
        if not self._policy.steady and self._seating.contested:
            holds = min(self._policy.holds(self.view(job)) for job in self.running)
            steps = max(int(min(holds, steps)), 1)
        if self._seating.bounded:
            steps = self._until_promotion(steps)
        return self._decodes.lasts(self._free, steps)

    def _until_promotion(self, steps: int) -> int:
        """Decode steps after which somebody may have starved, at most ``steps``."""
        due = self._seating.next_promotion
        if not self._policy.threshold.seconds:
            return max(int(min(due - self._steps, steps)), 1)
        return steps if due == math.inf else self._steps_until(due, steps)

    def _steps_until(self, time: float, most: int) -> int:
        """Decode steps from now that end by this time, at most so many, at least 1."""
        left = (time - self.now) / self._slow
        return steps_within(self._time, left, most, self._decodes.count, self._decodes.context) or 1

    def _seconds(self, steps: int) -> float:
        """Seconds of so many decode steps from now."""
        return self._slow * self._time.stretch(steps, self._decodes.count, self._decodes.context)

    def _spend(self, seconds: float) -> None:
        self.now += seconds
        self._busy += seconds

    def _advance(self, steps: int) -> None:
        self._free -= self._decodes.advance(steps)
        self._steps += steps

    def _leave(self, job: Job) -> None:
        """A job has the last token of its answer, or of a slice of it."""
        if job.generated < job.output:
            self._slice_over(job)
        else:
            self._finished(job)

    def _finished(self, job: Job) -> None:
        self.traffic.finish[job.index] = self.now
        self.finished.append(job.index)
        self._free += job.held
        job.held = 0
        job.seated = False
        self.running.remove(job)
        if self._policy.timed:
            self._policy.leave(self.view(job))
        self._in_system -= 1

    def _refine(self) -> None:
        """New predictions for the decoding jobs that are due; ranks may change."""
        # The state of a token is seen before the next one is sampled: age = generated - 1.
        interval, generated = self.setup.interval, self._decodes.generated
        due, ages = [], []
        for job in self.running:
            if job.decoding and not (age := generated(job) - 1) % interval:
                due.append(job)
                ages.append(age)
        if not due:
            return
        index = np.array([job.index for job in due])
        true = np.array([job.output for job in due], dtype=np.float64) - ages
        traffic = self.traffic
        assert traffic.errors is not None
        found = traffic.errors.remaining(index, true, np.array(ages), traffic.rng).tolist()
        for job, left, age in zip(due, found, ages, strict=True):
            job.view.refine(left, age)
        self._reconsider()

    def _reconsider(self) -> None:
        """Seated keys may have got worse."""
        self._unsettled = bool(self.waiting) or bool(self._seating.paused)
        self._worst = LAST
