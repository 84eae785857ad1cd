"""Parquet, and Arrow files, as a table."""

from __future__ import annotations

import polars as pl
from polars.exceptions import PanicException, PolarsError

from lengthwise.errors import UserError
from lengthwise.traces.table import Table, flat, numbered

MAGIC = b"PAR1", b"ARROW1"
"""First bytes of parquet, and of Arrow's files (Feather)."""


def parquet_table(what: str, data: bytes) -> Table:
    """Its rows.

    Raises:
        UserError: if it is damaged.
    """
    try:
        frame = flat(pl.read_parquet(data) if data.startswith(MAGIC[0]) else pl.read_ipc(data))
    except (PolarsError, PanicException) as error:
        # A damaged page makes polars panic, which is no Exception.
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise UserError(f"{what} cannot be read as parquet ({reason})") from None
    return numbered(what, frame, lambda row: f"row {row + 1}")
