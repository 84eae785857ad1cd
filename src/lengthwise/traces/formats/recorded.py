"""The ``held_out.jsonl`` of ``lengthwise train``: its ``arrival`` is a prediction, not a time."""

from __future__ import annotations

from lengthwise.traces.columns import Columns
from lengthwise.traces.formats.format import TableFormat

RECORDED = TableFormat(
    "recorded",
    ("id", "prompt_tokens", "output_tokens", "ages", "remaining"),
    Columns(("prompt_tokens",), ("output_tokens",)),
)
