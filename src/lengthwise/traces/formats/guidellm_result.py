"""Results of guidellm: benchmarks, each with its requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lengthwise.traces.columns import Columns, Rows
from lengthwise.traces.content import File
from lengthwise.traces.formats.format import TableFormat
from lengthwise.traces.json_rows import records_table
from lengthwise.traces.selection import Selection
from lengthwise.traces.trace import LeftOut

_REQUESTS = TableFormat(
    "guidellm-result",
    ("benchmarks",),
    Columns(
        (
            "prompt_tokens",
            "input_tokens",
            "input_metrics.total_tokens",
            "input_metrics.text_tokens",
        ),
        (
            *("output_tokens", "completion_tokens"),
            *("output_metrics.total_tokens", "output_metrics.text_tokens"),
        ),
        ("start_time", "request_start_time", "request_start", "resolve_start"),
        first=("first_token_time", "first_token_iteration", "first_iteration"),
        finish=("end_time", "request_end_time", "request_end", "resolve_end"),
        id=("request_id",),
        unit="s",
    ),
)

_TEXTS = {"prompt", "output", "request_args", "content"}


class GuidellmResult:
    """All benchmarks of a result together: they ran one after the other."""

    name = "guidellm-result"
    expects = "benchmarks with requests"

    def fits(self, file: File) -> bool:
        """Whether it is a document with benchmarks, which have requests."""
        document = file.document
        benchmarks = document.get("benchmarks") if isinstance(document, dict) else None
        return isinstance(benchmarks, list) and any(
            isinstance(each, dict) and "requests" in each for each in benchmarks
        )

    def read(self, file: File, selection: Selection) -> Rows:
        """The successful requests."""
        benchmarks = file.document["benchmarks"]
        done = [record for each in benchmarks for record in _of(each, "successful")]
        left = [
            LeftOut(sum(len([*_of(each, name)]) for each in benchmarks), why)
            for name, why in (
                ("incomplete", "not complete when the benchmark ended"),
                ("errored", "the request failed in the benchmark"),
            )
        ]
        table = records_table(
            file.what, [{k: v for k, v in r.items() if k not in _TEXTS} for r in done]
        )
        return _REQUESTS.rows(table, selection).also(sum(each.rows for each in left), *left)


def _of(benchmark: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    requests = benchmark.get("requests") or {}
    if isinstance(requests, list):
        requests = {"successful": requests}
    yield from requests.get(name) or ()
