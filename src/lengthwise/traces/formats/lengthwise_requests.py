"""The ``requests-N.jsonl`` that ``lengthwise bench`` and ``simulate`` leave behind."""

from __future__ import annotations

import polars as pl

from lengthwise.traces.columns import Columns
from lengthwise.traces.formats.format import TableFormat
from lengthwise.traces.table import Table


def _unfinished(table: Table) -> pl.Series:
    finish = table.frame["finish"]
    return finish.is_null() | finish.cast(pl.String).is_in(["NaN", "nan"])


LENGTHWISE = TableFormat(
    "lengthwise",
    ("id", "arrival", "first", "finish", "longest_gap", "tokens", "prompt_tokens"),
    Columns(
        ("prompt_tokens",),
        ("tokens",),
        ("arrival",),
        first=("first",),
        finish=("finish",),
        unit="s",
    ),
    ("never finished", _unfinished),
)
