"""Learning while serving: finished requests in, decisions and better predictors out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lengthwise.errors import UserError
from lengthwise.models.fingerprint import identity
from lengthwise.online.contest import Candidate, Contest
from lengthwise.online.decisions import AGAIN
from lengthwise.online.from_prompts import FromPrompts
from lengthwise.online.from_states import FromStates
from lengthwise.online.history import Decision, History
from lengthwise.online.messages import Acts, Finished, Learn, Note, Role, Steps, ToEngine
from lengthwise.online.roles import Learned
from lengthwise.online.samples import Sample, Samples
from lengthwise.online.trial import Trials
from lengthwise.online.version import Version
from lengthwise.online.versions import Versions
from lengthwise.predictors.base import LengthPredictor
from lengthwise.predictors.trail import Trail
from lengthwise.sim.steps import Linear

_STEPS = 2000
"""Latest steps by which the engine's speed is known, and the fewest of them."""

_FEWEST_STEPS = 64

_STRAY = 30.0
"""Steps of more than so many times the median are left out."""

_ORDERS_S = 1.0
"""Seconds between two looks at what the operator ordered."""

_JUMP_S = 60.0
"""Seconds by which the machine's clock may run off before it is said."""


class Learner:
    """Collects finished requests, makes versions, and lets the better ones act.

    Nothing here waits: versions are made on a thread, and :meth:`turn` puts them into the
    contest once they are there.

    Args:
        start: whom to learn for.
        send: gets every message to the engine, on the thread that calls.
        clock: seconds.
        wall: Unix time in seconds.
    """

    def __init__(
        self,
        start: Learn,
        send: Callable[[ToEngine], object],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._start, self._options = start, start.options
        self._send, self._clock, self._wall = send, clock, wall
        folder = Path(start.folder)
        self._history = History(folder, wall, self._tell)
        self._versions = Versions(folder, identity(start.model), self._tell, wall)
        self.samples = Samples(start.options, self._samples_folder(folder), self._tell, wall)
        prompts = FromPrompts(start.model, start.options)
        self._states = FromStates(prompts)
        self.contests: dict[Role, Contest] = {
            learned.role: Contest(
                learned, self.samples, self._versions, start.options, self._decide, send
            )
            for learned in self._all(prompts)
        }
        self._learned: dict[Role, Learned] = {"prompt": prompts, "probe": self._states}
        self._steps: deque[tuple[int, int, int, float]] = deque(maxlen=_STEPS)
        self._due, self._learned_by = start.options.first, 0
        self._made = self._ordered = clock()
        self._offset = wall() - clock()
        self._thread: threading.Thread | None = None
        self._new: deque[tuple[Role, Candidate]] = deque()
        self._there: set[int] = set()
        self._mine: set[int] = set()

    def resume(self) -> None:
        """Go on where the process before this one was, or the server before."""
        self.samples.resume()
        known: dict[Role, Acts] = {each.role: each for each in self._start.acting}
        self._mine.update(each.version for each in self._start.acting)
        for role, contest in self.contests.items():
            contest.resume(known.get(role))
        self._due = max(self._due, self.samples.seen + 1)
        self._follow()

    def add(self, message: Finished | Steps) -> None:
        """What the engine says."""
        if isinstance(message, Steps):
            self._steps.extend(message.rows)
            return
        if not message.tokens:
            return
        sample = self.samples.add(message)
        if sample is None:
            return
        for contest in self.contests.values():
            before = contest.acting
            if contest.add(sample):
                self._drifted(contest)
            if contest.acting is not before:
                self._due = min(self._due, sample.number + self._options.first)

    def turn(self) -> None:
        """Whatever is due: called after messages, and now and then."""
        while self._new:
            role, candidate = self._new.popleft()
            self.contests[role].enter(candidate)
        self._states.prompt = self.contests["prompt"].predictor
        for contest in self.contests.values():
            contest.judge(self._trials)
        if self._is_due():
            self.begin()
        self.samples.save()
        if self._clock() - self._ordered >= _ORDERS_S:
            self._ordered = self._clock()
            self._follow()
            self._check_clock()

    def wait(self) -> None:
        """Until the versions in the making are there: for tests and studies, which have time."""
        if self._thread is not None:
            self._thread.join()
            self.turn()

    def begin(self) -> threading.Thread:
        """Make a version of each kind, on a thread, from the samples that are kept by now."""
        seen = self._learned_by = self.samples.seen
        self._due = seen + max(min(seen, self._options.every), self._options.first)
        self._made = self._clock()
        work = [
            (self._learned[role], self._learned[role].learned_from(self.samples))
            for role in self.contests
        ]
        self._thread = threading.Thread(
            target=self._make, args=(work, seen), name="lengthwise-learner", daemon=True
        )
        self._thread.start()
        return self._thread

    def _all(self, prompts: FromPrompts) -> list[Learned]:
        return [prompts, self._states] if self._start.states else [prompts]

    def _samples_folder(self, folder: Path) -> Path | None:
        samples = folder / "samples"
        try:
            samples.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            self._tell(f"samples are not kept on disk ({error}): a restart forgets them")
            return None
        return samples

    def _is_due(self) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return False
        late = self._clock() - self._made >= self._options.seconds
        more = self.samples.seen - self._learned_by
        return self.samples.seen >= self._due or (late and more >= self._options.first)

    def _make(self, work: list[tuple[Learned, list[Sample]]], seen: int) -> None:
        for learned, samples in work:
            if len(samples) < self._options.first // 2:
                continue
            start = time.perf_counter()
            try:
                predictor = learned.fit(samples, seed=seen)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                line = f"no {learned.role} version could be made ({reason})"
                self._decide(Decision("failed", learned.role, None, line))
                continue
            self._save(learned.role, predictor, len(samples), seen, time.perf_counter() - start)

    def _save(
        self, role: Role, predictor: LengthPredictor, learned: int, seen: int, seconds: float
    ) -> None:
        # What could not be saved has its number too.
        number = max(self._versions.next_number(), 1 + max(self._mine, default=0))
        layer = predictor.probe.layer if isinstance(predictor, Trail) else None
        version = Version(number, role, predictor.name, self._wall(), learned, seconds, layer)
        self._mine.add(number)
        try:
            self._versions.save(version, predictor)
        except OSError as error:
            line = f"{role} version {number} could not be saved ({error}): a restart forgets it"
            self._decide(Decision("unsaved", role, number, line))
        line = (
            f"{role} version {number} is in the shadow: {predictor.name}"
            f"{'' if layer is None else f' on layer {layer}'}, learned from {learned} requests "
            f"in {seconds:.1f} s"
        )
        self._decide(Decision("made", role, number, line, requests=learned, seconds=seconds))
        self._new.append((role, Candidate(number, predictor, seen)))

    def _trials(self) -> Trials | None:
        steps = np.array(self._steps, dtype=np.float64).reshape(-1, 4)
        steps = steps[steps[:, 3] > 0]
        if len(steps) < _FEWEST_STEPS:
            return None
        # The machine may have done something else in between.
        usual = steps[:, 3] <= _STRAY * np.median(steps[:, 3])
        speed = Linear.fit("measured", "this engine", steps[usual])
        return Trials(self._start.policy, speed, self._start.setup)

    def _drifted(self, contest: Contest) -> None:
        self.samples.forget()
        self._due = min(self._due, self.samples.seen + self._options.first)
        line = (
            f"lengths have drifted: {contest.role} predictions err more than they used to; the "
            f"next version learns from the latest {self._options.recent} requests"
        )
        self._decide(Decision("drift", contest.role, None, line))

    def _follow(self) -> None:
        """Do what the operator ordered, and try what the operator brought."""
        orders, there = self._versions.orders(), set(self._versions.numbers())
        for contest in self.contests.values():
            contest.follow(orders)
            contest.drop(self._there - there)
        if there - self._there:
            self._bring(there - self._there - self._mine)
        self._there = there

    def _bring(self, new: set[int]) -> None:
        """Versions on disk that were not made here: imported, or of an earlier start."""
        for role in self.contests:
            number = self._versions.candidate(role)
            if number not in new or any(known == role for known, _ in self._new):
                continue
            try:
                predictor = self._versions.load(number)
            except UserError as error:
                self._tell(f"{role} version {number} cannot be tried: {error}")
                continue
            self._new.append((role, Candidate(number, predictor, self.samples.seen)))
            line = f"{role} version {number} was found on disk and is in the shadow"
            self._decide(Decision("found", role, number, line))

    def _check_clock(self) -> None:
        offset = self._wall() - self._clock()
        jump, self._offset = offset - self._offset, offset
        if abs(jump) >= _JUMP_S:
            line = (
                f"the machine's clock jumped by {jump:.0f} s: times in history.jsonl jump with "
                "it, nothing else does"
            )
            self._decide(Decision("clock", None, None, line))

    def _decide(self, decision: Decision) -> None:
        self._history.add(decision)
        if decision.event != AGAIN:
            self._tell(decision.line)

    def _tell(self, line: str) -> None:
        self._send(Note(line))
