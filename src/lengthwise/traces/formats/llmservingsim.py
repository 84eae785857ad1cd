"""LLMServingSim's workloads: nanoseconds."""

from __future__ import annotations

from lengthwise.traces.columns import Columns
from lengthwise.traces.formats.format import TableFormat

LLMSERVINGSIM = TableFormat(
    "llmservingsim",
    ("arrival_time_ns", "input_toks", "output_toks"),
    Columns(("input_toks",), ("output_toks",), ("arrival_time_ns",), unit="ns"),
)
