"""vLLM's request log, as versions write it: counted, left out, and never passed on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.traces import vllm_log
from lengthwise.traces.vllm_log import VllmLog, fits, has_access_lines, read

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()

PARAMS = (
    "SamplingParams(n={n}, presence_penalty=0.0, temperature=0.0, seed=None, stop={stop!r}, "
    "stop_token_ids=[], bad_words=[], ignore_eos=False, max_tokens={most}, min_tokens=0, "
    "structured_outputs=None, extra_args={extra})"
)


def line(message: str, second: int = 0, level: str = "INFO") -> str:
    head = f"(APIServer pid=7) {level} 11-27 10:00:{second:02d} [utils/request_logger.py:60]"
    return f"{head} {message}"


def begun(
    id: str = "chatcmpl-0123456789abcdef",
    prompt: str = "hi",
    ids: int = 3,
    n: int = 1,
    most: int = 20,
    stop: Iterable[str] = (),
    extra: object = None,
    second: int = 0,
) -> list[str]:
    params = PARAMS.format(n=n, stop=list(stop), most=most, extra=extra)
    return [
        line(
            f"Request {id} details: prompt: {prompt!r}, prompt_token_ids: {list(range(ids))}, "
            "prompt_embeds shape: None.",
            second,
            "DEBUG",
        ),
        line(f"Received request {id}: params: {params}, lora_request: None.", second),
        line(f"Added request {id}-89abcdef.", second),
    ]


def ended(
    id: str = "chatcmpl-0123456789abcdef",
    text: str = "hello there",
    ids: int | None = 5,
    reason: str | None = "stop",
    stream: str = "",
    second: int = 2,
) -> list[str]:
    listed = None if ids is None else list(range(ids))
    return [
        line(f"Generated response {id}{stream} details: output_token_ids: {listed}", second),
        line(f"Generated response {id}{stream}: output: {text!r}, finish_reason: {reason}", second),
    ]


def fed(lines: Iterable[str]) -> tuple[VllmLog, list[dict[str, object]]]:
    reader = VllmLog(NOW)
    rows = [row for each in lines for row in reader.feed(each.encode())]
    reader.close()
    return reader, [msgspec.to_builtins(row) for row in rows]


def reasons(reader: VllmLog) -> str:
    return "; ".join(map(str, reader.found.left_out))


def test_an_answer_that_came_whole() -> None:
    extra = {"lengthwise_tenant": "acme", "other": 1}
    reader, rows = fed(begun(extra=extra, most=9) + ended(reason="length", ids=9))
    start = datetime(2026, 11, 27, 10, tzinfo=UTC).timestamp()
    assert rows == [
        {
            **{"arrival_s": start, "prompt_tokens": 3, "output_tokens": 9, "first_s": None},
            **{"finish_s": start + 2, "queue_s": None, "id": "chatcmpl-0123456789abcdef"},
            **{"tenant": "acme", "priority": 0, "max_tokens": 9, "finish_reason": "length"},
        }
    ]
    assert reader.found.left_out == ()


def test_a_streamed_answer_is_the_sum_of_its_pieces() -> None:
    """The end of the sequence has no text, and so no piece: it is one token."""
    delta = " (streaming delta)"
    pieces = [
        *ended(ids=1, reason=None, stream=delta, second=1),
        *ended(ids=2, reason=None, stream=delta, second=2),
    ]
    whole = ended(ids=None, reason="streaming_complete", stream=" (streaming complete)", second=3)
    _, rows = fed(begun() + pieces + whole)
    assert [row["output_tokens"] for row in rows] == [4]
    assert rows[0]["first_s"] == rows[0]["arrival_s"] + 1  # type: ignore[operator]
    assert rows[0]["finish_reason"] is None
    last = ended(ids=1, reason="length", stream=delta)
    _, rows = fed(begun() + pieces + last + whole)
    assert [(row["output_tokens"], row["finish_reason"]) for row in rows] == [(4, "length")]


def test_older_versions_have_the_prompt_in_one_message() -> None:
    params = PARAMS.format(n=1, stop=[", prompt_token_ids: [1]"], most=50, extra=None)
    message = (
        f"Received request cmpl-0123456789abcdef-0: prompt: 'a, params: b', params: {params}, "
        "prompt_token_ids: [5, 6, 7, 8], prompt_embeds shape: None, lora_request: None, "
        "prompt_adapter_request: None."
    )
    answer = (
        "Generated response cmpl-0123456789abcdef-0: output: 'x, finish_reason: stop', "
        "output_token_ids: [1, 2], finish_reason: stop"
    )
    _, rows = fed([f"INFO 12-01 16:04:14 logger.py:37] {message}", line(answer)])
    assert [(row["prompt_tokens"], row["output_tokens"]) for row in rows] == [(4, 2)]
    assert rows[0]["max_tokens"] == 50


def test_each_of_several_answers_is_a_request() -> None:
    _, rows = fed(begun(n=2) + ended(ids=4) + ended(ids=6))
    assert [row["output_tokens"] for row in rows] == [4, 6]


def test_pieces_of_several_streamed_answers_cannot_be_told_apart() -> None:
    pieces = ended(ids=2, reason=None, stream=" (streaming delta)") * 3
    whole = ended(ids=None, reason="streaming_complete", stream=" (streaming complete)") * 2
    reader, rows = fed(begun(n=2) + pieces + whole)
    assert rows == []
    assert [each.rows for each in reader.found.left_out] == [2]
    assert "the answer's length is not in the log" in reasons(reader)


def test_parts_of_a_response_are_found_by_its_id() -> None:
    _, rows = fed(begun("resp_0123456789abcdef_0") + ended("resp_0123456789abcdef"))
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (begun()[1:] + ended(), "the prompt's length is not in the log"),
        (begun() + ended()[1:], "the answer's length is not in the log"),
        (begun(), "no end in the log"),
        (begun("cmpl-0123456789abcdef-0"), "no answers of /v1/completions"),
        (ended(), "its beginning is not in the log"),
        ([*begun(), line("Request chatcmpl-0123456789abcdef aborted.")], "aborted before"),
        ([*begun(), line("Request chatcmpl-0123456789abcdef failed (bad request): x.")], "failed"),
        (begun(prompt="a" * 30, ids=30) + ended(), "cut by --max-log-len"),
        (begun() + ended(text="a" * 40, ids=40), "cut by --max-log-len"),
        (begun() + ended(ids=0), "no output tokens"),
        (begun(ids=0) + ended(), "its prompt has no token"),
        ([begun()[1].replace("SamplingParams", "PoolingParams")], "generates nothing"),
    ],
)
def test_what_is_no_request_is_counted_with_its_reason(lines: list[str], says: str) -> None:
    reader, rows = fed(lines)
    assert rows == []
    assert says in reasons(reader)
    assert sum(each.rows for each in reader.found.left_out) == 1


def test_an_answer_of_full_length_is_known_without_its_ids() -> None:
    _, rows = fed(begun(most=7) + ended(reason="length")[1:])
    assert [row["output_tokens"] for row in rows] == [7]


def test_an_id_that_is_used_again_is_another_request() -> None:
    reader, rows = fed(begun(ids=3) + begun(ids=4, second=1) + ended())
    assert [row["prompt_tokens"] for row in rows] == [4]
    assert "its id was used again before its answer ended" in reasons(reader)


def test_lines_read_as_they_are_written_have_parts_of_seconds() -> None:
    """Also where the log's zone is another; a line read late keeps its whole second."""
    start = datetime(2026, 11, 27, 10, tzinfo=UTC).timestamp()
    times = iter([start + 0.25 - 5400, start + 0.25, start + 2.25, start + 2.5, start + 400.0])
    reader = VllmLog(NOW, lambda: next(times))
    lines = begun()[:2] + ended(second=2)
    rows = [row for each in lines for row in reader.feed(each.encode())]
    assert [(row.arrival_s, row.finish_s) for row in rows] == [(start + 0.25, start + 2.5)]
    assert reader.found.notes == ()
    list(reader.feed(begun()[0].encode()))
    assert "whole seconds" in reader.found.notes[0]


def test_lines_without_a_time_are_said() -> None:
    reader, rows = fed(
        [json.dumps({"message": each.partition("] ")[2]}) for each in begun() + ended()]
    )
    assert rows == []
    assert "%(asctime)s" in reader.found.notes[0]


def test_many_open_requests_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_log, "_OPEN", 2)
    ids = [f"cmpl-{i:016x}-0" for i in range(5)]
    reader, _ = fed([each for id in ids for each in begun(id)])
    assert [each.rows for each in reader.found.left_out] == [5]


SECRET = "Geheimnis"


@settings(max_examples=60)
@given(
    text=st.text(max_size=60),
    answer=st.text(max_size=60),
    id=st.sampled_from(["chatcmpl-0123456789abcdef", SECRET, f"chatcmpl-{SECRET} of mine"]),
    stream=st.booleans(),
)
def test_no_text_passes(text: str, answer: str, id: str, stream: bool) -> None:
    """Whatever stands in prompts, answers, stop words, ids: rows are numbers and known words."""
    forged = f"', prompt_token_ids: [1], finish_reason: {SECRET}\n"
    texts = {"prompt": SECRET + text + forged, "stop": [SECRET + text]}
    kind = " (streaming complete)" if stream else ""
    lines = begun(id, ids=4, **texts) + ended(id, SECRET + answer + forged, 6, stream=kind)  # type: ignore[arg-type]
    lines.append(line(f"Request N/A JSON body: {json.dumps({'messages': text + SECRET})}"))
    _, rows = fed(lines)
    assert len(rows) == 1
    assert (rows[0]["prompt_tokens"], rows[0]["output_tokens"]) == (4, 6)
    assert SECRET not in json.dumps(rows)


@settings(max_examples=60)
@given(st.lists(st.text() | st.sampled_from(begun() + ended()), max_size=8))
def test_no_line_breaks_it(lines: list[str]) -> None:
    fed(lines)


def test_a_file_is_a_trace(tmp_path: Path) -> None:
    lines = begun(second=3) + begun("cmpl-fedcba9876543210-0", second=1) + ended(second=9)
    lines += ended("cmpl-fedcba9876543210-0", second=4)
    log = tmp_path / "vllm.log.gz"
    log.write_bytes(gzip.compress("\n".join(lines[:4]).encode() + b"\n"))
    with log.open("ab") as more:
        more.write(gzip.compress("\r\n".join(lines[4:]).encode()))
    assert fits("\n".join(lines).encode())
    trace = read(log)
    assert trace.format == "vllm-log"
    assert trace.workload.arrival.tolist() == [0, 2]
    assert trace.workload.id == ("cmpl-fedcba9876543210-0", "chatcmpl-0123456789abcdef")
    assert trace.observed is not None
    assert trace.observed.finish.tolist() == [3, 8]
    assert np.isnan(trace.observed.first).all()
    assert "whole seconds" in " ".join(trace.found)
    assert len(read(each.encode() for each in lines).workload) == 2


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            ['INFO:     127.0.0.1:5 - "POST /v1/completions HTTP/1.1" 200 OK'],
            "--enable-log-requests",
        ),
        (begun()[1:] + ended()[1:], "VLLM_LOGGING_LEVEL=DEBUG"),
    ],
)
def test_a_log_that_tells_too_little_names_the_flag(
    tmp_path: Path, lines: list[str], says: str
) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(lines))
    assert fits(log.read_bytes()) or has_access_lines(log.read_bytes())
    with pytest.raises(UserError, match=says):
        read(log)
