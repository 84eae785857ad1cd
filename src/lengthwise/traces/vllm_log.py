"""vLLM's request log (``--enable-log-requests --enable-log-outputs``), as text or JSON lines.

Prompts and answers are counted by their token ids, which vLLM logs at level DEBUG only; their
texts are dropped, line by line.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lengthwise.traces.log_lines import Lines
from lengthwise.traces.recorded import REASONS, Found, Recorded, safe_id, trace_of
from lengthwise.traces.streams import TOO_LONG, newest, opened, split
from lengthwise.traces.trace import Trace
from lengthwise.traces.vllm_messages import (
    Answer,
    AnswerIds,
    Counted,
    Ended,
    Message,
    Prompted,
    Received,
    looks_cut,
    read_message,
)

NAME = "vllm-log"

_OPEN = 100_000
"""Requests that may wait for their end: the oldest are given up, so that memory stays bounded."""

_JUST = 1.5
"""Seconds from a line's time, cut to whole seconds, within which it is read when it is new."""

_HEAD = re.compile(
    rb"(?:INFO|DEBUG|WARNING|ERROR) \d\d-\d\d \d\d:\d\d:\d\d \[?[\w./]+:\d+\]"
    rb'|Received request .{1,512}?: (?:params|prompt): |"name"\s*:\s*"vllm\.'
)
_ACCESS = re.compile(rb'"(?:GET|POST) [^"\s]+ HTTP/1\.[01]\\?" \d{3}')

_NO_PROMPT = (
    "the prompt's length is not in the log: vLLM logs it at level DEBUG "
    "(VLLM_LOGGING_LEVEL=DEBUG); spans have it (--listen)"
)
_NO_ANSWER = (
    "the answer's length is not in the log: start vLLM with VLLM_LOGGING_LEVEL=DEBUG and "
    "--enable-log-outputs, or record its spans (--listen)"
)
_WHOLE = "the log's times are whole seconds, taken as UTC; spans have them exactly (--listen)"
_NO_TIME = "lines without a time are not read: let vLLM's log format begin with %(asctime)s"
_NO_END = "no end in the log: it still runs, or vLLM runs without --enable-log-outputs"
_NO_COMPLETIONS = "vLLM logs no answers of /v1/completions: record its spans (--listen)"

_NO_LINES = (
    "the log has no lines of requests (access lines tell no tokens): start vLLM with "
    "VLLM_LOGGING_LEVEL=DEBUG --enable-log-requests --enable-log-outputs, or record its spans "
    "(--listen)"
)


@dataclass
class _Open:
    """A request on its way. ``tokens`` are those of its pieces, ``told`` those of an answer.

    ``choices`` counts the answers to come; pieces do not say which of ``several`` they are of.
    """

    arrival: float
    prompt: Counted | None = None
    generates: bool = True
    choices: int = 1
    several: bool = False
    max_tokens: int | None = None
    tenant: str | None = None
    first: float | None = None
    tokens: int = 0
    pieces: int = 0
    reason: str = "None"
    told: list[Counted] = field(default_factory=list)


class VllmLog:
    """Turns the lines of a log into requests, each when its answer has ended.

    Args:
        latest: seconds since 1970 that no line is later than; vLLM's times have no year.
        now: the time, where lines are read as they are written: it has the parts of a second
            that vLLM's times lack.
    """

    def __init__(self, latest: float, now: Callable[[], float] | None = None) -> None:
        self.found = Found()
        self._now = now
        self._seen = False
        self._lines = Lines(latest)
        self._open: dict[str, _Open] = {}

    def feed(self, line: bytes) -> Iterator[Recorded]:
        """The requests that end with this line."""
        if line == TOO_LONG:
            self.found.leave_out("lines of more than 64 MiB")
        read = self._lines.read(line)
        message = None if read is None else read_message(read.message)
        if read is None or message is None:
            return
        self._seen = True
        if read.time is None:
            self.found.note(_NO_TIME)
            return
        yield from self._take(self._exact(read.time) if read.whole else read.time, message)

    def close(self) -> None:
        """Count the requests whose end has not come; say what is missing if there were none."""
        if not self._seen:
            self.found.note(_NO_LINES)
        for id in list(self._open):
            self._give_up(id)

    def _give_up(self, id: str) -> None:
        request = self._open.pop(id)
        why = _NO_COMPLETIONS if id.startswith("cmpl-") else _NO_END
        self.found.leave_out(why if request.generates else _POOLING)

    def _exact(self, second: float) -> float:
        """A time in whole seconds with its parts, if the line has only just been written."""
        # The log's zone is not known, but zones differ by quarters of an hour.
        past = math.inf if self._now is None else (self._now() - second) % 900
        if past < _JUST:
            return second + past
        self.found.note(_WHOLE)
        return second

    def _take(self, time: float, message: Message) -> Iterator[Recorded]:
        match message:
            case Prompted(id, prompt):
                self._begun(id, time, again=True).prompt = prompt
            case Received():
                self._received(time, message)
            case AnswerIds(id, stream, output):
                self._counted(self._of(id), stream, output, time)
            case Answer() if message.stream == "delta":
                if request := self._of(message.id):
                    request.reason = message.reason
            case Answer():
                yield from self._answered(time, message)
            case Ended(id, how):
                if self._open.pop(self._key(id), None):
                    self.found.leave_out(f"{how} before its answer ended")

    def _begun(self, id: str, time: float, again: bool) -> _Open:
        """The request of this id; a new one if its prompt comes ``again``."""
        if again and id in self._open and self._open[id].prompt is not None:
            del self._open[id]
            self.found.leave_out("its id was used again before its answer ended")
        if id not in self._open:
            if len(self._open) >= _OPEN:
                self._give_up(next(iter(self._open)))
            self._open[id] = _Open(time)
        return self._open[id]

    def _received(self, time: float, message: Received) -> None:
        request = self._begun(message.id, time, again=message.prompt is not None)
        request.prompt = message.prompt or request.prompt
        request.generates, request.choices = message.generates, message.choices
        request.several = message.choices > 1
        request.max_tokens, request.tenant = message.max_tokens, message.tenant

    def _key(self, id: str) -> str:
        """The name under which a request came: of one with parts, its first part's."""
        return next((key for key in (id, f"{id}_0", f"{id}-0") if key in self._open), id)

    def _of(self, id: str) -> _Open | None:
        return self._open.get(self._key(id))

    def _counted(
        self, request: _Open | None, stream: str | None, output: Counted, time: float
    ) -> None:
        if request is None:
            return
        if stream != "delta":
            request.told.append(output)
            return
        if request.first is None:
            request.first = time
        request.pieces += 1
        request.tokens += output.tokens or 0

    def _answered(self, time: float, message: Answer) -> Iterator[Recorded]:
        key = self._key(message.id)
        request = self._open.get(key)
        if request is None:
            self.found.leave_out("its beginning is not in the log")
            return
        told = request.told.pop() if request.told else None
        output = self._output(request, message, told)
        request.choices -= 1
        if request.choices <= 0:
            del self._open[key]
        reasons = (each for each in (message.reason, request.reason) if each in REASONS)
        wrong = _wrong(request, output)
        if wrong is not None or request.prompt is None or output is None:
            self.found.leave_out(wrong or _NO_PROMPT)
            return
        yield Recorded(
            arrival_s=request.arrival,
            prompt_tokens=request.prompt.tokens or 1,
            output_tokens=output.tokens or 1,
            first_s=request.first,
            finish_s=time,
            id=safe_id(key),
            tenant=request.tenant,
            max_tokens=request.max_tokens,
            finish_reason=next(reasons, None),
        )

    def _output(self, request: _Open, message: Answer, told: Counted | None) -> Counted | None:
        """The tokens of an answer, from whichever of its messages tells them."""
        output = message.output or told
        if output is not None and output.tokens is not None:
            cut = looks_cut(output.tokens, message.characters)
            output = Counted(output.tokens, cut)
        elif request.pieces and not request.several:
            # vLLM logs no piece without a text, such as the end of the sequence.
            output = Counted(request.tokens + (request.reason == "None"))
            self.found.note(
                "streamed answers are counted by their logged pieces: a few tokens may be missing"
            )
        exact = message.reason == "length" and request.max_tokens
        if exact and (output is None or output.tokens is None or output.cut):
            return Counted(request.max_tokens)
        return output


_POOLING = "it generates nothing (a pooling request)"


def _wrong(request: _Open, output: Counted | None) -> str | None:
    """Why this is no row of a trace; None if it is one."""
    prompt = request.prompt
    if prompt is None or prompt.tokens is None:
        return _NO_PROMPT
    if output is None or output.tokens is None:
        return _NO_ANSWER
    if prompt.cut or output.cut:
        return "cut by --max-log-len: there are as many token ids as characters"
    if prompt.tokens == 0:
        return "its prompt has no token"
    if output.tokens == 0:
        return "no output tokens (failed or aborted)"
    return None


def fits(head: bytes) -> bool:
    """Whether a file that begins so is a log of vLLM's server."""
    return _HEAD.search(head) is not None


def has_access_lines(head: bytes) -> bool:
    """Whether a file that begins so is a log of a web server, which may be vLLM's."""
    return _ACCESS.search(head) is not None


def read(source: Path | Iterable[bytes]) -> Trace:
    """The requests of a log: a file, plain or gzipped, or its lines.

    Raises:
        UserError: if it cannot be read or has no request; says which flag makes it tell them.
    """
    if isinstance(source, Path):
        return trace_of(*rows_of([source]), NAME, source)
    return trace_of(*rows_in(source, time.time()), NAME, Path("log"))


def rows_of(paths: Iterable[Path]) -> tuple[list[Recorded], Found]:
    """The requests of one server's log in several files, the oldest first, and what was met.

    Raises:
        UserError: if a file cannot be read.
    """
    paths = list(paths)
    return rows_in((line for path in paths for line in split(opened(path))), newest(paths))


def rows_in(lines: Iterable[bytes], latest: float) -> tuple[list[Recorded], Found]:
    """The requests of a log's lines, none later than ``latest`` (seconds since 1970)."""
    reader = VllmLog(latest)
    rows = [row for line in lines for row in reader.feed(line)]
    reader.close()
    return rows, reader.found
