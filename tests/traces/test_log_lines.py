"""Times and messages in lines of a log."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from lengthwise.traces.log_lines import Lines

LATEST = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
SAID = "Request chatcmpl-1 aborted."
EXACT = datetime(2026, 2, 28, 10, 0, 1, 500_000, tzinfo=UTC).timestamp()


def test_years_turn_on_the_way() -> None:
    lines = Lines(LATEST)
    moments = []
    for date in ("12-31 23:59:59", "01-01 00:00:01", "12-31 23:59:58", "02-28 10:00:00"):
        read = lines.read(f"(APIServer pid=1) INFO {date} [x.py:1] {SAID}".encode())
        assert read is not None
        assert read.time is not None
        moments.append(datetime.fromtimestamp(read.time, UTC).strftime("%Y-%m-%d"))
    assert moments == ["2025-12-31", "2026-01-01", "2025-12-31", "2026-02-28"]


@pytest.mark.parametrize(
    "line",
    [
        f"2026-02-28T10:00:01.500000000Z (APIServer pid=1) INFO 02-28 10:00:01 [x.py:1] {SAID}",
        f"2026-02-28T11:00:01.5+01:00 stderr F INFO 02-28 10:00:01 [x.py:1] {SAID}",
        f"2026-02-28 10:00:01,500 INFO {SAID}",
        f"\x1b[0;36m(APIServer pid=1)\x1b[0;0m INFO \x1b[90m2026-02-28 10:00:01.5\x1b[0m {SAID}",
        json.dumps({"asctime": "2026-02-28 10:00:01,500", "levelname": "INFO", "message": SAID}),
        json.dumps({"log": f"INFO 02-28 10:00:01 [x] {SAID}\n", "time": "2026-02-28T10:00:01.5Z"}),
        json.dumps({"MESSAGE": SAID, "__REALTIME_TIMESTAMP": str(int(EXACT * 1e6))}),
        json.dumps({"msg": SAID, "ts": EXACT}),
    ],
)
def test_times_as_loggers_write_them(line: str) -> None:
    read = Lines(LATEST).read(line.encode())
    assert read is not None
    assert (read.message, read.time, read.whole) == (SAID, EXACT, False)


@pytest.mark.parametrize(
    "line",
    [
        'INFO:     127.0.0.1:5 - "POST /v1/completions HTTP/1.1" 200 OK',
        "INFO 02-28 10:00:01 [x.py:1] Engine 000: Running: 0 reqs",
        f"INFO 02-28 10:00:01 [x.py:1] what a client said: '{SAID}'",
        '{"message": "Request',
        '["Request x aborted."]',
    ],
)
def test_other_lines_are_none(line: str) -> None:
    assert Lines(LATEST).read(line.encode()) is None


def test_a_line_without_a_time() -> None:
    for line in (SAID, json.dumps({"message": SAID}), f"INFO 13-45 10:00:01 [x.py:1] {SAID}"):
        read = Lines(LATEST).read(line.encode())
        assert read is not None
        assert read.time is None


def test_the_leap_day_is_of_a_year_that_has_one() -> None:
    read = Lines(LATEST).read(f"INFO 02-29 10:00:01 [x.py:1] {SAID}".encode())
    assert read is not None
    assert read.time == datetime(2024, 2, 29, 10, 0, 1, tzinfo=UTC).timestamp()
