"""Text of CSV and JSON, and parquet, as tables. Polars and msgspec do the parsing."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import polars as pl
from polars.exceptions import NoDataError, PolarsError

from lengthwise.errors import UserError
from lengthwise.traces.table import ROW, Table

NONE = object()
"""In place of a JSON document, where there is none."""

_SEPARATORS = ",;\t|"
_HOLDERS = {
    *("data", "requests", "records", "rows", "items", "results", "logs", "entries"),
    *("generations", "responses", "traces", "successful"),
}
"""Names under which a document holds its records."""

_DECIMAL_COMMA = ";\t"
"""Separators beside which a comma can stand before a fraction."""


def table_of(what: str, data: bytes, kind: str, document: Any) -> Table:
    """The rows of a file.

    Args:
        what: what the file is called in messages.
        kind: ``parquet``, ``json`` or ``text``.
        document: its one JSON value, or ``NONE``.

    Raises:
        UserError: if a line cannot be read; names it.
    """
    if kind == "parquet":
        return _parquet(what, data)
    if kind == "text":
        return csv_table(what, data)
    if document is NONE:
        return _json_lines(what, data)
    return records_table(what, rows_of(document))


def document_of(data: bytes) -> Any:
    """The one JSON value of a file, or ``NONE`` if it has several, or something else."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    if _first_line_is_whole(data):
        return NONE
    try:  # Python writes NaN, which is no JSON.
        return json.loads(data)
    except ValueError:
        return NONE


def _first_line_is_whole(data: bytes) -> bool:
    try:
        json.loads(data.lstrip().partition(b"\n")[0])
    except ValueError:
        return False
    return b"\n" in data.strip()


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
    return _numbered(what, _objects(records), place)


def _objects(records: list[dict[str, Any]]) -> pl.DataFrame:
    try:
        lines = msgspec.json.Encoder().encode_lines(records)
        if b"NaN" not in lines:
            return _flat(pl.read_ndjson(lines, infer_schema_length=None))
    except (PolarsError, OverflowError, NoDataError):
        pass
    return _mixed(records)


def _json_lines(what: str, data: bytes) -> Table:
    try:
        frame = _flat(pl.read_ndjson(data, infer_schema_length=None))
    except PolarsError:
        frame = _mixed([*_each_line(what, data)])
    return _numbered(what, frame, lambda row: f"line {_line(data, row)}")


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


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Objects in columns become columns, named by their path."""
    while nested := [n for n, kind in frame.schema.items() if isinstance(kind, pl.Struct)]:
        frame = frame.unnest(nested, separator=".")
    return frame


def _parquet(what: str, data: bytes) -> Table:
    try:
        frame = _flat(pl.read_parquet(data))
    except PolarsError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{what} cannot be read as parquet ({reason})") from None
    return _numbered(what, frame, lambda row: f"row {row + 1}")


def _numbered(
    what: str, frame: pl.DataFrame, place: Callable[[int], str], comma: bool = False
) -> Table:
    return Table(what, frame.with_row_index(ROW), place, comma)


def csv_table(what: str, data: bytes) -> Table:
    """A table with a header; the separator is the one that the header has most of.

    Raises:
        UserError: if a line cannot be read; names it.
    """
    header = data.lstrip(b"\r\n").partition(b"\n")[0].decode("utf-8", errors="replace")
    counts = Counter(each for each in header if each in _SEPARATORS)
    separator = counts.most_common(1)[0][0] if counts else ","
    try:
        frame = pl.read_csv(data, separator=separator, infer_schema=False)
    except NoDataError:
        frame = pl.DataFrame()
    except PolarsError:
        frame = _carefully(what, data, separator)
    frame = frame.rename({name: name.strip() for name in frame.columns})
    filled, comma = _filled(frame), separator in _DECIMAL_COMMA
    if filled.all():
        return _numbered(what, frame, _lines(data, separator), comma)
    # Lines with nothing between their separators count as rows, empty lines do not.
    lines = [(line, any(map(str.strip, row))) for line, row in _csv_rows(data, separator)][1:]
    numbers = [line for line, some in lines if some]
    table = _numbered(what, frame.filter(filled), lambda row: f"line {numbers[row]}", comma)
    return replace(table, blank=len(lines) - len(numbers))


def _filled(frame: pl.DataFrame) -> pl.Series:
    if not len(frame):
        return pl.Series([], dtype=pl.Boolean)
    return frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()


def _lines(data: bytes, separator: str) -> Callable[[int], str]:
    def place(row: int) -> str:
        line, _ = next(itertools.islice(_csv_rows(data, separator), row + 1, None))
        return f"line {line}"

    return place


def _csv_rows(data: bytes, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each line that is not empty, and the number of its first line in the file."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    limit = csv.field_size_limit(len(data) + 1)
    try:
        rows = csv.reader(text, delimiter=separator)
        last = 0
        for row in rows:
            if row:
                yield last + 1, row
            last = rows.line_num
    finally:
        csv.field_size_limit(limit)


def _carefully(what: str, data: bytes, separator: str) -> pl.DataFrame:
    """The rows read one by one, as polars does not say which line is wrong."""
    try:
        rows = _csv_rows(data, separator)
        _, header = next(rows)
        columns: list[list[str]] = [[] for _ in header]
        for line, row in rows:
            if len(row) > len(header):
                raise UserError(f"{what}, line {line}: more fields than the header")
            for column, field in itertools.zip_longest(columns, row, fillvalue=""):
                column.append(field)
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{what} cannot be read ({error})") from None
    named = zip(header, columns, strict=True)
    frame = pl.DataFrame({name: pl.Series(column, dtype=pl.String) for name, column in named})
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all()).name.keep())
