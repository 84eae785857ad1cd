"""A small file of each format, and of its relatives, as text."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.traces import Selection, Trace, read_trace
from lengthwise.traces.formats import FORMATS, NAMES


def lines(*objects: Any) -> str:
    return "".join(json.dumps(each) + "\n" for each in objects)


AIPERF = lines(
    *(
        {
            "metadata": {
                "request_start_ns": 1_759_813_207_500_000_000 + 10**9 * i,
                "request_end_ns": 1_759_813_208_000_000_000 + 10**9 * i,
                "benchmark_phase": "profiling",
                "was_cancelled": False,
            },
            "metrics": {
                "input_sequence_length": {"value": 55 + i, "unit": "tokens"},
                "output_sequence_length": {"value": 9, "unit": "tokens"},
                "time_to_first_token": {"value": 250.0, "unit": "ms"},
                "request_latency": {"value": 500.0, "unit": "ms"},
            },
            "error": None,
        }
        for i in range(2)
    ),
    {
        "metadata": {"request_start_ns": 1_759_813_219_000_000_000, "was_cancelled": True},
        "metrics": {"error_isl": {"value": 5, "unit": "tokens"}},
        "error": {"code": 499, "type": "RequestCancellationError"},
    },
)

GUIDELLM = json.dumps(
    {
        "benchmarks": [
            {
                "requests": {
                    "successful": [
                        {
                            "request_id": "a",
                            "prompt_tokens": 12,
                            "output_tokens": 5,
                            "start_time": 1_700_000_000.0,
                            "first_token_time": 1_700_000_000.5,
                            "end_time": 1_700_000_001.0,
                            "output": "some text",
                        },
                        {
                            "request_id": "b",
                            "prompt_tokens": 40,
                            "output_tokens": 8,
                            "start_time": 1_700_000_001.5,
                            "first_token_time": 1_700_000_002.0,
                            "end_time": 1_700_000_003.0,
                        },
                    ],
                    "incomplete": [{"prompt_tokens": 3}],
                    "errored": [],
                }
            }
        ]
    }
)

BENCH_RESULT = json.dumps(
    {
        "completed": 2,
        "total_input_tokens": 61,
        "input_lens": [12, 40, 9],
        "output_lens": [5, 8, 0],
        "start_times": [100.0, 101.5, 102.0],
        "ttfts": [0.5, 0.25, 0.0],
        "itls": [[0.25, 0.25], [0.5], []],
        "errors": ["", "", "Connection reset"],
    },
    indent=1,
)

REQUESTS = lines(
    {
        "id": "p:1", "arrival": 0.0, "first": 0.5, "finish": 1.0, "longest_gap": 0.1,
        "tokens": 5, "prompt_tokens": 12, "tenant": "acme", "priority": 0,
    },
    {
        "id": "p:2", "arrival": 1.5, "first": 2.0, "finish": 2.5, "longest_gap": 0.1,
        "tokens": 8, "prompt_tokens": 40, "tenant": None, "priority": 0,
    },
    {
        "id": "p:3", "arrival": 2.0, "first": None, "finish": None, "longest_gap": 0.0,
        "tokens": 0, "prompt_tokens": 9, "tenant": None, "priority": 0,
    },
)  # fmt: skip

BATCH_OUT = lines(
    *(
        {
            "custom_id": f"r-{i}",
            "response": {
                "status_code": 200,
                "body": {
                    "created": 1_700_000_000 + i,
                    "usage": {"prompt_tokens": prompt, "completion_tokens": output},
                },
            },
            "error": None,
        }
        for i, (prompt, output) in enumerate([(12, 5), (40, 8)])
    )
)

LITELLM = (
    "request_id,startTime,completionStartTime,endTime,prompt_tokens,completion_tokens,status\n"
    "r1,2026-01-05T09:00:00.000Z,2026-01-05T09:00:00.500Z,2026-01-05T09:00:01Z,12,5,success\n"
    "r2,2026-01-05T10:00:01.500+01:00,2026-01-05T09:00:02Z,2026-01-05T09:00:03Z,40,8,success\n"
    "r3,2026-01-05T09:00:02Z,,,9,,failure\n"
)
OPENROUTER = (
    "generation_id,created_at,tokens_prompt,tokens_completion,generation_time_ms,cancelled\n"
    "g1,2026-01-05 09:00:00.000,12,5,1000,false\n"
    "g2,2026-01-05 09:00:01.500,40,8,1500,false\n"
    "g3,2026-01-05 09:00:02.000,40,3,1500,true\n"
)
HELICONE = lines(
    {"requestCreatedAt": "2026-01-05 09:00:00+00", "promptTokens": 12, "completionTokens": 5,
     "delayMs": 1000, "status": 200},
    {"requestCreatedAt": "2026-01-05 09:00:01.5+00", "promptTokens": 40, "completionTokens": 8,
     "delayMs": 1500, "status": 200},
    {"requestCreatedAt": "2026-01-05 09:00:02+00", "promptTokens": 9, "completionTokens": None,
     "delayMs": 3, "status": 500},
)  # fmt: skip
NESTED = lines(
    {"created": 1_700_000_000, "model": "m", "usage": {"prompt_tokens": 12, "completion_tokens": 5,
     "prompt_tokens_details": {"cached_tokens": 8}}},
    {"created": 1_700_000_001.5, "model": "m", "usage": {"prompt_tokens": 40,
     "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 0}}},
)  # fmt: skip

TIMES = [0.0, 1.5]
FILES: dict[str, tuple[str, str, list[float] | None, int]] = {
    "azure of 2025": (
        "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n"
        "2024-10-15T12:00:00.2500000Z,2,12,5\n2024-10-15T12:00:01.75Z,0,40,8\n",
        "azure",
        TIMES,
        0,
    ),
    "azure in seconds": (
        "t_s,prompt_tokens,output_tokens\n2,12,5\n3.5,40,8\n",
        "azure",
        TIMES,
        0,
    ),
    "burstgpt": (
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,m,12,5,17,API log\n6.5,m,40,8,48,API log\n7,m,40,0,40,API log\n",
        "burstgpt",
        TIMES,
        1,
    ),
    "mooncake's later turns": (
        lines(
            {"timestamp": 500, "input_length": 12, "output_length": 5, "hash_ids": [0]},
            {"timestamp": 2000, "input_length": 40, "output_length": 8, "hash_ids": [0]},
            {"delay": 500, "input_length": 600, "output_length": 8, "hash_ids": [0, 1]},
        ),
        "mooncake",
        TIMES,
        1,
    ),
    "small blocks in whole seconds": (
        lines(
            {"timestamp": 7, "input_length": 12, "output_length": 5, "hash_ids": [0]},
            {"timestamp": 37, "input_length": 40, "output_length": 8, "hash_ids": [0, 1, 2]},
            {"timestamp": 52, "input_length": 40, "output_length": 0, "hash_ids": [0, 1, 2]},
        ),
        "mooncake",
        [0.0, 30.0],
        1,
    ),
    "bailian's whole seconds": (
        lines(
            {"chat_id": 5, "parent_chat_id": -1, "timestamp": 0, "input_length": 12,
             "output_length": 5, "type": "text", "turn": 1, "hash_ids": [0]},
            {"chat_id": 6, "parent_chat_id": 5, "timestamp": 300, "input_length": 40,
             "output_length": 8, "type": "text", "turn": 2, "hash_ids": [0, 1, 2]},
        ),
        "mooncake",
        [0.0, 300.0],
        0,
    ),
    "mooncake in a csv": (
        "timestamp,input_length,output_length,hash_ids\n"
        '0,12,5,"[1]"\n1500,40,8,"[1]"\n',
        "mooncake",
        TIMES,
        0,
    ),
    "guidellm's traces": (
        lines(
            {"timestamp": 0, "input_length": 12, "output_length": 5},
            {"timestamp": 1.5, "input_length": 40, "output_length": 8},
        ),
        "guidellm",
        TIMES,
        0,
    ),
    "guidellm's results": (GUIDELLM, "guidellm-result", TIMES, 1),
    "baseten in lines": (
        lines(
            {"timestamp_start_unix_ms": 1_700_000_000_000, "input_tokens": 12,
             "output_tokens": 5, "total_hashes": [7]},
            {"timestamp_start_unix_ms": 1_700_000_001_500, "input_tokens": 40,
             "output_tokens": 8, "total_hashes": [8, 9, 10]},
        ),
        "baseten",
        TIMES,
        0,
    ),
    "baseten with its block size": (
        lines(
            {"timestamp_start_unix_ms": 10, "input_tokens": 12, "output_tokens": 5,
             "total_hashes": [7, 8], "block_size": 64, "duration_e2e_ms": 900.0},
            {"timestamp_start_unix_ms": 1510, "input_tokens": 40, "output_tokens": 8,
             "total_hashes": [7, 9], "block_size": 64, "duration_e2e_ms": 800.0},
        ),
        "baseten",
        TIMES,
        0,
    ),
    "vidur": (
        "arrived_at,num_prefill_tokens,num_decode_tokens,pd_ratio\n0,12,5,2.4\n1.5,40,8,5\n",
        "vidur",
        TIMES,
        0,
    ),
    "llmservingsim": (
        lines(
            {"input_toks": 12, "output_toks": 5, "arrival_time_ns": 10, "input_tok_ids": [1]},
            {"input_toks": 40, "output_toks": 8, "arrival_time_ns": 1_500_000_010},
        ),
        "llmservingsim",
        TIMES,
        0,
    ),
    "vllm bench": (BENCH_RESULT, "vllm-bench", TIMES, 1),
    "vllm bench on a line": (json.dumps(json.loads(BENCH_RESULT)), "vllm-bench", TIMES, 1),
    "aiperf": (AIPERF.replace("213219", "213219"), "aiperf", [0.0, 1.0], 1),
    "our requests": (REQUESTS, "lengthwise", TIMES, 1),
    "a batch's output": (BATCH_OUT, "openai-batch", None, 0),
    "litellm": (LITELLM, "plain", TIMES, 1),
    "openrouter": (OPENROUTER, "plain", TIMES, 1),
    "helicone": (HELICONE, "plain", TIMES, 1),
    "langfuse": (
        lines(
            {"timestamp": "2026-01-05T09:00:00Z", "usage": {"input": 12, "output": 5}},
            {"timestamp": "2026-01-05T09:00:01.5Z", "usage": {"input": 40, "output": 8}},
        ),
        "plain",
        TIMES,
        0,
    ),
    "nested usage": (NESTED, "plain", TIMES, 0),
    "epoch milliseconds": (
        "timestamp,input_tokens,output_tokens\n1700000000000,12,5\n1700000001500,40,8\n",
        "plain",
        TIMES,
        0,
    ),
    "epoch nanoseconds": (
        "ts,n_prompt_tokens,n_generated_tokens\n1700000000000000000,12,5\n"
        "1700000001500000000,40,8\n",
        "plain",
        TIMES,
        0,
    ),
    "no times": ("prompt_len,output_len\n12,5\n40,8\n", "plain", None, 0),
}  # fmt: skip
"""Text, format, arrivals, rows left out."""


def read(tmp_path: Path, text: str | bytes, selection: Selection | None = None) -> Trace:
    path = tmp_path / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_trace(path, selection)


@pytest.mark.parametrize("name", FILES)
def test_each_format_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    text, format, arrival, left_out = FILES[name]
    trace = read(tmp_path, text)
    assert trace.format == format
    assert trace.timed == (arrival is not None)
    assert trace.workload.arrival == pytest.approx(arrival or [0, 0], abs=1e-6)
    assert trace.workload.output.tolist() == ([9, 9] if name == "aiperf" else [5, 8])
    assert sum(each.rows for each in trace.left_out) == left_out
    assert trace.rows == 2 + left_out


OBSERVED = {
    "guidellm's results": ([0.5, 2.0], [1.0, 3.0]),
    "vllm bench": ([0.5, 1.75], [1.0, 2.25]),
    "aiperf": ([0.25, 1.25], [0.5, 1.5]),
    "our requests": ([0.5, 2.0], [1.0, 2.5]),
    "litellm": ([0.5, 2.0], [1.0, 3.0]),
    "openrouter": (None, [1.0, 3.0]),
    "helicone": (None, [1.0, 3.0]),
}


@pytest.mark.parametrize("name", OBSERVED)
def test_times_of_answers_are_observed(tmp_path: Path, name: str) -> None:
    observed = read(tmp_path, FILES[name][0]).observed
    assert observed is not None
    first, finish = OBSERVED[name]
    assert observed.finish == pytest.approx(finish, abs=1e-5)
    if first is not None:
        assert observed.first == pytest.approx(first, abs=1e-5)


def test_ids_and_tenants_of_our_own_requests(tmp_path: Path) -> None:
    workload = read(tmp_path, REQUESTS).workload
    assert workload.id == ("p:1", "p:2")
    assert workload.tenant == ("acme", None)


def test_cached_tokens_are_the_prefix(tmp_path: Path) -> None:
    assert read(tmp_path, NESTED).workload.prefix.tolist() == [8, 0]


def test_dates_in_parquet(tmp_path: Path) -> None:
    out = io.BytesIO()
    moments = [datetime(2026, 1, 5, 9, 0, s, us, tzinfo=UTC) for s, us in ((0, 0), (1, 500_000))]
    rows = {"created_at": moments, "promptTokens": [12, 40], "completionTokens": [5, 8]}
    pl.DataFrame(rows).write_parquet(out)
    assert read(tmp_path, out.getvalue()).workload.arrival == pytest.approx(TIMES)


def test_a_result_without_its_requests_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--save-detailed"):
        read(tmp_path, json.dumps({"completed": 5, "total_input_tokens": 99}))


def test_of_appended_results_the_last_is_read(tmp_path: Path) -> None:
    one = json.loads(BENCH_RESULT)
    trace = read(tmp_path, lines({**one, "input_lens": [1, 1, 1]}, one))
    assert trace.workload.prompt.tolist() == [12, 40]
    assert "2 results in the file: the last was read" in trace.found


def test_columns_that_nobody_foresaw(tmp_path: Path) -> None:
    text = "when;in;out;who;took\n2026-01-05 09:00:00;12;5;acme;1,5\n2026-01-05 09:00:01;40;8;;2\n"
    mapped = {"arrival": "when", "prompt": "in", "output": "out", "tenant": "who"}
    trace = read(tmp_path, text, Selection(column_map={**mapped, "latency": "took"}))
    assert trace.workload.prompt.tolist() == [12, 40]
    assert trace.workload.tenant == ("acme", None)
    assert trace.observed is not None
    assert trace.observed.finish == pytest.approx([1.5, 3.0])


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no column 'nope' for output: it has a, b"):
        read(tmp_path, "a,b\n1,2\n", Selection(column_map={"prompt": "a", "output": "nope"}))


def test_flags_override_what_is_found(tmp_path: Path) -> None:
    text = lines(
        {"timestamp": 0, "input_length": 1300, "output_length": 5, "hash_ids": [0, 1, 2]},
        {"timestamp": 3000, "input_length": 1200, "output_length": 5, "hash_ids": [0, 1, 3]},
    )
    trace = read(tmp_path, text, Selection(time_unit="s", block=500))
    assert trace.workload.arrival.tolist() == [0, 3000]
    assert trace.workload.prefix.tolist() == [0, 1000]


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no format 'nope': choose from"):
        read(tmp_path, "a\n1\n", Selection(format="nope"))


def test_every_format_says_what_it_expects() -> None:
    for each in FORMATS:
        assert each.name in NAMES
        assert each.expects


def test_every_format_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "traces.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in page] == []


def test_rows_that_failed_are_told_by_their_own_columns_only(tmp_path: Path) -> None:
    rows = [
        {"prompt_tokens": 1, "output_tokens": 2, "error": None, "fit": {"error": 0.5}},
        {"prompt_tokens": 3, "output_tokens": 4, "error": "out of memory", "fit": {"error": 0.1}},
        {"prompt_tokens": 5, "output_tokens": 6, "error": "", "fit": {"error": 0.2}},
    ]
    assert read(tmp_path, lines(*rows)).workload.prompt.tolist() == [1, 5]


DAMAGE = [
    b'"',
    b"\n",
    b",",
    b";",
    b"null",
    b"[]",
    b"{}",
    b"true",
    b"1e400",
    b"-1",
    b"\xff",
    b"9" * 25,
]


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from([text for text, *_ in FILES.values()]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), st.sampled_from(DAMAGE)), max_size=3),
)
def test_no_damage_is_more_than_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, damage: list[tuple[float, int, bytes]]
) -> None:
    data = text.encode()
    for where, cut, put in damage:
        at = int(where * len(data))
        data = data[:at] + put + data[at + cut :]
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_bytes(data)
    said = ""
    try:
        found = read_trace(path)
        left_out = sum(each.rows for each in found.left_out)
        assert found.rows == len(found.workload) + left_out
    except UserError as refused:
        said = str(refused)
    assert "\n" not in said
