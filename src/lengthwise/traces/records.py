"""Records of a file one by one, for files of texts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from lengthwise.errors import UserError
from lengthwise.traces.content import File
from lengthwise.traces.json_rows import NONE, rows_of
from lengthwise.traces.table import ROW

Record = dict[str, Any]

_MOST = 10**9
"""More tokens than this are a mistake, not a request."""


def records(file: File) -> Iterator[tuple[int, Record]]:
    """Each record with its number: its line in JSON lines, otherwise counted from 1.

    Raises:
        UserError: if one is no JSON object, or the file cannot be read.
    """
    if file.kind != "json":
        for row in file.table.frame.iter_rows(named=True):
            yield int(row.pop(ROW)) + 1, row
        return
    in_lines = file.document is NONE
    found = _lines(file.data) if in_lines else enumerate(rows_of(file.document), 1)
    for number, record in found:
        if not isinstance(record, dict):
            raise UserError(f"{file.what}, {place(file, number)}: expected a JSON object")
        yield number, record


def place(file: File, number: int) -> str:
    """Where a record stands, by its number: ``line 3``, or ``record 3`` of an array."""
    if file.kind != "json":
        return file.table.place(number - 1)
    return f"line {number}" if file.document is NONE else f"record {number}"


def _lines(data: bytes) -> Iterator[tuple[int, Any]]:
    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            yield number, _value(decode, line)


def _value(decode: Callable[[bytes], Any], line: bytes) -> Any:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:  # Python writes NaN, which is no JSON.
        return json.loads(line)
    except ValueError:
        return None


def column(path: str, value: Callable[[Record], Any]) -> list[Any]:
    """One value of each record of a file of predictions.

    Raises:
        UserError: for the first record whose value is a ValueError; names its line.
    """
    file = File.open(Path(path), "predictions")
    found = []
    for at, record in records(file):
        try:
            found.append(value(record))
        except ValueError as error:
            raise UserError(f"predictions {path}, {place(file, at)}: {error}") from None
    if not found:
        raise UserError(f"predictions {path}: no records in it")
    return found


def number(record: Record, name: str) -> float:
    """A finite number of a record.

    Raises:
        ValueError: if it is missing or not one; the message names it.
    """
    field = record.get(name)
    if field is None or field == "":
        raise ValueError(f"no {name}")
    try:
        value = float(field)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} is not a number: {str(field)[:40]!r}")
    return value


def tokens(record: Record, name: str) -> int:
    """A whole number of tokens of a record; it may be 0 or negative.

    Raises:
        ValueError: if it is missing or not one; the message names it.
    """
    value = number(record, name)
    if not value.is_integer() or abs(value) > _MOST:
        raise ValueError(f"{name} is not a number of tokens: {str(record[name])[:40]!r}")
    return int(value)
