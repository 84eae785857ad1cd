"""One kind of predictor on its way: made, tried in the shadow, put to use, watched, taken out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from lengthwise.online.decisions import AGAIN, decision, pairs
from lengthwise.online.history import Decision
from lengthwise.online.messages import Acts
from lengthwise.online.options import Learning
from lengthwise.online.orders import NONE, Orders
from lengthwise.online.pairs import KnownLengths, Share
from lengthwise.online.roles import Learned, reads, workload
from lengthwise.online.samples import Sample, Samples
from lengthwise.online.trial import Trials, Verdict
from lengthwise.online.version import Judged
from lengthwise.online.versions import Versions
from lengthwise.online.watch import Seen, Watch
from lengthwise.predictors.base import LengthPredictor
from lengthwise.predictors.store import Packed

LATE_S = 3600.0
"""Seconds for which requests that are held back judge a version."""

_GROWTH = 1.3
"""More requests, as a ratio, at which a version in the shadow is looked at again."""


@dataclass(frozen=True)
class Candidate:
    """A version: it has learned from no sample after number ``frozen``."""

    number: int
    predictor: LengthPredictor
    frozen: int


class Contest:
    """Decides which version of one kind acts.

    Args:
        learned: what is learned.
        samples: of finished requests.
        versions: on disk.
        options: how to learn.
        decide: gets every decision.
        send: gets what acts from now on.
    """

    def __init__(
        self,
        learned: Learned,
        samples: Samples,
        versions: Versions,
        options: Learning,
        decide: Callable[[Decision], object],
        send: Callable[[Acts], object],
    ) -> None:
        self.role = learned.role
        self._learned, self._samples, self._versions = learned, samples, versions
        self._options, self._decide, self._send = options, decide, send
        self.acting: Candidate | None = None
        self.shadow: Candidate | None = None
        self._watch = Watch(options.window)
        self._waits: tuple[int, bool] | None = None
        self._turned = 0
        self._unsaved = False
        self._look = options.judges
        self._orders = Orders()

    @property
    def predictor(self) -> LengthPredictor | None:
        """What acts; None if no version does."""
        return None if self.acting is None else self.acting.predictor

    def add(self, sample: Sample) -> bool:
        """A request is gone; whether errors of what acts have risen.

        If it is right of fewer pairs than half it is taken out, and what came before the turn
        is forgotten.
        """
        acting = self.acting
        if acting is None or not self._predicts(acting, sample):
            return False
        try:
            (predicted,) = self._learned.predicted(acting.predictor, [sample])
        except Exception:
            # A request that cannot be predicted tells nothing of the others.
            return False
        (tokens,) = self._learned.truth([sample])
        bad = self._watch.add(Seen(float(predicted), int(tokens), sample.finished.cut))
        if bad is not None and self._orders.pinned.get(self.role) != acting.number:
            self._take_out(
                "out",
                f"{self._name(acting)} is taken out: it orders {bad} of pairs right on the last "
                f"{bad.requests} requests, fewer than half",
                bad,
            )
            self._turned = max(sample.number - self._options.window, 0)
            self._samples.forget(self._options.window)
        return self._watch.drifted

    def enter(self, candidate: Candidate) -> None:
        """A new version begins in the shadow; the one that was there has had its time."""
        self.shadow = candidate
        self._look = self._options.judges

    def judge(self, speed: Callable[[], Trials | None]) -> None:
        """Look at the version in the shadow, if there are enough requests more to judge it by.

        One that cannot be judged is not tried any more.

        Args:
            speed: the simulator at the engine's speed; None while that is not known.
        """
        try:
            self._judge(speed)
        except Exception as error:
            number = None if self.shadow is None else self.shadow.number
            self.shadow = None
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            self._say("failed", number, f"{self.role} version {number} cannot be judged ({reason})")

    def _judge(self, speed: Callable[[], Trials | None]) -> None:
        shadow = self.shadow
        if shadow is None or self.role in self._orders.pinned:
            return
        if shadow.number in self._orders.barred:
            self.shadow = None
            return
        unseen = self._learned.unseen(self._samples, shadow.frozen, LATE_S)
        judges = [
            each for each in unseen if each.number > self._turned and self._fair(shadow, each)
        ]
        if len(judges) < self._look:
            return
        trials = speed()
        if trials is None:
            return
        self._look = int(len(judges) * _GROWTH)
        known = KnownLengths(
            self._learned.truth(judges), np.array([each.finished.cut for each in judges])
        )
        new = self._learned.predicted(shadow.predictor, judges)
        old = self._learned.predicted(self.predictor, judges)
        right, instead = known.right(new), known.right(old)
        self._note(shadow, right, instead, new, judges)
        if not known.better(new, old):
            self._refuse(shadow, right, instead, None)
            return
        verdict = self._try(shadow, judges, trials)
        if verdict is None:
            return
        if verdict.good:
            self._put_to_use(shadow, right, instead, verdict)
        else:
            self._refuse(shadow, right, instead, verdict)

    def drop(self, numbers: Collection[int]) -> None:
        """Versions that the operator deleted are not tried any more."""
        if self.shadow is not None and self.shadow.number in numbers:
            self.shadow = None

    def resume(self, acting: Acts | None) -> None:
        """Go on with what acts: in the engine, if this process is not its first, or on disk."""
        if acting is not None:
            if acting.predictor is not None:
                predictor = acting.predictor.predictor()
                self.acting = Candidate(acting.version, predictor, self._samples.seen)
            return
        number = self._versions.acting().get(self.role)
        if number is not None:
            self._use(number, "resumed", f"goes on with {self.role} version {number}")

    def follow(self, orders: Orders) -> None:
        """What the operator ordered is done at once, if it is new."""
        if orders == self._orders:
            return
        before, self._orders = self._orders, orders
        pinned = orders.pinned.get(self.role)
        acting = 0 if self.acting is None else self.acting.number
        if pinned is None:
            if self.acting is not None and acting in orders.barred:
                self._roll_back(self.acting)
            elif self.role in before.pinned:
                self._say("unpinned", acting, f"{self.role} version {acting} is pinned no longer")
        elif pinned == NONE and self.acting is not None:
            self._take_out("pinned", "none may act, by order", None)
        elif pinned not in (NONE, acting):
            self._use(pinned, "pinned", f"{self.role} version {pinned} acts, by order")

    def _roll_back(self, acting: Candidate) -> None:
        previous = self._versions.previous(self.role)
        self._take_out("barred", f"{self._name(acting)} is taken out, by order", None)
        if previous is not None:
            line = f"{self.role} version {previous} acts again, as before"
            self._use(previous, "acts", line)

    def _use(self, number: int, event: str, line: str) -> None:
        """Put a version on disk to use."""
        try:
            predictor = self._versions.load(number)
        except ValueError as error:
            self._say("damaged", number, f"{self.role} version {number} cannot act: {error}")
            return
        self._act(Candidate(number, predictor, self._samples.seen))
        self._say(event, number, line)

    def _put_to_use(self, new: Candidate, right: Share, instead: Share, verdict: Verdict) -> None:
        self.shadow = None
        self._act(new)
        line = f"{self._name(new)} acts: {pairs(right, instead)}; simulated against now: {verdict}"
        self._decide(decision("acts", self.role, new.number, line, right, instead, verdict))

    def _act(self, candidate: Candidate) -> None:
        self.acting = candidate
        self._watch = Watch(self._options.window)
        self._send(Acts(self.role, candidate.number, Packed.of(candidate.predictor)))
        self._record(candidate.number)

    def _take_out(self, event: str, line: str, right: Share | None) -> None:
        number = 0 if self.acting is None else self.acting.number
        self.acting = None
        self._send(Acts(self.role, 0, None))
        self._record(None)
        self._decide(decision(event, self.role, number, line, right))

    def _refuse(
        self, shadow: Candidate, right: Share, instead: Share, verdict: Verdict | None
    ) -> None:
        """Not yet: it stays in the shadow until the next version is made.

        The log has one line of it, and one more if the reason becomes another.
        """
        why = "no more than chance explains" if verdict is None else f"simulated: {verdict}"
        line = f"{self._name(shadow)} stays in the shadow: {pairs(right, instead)}; {why}"
        said, self._waits = self._waits, (shadow.number, verdict is None)
        event = "waits" if said != self._waits else AGAIN
        self._decide(decision(event, self.role, shadow.number, line, right, instead, verdict))

    def _try(self, shadow: Candidate, judges: list[Sample], trials: Trials) -> Verdict | None:
        """Serve in the simulator what came in a row since the version was made."""
        row = [each for each in judges if each.number > shadow.frozen]
        row.sort(key=lambda each: each.finished.arrival)
        if len(row) < self._options.judges // 2:
            return None
        new, now = (
            self._learned.simulated(each, row) for each in (shadow.predictor, self.predictor)
        )
        return trials.verdict(workload(row), new, now)

    def _note(
        self, shadow: Candidate, right: Share, instead: Share, new: np.ndarray, judges: list[Sample]
    ) -> None:
        tokens = self._learned.truth(judges)
        judged = Judged(
            right.requests,
            right.value,
            right.low,
            right.high,
            instead.value,
            float(np.abs(new - tokens).mean()),
            tuple(new[-1000:].tolist()),
            tuple(tokens[-1000:].tolist()),
        )
        self._on_disk(lambda: self._versions.judge(shadow.number, judged))

    def _record(self, number: int | None) -> None:
        self._on_disk(lambda: self._versions.act(self.role, number))

    def _on_disk(self, write: Callable[[], None]) -> None:
        try:
            write()
            self._unsaved = False
        except (OSError, ValueError) as error:
            if not self._unsaved:
                self._say("unsaved", None, f"what is decided cannot be kept: {error}")
            self._unsaved = True

    def _predicts(self, acting: Candidate, sample: Sample) -> bool:
        """Whether the version acted when the sample was predicted, as far as that is known."""
        if not reads(acting.predictor, sample):
            return False
        return self.role == "probe" or sample.finished.version == acting.number

    def _fair(self, shadow: Candidate, sample: Sample) -> bool:
        return reads(shadow.predictor, sample) and reads(self.predictor, sample)

    def _name(self, candidate: Candidate) -> str:
        return f"{self.role} version {candidate.number}"

    def _say(self, event: str, number: int | None, line: str) -> None:
        self._decide(decision(event, self.role, number, line))
