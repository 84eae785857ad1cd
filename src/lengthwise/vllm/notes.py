"""What vLLM's scheduler does with requests, told to the ledger; and how predictions turned out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lengthwise.core.request import Request
from lengthwise.core.service import Classes
from lengthwise.core.watcher import Watcher
from lengthwise.live.attainment import Attainment
from lengthwise.live.decision import Reason
from lengthwise.live.journal import Journal
from lengthwise.live.ledger import Ledger
from lengthwise.vllm.judged import Judged
from lengthwise.vllm.tap import SPENT

_ENDS: Mapping[str, Reason] = {
    "stop": "stop",
    "length": "length",
    "abort": "abort",
    "error": "error",
    "repetition": "stop",
    "None": "abort",
}
"""vLLM's finish reasons; one that is not known here is an error."""


class Notes(Watcher[Any]):
    """Keeps the books of one scheduler. Nothing that it does changes a decision.

    Args:
        scheduler: vLLM's.
        views: of its requests, by request id.
        classes: the service classes, if there are any.

    Attributes:
        journal, ledger, judged: what is kept.
        attainment: of the service classes, if there are any.
        full_steps: steps that began with all seats taken.
        tap_s: seconds that the tap has taken of the worker.
    """

    def __init__(
        self, scheduler: Any, views: Mapping[str, Request], classes: Classes | None = None
    ) -> None:
        self._scheduler, self._views = scheduler, views
        self.journal = Journal()
        self.ledger = Ledger(self.journal)
        self.judged = Judged()
        self.attainment = None if classes is None else Attainment(classes)
        if self.attainment is not None:
            self.journal.listeners.append(self.attainment)
        self.full_steps = 0
        self.tap_s = 0.0
        # Who loses a seat and its memory at this moment, and to whom.
        self._unseated: tuple[str, Any] | None = None
        self._without_token: dict[str, Any] = {}

    # From the seats.

    def paused(self, request: Any, winner: Any) -> None:
        self.ledger.paused(self._view(request), self._winner(winner))

    def resumed(self, request: Any) -> None:
        self.ledger.resumed(self._view(request))

    def unseated(self, request: Any, winner: Any) -> None:
        self._unseated = request.request_id, winner

    def promoted(self, request: Any) -> None:
        self.ledger.promoted(self._view(request))

    # From the scheduler.

    def comes(self, view: Request) -> None:
        """A request is new to the policy."""
        self.ledger.arrives(view)

    def strays(self, request_id: str) -> None:
        """A request whose next slice went elsewhere is not counted any more."""
        self.ledger.forget(request_id)
        if self.attainment is not None:
            self.attainment.forget(request_id)

    def waits(self, view: Request) -> None:
        """A request that was here before comes again, for its next slice."""
        if view.id in self.ledger.entries:
            self.ledger.waits(view)

    def scheduled(self, output: Any, resumed: Iterable[str]) -> None:
        """A step was scheduled, in which some get a seat from the queue.

        Args:
            output: vLLM's SchedulerOutput.
            resumed: ids of those that were evicted before.
        """
        for new in output.scheduled_new_reqs:
            self._sits(new.req_id)
        for request_id in sorted(resumed):
            self._sits(request_id)
        scheduler = self._scheduler
        if scheduler.kv_holding_waiting or self.ledger.waiting > len(scheduler.waiting):
            # Sessions that go on with their memory are neither of both.
            for request_id in output.num_scheduled_tokens:
                self._sits(request_id)

    def _sits(self, request_id: str) -> None:
        entry = self.ledger.entries.get(request_id)
        if entry is not None and entry.label >= 0:
            request = self._scheduler.requests[request_id]
            self.ledger.seated(self._view(request))
            if entry.ttft is None:
                self._without_token[request_id] = request

    def took(self, model_runner_output: Any) -> None:
        """The tokens of a step have been handed out."""
        self.tap_s = getattr(model_runner_output, SPENT, self.tap_s)
        if not self._without_token:
            return
        begun = [id for id, each in self._without_token.items() if each.num_output_tokens]
        for request_id in begun:
            request = self._without_token.pop(request_id)
            view = self._views.get(request_id)
            if view is not None:
                view.generated = request.num_output_tokens
                self.ledger.begins(view)

    def evicted(self, request: Any, computed: int, reset: bool) -> None:
        """A request lost its KV cache, with so many computed tokens, and waits again."""
        by_seat, winner = self._unseated or ("", None)
        self._unseated = None
        reason: Reason = "reset" if reset else "memory"
        if by_seat == request.request_id:
            reason = "seat"
        else:
            winner = None
        self.ledger.evicted(self._view(request), reason, self._winner(winner), computed)

    def gone(self, request: Any, view: Request) -> None:
        """A request is gone, whatever the reason."""
        if request.num_output_tokens:
            self.ledger.begins(view)
        view.generated = request.num_output_tokens
        reason = _ENDS.get(str(request.get_finished_reason()), "error")
        self._without_token.pop(view.id, None)
        if view.id in self.ledger.entries:
            self.ledger.gone(view, reason)
        if reason in ("stop", "length"):
            self.judged.finished(view, cut=reason == "length")

    def _view(self, request: Any) -> Request:
        view = self._views[request.request_id]
        view.generated = request.num_output_tokens
        return view

    def _winner(self, request: Any) -> Request | None:
        return None if request is None else self._views.get(request.request_id)
