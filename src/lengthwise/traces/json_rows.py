"""JSON lines, arrays and documents as tables. Polars and msgspec do the parsing."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import polars as pl
from polars.exceptions import PolarsError

from lengthwise.errors import UserError
from lengthwise.traces.table import Table, flat, numbered

NONE = object()
"""In place of a JSON document, where there is none."""

_HOLDERS = {
    *("data", "requests", "records", "rows", "items", "results", "logs", "entries"),
    *("generations", "responses", "traces", "successful", "benchmarks"),
}
"""Names under which a document holds its records."""


def document_of(data: bytes) -> Any:
    """The one JSON value of a file, or ``NONE`` if it has several, or something else.

    An object on one line that holds no records is a file of one line.
    """
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    else:
        one_line = isinstance(found, dict) and b"\n" not in data.rstrip()
        return NONE if one_line and rows_of(found) == [found] else found
    if _has_lines(data):
        return NONE
    try:  # Python writes NaN, which is no JSON.
        return json.loads(data)
    except ValueError:
        return NONE


def _has_lines(data: bytes) -> bool:
    """Whether the first line is a whole JSON value, and another follows."""
    # Looked at in place: the file may have gigabytes.
    start = re.compile(rb"\S").search(data)
    end = -1 if start is None else data.find(b"\n", start.start())
    if start is None or end < 0 or not re.compile(rb"\S").search(data, end):
        return False
    try:
        json.loads(data[start.start() : end])
    except ValueError:
        return False
    return True


def rows_of(document: Any) -> list[Any]:
    """The records in a document: its array, the longest that a usual name holds, or itself."""
    if isinstance(document, list):
        return document
    arrays = [*_arrays(document, 4)]
    return max(arrays, key=len, default=[document])


def _arrays(value: Any, depth: int) -> Iterator[list[Any]]:
    for name, each in value.items() if isinstance(value, dict) and depth else ():
        if name in _HOLDERS and isinstance(each, list) and each and isinstance(each[0], dict):
            yield each
        yield from _arrays(each, depth - 1)


def records_table(what: str, records: list[Any]) -> Table:
    """Objects as a table; rows are named ``record 3``.

    Raises:
        UserError: if one of them is no object.
    """

    def place(row: int) -> str:
        return f"record {row + 1}"

    odd = next((i for i, each in enumerate(records) if not isinstance(each, dict)), None)
    if odd is not None:
        raise UserError(f"{what}, {place(odd)}: expected a JSON object")
    return numbered(what, _objects(records), place)


def _objects(records: list[dict[str, Any]]) -> pl.DataFrame:
    try:
        lines = msgspec.json.Encoder().encode_lines(records)
        if b"NaN" not in lines:
            return flat(pl.read_ndjson(lines, infer_schema_length=None))
    except (PolarsError, OverflowError):
        pass
    return _mixed(records)


def json_lines(what: str, data: bytes) -> Table:
    """A table of an object a line.

    Raises:
        UserError: if a line is none; names it.
    """
    try:
        frame = flat(pl.read_ndjson(data, infer_schema_length=None))
    except PolarsError:
        frame = _mixed([*_each_line(what, data)])
    return numbered(what, frame, lambda row: f"line {_line(data, row)}")


def _line(data: bytes, row: int) -> int:
    filled = (number for number, line in enumerate(data.splitlines(), 1) if line.strip())
    return next(itertools.islice(filled, row, None))


def _each_line(what: str, data: bytes) -> Iterator[dict[str, Any]]:
    """Each record, read by itself: polars does not say which line is wrong, and wants one type."""
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise UserError(f"{what}, line {number}: expected a JSON object")
        yield record


def _mixed(records: list[dict[str, Any]]) -> pl.DataFrame:
    """A column for each key, of texts where the values are of several types."""
    flat = [dict(_paths(record)) for record in records]
    names = dict.fromkeys(name for record in flat for name in record)
    columns = {name: _column([record.get(name) for record in flat]) for name in names}
    return pl.DataFrame(columns)


def _paths(record: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _paths(value, f"{before}{name}.")
        else:
            yield before + name, value


def _column(values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {int, float} or len(kinds) == 1:
        try:
            return pl.Series(values, dtype=pl.Float64 if kinds == {int, float} else None)
        except (PolarsError, TypeError, OverflowError):
            pass
    return pl.Series([_as_text(value) for value in values], dtype=pl.String)


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
