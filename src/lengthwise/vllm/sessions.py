"""Sessions whose input is streamed: to a policy each input of one is a request of its own."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from vllm.v1.request import RequestStatus

from lengthwise.core.request import Request
from lengthwise.vllm.stock import StockScheduler


class SessionScheduler(StockScheduler):
    """A scheduler that tells its policy of each input of a session as of a request.

    vLLM keeps one request for a session: when an answer has ended, the request waits for the
    next input, with its KV memory, and then goes on with a longer prompt and other limits.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._continuing: list[Any] = []

    @abstractmethod
    def _comes(self, request: Any) -> None:
        """The policy has a request more, with or without KV memory of its own."""

    @abstractmethod
    def _goes(self, request: Any) -> None:
        """The policy has a request less."""

    @abstractmethod
    def _enters(self, request: Any) -> None:
        """The request waits for a seat, and holds KV memory."""

    @abstractmethod
    def _view(self, request: Any) -> Request:
        """The policy's view of a request."""

    def _handle_stopped_request(self, request: Any) -> Any:
        """A session's answer has ended."""
        if request.resumable:
            self._goes(request)
            if request in self.waiting.ranked:
                # It was preempted, and the answer that was awaited then has ended it.
                self.waiting.remove_request(request)
                self._continuing.append(request)
            if not request.num_computed_tokens and not request.streaming_queue:
                # Without memory it waits for its input among the others.
                self._comes(request)
        return super()._handle_stopped_request(request)

    def _update_request_as_session(self, session: Any, update: Any) -> None:
        """A session's next input: a longer prompt, another limit, a prediction of its own."""
        waits = session.status == RequestStatus.WAITING_FOR_STREAMING_REQ
        queued = session in self.waiting.ranked
        place = self._view(session).seq if queued else None
        if queued:
            self.waiting.remove_request(session)
        if session.request_id in self._views:
            self._goes(session)
        super()._update_request_as_session(session, update)
        self._comes(session)
        if place is not None:
            self._view(session).seq = place
            self.waiting.add_request(session)
        elif waits:
            self._enters(session)

    def update_from_output(self, scheduler_output: Any, model_runner_output: Any) -> Any:
        """vLLM's own; then sessions that go on are queued again.

        vLLM 0.32 takes them out of its queues with those that have stopped.
        """
        outputs = super().update_from_output(scheduler_output, model_runner_output)
        for session in self._continuing:
            here = session in self.waiting.ranked or session in self.kv_holding_waiting
            if session.request_id in self.requests and not here:
                self._enqueue_waiting_request(session)
        self._continuing.clear()
        return outputs
