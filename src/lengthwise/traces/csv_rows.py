"""CSV as a table. Polars does the parsing; Python's csv module finds the line that is wrong."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import polars as pl
from polars.exceptions import NoDataError, PolarsError

from lengthwise.errors import UserError
from lengthwise.traces.table import Table, numbered

_SEPARATORS = ",;\t|"

_DECIMAL_COMMA = ";\t"
"""Separators beside which a comma can stand before a fraction."""


def csv_table(what: str, data: bytes) -> Table:
    """A table with a header; the separator is the one that the header has most of.

    Raises:
        UserError: if a line cannot be read; names it.
    """
    header = _decoded(what, data.lstrip(b"\r\n").partition(b"\n")[0])
    counts = Counter(each for each in header if each in _SEPARATORS)
    separator = counts.most_common(1)[0][0] if counts else ","
    try:
        frame = pl.read_csv(data, separator=separator, infer_schema=False)
    except NoDataError:
        frame = pl.DataFrame()
    except PolarsError:
        frame = _carefully(what, data, separator)
    bare = Counter(name.strip() for name in frame.columns)
    frame = frame.rename(lambda name: name.strip() if bare[name.strip()] == 1 else name)
    filled, comma = _filled(frame), separator in _DECIMAL_COMMA
    if filled.all():
        return numbered(what, frame, _lines(data, separator), comma)
    # Lines with nothing between their separators count as rows, empty lines do not.
    lines = [(line, any(map(str.strip, row))) for line, row in _csv_rows(data, separator)][1:]
    numbers = [line for line, some in lines if some]
    table = numbered(what, frame.filter(filled), lambda row: f"line {numbers[row]}", comma)
    return replace(table, blank=len(lines) - len(numbers))


def _decoded(what: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{what} cannot be read (line {line} is not UTF-8): save it as UTF-8"
        ) from None


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
    _decoded(what, data)
    try:
        rows = _csv_rows(data, separator)
        _, header = next(rows)
        columns: list[list[str]] = [[] for _ in header]
        for line, row in rows:
            if len(row) > len(header):
                raise UserError(f"{what}, line {line}: more fields than the header")
            for i, column in enumerate(columns):
                column.append(row[i] if i < len(row) else "")
    except csv.Error as error:
        raise UserError(f"{what} cannot be read ({error})") from None
    named = zip(header, columns, strict=True)
    frame = pl.DataFrame({name: pl.Series(column, dtype=pl.String) for name, column in named})
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all()).name.keep())
