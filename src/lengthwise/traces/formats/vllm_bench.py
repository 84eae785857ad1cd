"""Results of ``vllm bench serve --save-detailed``, and SGLang's, which have the same lists."""

from __future__ import annotations

from typing import Any

import polars as pl

from lengthwise.errors import UserError
from lengthwise.traces.columns import Columns, Rows
from lengthwise.traces.content import File
from lengthwise.traces.formats.format import TableFormat
from lengthwise.traces.json_rows import records_table
from lengthwise.traces.selection import Selection
from lengthwise.traces.table import Table

_LISTS = {
    "input_lens": "prompt_tokens",
    "output_lens": "output_tokens",
    "start_times": "arrival",
    "ttfts": "ttft_s",
    "itls": "itls",
    "errors": "error",
}


def _failed(table: Table) -> pl.Series:
    return table.frame["error"].cast(pl.String).fill_null("") != ""


_REQUESTS = TableFormat(
    "vllm-bench",
    ("input_lens", "output_lens"),
    Columns(
        ("prompt_tokens",),
        ("output_tokens",),
        ("arrival",),
        ttft=("ttft_s",),
        latency=("latency_s",),
        unit="s",
    ),
    ("the request failed in the benchmark", _failed),
)


class VllmBench:
    """A result holds a list of each thing, with an entry for every request."""

    name = "vllm-bench"
    expects = "input_lens, output_lens"

    def fits(self, file: File) -> bool:
        """Whether a result is there, detailed or not."""
        if file.kind != "json":
            return False
        columns = file.table.columns
        return "input_lens" in columns or {"total_input_tokens", "completed"} <= {*columns}

    def read(self, file: File, selection: Selection) -> Rows:
        """The requests of the result, or of the last where several were appended."""
        results = file.table.frame
        result = results.row(-1, named=True)
        if not isinstance(result.get("input_lens"), list):
            raise UserError(
                f"{file.what}: a benchmark's result without its requests: "
                "run vllm bench serve with --save-detailed"
            )
        rows = _REQUESTS.rows(records_table(file.what, _records(file.what, result)), selection)
        if len(results) == 1:
            return rows
        said = f"{len(results)} results in the file: the last was read"
        return rows.saying(said)


def _records(what: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """An object for each request; the file's lists must be of one length."""
    lists = {name: result[name] for name in _LISTS if isinstance(result.get(name), list)}
    n = len(lists["input_lens"])
    odd = next((name for name, values in lists.items() if len(values) != n), None)
    if odd is not None or "output_lens" not in lists:
        raise UserError(
            f"{what}: {odd or 'output_lens'} has not one entry for each of {n} requests"
        )
    error = lists.setdefault("errors", [""] * n)
    records: list[dict[str, Any]] = []
    for i in range(n):
        record = {_LISTS[name]: values[i] for name, values in lists.items() if name != "itls"}
        if "itls" in lists and "ttfts" in lists and not error[i]:
            record["latency_s"] = record["ttft_s"] + sum(lists["itls"][i] or ())
        records.append(record)
    return records
