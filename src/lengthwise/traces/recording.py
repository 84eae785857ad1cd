"""Recording as it goes on: from standard input, a growing file, or spans that are sent."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Protocol

from lengthwise.errors import UserError
from lengthwise.traces import spans, vllm_log
from lengthwise.traces.receiver import Receiver, protobuf
from lengthwise.traces.recorded import Found, Output, Recorded
from lengthwise.traces.spans import Spans
from lengthwise.traces.streams import Stop, followed, head, piped, split
from lengthwise.traces.vllm_log import VllmLog

_PAUSE = 0.1
"""Seconds between two looks at whether to stop."""


class Reader(Protocol):
    """Turns lines into requests, each when it has ended."""

    found: Found

    def feed(self, line: bytes) -> Iterator[Recorded]:
        """The requests that end with this line."""

    def close(self) -> None:
        """Count the requests whose end has not come."""


class Until:
    """When a recording ends by itself: after so many requests or seconds, or when told to.

    Args:
        requests, seconds: None for no end.
    """

    def __init__(self, requests: int | None = None, seconds: float | None = None) -> None:
        self._requests = requests
        self._end = None if seconds is None else time.monotonic() + seconds
        self._told = threading.Event()

    def tell(self, *_: object) -> None:
        """End it."""
        self._told.set()

    def left(self, written: int) -> int | None:
        """How many more requests are written; None for all."""
        return None if self._requests is None else max(0, self._requests - written)

    def reached(self, output: Output) -> bool:
        """Whether it is to end."""
        late = self._end is not None and time.monotonic() >= self._end
        return late or self._told.is_set() or self.left(output.rows) == 0

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Within the block Ctrl-C and SIGTERM end the recording, not the program."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self.tell) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def files(sources: Sequence[Path]) -> tuple[list[Recorded], Found]:
    """The requests of files, in order of arrival, and what else was met.

    The files are all logs of one server, or all spans; they may be given in any order.

    Raises:
        UserError: if one cannot be read, or is neither; says what it needs.
    """
    kinds = {path: kind_of(head(path), str(path)) for path in sources}
    if len(set(kinds.values())) > 1:
        raise UserError("logs and spans in one recording would count requests twice: give one")
    kind = next(iter(kinds.values()))
    paths = sorted(sources, key=lambda path: path.stat().st_mtime)
    rows, found = (spans if kind == spans.NAME else vllm_log).rows_of(paths)
    return sorted(rows, key=lambda row: row.arrival_s), found


def kind_of(begin: bytes, what: str) -> str:
    """What a file is, by its beginning: the name of a format.

    Raises:
        UserError: if it is neither a log nor spans.
    """
    if spans.fits(begin):
        return spans.NAME
    if vllm_log.fits(begin) or vllm_log.has_access_lines(begin):
        return vllm_log.NAME
    raise UserError(
        f"{what} is neither a log of vLLM's server nor spans as JSON "
        "(traces of other kinds need no recording: give them to simulate as they are)"
    )


def standard_input(output: Output, until: Until) -> Reader:
    """Record standard input to its end, or until told."""
    stop = _stop(output, until)
    return _read(piped(sys.stdin.fileno(), stop), output, until)


def follow(path: Path, output: Output, until: Until) -> Reader:
    """Record a file as it grows, until told."""
    return _read(followed(path, _stop(output, until)), output, until)


def _stop(output: Output, until: Until) -> Stop:
    return lambda: until.reached(output)


def _read(pieces: Iterator[bytes], output: Output, until: Until) -> Reader:
    begin = next((piece for piece in pieces if piece.strip()), b"")
    reader: Reader = Spans() if spans.fits(begin) else VllmLog(time.time(), time.time)
    with output:
        for line in split(chain([begin], pieces)):
            rows = list(reader.feed(line))
            if rows:
                output.write(rows[: until.left(output.rows)])
            if until.reached(output):
                break
    reader.close()
    return reader


def listen(
    address: tuple[str, int], output: Output, until: Until, tell: Callable[[str], None]
) -> Spans:
    """Record the spans that are sent to ``/v1/traces``, until told.

    Raises:
        UserError: if the address is not free, a package is missing, or a row cannot be written.
    """
    protobuf()

    def write(rows: Iterable[Recorded]) -> None:
        output.write(list(rows)[: until.left(output.rows)])

    with Receiver(address, write, tell) as receiver, output:
        host, port = receiver.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        tell(f"listening for spans on http://{shown}:{port}/v1/traces")
        while not until.reached(output) and receiver.failed is None:
            time.sleep(_PAUSE)
    if receiver.failed is not None:
        raise receiver.failed
    receiver.spans.close()
    return receiver.spans
