"""BurstGPT: whole seconds; failures have no response tokens. Later versions add when it ended."""

from __future__ import annotations

from lengthwise.traces.columns import Columns
from lengthwise.traces.formats.format import TableFormat

BURSTGPT = TableFormat(
    "burstgpt",
    ("Timestamp", "Request tokens", "Response tokens"),
    Columns(
        ("Request tokens",),
        ("Response tokens",),
        ("Timestamp",),
        latency=("Elapsed time",),
        unit="s",
    ),
)
