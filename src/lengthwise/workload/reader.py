"""Reading a trace or a file of lengths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lengthwise.errors import UserError
from lengthwise.workload.clients import client_of
from lengthwise.workload.layouts import FORMATS, LAYOUTS, Layout, Row, RowOf, layout_of
from lengthwise.workload.records import Record, records
from lengthwise.workload.workload import Workload, first_bad

_ADVICE = f"give a file, or FORMAT:file with a format of {', '.join(FORMATS)}"


def read_workload(source: str | Path, everything: bool = False) -> Workload:
    """The requests of a file, CSV or JSON lines, gzipped or not.

    ``source`` is a path or ``FORMAT:PATH``; without a format the columns of the first
    record decide (``layouts.py`` has them):

    - ``azure``: ``t_s, prompt_tokens, output_tokens``, or Azure's own ``TIMESTAMP,
      ContextTokens, GeneratedTokens``.
    - ``mooncake``: ``t_ms, prompt_tokens, output_tokens, n_blocks_seen_before``, or its own
      ``timestamp, input_length, output_length, hash_ids``. Times are on a grid of 3 s.
    - ``burstgpt``: its own columns; failed requests (no response tokens) are left out.
    - ``sharegpt``: Llama-3 token counts; what vLLM's benchmark filters is left out.
    - ``alpaca``: Llama-3 token counts; only records with ``uniform`` true.
      Of both, an empty prompt or answer is left out always.
    - ``plain``: ``prompt_tokens, output_tokens`` and perhaps ``arrival_s`` or ``t_ms``.

    A column ``id`` names the requests, if all have one. Columns ``tenant`` and ``priority``
    (a whole number, the lower goes first) may be empty: no tenant, and 0.

    Times count from the first record. A file without times gives a burst: see
    ``with_arrivals``. ``everything`` keeps the ShareGPT and Alpaca records that are
    usually left out; what was left out is counted in ``dropped``.

    Raises:
        UserError: if the file or a record is bad; names the line.
    """
    format, path = _split(str(source))
    what = f"workload {path}"
    row_of: RowOf | None = None
    rows: list[Row] = []
    ids: list[str] = []
    clients: list[tuple[str | None, int]] = []
    lines: list[int] = []
    dropped = 0
    for line, record in records(path, "workload", _ADVICE):
        if row_of is None:
            row_of = _layout(what, line, record, format).rows(everything)
        try:
            row, client = row_of(record), client_of(record)
        except ValueError as error:
            raise UserError(f"{what}, line {line}: {error}") from None
        if row is None:
            dropped += 1
        else:
            rows.append(row)
            lines.append(line)
            clients.append(client)
            if isinstance(record.get("id"), str):
                ids.append(record["id"])
    if not rows:
        raise UserError(f"{what}: no requests in it ({dropped} left out)")
    workload = _workload(what, path, rows, lines, dropped)
    tenant, priority = zip(*clients, strict=True)
    return replace(
        workload,
        id=tuple(ids) if len(ids) == len(rows) else (),
        tenant=tenant if any(tenant) else (),
        priority=np.array(priority, dtype=np.int64),
    )


def _split(source: str) -> tuple[str | None, Path]:
    format, colon, path = source.partition(":")
    return (format, Path(path)) if colon and format in FORMATS else (None, Path(source))


def _layout(what: str, line: int, record: Record, format: str | None) -> Layout:
    found = layout_of(record.keys(), format)
    if found is not None:
        return found
    wanted = " or ".join(
        ", ".join(known.columns) for known in LAYOUTS if format in (None, known.format)
    )
    raise UserError(f"{what}, line {line}: expected the columns {wanted}")


def _workload(what: str, path: Path, rows: list[Row], lines: list[int], dropped: int) -> Workload:
    arrival = np.array([row.arrival or 0.0 for row in rows], dtype=np.float64)
    arrival -= arrival[0]
    prompt, output, prefix = (
        np.array(column, dtype=np.int64) for column in zip(*(row[1:] for row in rows), strict=True)
    )
    bad = first_bad(arrival, prompt, output, prefix)
    if bad is not None:
        raise UserError(f"{what}, line {lines[bad[0]]}: {bad[1]}")
    return Workload(arrival, prompt, output, prefix, path.name.split(".")[0], dropped)
