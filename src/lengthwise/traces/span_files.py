"""The ways in which JSON holds spans: OTLP, Tempo, Jaeger, Zipkin, OpenTelemetry's console."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from lengthwise.workload.clients import is_whole

Attributes = dict[str, Any]


class Span(NamedTuple):
    """One span.

    Attributes:
        start, end: seconds since 1970, or None where they are missing.
        key: the ids of its trace and its own, or None.
    """

    name: str
    start: float | None
    end: float | None
    attributes: Attributes
    key: tuple[Hashable, Hashable] | None


def spans_of(document: object, deep: int = 8) -> Iterator[Span]:
    """All spans of a document, in its order; what is none of these shapes has none."""
    if isinstance(document, list) and deep:
        for each in document:
            yield from spans_of(each, deep - 1)
    if not isinstance(document, dict):
        return
    shape = next((shape for mark, shape in _SHAPES if mark in document), None)
    span = None if shape is None else shape(document)
    if span is not None:
        yield span
        return
    for holder in _HOLDERS:
        if deep and isinstance(document.get(holder), (dict, list)):
            yield from spans_of(document[holder], deep - 1)


_HOLDERS = (
    *("resourceSpans", "scopeSpans", "instrumentationLibrarySpans", "spans"),
    *("resource_spans", "scope_spans", "batches", "trace", "traces", "result", "data"),
)


def _otlp(span: Attributes) -> Span | None:
    """OTLP, and Tempo's: times in ns, attributes as a list of typed values."""
    attributes = {
        each["key"]: _value(each.get("value"))
        for each in _objects(span.get("attributes"))
        if isinstance(each.get("key"), str)
    }
    times = (span.get(name) for name in ("startTimeUnixNano", "endTimeUnixNano"))
    start, end = (_moment(time, 1e9) for time in times)
    return _span(span.get("name"), start, end, attributes, span.get("traceId"), span.get("spanId"))


def _jaeger(span: Attributes) -> Span | None:
    """Jaeger's: times in µs, attributes as tags."""
    tags = _objects(span.get("tags"))
    attributes = {tag["key"]: tag.get("value") for tag in tags if isinstance(tag.get("key"), str)}
    start, end = _lasting(span.get("startTime"), span.get("duration"))
    ids = span.get("traceID"), span.get("spanID")
    return _span(span.get("operationName"), start, end, attributes, *ids)


def _zipkin(span: Attributes) -> Span | None:
    """Zipkin's: times in µs, all attributes texts."""
    tags = span.get("tags")
    start, end = _lasting(span.get("timestamp"), span.get("duration"))
    attributes = tags if isinstance(tags, dict) else {}
    return _span(span.get("name"), start, end, attributes, span.get("traceId"), span.get("id"))


def _console(span: Attributes) -> Span | None:
    """What OpenTelemetry's console exporter prints: ISO times, attributes as an object."""
    said, context = span.get("attributes"), span.get("context")
    context = context if isinstance(context, dict) else {}
    start, end = (_iso(span.get(name)) for name in ("start_time", "end_time"))
    attributes = said if isinstance(said, dict) else {}
    ids = context.get("trace_id"), context.get("span_id")
    return _span(span.get("name"), start, end, attributes, *ids)


_SHAPES: tuple[tuple[str, Callable[[Attributes], Span | None]], ...] = (
    ("startTimeUnixNano", _otlp),
    ("operationName", _jaeger),
    ("timestamp", _zipkin),
    ("start_time", _console),
)
"""By a name that only this shape's spans have."""


def _span(
    name: object,
    start: float | None,
    end: float | None,
    attributes: Attributes,
    trace: object,
    own: object,
) -> Span | None:
    if not isinstance(name, str):
        return None
    key = (trace, own) if isinstance(trace, str) and isinstance(own, str) and own else None
    return Span(name, start, end, attributes, key)


def _objects(value: object) -> list[Attributes]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _value(typed: object) -> object:
    """The value in ``{"intValue": "5"}``; lists and objects are not read."""
    names = ("intValue", "doubleValue", "stringValue", "int_value", "double_value", "string_value")
    if not isinstance(typed, dict):
        return None
    return next((typed[name] for name in names if name in typed), None)


def _moment(said: object, per_second: float) -> float | None:
    """A time of these centuries, given in parts of a second."""
    if isinstance(said, str) and said.isdecimal() and len(said) < 24:
        said = int(said)
    if not (is_whole(said) or isinstance(said, float)):
        return None
    assert isinstance(said, (int, float))
    seconds = said / per_second
    return float(seconds) if 0 < seconds < 1e11 else None


def _lasting(start: object, duration: object) -> tuple[float | None, float | None]:
    """Start and end in seconds, of microseconds."""
    begin, lasts = _moment(start, 1e6), _moment(duration, 1e6)
    return begin, None if begin is None or lasts is None else begin + lasts


def _iso(said: object) -> float | None:
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
