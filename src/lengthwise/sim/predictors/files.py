"""Files of predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lengthwise.errors import UserError
from lengthwise.workload.records import Record, records


def column(path: str, value: Callable[[Record], Any]) -> list[Any]:
    """One value of each record of a file of predictions."""
    found = []
    for line, record in records(Path(path), "predictions"):
        try:
            found.append(value(record))
        except ValueError as error:
            raise UserError(f"predictions {path}, line {line}: {error}") from None
    if not found:
        raise UserError(f"predictions {path}: no records in it")
    return found
