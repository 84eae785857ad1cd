"""The engine core's side of the live state: what :mod:`lengthwise.vllm.asking` is answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import msgspec

from lengthwise.core.lengths import Lengths
from lengthwise.core.policy import Policy
from lengthwise.core.request import Request
from lengthwise.live.ledger import left_of
from lengthwise.live.state import Bound, ClassNow, EngineNow, LearnerNow, RequestNow, Totals, Where
from lengthwise.metrics.counters import COSTS
from lengthwise.vllm.asking import UTILITY
from lengthwise.vllm.hints import routed_id
from lengthwise.vllm.lessons import Lessons
from lengthwise.vllm.notes import Notes
from lengthwise.vllm.seats import VllmEngine

MOST = 1000
"""Requests, and decisions, that are listed at most."""

_LOW, _HIGH = 0.1, 0.9
"""Between these quantiles a prediction is right in 80 of 100 cases."""


def install() -> None:
    """Give vLLM's EngineCore the method that answers, called between two steps."""
    from vllm.v1.engine.core import EngineCore

    def state(core: Any, rows: int = 0, decisions: int = 0) -> str:
        answer: str = core.scheduler.answer(rows, decisions)
        return answer

    setattr(EngineCore, UTILITY, state)


class Answering:
    """Describes one engine.

    Args:
        scheduler: vLLM's.
        policy_name: as the operator gave it.
        lessons: the side of learning, if there is one.
    """

    def __init__(
        self,
        scheduler: Any,
        engine: VllmEngine,
        policy: Policy,
        policy_name: str,
        notes: Notes,
        lessons: Lessons | None,
    ) -> None:
        self._scheduler, self._engine = scheduler, engine
        self._policy, self._policy_name = policy, policy_name
        self._notes, self._lessons = notes, lessons
        self._intervals: dict[str, tuple[object, int, float, float]] = {}

    def answer(self, rows: int, decisions: int) -> str:
        """The state as JSON, with so many requests and decisions at most."""
        rows, decisions = (min(max(int(n), 0), MOST) for n in (rows, decisions))
        return msgspec.json.encode(self.state(rows, decisions)).decode()

    def state(self, rows: int, decisions: int) -> EngineNow:
        """The same, as it is."""
        engine, ledger = self._engine, self._notes.ledger
        config = self._scheduler.vllm_config
        running, waiting = self._scheduler.get_request_counts()
        paused = len(self._scheduler.paused)
        used = engine.kv_tokens - engine.free_blocks() * engine.block_tokens
        overtaking = self._policy.overtaking
        return EngineNow(
            engine=int(config.parallel_config.data_parallel_index),
            model=str(config.model_config.served_model_name or config.model_config.model),
            policy=self._policy_name,
            at=time.time(),
            seats=engine.seats,
            running=running,
            paused=paused,
            waiting=waiting - paused,
            waiting_by=list(ledger.waiting_by),
            longest_wait=ledger.longest_wait,
            kv_tokens=engine.kv_tokens,
            kv_used=max(int(used), 0),
            totals=self._totals(),
            bound=None if overtaking is None else Bound(*overtaking),
            predictors=self._notes.judged.now(self._policy.source),
            learner=LearnerNow() if self._lessons is None else self._lessons.now(),
            classes=self._classes(),
            requests=self._requests(rows),
            decisions=self._notes.journal.last(decisions),
        )

    def _classes(self) -> list[ClassNow]:
        attainment = self._notes.attainment
        return [] if attainment is None else attainment.now()

    def _totals(self) -> Totals:
        totals = self._notes.ledger.totals
        stats = self._scheduler.prediction_stats()
        return msgspec.structs.replace(
            totals,
            steps=COSTS.steps,
            full_steps=self._notes.full_steps,
            scheduler_s=COSTS.schedule_s,
            ranking_s=COSTS.ranking_s,
            tap_s=self._notes.tap_s,
            prompt_s=COSTS.prompt_s + COSTS.service_s,
            ignored_hints=int(stats.get("ignored_hints", 0)),
        )

    def _requests(self, rows: int) -> list[RequestNow]:
        listed = [self._row(where, each) for where, each in islice(self._in_order(), rows)]
        if len(self._intervals) > 2 * MOST:
            self._intervals.clear()
        return [row for row in listed if row is not None]

    def _in_order(self) -> Iterator[tuple[Where, Any]]:
        """Seats first, then the paused, then the waiting in the order of admission."""
        scheduler, paused = self._scheduler, self._scheduler.paused
        seated = scheduler.running[: len(scheduler.running) - len(paused)]
        yield from (("running", each) for each in seated)
        yield from (("paused", each) for each in paused)
        waiting = chain(self._engine.waiting.in_order(), scheduler.kv_holding_waiting)
        yield from (("waiting", each) for each in waiting)

    def _row(self, where: Where, request: Any) -> RequestNow | None:
        entry = self._notes.ledger.entries.get(request.request_id)
        if entry is None:
            return None
        view = self._engine.view(request)
        low, high = self._interval(view)
        return RequestNow(
            entry.number,
            where,
            view.prompt_tokens,
            view.cached_tokens,
            view.generated,
            left_of(view),
            low,
            high,
            self._notes.ledger.waited(entry),
            self._notes.ledger.overtaken(entry),
            view.tenant or "",
            view.service,
            view.promoted,
            routed_id(request),
        )

    def _interval(self, view: Request) -> tuple[float | None, float | None]:
        """Between which the tokens are that it needs still.

        Quantiles are read once for each prediction; since then they count down.
        """
        prediction = view.prediction
        if prediction is None or prediction.batch is None:
            return None, None
        known = self._intervals.get(view.id)
        if known is None or known[0] is not prediction.batch:
            first = prediction.batch.after(0)
            ends = (first.read(prediction.row, Lengths.quantile, at) for at in (_LOW, _HIGH))
            low, high = ends
            known = self._intervals[view.id] = prediction.batch, prediction.age, low, high
        since = view.generated - known[1]
        return max(known[2] - since, 1.0), max(known[3] - since, 1.0)
