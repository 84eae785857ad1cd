"""Vidur's processed traces: seconds."""

from __future__ import annotations

from lengthwise.traces.columns import Columns
from lengthwise.traces.formats.format import TableFormat

VIDUR = TableFormat(
    "vidur",
    ("arrived_at", "num_prefill_tokens", "num_decode_tokens"),
    Columns(("num_prefill_tokens",), ("num_decode_tokens",), ("arrived_at",), unit="s"),
)
