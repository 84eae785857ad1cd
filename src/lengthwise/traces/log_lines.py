"""A line of a server's log: when it was written, and vLLM's message in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from lengthwise.workload.clients import is_whole

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# What stands before a message holds no quotes and braces: so no client's text is taken for one.
_MESSAGE = re.compile(
    r"[^'\"{}]{0,300}?(?:^|[\s\]])(?=(?:Received request|Request|Generated response) )"
)

_DATE = re.compile(
    r"(?<!\d)\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?(?!\d)"
)
_YEARLESS = re.compile(r"(?<![\d-])(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?!\d)")

_TEXTS = ("message", "msg", "log", "MESSAGE", "event")
_TIMES = ("asctime", "timestamp", "@timestamp", "time", "ts", "__REALTIME_TIMESTAMP")
"""Names that JSON logs have for them: python-json-logger, Docker, journald and others."""


NO_JSON = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What msgspec raises on bytes that are no JSON."""


class Line(NamedTuple):
    """One line.

    Attributes:
        time: seconds since 1970, or None where the line has none.
        message: from the first of vLLM's words on.
        whole: whether the time is in whole seconds.
    """

    time: float | None
    message: str
    whole: bool


class Lines:
    """Reads the lines of one server's log, in their order.

    vLLM's own times have no year: the first line's is the last one that makes it no later
    than ``latest``, and the turn of a year on the way is seen by the date falling back.

    Args:
        latest: seconds since 1970 that no line is later than.
    """

    def __init__(self, latest: float) -> None:
        self._latest = datetime.fromtimestamp(latest, UTC) + timedelta(days=1)
        self._last: datetime | None = None

    def read(self, line: bytes) -> Line | None:
        """A line that tells of a request; None for every other."""
        if b"equest " not in line and b"Generated response " not in line:
            return None
        text = line.decode(errors="replace").strip()
        logged: float | None = None
        if text.startswith("{"):
            text, logged = _unpacked(line)
        text = _COLOUR.sub("", text)
        begin = _MESSAGE.match(text)
        if begin is None:
            return None
        stamp, whole = self._stamp(begin[0])
        if logged is not None:
            stamp, whole = logged, logged.is_integer()
        return Line(stamp, text[begin.end() :], whole)

    def _stamp(self, head: str) -> tuple[float | None, bool]:
        dated = _DATE.search(head)
        if dated:
            time = _iso(dated[0])
            return time, time is not None and time.is_integer()
        plain = _YEARLESS.search(head)
        return (None if plain is None else self._yearless(*map(int, plain.groups()))), True

    def _yearless(self, month: int, day: int, hour: int, minute: int, second: int) -> float | None:
        last = self._last
        years = (
            [self._latest.year - back for back in range(9)]
            if last is None
            else [last.year, last.year + 1, last.year - 1]
        )
        parts = month, day, hour, minute, second
        moments = [moment for year in years if (moment := _moment(year, *parts)) is not None]
        if last is None:
            moments = [moment for moment in moments if moment <= self._latest]
        else:
            moments.sort(key=lambda moment: abs(moment - last))
        if not moments:
            return None
        self._last = moments[0]
        return moments[0].timestamp()


def _moment(
    year: int, month: int, day: int, hour: int, minute: int, second: int
) -> datetime | None:
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _unpacked(line: bytes) -> tuple[str, float | None]:
    """The text and the time of a JSON object; no text if it is none."""
    try:
        record = msgspec.json.decode(line)
    except NO_JSON:
        return "", None
    if not isinstance(record, dict):
        return "", None
    texts = (record[name] for name in _TEXTS if isinstance(record.get(name), str))
    times = (record[name] for name in _TIMES if record.get(name) is not None)
    return next(texts, "").strip(), _time(next(times, None))


def _time(said: Any) -> float | None:
    """A JSON log's time: ISO, or a number in the unit that makes it a date of these years."""
    if isinstance(said, str) and said.isdecimal() and len(said) < 20:
        said = int(said)
    if isinstance(said, str):
        return _iso(said)
    if not (is_whole(said) or isinstance(said, float)):
        return None
    for unit in (1.0, 1e3, 1e6, 1e9):
        if 1e8 <= said / unit < 1e10:
            return float(said / unit)
    return None
