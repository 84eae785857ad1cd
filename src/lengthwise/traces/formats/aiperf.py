"""AIPerf's ``profile_export.jsonl``: a record for each request of a benchmark."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from lengthwise.traces.columns import Columns, Rows
from lengthwise.traces.content import File
from lengthwise.traces.formats.format import TableFormat
from lengthwise.traces.selection import Selection
from lengthwise.traces.table import Table

_METRICS = {
    "metrics.time_to_first_token.value": "ttft_ms",
    "metrics.request_latency.value": "latency_ms",
}
"""Times of the metrics, which are all in milliseconds."""


def _failed(table: Table) -> pl.Series:
    frame = table.frame
    wrong = pl.Series([False]).new_from_index(0, len(frame))
    for name in table.columns:
        if name == "error" or name.startswith("error."):
            wrong |= frame[name].is_not_null()
        if name == "metadata.was_cancelled":
            wrong |= frame[name].fill_null(False)
    return wrong


def _warm_up(table: Table) -> pl.Series:
    phase = table.find(["metadata.benchmark_phase"])
    if phase is None:
        return pl.Series([False]).new_from_index(0, len(table))
    return table.frame[phase].cast(pl.String) == "warmup"


class _Records(TableFormat):
    def read(self, file: File, selection: Selection) -> Rows:
        """The requests; times of metrics get a name with their unit."""
        table = file.table
        named = {old: new for old, new in _METRICS.items() if old in table.columns}
        return self.rows(replace(table, frame=table.frame.rename(named)), selection)


AIPERF = _Records(
    "aiperf",
    (
        *("metadata.request_start_ns", "metrics.input_sequence_length.value"),
        "metrics.output_sequence_length.value",
    ),
    Columns(
        ("metrics.input_sequence_length.value",),
        ("metrics.output_sequence_length.value",),
        ("metadata.request_start_ns",),
        ttft=("ttft_ms",),
        latency=("latency_ms",),
        unit="ns",
    ),
    ("the request failed in the benchmark", _failed),
    ("part of the warm-up", _warm_up),
)
