"""The plug-in: vLLM's scheduler, driven by a lengthwise policy."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from vllm.v1.core.sched.interface import PauseState
from vllm.v1.core.sched.request_queue import SchedulingPolicy
from vllm.v1.request import RequestStatus

from lengthwise.core.lanes import waiting_queue
from lengthwise.core.prediction import MENDED, Prediction
from lengthwise.core.request import Request
from lengthwise.core.seats import Seats
from lengthwise.errors import UserError
from lengthwise.metrics.counters import COSTS
from lengthwise.policies import FCFS, make_policy
from lengthwise.vllm.answering import Answering, install
from lengthwise.vllm.arrivals import (
    ArrivalPredictor,
    HandedOnPredictor,
    make_arrival_predictor,
    own_predictor,
)
from lengthwise.vllm.hints import Hints
from lengthwise.vllm.ignored import Ignored
from lengthwise.vllm.lessons import Lessons, make_tutor
from lengthwise.vllm.limits import settings_of
from lengthwise.vllm.notes import Notes
from lengthwise.vllm.piece import KEY as SLICE
from lengthwise.vllm.piece import Slice, drop_facts, max_tokens, output_bounds
from lengthwise.vllm.probing import Probing, probe_bins
from lengthwise.vllm.seats import VllmEngine
from lengthwise.vllm.sessions import SessionScheduler
from lengthwise.vllm.slices.resume import resume, returns
from lengthwise.vllm.surface import beside, check_running
from lengthwise.vllm.switching import SwitchingPredictor
from lengthwise.vllm.telling import close_first, listen
from lengthwise.vllm.waiting import HoldersQueue, RankedRequestQueue

logger = logging.getLogger("vllm.lengthwise")

_STRAYS = 4096
"""Views of requests between two slices that may be kept beside those that are here."""

_UNANSWERED = (
    RequestStatus.FINISHED_ABORTED,
    RequestStatus.FINISHED_IGNORED,
    RequestStatus.FINISHED_ERROR,
)


class Scheduler(SessionScheduler):
    """``--scheduler-cls lengthwise.vllm.Scheduler``.

    Only the order is ours: which request is admitted next, which keeps a seat, which is
    evicted when memory runs out. Tokens, blocks and outputs stay vLLM's.

    Attributes:
        clock: seconds, by which policies count waiting; a benchmark has its own.
        notes: what becomes of requests, for operators; no decision depends on it.
        told: who is told of that while it happens.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.vllm_config
        settings = settings_of(config, logger.warning)
        ahead = bool(self.scheduler_config.async_scheduling)
        check_running(beside(settings, self.use_v2_model_runner, ahead))
        if self.policy is not SchedulingPolicy.FCFS:
            raise UserError("lengthwise decides the order: leave out --scheduling-policy priority")
        self._classes = settings.service
        self._policy = make_policy(settings.policy, self._classes)
        self.clock: Callable[[], float] = time.monotonic
        self._views: dict[str, Request] = {}
        self._arrived = 0
        self._foremost = 0
        self._emptying = False
        self._ignored = Ignored()
        self.waiting = RankedRequestQueue(waiting_queue(self._policy, self._view, self._recached))
        if self._policy.listens:
            self.kv_holding_waiting = HoldersQueue(self._enters, self._exits)
        self._engine = VllmEngine(self, self._views)
        self.notes = Notes(self, self._views, self._classes)
        self._seats: Seats[Any] = Seats(
            self._engine,
            self._policy,
            settings.pause,
            settings.margin,
            look_every=settings.look_every,
            watcher=self.notes,
        )
        if self._policy.foresees:
            self.waiting.foresight = self._seats.foresight
        model = config.model_config.model
        self._vocabulary = config.model_config.get_vocab_size()
        bins = probe_bins(settings, model)
        self._probing = Probing(bins, self._policy, self._seats, self._views, self.requests)
        self._lessons: Lessons | None = None
        self.arrivals: ArrivalPredictor
        if settings.learns:
            learned = SwitchingPredictor(own_predictor(settings, model))
            self.arrivals = HandedOnPredictor(learned)
            budget = int(self.max_num_scheduled_tokens)
            tutor = make_tutor(settings, config, self._engine, budget)
            self._lessons = Lessons(self, tutor, learned, self._probing)
        else:
            self.arrivals = make_arrival_predictor(self._policy.source, settings, model)
        self._answering = Answering(
            self, self._engine, self._policy, settings.policy, self.notes, self._lessons
        )
        install()
        close_first()
        self.told = listen(self.notes.journal, settings, config, self._trace_headers)
        logger.info("lengthwise schedules by %s", settings.policy)

    def add_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """A request arrives; its prediction follows when it is ready."""
        if request.request_id in self.requests:
            # A session's next input (see _update_request_as_session), or vLLM's own error.
            return super().add_request(request, *args, **kwargs)
        self._take_up(request)
        if request.request_id not in self._views:
            self._forget_strays()
            self._comes(request)
        else:
            # The next slice of a request keeps its view: it is predicted once.
            self._views[request.request_id].generated = request.num_output_tokens
            self._seats.idle(request)
            self.notes.waits(self._views[request.request_id])
        return super().add_request(request, *args, **kwargs)

    def _comes(self, request: Any) -> None:
        """The policy has a request more, with or without KV memory of its own."""
        hints = Hints.of(request, self._ignored)
        view = self._views[request.request_id] = self._new_view(request, hints)
        view.awaited = self.arrivals.submit(request, hints)
        self.notes.comes(view)
        self._seats.idle(request)

    def _goes(self, request: Any) -> None:
        """The policy has a request less."""
        if self._lessons is not None:
            self._lessons.gone(request, self._view(request))
        self.arrivals.finished(request)
        self._view(request).aborted = request.status in _UNANSWERED
        self.notes.gone(request, self._view(request))
        self._seats.gone(request)
        del self._views[request.request_id]

    def _enters(self, request: Any) -> None:
        view = self._views.get(request.request_id)
        if view is not None:
            self._policy.enters(view)

    def _exits(self, request: Any) -> None:
        view = self._views.get(request.request_id)
        if view is not None:
            self._policy.exits(view)

    def _take_up(self, request: Any) -> None:
        """A later slice goes on where the one before ended; what a client forged is dropped."""
        piece = Slice.of(request.sampling_params) if self._policy.slice < math.inf else None
        if piece is not None and piece.fits(request, self._vocabulary, self.max_model_len):
            resume(request, piece)
            return
        forged = drop_facts(request)
        if forged is not None:
            self._ignored.add(SLICE, forged, "for lengthwise's own use")

    def _forget_strays(self) -> None:
        """Drop views of requests whose next slice went elsewhere, once there are many."""
        if len(self._views) > 2 * len(self.requests) + _STRAYS:
            for request_id in self._views.keys() - self.requests.keys():
                stray = self._views.pop(request_id)
                stray.aborted = True
                self.notes.strays(request_id)
                self._policy.leave(stray)

    def _new_view(self, request: Any, hints: Hints) -> Request:
        self._arrived += 1
        arrival = self._engine.now
        least, most = output_bounds(request)
        cached = self._engine.cached_tokens(request) if self._policy.reads_cache else 0
        return Request(
            request.request_id,
            arrival,
            self._arrived - 1,
            request.num_prompt_tokens,
            request.num_output_tokens,
            tenant=hints.tenant,
            priority=hints.precedence,
            service=self._service(hints),
            deadline=hints.deadline_from(arrival),
            cached_tokens=cached,
            least_tokens=least,
            most_tokens=most,
        )

    def _service(self, hints: Hints) -> str:
        """Name of the class of a request with these hints; empty if there are no classes."""
        if self._classes is None:
            return ""
        return self._classes.of(hints.sender).name

    def _recached(self, request: Any) -> bool:
        """At the head of the queue: does the cache have more of its prompt by now, or less?"""
        view = self._view(request)
        if not self._policy.reads_cache or view.started:
            return False
        before, view.cached_tokens = view.cached_tokens, self._engine.cached_tokens(request)
        return view.cached_tokens != before

    def schedule(self, *args: Any, **kwargs: Any) -> Any:
        """Put requests in the policy's order, then let vLLM schedule the step."""
        self._arrange(bool(kwargs.get("throttle_prefills", args[0] if args else False)))
        if self._lessons is not None:
            self._lessons.begins()
        output = super().schedule(*args, **kwargs)
        if self._lessons is not None:
            self._lessons.scheduled(output)
        self._probing.ask(output)
        full = len(self.running) >= self._engine.seats
        self._engine.rejoin()
        self._started(output.scheduled_new_reqs)
        if output.total_num_scheduled_tokens:
            self.notes.full_steps += full
            self.notes.scheduled(output, self._resumed)
        return output

    def _arrange(self, throttled: bool) -> None:
        """Read the predictions that are ready, then give the seats to the best ranks."""
        start = time.perf_counter()
        for request_id, prediction in self.arrivals.ready():
            self.predict(request_id, prediction)
            self._seats.unsettled = True
            self._seats.foresight.refused = False
        self._engine.part(self._seats.paused)
        self._engine.admission.begins(throttled, self._seats.paused)
        before = self._seats.pauses
        if not self._engine.admission.stopped:
            self._seats.step()
        COSTS.pauses += self._seats.pauses - before
        spent = time.perf_counter() - start
        COSTS.ranking_s += spent
        COSTS.schedule_s += spent

    def _started(self, new_requests: list[Any]) -> None:
        """Requests have a seat for the first time, or for another slice.

        The V2 runner is told of the preempted that come back as it is of new ones.
        """
        for new in new_requests:
            view = self._views[new.req_id]
            if view.generated and new.req_id not in self._resumed:
                COSTS.slices += 1
                computed = self.requests[new.req_id].num_tokens - new.num_computed_tokens
                COSTS.recomputed_tokens += computed - 1
            view.started = True

    def update_from_output(self, scheduler_output: Any, model_runner_output: Any) -> Any:
        """Take the probe's predictions, then let vLLM take the tokens."""
        start = time.perf_counter()
        self._probing.take(scheduler_output, model_runner_output)
        if self._lessons is not None:
            self._lessons.took(model_runner_output)
        COSTS.ranking_s += time.perf_counter() - start
        outputs = super().update_from_output(scheduler_output, model_runner_output)
        self.notes.took(model_runner_output)
        if self._lessons is not None and not self.running:
            self._lessons.idles()
        return outputs

    def _handle_blocked_waiting_request(self, request: Any) -> bool:
        """vLLM passes over it now; also where it would take a paused request's LoRA adapter."""
        if not super()._handle_blocked_waiting_request(request):
            return False
        return not self._seats.paused or self._engine.admission.has_adapter(request)

    def evict(self, request: Any) -> None:
        """Preempt by recompute; the request is already out of ``running``."""
        self._preempt_request(request, time.monotonic())

    def _preempt_request(self, request: Any, *args: Any, **kwargs: Any) -> None:
        view = self._views[request.request_id]
        view.generated = request.num_output_tokens
        self.notes.evicted(request, request.num_computed_tokens, self._emptying)
        if isinstance(self._policy, FCFS):
            # In vLLM's own order the preempted come first, the last one foremost.
            self._foremost -= 1
            view.seq = self._foremost
        super()._preempt_request(request, *args, **kwargs)
        if self._emptying:
            self._seats.forget(request)
            self._seats.idle(request)
        else:
            self._seats.evicted(request)

    def reset_prefix_cache(self, *args: Any, **kwargs: Any) -> Any:
        """Where running requests lose their memory too, no foresight could have kept it."""
        self._emptying = True
        try:
            return super().reset_prefix_cache(*args, **kwargs)
        finally:
            self._emptying = False

    def set_pause_state(self, pause_state: Any) -> None:
        """Paused by an operator, or serving again."""
        super().set_pause_state(pause_state)
        if pause_state == PauseState.UNPAUSED:
            self._engine.clock.go()
            self._seats.foresight.expects_anew()
            self._seats.unsettled = True
        else:
            self._engine.clock.stop()

    def get_request_counts(self) -> tuple[int, int]:
        """Requests that run and that wait, as vLLM shows them: the paused wait."""
        running, waiting = super().get_request_counts()
        paused = len(self._seats.paused)
        return int(running) - paused * (not self._engine.apart), int(waiting) + paused

    def get_num_unfinished_requests(self) -> int:
        """Requests that vLLM goes on with: in a pause for new ones the paused drain too."""
        unfinished = int(super().get_num_unfinished_requests())
        draining = bool(self.pause_state == PauseState.PAUSED_NEW)
        return unfinished + len(self._seats.paused) * draining

    def prediction_stats(self) -> dict[str, float]:
        """Counters of predictions of new requests, of learning, and of hints ignored.

        ``clamped`` and ``refused``: predictions that no policy could use as they were.
        """
        ignored = {"ignored_hints": self._ignored.counts.total()}
        learning = {} if self._lessons is None else self._lessons.stats()
        return asdict(MENDED) | self.arrivals.stats() | learning | ignored

    @property
    def paused(self) -> list[Any]:
        """Requests that lost their seat and keep their KV cache, best rank first."""
        return self._seats.paused

    def answer(self, rows: int, decisions: int) -> str:
        """The engine's state, as JSON of :class:`lengthwise.live.state.EngineNow`."""
        return self._answering.answer(rows, decisions)

    def remaining(self, request_id: str) -> float:
        """Tokens still to come as the probe predicts them; NaN before it has, or if gone."""
        view, request = self._views.get(request_id), self.requests.get(request_id)
        if view is None or not view.probed:
            return math.nan
        if request is not None:
            view.generated = request.num_output_tokens
        return view.remaining

    def shutdown(self) -> None:
        """The end; a prediction process ends too, and logs are written to their end."""
        self.told.close()
        self.arrivals.close()
        if self._lessons is not None:
            self._lessons.close()
        super().shutdown()

    def _free_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if returns(request, self.max_model_len):
            self._seats.forget(request)
        elif request.request_id in self._views:
            # But for a session between two inputs.
            self._goes(request)
        return super()._free_request(request, *args, **kwargs)

    def _trace_headers(self, request_id: str) -> Mapping[str, str] | None:
        request = self.requests.get(request_id)
        return None if request is None else request.trace_headers

    def _view(self, request: Any) -> Request:
        return self._views[request.request_id]

    def predict(self, request_id: str, prediction: Prediction | None) -> None:
        """Rank a request anew by its prediction from the prompt, unless the probe has one."""
        view = self._views.get(request_id)
        if view is None or view.probed:
            return
        request = self.requests.get(request_id)
        if request is None:
            # Between two slices: it is ranked when the next one arrives.
            view.receive(prediction)
            return
        view.receive(prediction and prediction.at_most(max_tokens(request)))
        self.notes.ledger.predicted(view)
        if request in self.waiting.ranked:
            self.waiting.ranked.update(request)
