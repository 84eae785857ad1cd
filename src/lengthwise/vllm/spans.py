"""One OpenTelemetry span for each request that finished, its decisions as events."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from lengthwise.core.text import visible
from lengthwise.live.decision import Decision

logger = logging.getLogger("vllm.lengthwise")

NAME = "lengthwise.request"

Headers = Callable[[str], Mapping[str, str] | None]

_EVENTS = 64
"""Most decisions of a request that become events, the last ones."""

_REQUESTS = 50_000
"""Most requests of which decisions are kept at a time."""

_PATIENCE_S = 2.0
"""Seconds that the end of the engine waits for the collector of spans."""

_LONGEST = 256
"""Characters of a name that a client chose."""


class _Course:
    """What was decided about a request that is in the system."""

    def __init__(self, arrived: Decision) -> None:
        self.arrived = arrived
        self.last: deque[Decision] = deque(maxlen=_EVENTS)
        self.left_out = self.paused = self.evicted = self.overtook = 0

    def add(self, decision: Decision) -> None:
        self.left_out += len(self.last) == _EVENTS
        self.last.append(decision)
        self.paused += decision.kind == "paused"
        self.evicted += decision.kind == "evicted"
        self.overtook += decision.overtook

    def attributes(self, end: Decision) -> dict[str, Any]:
        """What the span says of the whole request; without what nobody knows."""
        found = {
            "gen_ai.request.id": visible(end.request[:_LONGEST]),
            "lengthwise.number": end.number,
            "lengthwise.prompt": end.prompt,
            "lengthwise.tokens": end.tokens,
            "lengthwise.predicted": end.predicted,
            "lengthwise.waited": end.waited,
            "lengthwise.ttft": end.ttft,
            "lengthwise.overtook": self.overtook,
            "lengthwise.overtaken": end.overtaken,
            "lengthwise.paused": self.paused,
            "lengthwise.evicted": self.evicted,
            "lengthwise.reason": end.reason,
            "lengthwise.class": visible(end.service[:_LONGEST]),
            "lengthwise.tenant": visible(end.tenant[:_LONGEST]),
            "lengthwise.left_out": self.left_out,
        }
        return {name: value for name, value in found.items() if value not in (None, "")}


class RequestSpans:
    """Makes the spans and sends them in batches, on a thread of OpenTelemetry's.

    A request whose client sent a ``traceparent`` gets a span in that trace, if the client
    samples the trace; ``share`` then decides by the trace's id, so that all servers of a trace
    decide alike.

    Args:
        endpoint: where vLLM sends its own spans.
        share: of finished requests, from 0 to 1.
        headers: the trace headers of a request by its id, or None.
        exporter: OpenTelemetry's; None takes the one that vLLM takes.

    Raises:
        ImportError: if OpenTelemetry's SDK is not installed.
    """

    def __init__(self, endpoint: str, share: float, headers: Headers, exporter: Any = None) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        if exporter is None:
            from vllm.tracing.otel import get_span_exporter

            exporter = get_span_exporter(endpoint)
        chosen = TraceIdRatioBased(share)
        sampler = ParentBased(chosen, chosen, ALWAYS_OFF)
        resource = Resource.create({"vllm.instrumenting_module_name": "lengthwise"})
        self._provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("lengthwise")
        self._context = TraceContextTextMapPropagator().extract
        self._headers = headers
        self._courses: dict[str, _Course] = {}

    def add(self, decision: Decision) -> None:
        """Keep the decision until its request ends; make the span then."""
        if decision.kind == "arrived":
            self._forget()
            self._courses[decision.request] = _Course(decision)
        course = self._courses.get(decision.request)
        if course is None:
            return
        course.add(decision)
        if decision.kind in ("finished", "aborted"):
            del self._courses[decision.request]
            self._send(course, decision)

    def _forget(self) -> None:
        """Make room: a request that came so long ago ended without a word, or is a stray."""
        if len(self._courses) >= _REQUESTS:
            del self._courses[next(iter(self._courses))]

    def _send(self, course: _Course, end: Decision) -> None:
        if end.kind == "aborted":
            return
        context = self._context(self._headers(end.request) or {})
        span = self._tracer.start_span(NAME, context, start_time=_nanoseconds(course.arrived))
        if span.is_recording():
            span.set_attributes(course.attributes(end))
            for each in course.last:
                span.add_event(f"lengthwise.{each.kind}", event_of(each), _nanoseconds(each))
        span.end(_nanoseconds(end))

    def close(self) -> None:
        """Send what is left; a collector that does not answer is given up."""
        ends = threading.Thread(target=self._provider.shutdown, daemon=True)
        ends.start()
        ends.join(_PATIENCE_S)


def event_of(decision: Decision) -> dict[str, Any]:
    """The attributes of a decision's event: its numbers, and why; without what says nothing."""
    found = {
        "reason": decision.reason,
        "winner": decision.winner,
        "left": decision.left,
        "winner_left": decision.winner_left,
        "waited": decision.waited,
        "overtook": decision.overtook,
        "recompute": decision.recompute,
        "tokens": decision.tokens,
        "predicted": decision.predicted,
    }
    return {f"lengthwise.{name}": each for name, each in found.items() if each not in (None, "", 0)}


def _nanoseconds(decision: Decision) -> int:
    return int(decision.at * 1e9)
