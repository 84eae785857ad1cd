"""Baseten's traces: milliseconds since 1970, hashes of the prompt's blocks."""

from __future__ import annotations

from lengthwise.traces.columns import Columns
from lengthwise.traces.formats.format import TableFormat

BASETEN = TableFormat(
    "baseten",
    ("timestamp_start_unix_ms", "input_tokens", "output_tokens"),
    Columns(
        ("input_tokens",),
        ("output_tokens",),
        ("timestamp_start_unix_ms",),
        ttft=("duration_ttft_ms",),
        latency=("duration_e2e_ms",),
        hashes=("total_hashes", "hash_ids"),
        unit="ms",
    ),
)
