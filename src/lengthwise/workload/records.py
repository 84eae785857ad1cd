"""Records of CSV and JSON-lines files, and the numbers in them."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from lengthwise.errors import UserError, reading

Record = Mapping[str, Any]

_MOST = 10**9
"""More tokens than this are a mistake, not a request."""


def records(path: Path, what: str, advice: str = "") -> Iterator[tuple[int, Record]]:
    """Each record of a ``.jsonl`` file, or else of a CSV with a header, with its line number.

    Either may be gzipped (``.gz``).

    Raises:
        UserError: if the file or a line cannot be read; names the line.
    """
    with (
        reading(f"{what} {path}", advice),
        gzip.open(path, "rt", encoding="utf-8-sig", newline="")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8-sig", newline="") as lines,
    ):
        if path.name.removesuffix(".gz").endswith(".jsonl"):
            yield from _objects(lines, f"{what} {path}")
        else:
            yield from _rows(lines, f"{what} {path}")


def _objects(lines: TextIO, what: str) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise UserError(f"{what}, line {number}: expected a JSON object")
        yield number, record


def _rows(lines: TextIO, what: str) -> Iterator[tuple[int, Record]]:
    table = csv.DictReader(lines)
    try:
        for record in table:
            if None in record:
                raise UserError(f"{what}, line {table.line_num}: more fields than the header")
            yield table.line_num, record
    except csv.Error as error:
        raise UserError(f"{what}, line {table.line_num + 1}: {error}") from None


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
