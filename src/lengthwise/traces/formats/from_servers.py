"""Requests that a server's log or spans tell, as rows of a trace."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import polars as pl

from lengthwise.traces.columns import Rows
from lengthwise.traces.content import File
from lengthwise.traces.recorded import Found, Recorded

_SCHEMA = {
    **{"row": pl.Int64, "prompt": pl.Int64, "output": pl.Int64, "prefix": pl.Int64},
    **{"priority": pl.Int64, "arrival": pl.Float64, "first": pl.Float64, "finish": pl.Float64},
    **{"tenant": pl.String, "id": pl.String},
}


def rows_of(requests: Sequence[Recorded], found: Found) -> Rows:
    """Recorded requests and what else was met, as what a format finds; times from the first."""
    requests = sorted(requests, key=lambda each: each.arrival_s)
    epoch = requests[0].arrival_s if requests else 0.0

    def since(time: float | None) -> float | None:
        return None if time is None else time - epoch

    cells = [
        (
            *(number, each.prompt_tokens, each.output_tokens, 0, each.priority),
            *(since(each.arrival_s), since(each.first_s), since(each.finish_s)),
            *(each.tenant, each.id),
        )
        for number, each in enumerate(requests, 1)
    ]
    frame = pl.DataFrame(cells, schema=_SCHEMA, orient="row")
    left = sum(each.rows for each in found.left_out)
    return Rows(frame, len(frame) + left, found.left_out, found.notes, epoch)


def lines_of(file: File) -> Iterator[bytes]:
    """A file's lines, without their ends."""
    return (line.rstrip(b"\r\n") for line in io.BytesIO(file.data))
