"""Reading a trace: what format it is, and which of its requests are wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from lengthwise.errors import UserError
from lengthwise.traces.columns import Rows
from lengthwise.traces.content import File
from lengthwise.traces.formats import FORMATS, NAMES
from lengthwise.traces.formats.azure import AZURE
from lengthwise.traces.formats.format import Format
from lengthwise.traces.formats.mooncake import MOONCAKE
from lengthwise.traces.formats.plain import PLAIN
from lengthwise.traces.selection import Selection
from lengthwise.traces.trace import LeftOut, Observed, Trace
from lengthwise.traces.window import taken
from lengthwise.workload.workload import Workload

_ADVICE = f"give a file, or FORMAT:file with a format of {', '.join(NAMES)}"


def read_trace(source: str | Path, selection: Selection | None = None) -> Trace:
    """The requests of a file, sorted by arrival, and what is known about the file.

    The file may be CSV, JSON lines, a JSON array or document, or parquet, and packed by gzip
    or zstd. Its content decides what it is, not its name; ``FORMAT:PATH`` says it, too.

    Args:
        source: a path, or ``FORMAT:PATH``.
        selection: how to read it, and how much of it; by default everything.

    Raises:
        UserError: if the file cannot be read, its columns are none that are known, or a row is
            no request: the line is named.
    """
    selection = selection or Selection()
    named, path = _split(str(source))
    if named is not None:
        selection = replace(selection, format=named)
    file = File.open(path, "workload", _ADVICE)
    if file.empty:
        raise UserError(f"{file.what}: no requests in it (the file is empty)")
    try:
        format = _format_of(file, selection)
        rows = format.read(file, selection)
    except PolarsError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file.what} cannot be read ({reason})") from None
    return _trace(file, format.name, taken(rows, selection, file.what))


def read_workload(source: str | Path, everything: bool = False) -> Workload:
    """The requests of a file: :func:`read_trace` without what is known about it.

    Times count from the first request. A file without times gives a burst: see
    ``with_arrivals``. ``everything`` keeps the ShareGPT and Alpaca records that are
    usually left out; what was left out is counted in ``dropped``.

    Raises:
        UserError: as :func:`read_trace`.
    """
    return read_trace(source, Selection(everything=everything)).workload


def _split(source: str) -> tuple[str | None, Path]:
    format, colon, path = source.partition(":")
    return (format, Path(path)) if colon and format in NAMES else (None, Path(source))


def _format_of(file: File, selection: Selection) -> Format:
    if selection.format not in (None, *NAMES):
        raise UserError(f"no format {selection.format!r}: choose from {', '.join(NAMES)}")
    if {"prompt", "output"} <= selection.column_map.keys() and selection.format is None:
        return PLAIN
    known = [each for each in FORMATS if selection.format in (None, each.name)]
    found = next((each for each in known if each.fits(file)), None)
    if found is not None:
        return found
    if not len(file.table):
        raise UserError(f"{file.what}: no requests in it (0 left out)")
    there = ", ".join(file.table.columns[:12])
    shown = known if selection.format else [AZURE, MOONCAKE, PLAIN]
    wanted = " or ".join(each.expects for each in shown)
    raise file.table.bad(
        0,
        f"expected the columns {wanted}; it has {there[:200]}: "
        "--column-map arrival=...,prompt=...,output=... says which are meant",
    )


def _trace(file: File, format: str, rows: Rows) -> Trace:
    """Rows in order of arrival as a trace."""
    frame, left = rows.frame, sum(each.rows for each in rows.left_out)
    if not len(frame):
        why = "".join(f": {each.reason}" for each in rows.left_out[:1])
        raise UserError(f"{file.what}: no requests in it ({left} left out){why}")
    timed = "arrival" in frame.columns
    arrival = frame["arrival"].to_numpy() if timed else np.zeros(len(frame))
    tenant = _texts(frame, "tenant")
    ids = _texts(frame, "id")
    workload = Workload(
        arrival,
        frame["prompt"].to_numpy(),
        frame["output"].to_numpy(),
        frame["prefix"].to_numpy(),
        file.path.name.split(".")[0],
        left,
        tuple(each for each in ids if each is not None) if ids and None not in ids else (),
        tenant if any(tenant) else (),
        frame["priority"].to_numpy(),
    )
    observed = _observed(frame) if timed else None
    return Trace(workload, format, rows.rows, _merged(rows.left_out), rows.found, timed, observed)


def _texts(frame: pl.DataFrame, name: str) -> tuple[str | None, ...]:
    return tuple(frame[name].to_list()) if name in frame.columns else ()


def _observed(frame: pl.DataFrame) -> Observed | None:
    nothing = np.full(len(frame), np.nan)
    first, finish = (
        frame[name].to_numpy() if name in frame.columns else nothing for name in ("first", "finish")
    )
    known = bool(np.isfinite(first).any() or np.isfinite(finish).any())
    return Observed(first, finish) if known else None


def _merged(left_out: tuple[LeftOut, ...]) -> tuple[LeftOut, ...]:
    """One entry for each reason."""
    rows: dict[str, int] = {}
    for each in left_out:
        rows[each.reason] = rows.get(each.reason, 0) + each.rows
    return tuple(LeftOut(count, reason) for reason, count in rows.items() if count)
