"""Azure's traces of 2023, 2024 and 2025 (whose ``NumImages`` is not read)."""

from __future__ import annotations

from lengthwise.traces.columns import Columns
from lengthwise.traces.formats.format import TableFormat

AZURE = TableFormat(
    "azure",
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    Columns(("ContextTokens",), ("GeneratedTokens",), ("TIMESTAMP",)),
)

AZURE_SECONDS = TableFormat(
    "azure",
    ("t_s", "prompt_tokens", "output_tokens"),
    Columns(("prompt_tokens",), ("output_tokens",), ("t_s",)),
)
"""The same in seconds from the first request."""
