"""Which of a file's requests are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from lengthwise.errors import UserError
from lengthwise.traces import Selection, Trace, read_trace

DAY = "".join(f"2026-01-05T10:00:0{second}+01:00,{second + 1},2\n" for second in (3, 0, 1, 2, 4, 5))
DATED = "created_at,prompt_tokens,output_tokens\n" + DAY
PLAIN = "t_s,prompt_tokens,output_tokens\n" + "".join(f"{7 + i},{i + 1},2\n" for i in range(6))


def read(tmp_path: Path, text: str, **said: object) -> Trace:
    path = tmp_path / "t.csv"
    path.write_text(text)
    return read_trace(path, Selection(**said))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [DATED, PLAIN])
def test_a_window_in_seconds(tmp_path: Path, text: str) -> None:
    trace = read(tmp_path, text, start="1", end=4)
    assert trace.workload.prompt.tolist() == [2, 3, 4]
    assert trace.workload.arrival.tolist() == [0, 1, 2]
    assert {each.reason: each.rows for each in trace.left_out} == {
        "before --from": 1,
        "from --to on": 2,
    }
    assert trace.rows == 6
    assert trace.workload.dropped == 3


@pytest.mark.parametrize("start", ["2026-01-05T09:00:01Z", "2026-01-05 10:00:01+01:00"])
def test_a_window_in_dates(tmp_path: Path, start: str) -> None:
    trace = read(tmp_path, DATED, start=start, end="2026-01-05 09:00:04")
    assert trace.workload.prompt.tolist() == [2, 3, 4]


def test_dates_for_times_since_1970(tmp_path: Path) -> None:
    text = "ts,prompt_tokens,output_tokens\n" + "".join(
        f"{1767603600000 + 1000 * i},{i + 1},2\n" for i in range(4)
    )
    trace = read(tmp_path, text, start="2026-01-05T09:00:02Z")
    assert trace.workload.prompt.tolist() == [3, 4]


def test_the_first_requests_keep_their_times(tmp_path: Path) -> None:
    trace = read(tmp_path, DATED, start=1, requests=2)
    assert trace.workload.arrival.tolist() == [0, 1]
    assert trace.workload.rate == 1
    assert {each.reason: each.rows for each in trace.left_out} == {
        "before --from": 1,
        "after the first 2 (--requests)": 3,
    }


def test_fewer_requests_than_asked_for_is_said(tmp_path: Path) -> None:
    trace = read(tmp_path, PLAIN, requests=9)
    assert len(trace.workload) == 6
    assert any("fewer than --requests 9" in said for said in trace.found)


@pytest.mark.parametrize(
    ("text", "said", "message"),
    [
        (PLAIN, {"start": "2026-01-05"}, "--from takes seconds since the first request"),
        (PLAIN, {"start": "2026-01-05T10:00:00Z"}, "has no dates: give seconds"),
        (PLAIN, {"start": 99}, "no requests between --from and --to: its times go from 0 to 5 s"),
        ("prompt_tokens,output_tokens\n1,2\n", {"end": 5}, "has no times: --from and --to"),
        (PLAIN, {"requests": 0}, "--requests must be at least 1"),
        (PLAIN, {"time_unit": "h"}, "--time-unit is one of s, ms, us, ns"),
    ],
)
def test_what_is_no_window_is_refused(
    tmp_path: Path, text: str, said: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, text, **said)
