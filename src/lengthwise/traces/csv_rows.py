"""CSV as a table. Polars does the parsing; Python's csv module finds the line that is wrong."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import itemgetter

import polars as pl
from polars.exceptions import NoDataError, PolarsError

from lengthwise.errors import UserError
from lengthwise.traces.table import Table, numbered

_SEPARATORS = ",;\t|"

_TOLD = re.compile(rb"sep=(.)", re.IGNORECASE)

_HEAD = 1 << 20
"""Bytes among which the header is looked for."""

_DECIMAL_COMMA = ";\t"
"""Separators beside which a comma can stand before a fraction."""


def csv_table(what: str, data: bytes) -> Table:
    """A table with a header; the separator is the one that the header has most of.

    Raises:
        UserError: if a line cannot be read; names it.
    """
    data, separator = _headed(what, data)
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


def _headed(what: str, data: bytes) -> tuple[bytes, str]:
    """The text with the lines above its header emptied, and its separator.

    Such are comments (``#``), and the ``sep=;`` that spreadsheets write.
    """
    head = data[:_HEAD].splitlines(keepends=True)
    at, separator = 0, None
    for number, line in enumerate(head, 1):
        told = _TOLD.fullmatch(line.strip())
        separator = told[1].decode() if told else separator
        if line.strip() and told is None and not _comment(line, head[number:]):
            break
        at = number
    header = _decoded(what, head[at]) if at < len(head) else ""
    if any(line.strip() for line in head[:at]):
        data = b"\n" * at + data[sum(map(len, head[:at])) :]
    return data, separator or _most(header.encode())[1]


def _comment(line: bytes, below: list[bytes]) -> bool:
    """Whether a line with a hash sign is no header: the next has more fields."""
    after = next((each for each in below if each.strip()), b"")
    return line.startswith(b"#") and _most(line)[0] < _most(after)[0]


def _most(line: bytes) -> tuple[int, str]:
    """How often a line has the separator that it has most of, and which that is."""
    return max(((line.count(each.encode()), each) for each in _SEPARATORS), key=itemgetter(0))


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
    # The limit is one for the whole process: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), len(data) + 1))
    rows = csv.reader(text, delimiter=separator)
    last = 0
    for row in rows:
        if row:
            yield last + 1, row
        last = rows.line_num


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
