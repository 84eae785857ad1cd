"""Learning while serving: finished requests in, now and then a better predictor out.

Only predictors of prompts learn this way. TRAIL's probe does not: it learns from hidden
states along whole answers, which serving does not keep; collect and train again for that.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lengthwise.models.fingerprint import fingerprint
from lengthwise.online import versions
from lengthwise.online.drift import PageHinkley, log_error
from lengthwise.online.grade import Grade, better, grade
from lengthwise.online.messages import Counters, Finished, Note
from lengthwise.online.options import Learning
from lengthwise.online.outcomes import answers_of
from lengthwise.online.reservoir import Reservoir, in_share, prompt_key
from lengthwise.online.scorer import Scorer
from lengthwise.predictors import magnus
from lengthwise.predictors.base import Fitting, PromptPredictor

NICENESS = 10
"""Niceness of the learning thread: of a core that other programs use too, it gets about a
tenth. Scoring has none: unscored requests wait in the order of arrival."""

_TUNE = 0.2
"""Share of the requests learned from that a predictor chooses by."""


def mispredicted(outcome: Finished) -> bool:
    """Magnus's rule; a request without a prediction counts as missed."""
    if outcome.predicted is None:
        return True
    return bool(magnus.mispredicted(np.array(outcome.predicted), np.array(outcome.tokens)))


class Learner:
    """Collects finished requests, makes versions, and puts the better ones to use.

    Args:
        scorer: its predictor is replaced.
        options: how to learn.
        model: the served model, a folder or hub name.
        note: called with every decision, perhaps on another thread.
        clock: seconds.
    """

    def __init__(
        self,
        scorer: Scorer,
        options: Learning,
        model: str,
        note: Callable[[Note], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scorer, self._options, self._model = scorer, options, model
        self._known_as = fingerprint(model)
        self._note, self._clock = note, clock
        self.counters = Counters()
        self.reservoir: Reservoir[Finished] = Reservoir(options.uniform, options.recent)
        self.judges: deque[Finished] = deque(maxlen=options.recent)
        self._drift = PageHinkley()
        self._since, self._last = 0, clock()
        self._thread: threading.Thread | None = None

    def resume(self) -> None:
        """Go on with the newest version in the folder, if there is one."""
        options, kind = self._options, self._scorer.predictor.name
        if options.folder is None:
            return
        with_number = versions.newest(Path(options.folder), self._model, kind)
        if with_number is not None:
            self.counters.version, self._scorer.predictor = with_number
            self._say(f"goes on with version {self.counters.version} of {kind}")

    def add(self, outcome: Finished) -> None:
        """A request finished: keep it, to learn from or to judge by, and watch for drift."""
        self._watch(outcome)
        self._since += 1
        if in_share(prompt_key(outcome.asked.prompt_ids), self._options.held_back, "held back"):
            self.counters.held_back += 1
            self.judges.append(outcome)
        elif not self._options.mispredicted or mispredicted(outcome):
            self.counters.learned += 1
            self.reservoir.add(outcome)

    def due(self) -> bool:
        """Whether to make a version: enough finished since the last, and none in the making."""
        options = self._options
        if self._thread is not None and self._thread.is_alive():
            return False
        often = self._since >= options.every
        late = self._since > 0 and self._clock() - self._last >= options.seconds
        enough = len(self.judges) >= options.judges and len(self.reservoir) >= options.least
        return enough and (often or late)

    def begin(self) -> threading.Thread:
        """Make a version on a thread of its own, from the requests kept by now.

        Judges are used once: a version is judged on requests finished since the last one.
        """
        learned, judges = self.reservoir.items(), list(self.judges)
        self.judges.clear()
        self._since, self._last = 0, self._clock()
        self._thread = threading.Thread(
            target=self._learn_aside, args=(learned, judges), name="lengthwise-learner", daemon=True
        )
        self._thread.start()
        return self._thread

    def _learn_aside(self, outcomes: Sequence[Finished], judges: Sequence[Finished]) -> None:
        # Linux counts niceness by the thread.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        self.learn(outcomes, judges)

    def learn(self, outcomes: Sequence[Finished], judges: Sequence[Finished]) -> None:
        """Fit to the outcomes; put to use if better on the judges, which it never saw."""
        start = time.perf_counter()
        try:
            new = Scorer(self._fit(outcomes), self._scorer.text)
            before, after = grade(self._scorer, judges), grade(new, judges)
        except Exception as error:
            self.counters.refusals += 1
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            self._say(f"no new version could be made ({reason})")
            return
        seconds = time.perf_counter() - start
        found = (
            f"{before} -> {after} on {len(judges)} held-back requests, "
            f"learned from {len(outcomes)} in {seconds:.1f} s"
        )
        if not better(after, before, self._options.margin):
            self.counters.refusals += 1
            self._say(f"new version refused: {found}")
            return
        self._put_to_use(new.predictor, found, after, before)

    def _fit(self, outcomes: Sequence[Finished]) -> PromptPredictor:
        """A predictor of the same kind, fitted to these answers."""
        old = self._scorer.predictor
        settings = old.state()[0]
        how = Fitting(
            str(settings.get("variant", old.variants[0])),
            self._options.epochs,
            settings.get("backbone"),
            self._model,
            seed=self.counters.version + 1,
        )
        answers = answers_of(outcomes, self._scorer, self._known_as)
        tune = np.array([in_share(each.id, _TUNE, "tune") for each in answers.asked])
        return type(old).fit(answers.some(~tune), answers.some(tune), old.bins, how)

    def _put_to_use(
        self, predictor: PromptPredictor, found: str, after: Grade, before: Grade
    ) -> None:
        folder = None if self._options.folder is None else Path(self._options.folder)
        number = 1 + max(self.counters.version, *(versions.numbers(folder) if folder else ()), 0)
        if folder is not None:
            report = {"predictor": predictor.name, "online": number}
            report |= {"before": str(before), "after": str(after)}
            try:
                versions.save(folder, number, predictor, self._known_as, report)
            except OSError as error:
                self._say(f"version {number} could not be saved ({error}): a restart forgets it")
        self._scorer.predictor = predictor
        self.counters.version = number
        self.counters.swaps += 1
        # Errors differ from here on: those of the version before are no measure of them.
        self._drift = PageHinkley()
        self._say(f"version {number} put to use: {found}")

    def _watch(self, outcome: Finished) -> None:
        """On drift, forget all but the latest requests."""
        if outcome.predicted is None:
            return
        if self._drift.add(log_error(outcome.predicted, outcome.tokens)):
            self.counters.drifts += 1
            self.reservoir.forget()
            self._say("lengths have drifted: predictions err more than they used to")

    def _say(self, line: str) -> None:
        self._note(Note(line, replace(self.counters)))
