"""Files of predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.errors import UserError
from lengthwise.workload.records import Record, records


def arrays(given: Any, *names: str) -> list[Floats]:
    """The finite arrays of these names in a JSON object. Anything else is a ValueError."""
    try:
        found = [np.array(given[name], dtype=np.float64) for name in names]
    except KeyError as error:
        raise ValueError(f"no {error.args[0]}") from None
    except (TypeError, IndexError):
        raise ValueError("not arrays of numbers in an object") from None
    if not all(np.isfinite(each).all() for each in found):
        raise ValueError("numbers must be finite")
    return found


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
