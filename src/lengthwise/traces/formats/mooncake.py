"""Mooncake's traces and their relatives: times, lengths, hashes of the prompt's blocks.

Mooncake has milliseconds and blocks of 512 tokens; Bailian's traces and vLLM's timed traces
have seconds and blocks of 16. Unit and size are found in the content.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from lengthwise.traces.columns import Columns, Rows
from lengthwise.traces.content import File
from lengthwise.traces.formats.format import TableFormat
from lengthwise.traces.selection import Selection
from lengthwise.traces.table import Table

_BLOCK = 512
_LENGTHS = ("input_length",), ("output_length",), ("timestamp",)
_NEEDS = ("timestamp", "input_length", "output_length")


def _later_turn(table: Table) -> pl.Series:
    """AIPerf's later turns of a session: so long after the answer before them."""
    time, delay = table.find(["timestamp"]), table.find(["delay"])
    if time is None or delay is None:
        return pl.Series([False]).new_from_index(0, len(table))
    return table.frame[time].is_null() & table.frame[delay].is_not_null()


_TURN = "a later turn of a session, with a delay in place of a time"

MOONCAKE = TableFormat(
    "mooncake",
    (*_NEEDS, "hash_ids"),
    Columns(*_LENGTHS, hashes=("hash_ids",), id=("request_id",)),
    (_TURN, _later_turn),
)

BAILIAN = TableFormat(
    "mooncake",
    (*_NEEDS, "hash_ids", "chat_id"),
    Columns(*_LENGTHS, hashes=("hash_ids",), whole="s"),
)
"""Bailian's traces: a request names the chat that it goes on with."""

GUIDELLM_TRACE = TableFormat("guidellm", _NEEDS, Columns(*_LENGTHS), (_TURN, _later_turn))
"""guidellm's traces to replay: no hashes."""


class _Counts(TableFormat):
    """Mooncake's trace with the number of blocks that were seen before, in place of hashes."""

    def read(self, file: File, selection: Selection) -> Rows:
        table = file.table
        prompt, blocks = (table.find([name]) for name in ("prompt_tokens", self.needs[-1]))
        assert prompt is not None
        assert blocks is not None
        block = selection.block or _BLOCK
        frame = table.frame
        known = frame[blocks].cast(pl.Float64, strict=False) * block
        most = frame[prompt].cast(pl.Float64, strict=False)
        cached = pl.select(pl.min_horizontal(known, most)).to_series()
        # What is no number stays as it is, so that it is named.
        kept = pl.select(pl.coalesce(cached.cast(pl.String), frame[blocks].cast(pl.String)))
        return self.rows(
            replace(table, frame=frame.with_columns(kept.to_series().alias(blocks))), selection
        )


MOONCAKE_COUNTS = _Counts(
    "mooncake",
    ("t_ms", "prompt_tokens", "output_tokens", "n_blocks_seen_before"),
    Columns(("prompt_tokens",), ("output_tokens",), ("t_ms",), cached=("n_blocks_seen_before",)),
)
