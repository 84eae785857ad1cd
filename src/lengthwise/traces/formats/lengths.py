"""Lengths of a data set's prompts and answers in Llama-3 tokens, without times."""

from __future__ import annotations

import polars as pl

from lengthwise.traces.columns import Columns
from lengthwise.traces.formats.format import TableFormat
from lengthwise.traces.table import Table

_PROMPT, _OUTPUT = "prompt_tok_llama3", "output_tok_llama3"
_COLUMNS = Columns((_PROMPT,), (_OUTPUT,), tenant=(), priority=())
_EMPTY = "an empty prompt or answer"


def _number(table: Table, name: str) -> pl.Series:
    column = table.find([name])
    assert column is not None
    return table.frame[column].cast(pl.Float64, strict=False)


def _empty(table: Table) -> pl.Series:
    return (_number(table, _PROMPT) == 0) | (_number(table, _OUTPUT) == 0)


def _not_uniform(table: Table) -> pl.Series:
    column = table.find(["uniform"])
    assert column is not None
    return table.frame[column].cast(pl.String).str.to_lowercase().ne_missing("true")


SHAREGPT = TableFormat(
    "sharegpt",
    (_PROMPT, _OUTPUT, "vllm_filter"),
    _COLUMNS,
    (_EMPTY, _empty),
    ("vLLM's benchmark leaves it out", lambda table: _number(table, "vllm_filter") == 0),
)

ALPACA = TableFormat(
    "alpaca",
    (_PROMPT, _OUTPUT, "uniform"),
    _COLUMNS,
    (_EMPTY, _empty),
    ("chosen by a rating (uniform is false)", _not_uniform),
)
