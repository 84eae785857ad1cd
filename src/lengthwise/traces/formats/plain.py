"""Columns under their usual names: CSV of one's own, and exports of gateways."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from lengthwise.traces.columns import Columns
from lengthwise.traces.content import File
from lengthwise.traces.formats.format import TableFormat
from lengthwise.traces.table import Table

_PROMPT = (
    *("prompt_tokens", "input_tokens", "num_prompt_tokens", "num_input_tokens", "prompt_len"),
    *("input_length", "input_len", "prompt_length", "num_prefill_tokens", "prefill_tokens"),
    *("context_tokens", "request_tokens", "tokens_prompt", "native_tokens_prompt", "tokens_in"),
    *("n_prompt_tokens", "n_input_tokens", "input_toks", "prompt_toks", "input_token_count"),
    *("prompt_token_count", "input_sequence_length", "isl", "input_tokens_count", "n_prompt"),
    *(
        "tokens_input",
        "total_input_tokens",
        "req_units",
        "prompt_eval_count",
        "usage.input",
        "usage_details.input",
    ),
)
_OUTPUT = (
    *("output_tokens", "completion_tokens", "generated_tokens", "num_output_tokens"),
    *("num_completion_tokens", "num_generated_tokens", "output_len", "output_length"),
    *("completion_length", "num_decode_tokens", "decode_tokens", "response_tokens"),
    *("tokens_completion", "native_tokens_completion", "tokens_out", "n_output_tokens"),
    *("n_completion_tokens", "n_generated_tokens", "output_toks", "output_token_count"),
    *("completion_token_count", "candidates_token_count", "output_sequence_length", "osl"),
    *("generation_tokens", "num_generation_tokens", "output_tokens_count", "tokens_output"),
    *(
        "total_output_tokens",
        "res_units",
        "eval_count",
        "n_output",
        "usage.output",
        "usage_details.output",
    ),
)
_ARRIVAL = (
    *("arrival_s", "t_s", "t_ms", "arrival_ms", "arrival_us", "arrival_ns", "arrival_time_s"),
    *("arrival_time_ms", "arrival_time_ns", "arrived_at", "arrival", "arrival_time"),
    *("arrival_timestamp", "start_time", "request_start_time", "request_time", "started_at"),
    *("request_created_at", "request_timestamp", "requested_at", "received_at", "request_start"),
    *("start_timestamp", "start_time_ms", "start_time_s", "start_ms", "start_s", "start_ts"),
    *("request_ts", "created_at", "created", "create_time", "time_of_generation", "logged_at"),
    *("timestamp", "timestamp_s", "timestamp_ms", "timestamp_us", "timestamp_ns"),
    *("timestamp_start_unix_ms", "unix_time", "time_generated", "event_time", "datetime"),
    *("date_time", "time_s", "time_ms", "time", "ts", "date", "start"),
)
_FINISH = (
    *("finish_s", "finish_ms", "finish", "finished_at", "end_time", "request_end_time"),
    *("completed_at", "end_timestamp", "ended_at", "finish_time"),
    *("response_created_at", "end_s", "end_ms", "last_token_time"),
)
_FIRST = (
    *("first_s", "first_ms", "first", "first_token_time", "completion_start_time"),
    *("first_token_at", "first_token_s", "first_token_timestamp"),
)
_TTFT = (
    *("ttft", "ttft_s", "ttft_ms", "time_to_first_token", "time_to_first_token_ms"),
    *("time_to_first_token_s", "first_token_latency", "first_token_latency_ms"),
)
_LATENCY = (
    *("latency_s", "latency_ms", "latency", "e2e_latency", "e2e_latency_s", "e2e_latency_ms"),
    *("duration", "duration_s", "duration_ms", "delay_ms", "request_duration"),
    *("request_duration_ms", "response_time_ms", "response_time", "response_time_s"),
    *("request_latency", "total_latency", "generation_time", "generation_time_ms", "e2el"),
    *("total_time_ms", "total_time", "elapsed_ms", "elapsed_s", "elapsed", "elapsed_time"),
)
COLUMNS = Columns(
    _PROMPT,
    _OUTPUT,
    _ARRIVAL,
    first=_FIRST,
    finish=_FINISH,
    ttft=_TTFT,
    latency=_LATENCY,
    cached=("cached_tokens", "cached_prompt_tokens", "prefix_tokens"),
    hashes=("hash_ids", "block_hashes"),
    id=("id", "request_id", "call_id", "trace_id", "generation_id", "custom_id"),
)

_BAD = r"^(fail.*|error.*|cancel.*|abort.*|timeout.*|timed.?out|rejected)$"


def failed(table: Table) -> pl.Series:
    """Rows that say of themselves that they failed: by a status, an HTTP code or an error."""
    wrong = pl.Series([False]).new_from_index(0, len(table))
    for names, test in (
        (("status", "state", "outcome", "request_status"), _status),
        (
            (
                "status_code",
                "http_status",
                "response_status_code",
                "response_status",
                "response.status_code",
            ),
            _status,
        ),
        (("success", "succeeded", "successful"), _false),
        (("error", "error_message", "error_code", "error_type"), _something),
        (("was_cancelled", "cancelled", "aborted", "is_error"), _true),
    ):
        column = table.find(names, nested=False)
        if column is not None and not table.frame[column].dtype.is_nested():
            texts = table.frame[column].cast(pl.String).str.strip_chars().str.to_lowercase()
            wrong |= test(texts).fill_null(False)
    return wrong


def _status(texts: pl.Series) -> pl.Series:
    code = texts.cast(pl.Float64, strict=False).fill_null(0)
    return texts.str.contains(_BAD) | ((code >= 400) & (code < 600))


def _true(texts: pl.Series) -> pl.Series:
    return texts.is_in(["true", "1", "yes"])


def _false(texts: pl.Series) -> pl.Series:
    return texts.is_in(["false", "0", "no"])


def _something(texts: pl.Series) -> pl.Series:
    return ~texts.str.contains(r"^(none|null|nan|false|0(\.0*)?|\{\}|\[\])?$")


@dataclass(frozen=True)
class _Plain(TableFormat):
    def fits(self, file: File) -> bool:
        """Whether some column is the prompt's tokens, and another the output's."""
        found = (file.table.find(names) for names in (_PROMPT, _OUTPUT))
        return all(column is not None for column in found)


PLAIN = _Plain("plain", ("prompt_tokens", "output_tokens"), COLUMNS, ("failed or aborted", failed))
