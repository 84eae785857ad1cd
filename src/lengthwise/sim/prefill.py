"""The prompts' part of a step: chunks within the token budget and the memory."""

from __future__ import annotations

from lengthwise.core.policy import Policy
from lengthwise.sim.decodes import Job
from lengthwise.sim.seating import SimulatedEngine
from lengthwise.sim.setup import Setup


class Chunks:
    """What a step computes of prompts.

    Attributes:
        budget, spare: tokens and blocks that are left.
        of: jobs and how many of their tokens are computed.
        tokens, context: all of these tokens, and the step's context with them.
        swap_s: seconds of copying.
        complete: jobs whose prompts the step completes.
    """

    __slots__ = ("budget", "complete", "context", "of", "spare", "swap_s", "tokens")

    def __init__(self, budget: int, spare: int, context: int) -> None:
        self.budget = budget
        self.spare = spare
        self.of: list[tuple[Job, int]] = []
        self.tokens = 0
        self.context = context
        self.swap_s = 0.0
        self.complete: list[Job] = []

    def add(self, job: Job, chunk: int) -> None:
        """A job's next tokens are computed in this step."""
        self.budget -= chunk
        self.of.append((job, chunk))


class Prefill:
    """Makes room for the decodes, goes on with seated prompts, then admits waiting ones."""

    def __init__(self, engine: SimulatedEngine, policy: Policy, setup: Setup) -> None:
        self._engine = engine
        self._policy = policy
        self._setup = setup

    def step(self) -> Chunks | None:
        """The chunks of the next step; None if there are none."""
        engine = self._engine
        fell = self._make_room()
        admitting = not fell and len(engine.running) < self._setup.seats and bool(engine.waiting)
        if not engine.prefilling and not admitting:
            return None
        decodes = engine.decodes
        chunks = Chunks(self._setup.budget - decodes.count, self._spare(), 0)
        for job in list(engine.prefilling):
            fell |= self._go_on(job, chunks)
        if admitting and not fell:
            self._admit_all(chunks)
        # A job with a chunk may have lost its seat to a later one.
        chunks.context = decodes.context
        for job, chunk in chunks.of:
            if not job.seated:
                continue
            chunks.tokens += chunk
            chunks.context += job.computed
            job.computed += chunk
            if job.computed == job.prompt + job.generated:
                engine.prefilling.remove(job)
                chunks.complete.append(job)
        return chunks

    def _make_room(self) -> bool:
        """Evict from the tail until every decoding job has a block for its next token."""
        engine, fell = self._engine, False
        while engine.decodes.next_growth() > engine.free:
            self._fall()
            fell = True
        return fell

    def _spare(self) -> int:
        """Blocks that are free when every decoding job has its next token."""
        return self._engine.free - self._engine.decodes.next_growth()

    def _go_on(self, job: Job, chunks: Chunks) -> bool:
        """A seated prompt's next chunk; whether a job lost its memory for it."""
        engine, fell = self._engine, False
        chunk = min(job.prompt + job.generated - job.computed, chunks.budget)
        need = -(-(job.computed + chunk) // self._setup.block_size) - job.held
        while (
            job.seated
            and need > chunks.spare
            and (engine.seating.paused or engine.running[-1] is not job)
        ):
            self._fall()
            chunks.spare = self._spare()
            fell = True
        if need <= chunks.spare and job.seated:
            chunks.spare -= need
            engine.free -= need
            job.held += need
            chunks.add(job, chunk)
        return fell

    def _admit_all(self, chunks: Chunks) -> None:
        engine = self._engine
        while chunks.budget > 0 and len(engine.running) < self._setup.seats and engine.waiting:
            job = engine.seating.foresight.next()
            if job is None or not self._admit(job, chunks):
                return

    def _admit(self, job: Job, chunks: Chunks) -> bool:
        """A waiting job gets a seat, if its memory is there."""
        engine, size = self._engine, self._setup.block_size
        if engine.computed(job):
            chunk, need, more = 0, -(-job.computed // size), 1
        else:
            chunk, more = min(job.prompt + job.generated - job.computed, chunks.budget), 0
            need = max(job.swapped, -(-(job.computed + chunk) // size))
        if need + more + self._setup.reserve > chunks.spare:
            return False
        chunks.swap_s += job.swapped * self._setup.swap_s
        chunks.spare -= need + more
        engine.admit(job, need)
        if not job.decoding:
            chunks.add(job, chunk)
        return True

    def _fall(self) -> None:
        """A job loses its memory: the worst paused one, else the tail of ``running``."""
        engine = self._engine
        paused = engine.seating.paused
        if not paused and self._policy.preemptive:
            # As the seating leaves it before every step in which memory is short.
            engine.running.sort(key=lambda job: self._policy.key(engine.view(job)))
        victim = paused[-1] if paused else engine.running.pop()
        engine.evict(victim)
