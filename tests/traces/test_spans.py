"""Spans of vLLM's requests, in the shapes of the tools that keep them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.traces import spans
from lengthwise.traces.spans import Spans, fits, read

START = 1_790_000_000.25
SAID: dict[str, Any] = {
    "gen_ai.latency.time_to_first_token": 0.5,
    "gen_ai.latency.e2e": 2.25,
    "gen_ai.latency.time_in_queue": 0.125,
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.usage.completion_tokens": 34,
    "gen_ai.request.id": "chatcmpl-0123456789abcdef",
    "gen_ai.request.max_tokens": 64,
    "gen_ai.request.temperature": 0.7,
}
ROW = {
    **{"arrival_s": START, "prompt_tokens": 12, "output_tokens": 34, "first_s": START + 0.5},
    **{"finish_s": START + 2.25, "queue_s": 0.125, "id": "chatcmpl-0123456789abcdef"},
    **{"tenant": None, "priority": 0, "max_tokens": 64, "finish_reason": None},
}


def typed(value: object) -> dict[str, object]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def otlp_span(said: dict[str, Any] = SAID, name: str = "llm_request", id: str = "b7") -> Any:
    return {
        **{"name": name, "traceId": "a1", "spanId": id, "kind": 2},
        **{"startTimeUnixNano": str(int(START * 1e9)), "endTimeUnixNano": "1790000002500000000"},
        "attributes": [{"key": key, "value": typed(value)} for key, value in said.items()],
    }


def otlp(*own: Any) -> dict[str, Any]:
    scopes = [{"scope": {"name": "vllm.llm_engine"}, "spans": list(own or (otlp_span(),))}]
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": scopes}]}


def jaeger() -> dict[str, Any]:
    tags = [{"key": key, "type": "any", "value": value} for key, value in SAID.items()]
    times = {"startTime": int(START * 1e6), "duration": 2_250_000}
    span = {"traceID": "a1", "spanID": "b7", "operationName": "llm_request", **times, "tags": tags}
    return {"data": [{"traceID": "a1", "spans": [span], "processes": {}}]}


def zipkin() -> list[dict[str, Any]]:
    times = {"timestamp": int(START * 1e6), "duration": 2_250_000}
    tags = {key: str(value) for key, value in SAID.items()}
    return [{"traceId": "a1", "id": "b7", "name": "llm_request", **times, "tags": tags}]


def console() -> dict[str, Any]:
    times = {"start_time": "2026-09-21T14:13:20.250000Z", "end_time": "2026-09-21T14:13:22.5Z"}
    return {"name": "llm_request", "context": {"trace_id": "0xa1"}, **times, "attributes": SAID}


def tempo() -> dict[str, Any]:
    return {"batches": otlp()["resourceSpans"]}


def older() -> dict[str, Any]:
    return {"resourceSpans": [{"instrumentationLibrarySpans": [{"spans": [otlp_span()]}]}]}


SHAPES = [otlp, jaeger, zipkin, console, tempo, older, lambda: {"trace": otlp()}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_tells_the_same(shape: Any, indent: int | None, tmp_path: Path) -> None:
    file = tmp_path / "spans"
    file.write_bytes(gzip.compress(json.dumps(shape(), indent=indent).encode()))
    assert fits(json.dumps(shape()).encode())
    rows, found = spans.rows_of([file])
    assert [msgspec.to_builtins(row) for row in rows] == [ROW]
    assert found.left_out == ()


def test_a_file_of_the_collector_is_a_trace(tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    late = otlp_span(id="c8") | {"startTimeUnixNano": str(int((START + 3) * 1e9))}
    failed = otlp_span(SAID | {"gen_ai.usage.completion_tokens": 0}, id="d9")
    documents = [otlp(late), otlp(), otlp(), otlp(failed, otlp_span({}, "other", "e1"))]
    file.write_text("".join(json.dumps(each) + "\n" for each in documents))
    trace = read(file)
    assert trace.workload.arrival.tolist() == [0, 3]
    assert trace.observed is not None
    assert trace.observed.first.tolist() == [0.5, 3.5]
    assert {each.reason: each.rows for each in trace.left_out} == {
        "the same span again": 1,
        "no output tokens (failed or aborted)": 1,
    }
    assert trace.rows == 4
    assert read(file.read_bytes().splitlines()).workload.output.tolist() == [34, 34]
    assert trace.found == ("1 spans are no requests (not named llm_request)",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"resourceSpans": [', "is no JSON"),
        (json.dumps(otlp(otlp_span({}, "other"))), "1 spans are no requests"),
        (json.dumps(otlp(otlp_span({}))), "without a time or without their tokens"),
        ("{}", "no requests in it: empty"),
    ],
)
def test_files_without_requests_are_refused(content: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    file.write_text(content)
    with pytest.raises(UserError, match=says):
        read(file)


def test_what_spans_are_known_again_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_REMEMBERED", 3)
    reader = Spans()
    rows = [row for i in (*range(5), 4, 0) for row in reader.take(otlp(otlp_span(id=f"{i:02x}")))]
    assert len(rows) == 6  # the last one was forgotten


def test_exports_with_ids_of_traces_are_no_spans() -> None:
    assert not fits(b'{"traceId": "a1", "prompt_tokens": 5, "completion_tokens": 6}')
    assert not fits(b'{"trace_id": "a1", "spans": 5}')
    assert not fits(b'traceId,"resourceSpans": 1')


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("resourceSpans", "scopeSpans", "spans", "name", "startTimeUnixNano", "key"),
                    *("attributes", "value", "intValue", "data", "tags", "timestamp", "start_time"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(JSONS)
def test_no_document_breaks_it(document: object) -> None:
    list(Spans().take(document))


@settings(max_examples=150)
@given(st.sampled_from(sorted(SAID)), JSONS)
def test_no_attribute_breaks_it(name: str, value: object) -> None:
    """Rows are numbers, and an id that is safe to write, whatever the attributes hold."""
    document = console() | {"attributes": SAID | {name: value}}
    for row in Spans().take(document):
        msgspec.json.decode(msgspec.json.encode(row), type=type(row))
        assert row.output_tokens >= 1
        assert (
            row.id is None
            or row.id.startswith(("chatcmpl-0123456789abcdef", "client-"))
            or (all(each in "0123456789abcdef-_" for each in row.id))
        )
