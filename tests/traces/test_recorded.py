"""The file that is written, and the trace that recorded rows make."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from lengthwise.errors import UserError
from lengthwise.traces.recorded import Found, Output, Recorded, safe_id, trace_of


def row(arrival: float, **more: object) -> Recorded:
    return Recorded(arrival_s=arrival, prompt_tokens=3, output_tokens=5, **more)  # type: ignore[arg-type]


def test_the_file_is_its_owners_and_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "trace.jsonl"
    before = os.umask(0)
    try:
        with Output(out, append=False) as output:
            output.write([row(1.5, tenant="acme"), row(2.5)])
            assert output.rows == 2
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with pytest.raises(UserError, match="there already"):
        Output(out, append=False)
    with Output(out, append=True) as output:
        output.write([row(3.5)])
        assert output.rows == 1
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["arrival_s"] for line in lines] == [1.5, 2.5, 3.5]
    assert [line["tenant"] for line in lines] == ["acme", None, None]


def test_a_cut_line_is_not_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "trace.jsonl"
    out.write_text('{"arrival_s": 1')
    with pytest.raises(UserError, match="cut off"):
        Output(out, append=True)


def test_a_full_disk_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with (
        Output(Path("/dev/full"), append=True) as output,
        pytest.raises(UserError, match="cannot be written"),
    ):
        output.write([row(1.0)])


@pytest.mark.parametrize(
    "id",
    [
        *("chatcmpl-0123456789abcdef", "cmpl-0123456789abcdef0123456789abcdef-0"),
        *("resp_0123456789abcdef_0", "chatcmpl-01234567-89ab-cdef-0123-456789abcdef"),
    ],
)
def test_ids_that_vllm_makes_are_kept(id: str) -> None:
    assert safe_id(id) == id


@pytest.mark.parametrize("id", ["chatcmpl-my words", "chatcmpl-secret", "Ünïcode", "", "a" * 500])
def test_ids_that_may_be_texts_are_hashed(id: str) -> None:
    assert safe_id(id).startswith("client-")
    assert safe_id(id) == safe_id(id)
    assert len(safe_id(id)) == 23


def test_rows_become_a_trace() -> None:
    found = Found()
    found.leave_out("aborted", 2)
    found.leave_out("nothing", 0)
    found.note("once")
    found.note("once")
    rows = [row(7.0, first_s=8.0, id="b", tenant="acme", priority=-1), row(5.0, id="a")]
    trace = trace_of(rows, found, "spans", Path("some.jsonl"))
    assert trace.workload.arrival.tolist() == [0, 2]
    assert trace.workload.id == ("a", "b")
    assert trace.workload.tenant == (None, "acme")
    assert trace.workload.priority.tolist() == [0, -1]
    assert (trace.workload.name, trace.workload.dropped, trace.rows) == ("some", 2, 4)
    assert trace.found == ("once",)
    assert trace.observed is not None
    assert trace.observed.first[1] == 3
    assert trace_of([row(1.0)], found, "spans", Path("x")).observed is None
    with pytest.raises(UserError, match="no requests in it: 2 rows left out: aborted; once"):
        trace_of([], found, "spans", Path("x"))
