"""Records of a file one by one, for files of texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from lengthwise.errors import UserError
from lengthwise.traces.content import File
from lengthwise.traces.table import ROW
from lengthwise.traces.tables import NONE, rows_of

Record = dict[str, Any]


def records(file: File) -> Iterator[tuple[int, str, Record]]:
    """Each record, with its number (its line, where the file has lines) and its place's name.

    Raises:
        UserError: if one is no JSON object, or the file cannot be read.
    """
    if file.kind != "json":
        table = file.table
        for row in table.frame.iter_rows(named=True):
            number = int(row.pop(ROW)) + 1
            yield number, table.place(number - 1), row
        return
    if file.document is NONE:
        found = _lines(file.data)
        word = "line"
    else:
        found = enumerate(rows_of(file.document), 1)
        word = "record"
    for number, record in found:
        if not isinstance(record, dict):
            raise UserError(f"{file.what}, {word} {number}: expected a JSON object")
        yield number, f"{word} {number}", record


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
    for _, place, record in records(file):
        try:
            found.append(value(record))
        except ValueError as error:
            raise UserError(f"predictions {path}, {place}: {error}") from None
    if not found:
        raise UserError(f"predictions {path}: no records in it")
    return found
