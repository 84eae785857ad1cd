"""OpenTelemetry spans of vLLM (``--otlp-traces-endpoint``), as JSON: OTLP, Jaeger, Tempo, Zipkin.

vLLM makes one span ``llm_request`` of every sequence that it has generated.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from lengthwise.errors import UserError
from lengthwise.traces.log_lines import NO_JSON
from lengthwise.traces.recorded import MOST_TOKENS, Found, Recorded, safe_id, trace_of
from lengthwise.traces.span_files import Span, spans_of
from lengthwise.traces.streams import opened, split
from lengthwise.traces.trace import Trace

NAME = "spans"

SPAN = "llm_request"
"""The name of vLLM's span of a request."""

_REMEMBERED = 100_000
"""Spans that are known again when they are sent twice."""

_LONGEST = 2**30
"""Bytes of a line of spans: an export in one document may be one."""

_DIGITS = 6
"""Of a second: floats of these years hold no more."""

# Names that only tools for spans write: exports of gateways, too, have ids of traces.
_HEAD = re.compile(
    rb'"(?:resourceSpans|resource_spans|scopeSpans|scope_spans|instrumentationLibrarySpans'
    rb'|startTimeUnixNano|operationName|localEndpoint)"\s*:|:\s*"llm_request"'
)

_PROMPT = ("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens")
_OUTPUT = ("gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens")
_CAP = "gen_ai.request.max_tokens"
_ID = "gen_ai.request.id"
_TTFT = "gen_ai.latency.time_to_first_token"
_LATENCY = "gen_ai.latency.e2e"
_QUEUE = "gen_ai.latency.time_in_queue"


class Spans:
    """Turns documents of spans into requests; a span that comes twice counts once."""

    def __init__(self) -> None:
        self.found = Found()
        self.others = 0
        self._known: OrderedDict[tuple[Any, Any], None] = OrderedDict()

    def feed(self, line: bytes) -> Iterator[Recorded]:
        """The requests of a line that is one JSON document; any other is counted."""
        if not line.strip():
            return
        try:
            document = msgspec.json.decode(line)
        except NO_JSON:
            self.found.leave_out("lines that are no JSON")
            return
        yield from self.take(document)

    def take(self, document: object) -> Iterator[Recorded]:
        """The requests of a document."""
        for span in spans_of(document):
            if span.name != SPAN:
                self.others += 1
            elif self._again(span):
                self.found.leave_out("the same span again")
            else:
                yield from self._row(span)

    def close(self) -> None:
        """Say what was there, if no span of a request was."""
        if self.others:
            self.found.note(f"{self.others} spans are no requests (not named {SPAN})")

    def _again(self, span: Span) -> bool:
        if span.key is None:
            return False
        if span.key in self._known:
            return True
        self._known[span.key] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return False

    def _row(self, span: Span) -> Iterator[Recorded]:
        said = span.attributes
        prompt, output = (_tokens(said, names) for names in (_PROMPT, _OUTPUT))
        if span.start is None or prompt is None or output is None:
            self.found.leave_out("spans without a time or without their tokens")
        elif prompt < 1 or output < 1:
            self.found.leave_out("no output tokens (failed or aborted)")
        else:
            yield _recorded(span, span.start, prompt, output)


def _recorded(span: Span, start: float, prompt: int, output: int) -> Recorded:
    said = span.attributes
    first, latency = _seconds(said, _TTFT), _seconds(said, _LATENCY)
    finish = span.end if latency is None else start + latency
    id = said.get(_ID)
    return Recorded(
        arrival_s=round(start, _DIGITS),
        prompt_tokens=prompt,
        output_tokens=output,
        first_s=None if first is None else round(start + first, _DIGITS),
        finish_s=None if finish is None else round(finish, _DIGITS),
        queue_s=_seconds(said, _QUEUE),
        id=safe_id(id) if isinstance(id, str) and id else None,
        max_tokens=_tokens(said, (_CAP,)),
    )


def _tokens(said: dict[str, Any], names: Iterable[str]) -> int | None:
    value = next((said[name] for name in names if said.get(name) is not None), None)
    number = _number(value)
    whole = number is not None and number.is_integer() and 0 <= number <= MOST_TOKENS
    return int(number) if whole and number is not None else None


def _seconds(said: dict[str, Any], name: str) -> float | None:
    number = _number(said.get(name))
    return number if number is not None and number >= 0 else None


def _number(value: Any) -> float | None:
    """A number, or a text that is one, as Zipkin and OTLP write them."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def fits(head: bytes) -> bool:
    """Whether a file that begins so holds spans as JSON."""
    return head.lstrip()[:1] in (b"{", b"[") and _HEAD.search(head) is not None


def read(source: Path | Iterable[bytes]) -> Trace:
    """The requests of spans: a file or lines, with a document a line, or one document in all.

    Raises:
        UserError: if it cannot be read or has no request.
    """
    if isinstance(source, Path):
        return trace_of(*rows_of([source]), NAME, source)
    return trace_of(*rows_in(source, Path("spans")), NAME, Path("spans"))


def rows_of(paths: Iterable[Path]) -> tuple[list[Recorded], Found]:
    """The requests of several files, and what else was met.

    Raises:
        UserError: if a file cannot be read, or is no JSON.
    """
    rows: list[Recorded] = []
    reader = Spans()
    for path in paths:
        for document in _documents(split(opened(path), _LONGEST), path):
            rows += reader.feed(document)
    reader.close()
    return rows, reader.found


def rows_in(lines: Iterable[bytes], what: Path) -> tuple[list[Recorded], Found]:
    """The requests of lines, and what else was met."""
    reader = Spans()
    rows = [row for document in _documents(iter(lines), what) for row in reader.feed(document)]
    reader.close()
    return rows, reader.found


def _documents(lines: Iterator[bytes], what: Path) -> Iterator[bytes]:
    """The lines, if the first is a document; else they are one."""
    first = next((line for line in lines if line.strip()), b"")
    try:
        msgspec.json.decode(first)
    except NO_JSON:
        whole = b"\n".join([first, *lines])
        try:
            msgspec.json.decode(whole)
        except NO_JSON:
            raise UserError(
                f"{what} is no JSON: give spans as OTLP, Jaeger, Tempo or Zipkin JSON"
            ) from None
        yield whole
    else:
        yield first
        yield from lines
